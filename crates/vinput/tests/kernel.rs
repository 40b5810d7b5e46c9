//! Devices in a real kernel, read back by the `evdev` crate: another implementation, so what it reads is
//! what programs get. Needs root, /dev/uinput, and the modules evdev, joydev and mousedev.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode, FFEffectData, FFEffectKind, FFReplay, FFTrigger, InputEvent};
use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::feedback::{Command, Effect, EffectKind, Player, Rumble};
use vinput::uinput::{DEFAULT_PATH, Device};
use vinput::{DeviceName, EventCode, Feedback, Frame, Node, Profile, Reaper};

/// A device of a built-in profile, or `None` where there is no uinput to test.
fn create(profile: &str, phys: &str) -> Option<Device> {
    let name = Profile::builtin(profile).unwrap().device_name();
    create_named(profile, name, &DeviceName::new(phys).unwrap())
}

fn create_named(profile: &str, name: &DeviceName, phys: &DeviceName) -> Option<Device> {
    if !Path::new(DEFAULT_PATH).exists() {
        assert!(std::env::var_os("HOTSEAT_VM").is_none(), "no {DEFAULT_PATH} in the test machine");
        // Not eprintln!, which the test harness keeps to itself.
        std::io::stderr().write_all(b"SKIP(no /dev/uinput)\n").unwrap();
        return None;
    }
    Some(Device::create(Profile::builtin(profile).unwrap(), name, phys).unwrap())
}

fn frame(profile: &str, inputs: &[&str]) -> Frame {
    Profile::builtin(profile).unwrap().frame(inputs).unwrap()
}

/// A program that has the device's event node open.
fn reader(device: &Device) -> RawDevice {
    let path = Path::new("/dev").join(&device.nodes()[0].devname);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    RawDevice::try_from(file).unwrap()
}

/// What the program finds to read. Frames are there as soon as `write` has returned.
fn events(reader: &mut RawDevice) -> Vec<(u16, u16, i32)> {
    let event = |event: InputEvent| (event.event_type().0, event.code(), event.value());
    reader.fetch_events().unwrap().map(event).collect()
}

fn nothing_to_read(reader: &mut RawDevice) -> bool {
    reader.fetch_events().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Takes feedback until one is the last that the test waits for.
fn feedback_until(device: &Device, mut last: impl FnMut(&Feedback) -> bool) -> Vec<Feedback> {
    let mut all = Vec::new();
    loop {
        while let Some(feedback) = device.read_feedback().unwrap() {
            all.push(feedback);
            if last(&feedback) {
                return all;
            }
        }
        wait_until_readable(device);
    }
}

/// Waits for a program to send something; a minute is for ever.
fn wait_until_readable(device: &Device) {
    let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
    assert_ne!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 0, "no feedback came");
}

fn rumble(strong_magnitude: u16, weak_magnitude: u16) -> FFEffectData {
    FFEffectData {
        direction: 0x4000,
        trigger: FFTrigger::default(),
        replay: FFReplay { length: 500, delay: 20 },
        kind: FFEffectKind::Rumble { strong_magnitude, weak_magnitude },
    }
}

fn capability(device: &Device, name: &str) -> String {
    fs::read_to_string(device.syspath().join("capabilities").join(name)).unwrap().trim().to_owned()
}

/// Its nodes without their numbers: `event`, `js`, `mouse`.
fn kinds(device: &Device) -> Vec<&str> {
    device.nodes().iter().map(|node| node.sysname().trim_end_matches(char::is_numeric)).collect()
}

const SYN: (u16, u16, i32) = (0, 0, 0);

#[test]
fn the_pad_has_the_identity_of_its_profile_and_the_phys_it_was_given() {
    let Some(pad) = create("xbox-one", "hotseat/identity") else { return };
    let reader = reader(&pad);
    assert_eq!(reader.name(), Some("Microsoft X-Box One S pad"));
    assert_eq!(reader.physical_path(), Some("hotseat/identity"));
    let id = reader.input_id();
    assert_eq!(id.bus_type(), evdev::BusType::BUS_USB);
    assert_eq!((id.vendor(), id.product(), id.version()), (0x045e, 0x02ea, 0x0408));
}

