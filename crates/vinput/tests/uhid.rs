//! Pads that the kernel's own drivers have taken, read back through evdev, sysfs and hidraw. Needs root,
//! /dev/uhid, and the modules hid-playstation, hid-nintendo, evdev, joydev and mousedev.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode as Abs, FFEffectData, FFEffectKind, FFReplay, FFTrigger, InputEvent};
use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::uhid::{
    Battery, Button, CreateError, DEFAULT_PATH, Device, Feedback, Mac, Model, MuteLed, State,
    Touch, Trigger,
};
use vinput::{DeviceName, Node, Reaper};

const KEY: u16 = 1;
const ABS: u16 = 3;

/// A pad whose address belongs to the test, or `None` where there is no uhid to test.
fn create(model: Model, test: &str) -> Option<Device> {
    if !Path::new(DEFAULT_PATH).exists() {
        assert!(std::env::var_os("HOTSEAT_VM").is_none(), "no {DEFAULT_PATH} in the test machine");
        // Not eprintln!, which the test harness keeps to itself.
        std::io::stderr().write_all(b"SKIP(no /dev/uhid)\n").unwrap();
        return None;
    }
    Some(try_create(model, test).unwrap())
}

fn try_create(model: Model, test: &str) -> Result<Device, CreateError> {
    let name = DeviceName::new(model.device_name()).unwrap();
    let phys = DeviceName::new(format!("hotseat/{test}")).unwrap();
    Device::create(model, &name, &phys, Mac::derived_from(test))
}

/// A program that has one of the event nodes open.
fn reader(node: &Node) -> RawDevice {
    let path = Path::new("/dev").join(&node.devname);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    RawDevice::try_from(file).unwrap()
}

/// The event node of the input device whose name ends like this.
fn event_node(device: &Device, name_ends: &str) -> RawDevice {
    let events = device.nodes().iter().filter(|node| node.is_event()).map(reader);
    let mut found = events.filter(|it| it.name().is_some_and(|name| name.ends_with(name_ends)));
    found.next().unwrap()
}

fn gamepad(device: &Device) -> RawDevice {
    event_node(device, device.model().device_name())
}

/// Waits until these are so, or were so in an event; a minute is for ever.
fn wait_for(reader: &mut RawDevice, expected: &[(u16, u16, i32)]) {
    let started = Instant::now();
    let mut missing = expected.to_vec();
    loop {
        let event = |event: InputEvent| (event.event_type().0, event.code(), event.value());
        match reader.fetch_events().map(|events| events.map(event).collect::<Vec<_>>()) {
            Ok(events) => missing.retain(|it| !events.contains(it)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
        }
        let keys = reader.get_key_state().unwrap();
        let axes: Vec<_> = reader.get_absinfo().unwrap().collect();
        missing.retain(|(kind, code, value)| match *kind {
            KEY => keys.contains(evdev::KeyCode(*code)) != (*value != 0),
            _ => !axes.iter().any(|(axis, info)| (axis.0, info.value()) == (*code, *value)),
        });
        if missing.is_empty() {
            return;
        }
        let left = Duration::from_secs(60).saturating_sub(started.elapsed());
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::try_from(left).unwrap()).unwrap();
        assert!(ready != 0 && !left.is_zero(), "{missing:?} of {axes:?}");
    }
}

/// Takes feedback until this comes.
fn wait_for_feedback(device: &Device, expected: Feedback) {
    let mut seen = Vec::new();
    loop {
        while let Some(feedback) = device.take_feedback() {
            if feedback == expected {
                return;
            }
            seen.push(feedback);
        }
        let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap();
        assert_ne!(ready, 0, "no {expected:?}, but {seen:?}");
    }
}

/// The only thing in a folder of the device, like its battery.
fn only(device: &Device, folder: &str) -> PathBuf {
    let mut entries = fs::read_dir(device.syspath().join(folder)).unwrap();
    let only = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    only
}

/// The light whose name ends like this.
fn light(device: &Device, name_ends: &str) -> PathBuf {
    let entries = fs::read_dir(device.syspath().join("leds")).unwrap();
    let mut lights = entries.map(|entry| entry.unwrap().path());
    lights.find(|path| path.to_str().unwrap().ends_with(name_ends)).unwrap()
}