#[test]
fn the_pads_capability_bitmaps_are_those_of_a_real_one() {
    let Some(pad) = create("xbox-one", "hotseat/bitmaps") else { return };
    assert_eq!(capability(&pad, "ev"), "20000b");
    assert_eq!(capability(&pad, "key"), "7cdb000000000000 0 0 0 0");
    assert_eq!(capability(&pad, "abs"), "3003f");
    assert_eq!(capability(&pad, "ff"), "107030000 0");
    assert_eq!(reader(&pad).max_ff_effects(), 16);
}

#[test]
fn the_pads_axes_have_the_ranges_of_a_real_one() {
    let Some(pad) = create("xbox-one", "hotseat/axes") else { return };
    let reader = reader(&pad);
    let axes: Vec<_> = reader.get_absinfo().unwrap().collect();
    assert_eq!(axes.len(), 8);
    for (axis, info) in axes {
        let expected = match axis {
            AbsoluteAxisCode::ABS_Z | AbsoluteAxisCode::ABS_RZ => (0, 1023, 0, 0),
            AbsoluteAxisCode::ABS_HAT0X | AbsoluteAxisCode::ABS_HAT0Y => (-1, 1, 0, 0),
            _ => (-32768, 32767, 16, 128),
        };
        let range = (info.minimum(), info.maximum(), info.fuzz(), info.flat());
        assert_eq!(range, expected, "{axis:?}");
        assert_eq!(info.value(), 0, "{axis:?}");
    }
}

#[test]
fn the_pad_has_an_event_and_a_js_node_and_they_are_what_sysfs_says() {
    let Some(pad) = create("xbox-one", "hotseat/nodes") else { return };
    assert_eq!(kinds(&pad), ["event", "js"]);
    assert!(pad.sysname().starts_with("input"));
    for node in pad.nodes() {
        let Node { subsystem, syspath, devname, major, minor } = node;
        assert_eq!((subsystem.as_str(), *major), ("input", 13));
        assert_eq!(syspath, &pad.syspath().join(node.sysname()));
        assert_eq!(devname, &format!("input/{}", node.sysname()));
        let link = fs::read_link(format!("/sys/dev/char/{major}:{minor}")).unwrap();
        assert!(link.ends_with(node.sysname()), "{link:?}");
    }
}

#[test]
fn a_name_of_79_bytes_arrives_whole() {
    let name = DeviceName::new("ö".repeat(39) + "!").unwrap();
    let phys = DeviceName::new("p".repeat(79)).unwrap();
    let Some(mouse) = create_named("mouse", &name, &phys) else { return };
    let reader = reader(&mouse);
    assert_eq!(reader.name(), Some(name.as_str()));
    assert_eq!(reader.physical_path(), Some(phys.as_str()));
}

#[test]
fn a_frame_is_one_packet_with_exactly_its_values() {
    let Some(pad) = create("xbox-one", "hotseat/frame") else { return };
    let mut reader = reader(&pad);
    pad.write(&frame("xbox-one", &["south=1", "lx=-0.5", "rt=1", "dpad_y=-1"])).unwrap();
    let packet: Vec<_> = reader.fetch_events().unwrap().collect();
    let values: Vec<_> =
        packet.iter().map(|it| (it.event_type().0, it.code(), it.value())).collect();
    assert_eq!(values, [(1, 0x130, 1), (3, 0, -16384), (3, 5, 1023), (3, 0x11, -1), SYN]);
    // The kernel stamps a packet once.
    assert!(packet.iter().all(|event| event.timestamp() == packet[0].timestamp()));
    assert!(nothing_to_read(&mut reader));
}

#[test]
fn what_is_so_already_is_not_reported_again() {
    let Some(pad) = create("xbox-one", "hotseat/again") else { return };
    let mut reader = reader(&pad);
    pad.write(&frame("xbox-one", &["south=1", "lt=1"])).unwrap();
    assert_eq!(events(&mut reader).len(), 3);
    pad.write(&frame("xbox-one", &["south=1", "lt=1"])).unwrap();
    pad.write(&Frame::new()).unwrap();
    assert!(nothing_to_read(&mut reader));
    pad.write(&frame("xbox-one", &["south=1", "lt=0.5"])).unwrap();
    assert_eq!(events(&mut reader), [(3, 2, 512), SYN]);
}

#[test]
fn x_and_y_are_reported_as_the_kernels_driver_does() {
    let Some(pad) = create("xbox-one", "hotseat/xy") else { return };
    let mut reader = reader(&pad);
    pad.write(&frame("xbox-one", &["west=1"])).unwrap();
    assert_eq!(events(&mut reader), [(1, 0x133, 1), SYN]);
    pad.write(&frame("xbox-one", &["north=1"])).unwrap();
    assert_eq!(events(&mut reader), [(1, 0x134, 1), SYN]);
}

#[test]
fn neutral_lets_go_of_everything() {
    let Some(pad) = create("xbox-one", "hotseat/neutral") else { return };
    let reader = reader(&pad);
    let pressed = ["south=1", "guide=1", "lx=1", "ry=-1", "lt=1", "dpad_x=1"];
    pad.write(&frame("xbox-one", &pressed)).unwrap();
    assert_eq!(reader.get_key_state().unwrap().iter().count(), 2);
    pad.neutral().unwrap();
    assert_eq!(reader.get_key_state().unwrap().iter().count(), 0);
    assert!(reader.get_absinfo().unwrap().all(|(_, info)| info.value() == 0));
}

#[test]
fn a_frame_longer_than_a_packet_arrives_whole() {
    let Some(keyboard) = create("keyboard", "hotseat/long") else { return };
    let mut reader = reader(&keyboard);
    // Letters only: the test machine's console listens.
    let letters: Vec<_> = ('a'..='p').map(|letter| format!("{letter}=1")).collect();
    let letters: Vec<_> = letters.iter().map(String::as_str).collect();
    keyboard.write(&frame("keyboard", &letters)).unwrap();
    // Repeats (value 2) may come in between.
    let pressed = |event: &&(u16, u16, i32)| (event.0, event.2) == (1, 1);
    assert_eq!(events(&mut reader).iter().filter(pressed).count(), 16);
    keyboard.neutral().unwrap();
    assert_eq!(reader.get_key_state().unwrap().iter().count(), 0);
}

#[test]
fn the_keyboard_repeats_and_has_an_event_node_only() {
    let Some(keyboard) = create("keyboard", "hotseat/keyboard") else { return };
    assert_eq!(kinds(&keyboard), ["event"]);
    assert_eq!(capability(&keyboard, "ev"), "120003");
    assert_eq!(capability(&keyboard, "led"), "7");
    let repeat = reader(&keyboard).get_auto_repeat().unwrap();
    assert_eq!((repeat.delay, repeat.period), (250, 33));
}

#[test]
fn a_light_that_a_program_sets_is_feedback() {
    let Some(keyboard) = create("keyboard", "hotseat/light") else { return };
    let mut reader = reader(&keyboard);
    let code = EventCode::from_name("LED_CAPSL").unwrap();
    // The console may have set lights of its own before.
    for on in [true, false] {
        let event = InputEvent::new(code.kind as u16, code.code, i32::from(on));
        reader.send_events(&[event]).unwrap();
        feedback_until(&keyboard, |it| *it == Feedback::Led { code, on });
    }
}

#[test]
fn the_mouse_moves_scrolls_and_has_an_event_and_a_mouse_node() {
    let Some(mouse) = create("mouse", "hotseat/mouse") else { return };
    assert_eq!(kinds(&mouse), ["event", "mouse"]);
    assert_eq!(capability(&mouse, "ev"), "7");
    let mut reader = reader(&mouse);
    mouse.write(&frame("mouse", &["dx=-3", "wheel=1", "left=1"])).unwrap();
    assert_eq!(events(&mut reader), [(1, 0x110, 1), (2, 0, -3), (2, 0xb, 120), (2, 8, 1), SYN]);
}