/// How many nodes of each kind there are: `event`, `js`, `mouse`, `hidraw`.
fn kinds(device: &Device) -> HashMap<&str, usize> {
    let mut kinds = HashMap::new();
    for node in device.nodes() {
        *kinds.entry(node.sysname().trim_end_matches(char::is_numeric)).or_default() += 1;
    }
    kinds
}

fn rumble(strong_magnitude: u16, weak_magnitude: u16) -> FFEffectData {
    FFEffectData {
        direction: 0,
        trigger: FFTrigger::default(),
        replay: FFReplay { length: 60_000, delay: 0 },
        kind: FFEffectKind::Rumble { strong_magnitude, weak_magnitude },
    }
}

#[test]
fn every_model_is_taken_by_its_driver_with_all_its_nodes() {
    for model in Model::ALL {
        let Some(pad) = create(model, &format!("driver-{model}")) else { return };
        let link = fs::read_link(pad.syspath().join("driver")).unwrap();
        assert!(link.ends_with(pad.driver()), "{model}: {link:?}");
        assert!(model.drivers().contains(&pad.driver()), "{model}: {}", pad.driver());
        let kinds = kinds(&pad);
        assert_eq!(kinds["hidraw"], 1, "{model}");
        assert!(kinds["js"] >= 1, "{model}: {kinds:?}");
        let events = if model.vendor() == 0x054c { 3 } else { 2 };
        assert_eq!(kinds["event"], events, "{model}: {kinds:?}");
        for node in pad.nodes() {
            let link =
                fs::read_link(format!("/sys/dev/char/{}:{}", node.major, node.minor)).unwrap();
            assert!(link.ends_with(node.sysname()), "{model}: {link:?}");
        }
    }
}

#[test]
fn a_dualsense_is_three_input_devices_with_one_identity() {
    let Some(pad) = create(Model::DualSense, "identity") else { return };
    let name = Model::DualSense.device_name();
    let readers: Vec<_> = pad.nodes().iter().filter(|node| node.is_event()).map(reader).collect();
    let names: Vec<_> = readers.iter().map(|it| it.name().unwrap().to_owned()).collect();
    let expected = [name.to_owned(), format!("{name} Motion Sensors"), format!("{name} Touchpad")];
    assert_eq!(names, expected);
    for reader in &readers {
        let id = reader.input_id();
        assert_eq!((id.vendor(), id.product(), id.version()), (0x054c, 0x0ce6, 0x8111));
        assert_eq!(reader.unique_name(), Some(pad.mac().to_string().as_str()));
    }
    let axes: Vec<_> = readers[0].get_absinfo().unwrap().map(|(axis, _)| axis).collect();
    let expected = [
        Abs::ABS_X,
        Abs::ABS_Y,
        Abs::ABS_Z,
        Abs::ABS_RX,
        Abs::ABS_RY,
        Abs::ABS_RZ,
        Abs::ABS_HAT0X,
        Abs::ABS_HAT0Y,
    ];
    assert_eq!(axes, expected);
    let uevent = fs::read_to_string(pad.syspath().join("uevent")).unwrap();
    assert!(uevent.contains("HID_PHYS=hotseat/identity\n"), "{uevent}");
}

#[test]
fn sony_pads_report_buttons_sticks_and_triggers_and_let_go_of_them() {
    for model in Model::ALL.into_iter().filter(|model| model.vendor() == 0x054c) {
        let Some(pad) = create(model, &format!("controls-{model}")) else { return };
        let mut reader = gamepad(&pad);
        pad.set(&State {
            buttons: Button::South | Button::L1 | Button::Guide | Button::Left | Button::Up,
            left_stick: [-1.0, 0.0],
            right_stick: [0.0, 1.0],
            right_trigger: 1.0,
            ..State::NEUTRAL
        })
        .unwrap();
        let held = [(KEY, 0x130, 1), (KEY, 0x136, 1), (KEY, 0x13c, 1), (KEY, 0x139, 1)];
        wait_for(&mut reader, &held);
        let axes: HashMap<_, _> =
            reader.get_absinfo().unwrap().map(|(axis, info)| (axis, info.value())).collect();
        assert_eq!((axes[&Abs::ABS_X], axes[&Abs::ABS_Y]), (0, 128), "{model}");
        assert_eq!((axes[&Abs::ABS_RX], axes[&Abs::ABS_RY]), (128, 255), "{model}");
        assert_eq!((axes[&Abs::ABS_Z], axes[&Abs::ABS_RZ]), (0, 255), "{model}");
        assert_eq!((axes[&Abs::ABS_HAT0X], axes[&Abs::ABS_HAT0Y]), (-1, -1), "{model}");
        pad.neutral().unwrap();
        wait_for(&mut reader, &held.map(|(kind, code, _)| (kind, code, 0)));
        assert_eq!(reader.get_key_state().unwrap().iter().count(), 0);
    }
}

#[test]
fn motion_arrives_in_the_drivers_units() {
    for model in
        [Model::DualSense, Model::DualSenseBluetooth, Model::DualShock4, Model::DualShock4Bluetooth]
    {
        let Some(pad) = create(model, &format!("motion-{model}")) else { return };
        let mut reader = event_node(&pad, "Motion Sensors");
        let resolution: HashMap<_, _> =
            reader.get_absinfo().unwrap().map(|(axis, info)| (axis, info.resolution())).collect();
        // Per g and per degree and second.
        assert_eq!((resolution[&Abs::ABS_X], resolution[&Abs::ABS_RX]), (8192, 1024), "{model}");
        let degrees = |value: f32| value.to_radians();
        pad.set(&State {
            gyro: [degrees(90.0), degrees(-45.0), degrees(360.0)],
            accel: [9.806_65, -9.806_65 / 2.0, 0.0],
            ..State::NEUTRAL
        })
        .unwrap();
        wait_for(
            &mut reader,
            &[
                (ABS, Abs::ABS_RX.0, 90 * 1024),
                (ABS, Abs::ABS_RY.0, -45 * 1024),
                (ABS, Abs::ABS_RZ.0, 360 * 1024),
                (ABS, Abs::ABS_X.0, 8192),
                (ABS, Abs::ABS_Y.0, -4096),
            ],
        );
    }
}

#[test]
fn fingers_arrive_on_the_touchpad() {
    for (model, bottom) in [(Model::DualSense, 1079), (Model::DualShock4, 941)] {
        let Some(pad) = create(model, &format!("touch-{model}")) else { return };
        let mut reader = event_node(&pad, "Touchpad");
        let finger = |id, x, y| Some(Touch { id, x, y });
        pad.set(&State {
            buttons: Button::Touchpad.into(),
            touches: [finger(1, 0.0, 1.0), finger(2, 1.0, 0.0)],
            ..State::NEUTRAL
        })
        .unwrap();
        wait_for(
            &mut reader,
            &[
                (ABS, Abs::ABS_MT_SLOT.0, 1),
                (ABS, Abs::ABS_MT_POSITION_Y.0, bottom),
                (ABS, Abs::ABS_MT_POSITION_X.0, 1919),
                (KEY, 0x14d, 1), // BTN_TOOL_DOUBLETAP
                (KEY, 0x110, 1),
            ],
        );
        pad.neutral().unwrap();
        wait_for(&mut reader, &[(ABS, Abs::ABS_MT_TRACKING_ID.0, -1), (KEY, 0x14a, 0)]);
    }
}

#[test]
fn the_battery_is_a_power_supply() {
    for model in [Model::DualSense, Model::DualSenseBluetooth, Model::DualShock4] {
        let Some(pad) = create(model, &format!("battery-{model}")) else { return };
        let mut motion = event_node(&pad, "Motion Sensors");
        let battery = only(&pad, "power_supply");
        let mut reads = |percent, charging, angle: i16| {
            let gyro = [f32::from(angle).to_radians(), 0.0, 0.0];
            let state = State { battery: Battery { percent, charging }, gyro, ..State::NEUTRAL };
            pad.set(&state).unwrap();
            // The driver takes the battery after what came in the same report; so when the next report is
            // there, it has.
            wait_for(&mut motion, &[(ABS, Abs::ABS_RX.0, i32::from(angle) * 1024)]);
            pad.set(&State { gyro: [0.0; 3], ..state }).unwrap();
            wait_for(&mut motion, &[(ABS, Abs::ABS_RX.0, 0)]);
            let read = |file| fs::read_to_string(battery.join(file)).unwrap().trim().to_owned();
            (read("capacity"), read("status"))
        };
        let pair = |capacity: &str, status: &str| (capacity.to_owned(), status.to_owned());
        assert_eq!(reads(40, false, 10), pair("45", "Discharging"), "{model}");
        assert_eq!(reads(90, true, 20), pair("95", "Charging"), "{model}");
        assert_eq!(reads(100, true, 30), pair("100", "Full"), "{model}");
    }
}