#[test]
fn effects_are_uploaded_played_and_erased_without_holding_up_the_program() {
    let Some(pad) = create("xbox-one", "hotseat/rumble") else { return };
    let mut program = reader(&pad);
    let feedback = thread::scope(|scope| {
        let served =
            scope.spawn(|| feedback_until(&pad, |it| matches!(it, Feedback::Erase { .. })));
        let mut effect = program.upload_ff_effect(rumble(0xc000, 0x1234)).unwrap();
        program.set_ff_gain(0x8000).unwrap();
        effect.play(2).unwrap();
        drop(effect); // erases it, which stops it first
        served.join().unwrap()
    });
    let effect = Effect {
        id: 0,
        direction: 0x4000,
        length_ms: 500,
        delay_ms: 20,
        kind: EffectKind::Rumble { strong: 0xc000, weak: 0x1234 },
    };
    let expected = [
        Feedback::Upload { effect },
        Feedback::Gain(0x8000),
        Feedback::Play { id: 0, count: 2 },
        Feedback::Play { id: 0, count: 0 },
        Feedback::Erase { id: 0 },
    ];
    assert_eq!(feedback, expected);
    assert_eq!(pad.read_feedback().unwrap(), None);
}

#[test]
fn an_effect_that_plays_is_changed_by_uploading_it_again() {
    let Some(pad) = create("xbox-one", "hotseat/again-rumble") else { return };
    let mut program = reader(&pad);
    let mut player = Player::new(Profile::builtin("xbox-one").unwrap());
    let lasting = |strong, weak| FFEffectData {
        replay: FFReplay { length: 60_000, delay: 0 },
        ..rumble(strong, weak)
    };
    let (play_on, played) = mpsc::channel();
    let rumbles: Vec<Command> = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let mut commands = Vec::new();
            feedback_until(&pad, |feedback| {
                player.handle(feedback, Instant::now());
                commands.extend(std::iter::from_fn(|| player.poll()));
                play_on.send(()).unwrap();
                matches!(feedback, Feedback::Erase { .. })
            });
            commands
        });
        let mut effect = program.upload_ff_effect(lasting(0x4000, 0)).unwrap();
        effect.play(1).unwrap();
        // Uploaded, and playing.
        (0..2).for_each(|_| played.recv().unwrap());
        effect.update(lasting(0x8000, 0x2000)).unwrap();
        drop(effect); // erases it, which stops it first
        served.join().unwrap()
    });
    let expected = [(0x4000, 0), (0x8000, 0x2000), (0, 0)];
    assert_eq!(rumbles, expected.map(|(strong, weak)| Command::Rumble(Rumble { strong, weak })));
}

#[test]
fn a_device_can_be_closed_while_a_program_has_effects_on_it() {
    let Some(pad) = create("xbox-one", "hotseat/effects") else { return };
    let mut program = reader(&pad);
    let effect = thread::scope(|scope| {
        let served =
            scope.spawn(|| feedback_until(&pad, |it| matches!(it, Feedback::Upload { .. })));
        let effect = program.upload_ff_effect(rumble(1, 1)).unwrap();
        served.join().unwrap();
        effect
    });
    Reaper::new().unwrap().close(pad).wait();
    drop(effect);
    drop(program);
}

#[test]
fn a_program_that_waits_for_an_upload_is_let_go_when_the_device_is_closed() {
    let Some(pad) = create("xbox-one", "hotseat/waiting") else { return };
    let mut program = reader(&pad);
    let uploading = thread::spawn(move || program.upload_ff_effect(rumble(1, 1)).map(drop));
    wait_until_readable(&pad);
    drop(pad);
    let error = uploading.join().unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
}

#[test]
fn a_closed_device_is_gone_and_its_readers_notice() {
    let Some(pad) = create("xbox-one", "hotseat/close") else { return };
    let mut reader = reader(&pad);
    let (syspath, node) = (pad.syspath().to_owned(), pad.nodes()[0].clone());
    Reaper::new().unwrap().close(pad).wait();
    // Not /dev/input/eventN, whose number another test's device may have by now.
    assert!(!node.syspath.exists() && !syspath.exists());
    let error = reader.fetch_events().err().unwrap();
    assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
}