#[test]
fn rumble_by_evdev_comes_back_and_stops() {
    for model in Model::ALL {
        let Some(pad) = create(model, &format!("rumble-{model}")) else { return };
        let mut program = gamepad(&pad);
        let mut effect = program.upload_ff_effect(rumble(0xffff, 0)).unwrap();
        effect.play(1).unwrap();
        wait_for_feedback(&pad, Feedback::Rumble { low: 1.0, high: 0.0 });
        effect.stop().unwrap();
        wait_for_feedback(&pad, Feedback::Rumble { low: 0.0, high: 0.0 });
    }
}

#[test]
fn lights_set_in_sysfs_come_back() {
    for model in [Model::DualSense, Model::DualSenseBluetooth, Model::DualSenseEdge] {
        let Some(pad) = create(model, &format!("lights-{model}")) else { return };
        let bar = light(&pad, ":rgb:indicator");
        fs::write(bar.join("multi_intensity"), "255 128 1").unwrap();
        fs::write(bar.join("brightness"), "255").unwrap();
        wait_for_feedback(&pad, Feedback::Lightbar { red: 255, green: 128, blue: 1 });
        fs::write(light(&pad, ":player-1").join("brightness"), "1").unwrap();
        // The third one is on already: this is the first player.
        wait_for_feedback(&pad, Feedback::PlayerLeds { on: 0b00101, blinking: 0 });
    }
    let Some(pad) = create(Model::DualShock4, "lights") else { return };
    for (colour, value) in [("red", "1"), ("green", "2"), ("blue", "3")] {
        fs::write(light(&pad, &format!(":{colour}")).join("brightness"), value).unwrap();
    }
    wait_for_feedback(&pad, Feedback::Lightbar { red: 1, green: 2, blue: 3 });
}

#[test]
fn the_mute_button_lights_its_light() {
    let Some(pad) = create(Model::DualSense, "mute") else { return };
    for expected in [MuteLed::On, MuteLed::Off] {
        pad.set(&State { buttons: Button::Mute.into(), ..State::NEUTRAL }).unwrap();
        pad.neutral().unwrap();
        wait_for_feedback(&pad, Feedback::MuteLed(expected));
    }
}

#[test]
fn a_trigger_effect_written_to_hidraw_comes_back() {
    let Some(pad) = create(Model::DualSense, "trigger") else { return };
    let hidraw = pad.nodes().last().unwrap();
    assert_eq!((hidraw.subsystem.as_str(), hidraw.is_event()), ("hidraw", false));
    let effect = [0x21, 0xfc, 0x03, 0x49, 0x92, 0x24, 0, 0, 0, 0, 0];
    let mut report = [0; 48];
    (report[0], report[1]) = (0x02, 0x04);
    report[11..22].copy_from_slice(&effect);
    let path = Path::new("/dev").join(&hidraw.devname);
    OpenOptions::new().write(true).open(path).unwrap().write_all(&report).unwrap();
    wait_for_feedback(&pad, Feedback::TriggerEffect { trigger: Trigger::Right, effect });
}

#[test]
fn a_switch_pro_reports_controls_motion_and_battery() {
    let Some(pad) = create(Model::SwitchPro, "switch") else { return };
    let mut reader = gamepad(&pad);
    let mut motion = event_node(&pad, "(IMU)");
    pad.set(&State {
        buttons: Button::South | Button::Capture | Button::Down,
        left_stick: [1.0, -1.0],
        left_trigger: 1.0,
        gyro: [0.0, 0.0, -f32::to_radians(100.0)],
        battery: Battery { percent: 50, charging: true },
        ..State::NEUTRAL
    })
    .unwrap();
    wait_for(
        &mut reader,
        &[
            (KEY, 0x130, 1),
            (KEY, 0x135, 1), // BTN_Z
            (KEY, 0x138, 1), // BTN_TL2
            (ABS, Abs::ABS_X.0, 32767),
            (ABS, Abs::ABS_Y.0, -32767),
            (ABS, Abs::ABS_HAT0Y.0, 1),
        ],
    );
    // 14.247 counts per degree and second, which the driver multiplies by 1000. Gravity is on z.
    wait_for(&mut motion, &[(ABS, Abs::ABS_RX.0, 1_425_000), (ABS, Abs::ABS_Z.0, 4096)]);
    let battery = only(&pad, "power_supply");
    let read = |file| fs::read_to_string(battery.join(file)).unwrap().trim().to_owned();
    assert_eq!((read("capacity_level"), read("status")), ("Normal".into(), "Charging".into()));
    pad.neutral().unwrap();
    wait_for(&mut reader, &[(KEY, 0x130, 0), (ABS, Abs::ABS_X.0, 0), (ABS, Abs::ABS_HAT0Y.0, 0)]);
}

#[test]
fn joy_cons_report_their_own_halves() {
    let Some(left) = create(Model::JoyConLeft, "joy-con-left") else { return };
    let mut reader = gamepad(&left);
    let state = State {
        buttons: Button::Up | Button::Sl | Button::L1,
        left_stick: [-1.0, 0.0],
        ..State::NEUTRAL
    };
    left.set(&state).unwrap();
    // BTN_DPAD_UP, BTN_TL; SL is BTN_TR and was BTN_TR before 6.9 too.
    wait_for(&mut reader, &[(KEY, 0x220, 1), (KEY, 0x136, 1), (ABS, Abs::ABS_X.0, -32767)]);

    let Some(right) = create(Model::JoyConRight, "joy-con-right") else { return };
    let mut reader = gamepad(&right);
    let mut motion = event_node(&right, "(IMU)");
    right
        .set(&State { buttons: Button::East.into(), right_trigger: 1.0, ..State::NEUTRAL })
        .unwrap();
    wait_for(&mut reader, &[(KEY, 0x131, 1), (KEY, 0x139, 1)]);
    wait_for(&mut motion, &[(ABS, Abs::ABS_Z.0, 4096)]);
}

#[test]
fn player_and_home_lights_of_switch_pads_come_back() {
    let Some(pad) = create(Model::SwitchPro, "switch-lights") else { return };
    fs::write(light(&pad, ":player-4").join("brightness"), "1").unwrap();
    wait_for_feedback(&pad, Feedback::PlayerLeds { on: 0b1001, blinking: 0 });
    fs::write(light(&pad, ":player-5").join("brightness"), "15").unwrap();
    wait_for_feedback(&pad, Feedback::HomeLed(1.0));
}

#[test]
fn a_second_pad_with_the_same_address_is_refused_with_the_first_ones_name() {
    for model in [Model::DualSense, Model::SwitchPro] {
        let Some(pad) = create(model, &format!("twice-{model}")) else { return };
        let error = try_create(Model::DualShock4, &format!("twice-{model}")).unwrap_err();
        let CreateError::DuplicateMac { mac, other } = error else { panic!("{error:?}") };
        assert_eq!(mac, pad.mac());
        assert_eq!(fs::canonicalize(other).unwrap(), pad.syspath());
    }
}

#[test]
fn a_closed_pad_is_gone_and_its_readers_notice() {
    for model in [Model::DualSense, Model::JoyConLeft] {
        let Some(pad) = create(model, &format!("close-{model}")) else { return };
        let mut reader = gamepad(&pad);
        let syspath = pad.syspath().to_owned();
        Reaper::new().unwrap().close(pad).wait();
        assert!(!syspath.exists());
        while reader.fetch_events().is_ok() {}
        let error = reader.fetch_events().err().unwrap();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
    }
}

#[test]
fn a_pad_can_be_closed_while_a_program_shakes_it() {
    for model in [Model::DualSense, Model::SwitchPro] {
        let Some(pad) = create(model, &format!("shaken-{model}")) else { return };
        let mut program = gamepad(&pad);
        let mut effect = program.upload_ff_effect(rumble(0xffff, 0xffff)).unwrap();
        effect.play(1).unwrap();
        wait_for_feedback(&pad, Feedback::Rumble { low: 1.0, high: 1.0 });
        let syspath = pad.syspath().to_owned();
        drop(pad);
        assert!(!syspath.exists());
    }
}

#[test]
fn the_sixty_fifth_pad_is_refused_before_it_is_made_and_room_is_used_again() {
    let mut pads = Vec::new();
    let error = loop {
        if pads.is_empty() {
            let Some(pad) = create(Model::DualShock4Bluetooth, "many") else { return };
            pads.push(pad);
        }
        match try_create(Model::DualShock4Bluetooth, &format!("many-{}", pads.len())) {
            Ok(pad) => pads.push(pad),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CreateError::NoHidraw { max: 64 }), "{error:?}");
    assert_eq!(fs::read_dir("/sys/class/hidraw").unwrap().count(), 64);
    pads.pop();
    pads.push(try_create(Model::DualShock4Bluetooth, "many-again").unwrap());
}
