//! Devices of uinput.

use std::io::Read;
use std::os::fd::AsFd;
use std::time::Instant;
use std::{fs::File, thread};

use evdev::{AbsoluteAxisCode, FFEffectData, FFEffectKind, FFReplay, FFTrigger};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::feedback::{Command, EffectKind, Player, Rumble, Snapshot};
use vinput::profile::ControlKind;
use vinput::uinput::{AdoptError, Adopted, Device};
use vinput::{EventType, Feedback, Profile};

use crate::harness::reader;
use crate::maker::{Maker, phys};

/// Keys held, every axis at its end, a finger down: what a device of this profile can hold. Of a keyboard only
/// letters and digits: the test machine's console listens.
fn held(profile: &Profile) -> Vec<String> {
    let is_harmless = |name: &str| !name.starts_with("KEY_") || name.len() == "KEY_A".len();
    let controls = profile.controls().iter().filter(|control| match control.kind() {
        ControlKind::Key => control.code().name().is_some_and(is_harmless),
        ControlKind::Absolute(_) | ControlKind::Contact => control.slot().is_none_or(|it| it == 0),
        _ => false,
    });
    controls.map(|control| format!("{}=1", control.name())).collect()
}

#[test]
fn every_profile_goes_on_and_lets_go_of_everything() {
    for profile in Profile::builtins() {
        let name = profile.name();
        let test = format!("adopt-{name}");
        let Some(mut maker) = Maker::start(name, &test) else { return };
        let mut program = reader(&maker.nodes[0]);
        let held = held(profile);
        let inputs: Vec<_> = held.iter().map(String::as_str).collect();
        maker.set(&inputs);
        let keys = program.get_key_state().unwrap().iter().count();
        assert!(keys > 0, "{name}: {inputs:?}");
        let positions: Vec<_> = program.get_absinfo().unwrap().collect();
        // What it has seen so far.
        while program.fetch_events().is_ok() {}

        let (descriptor, left) = maker.kill();
        let Adopted { device, feedback } =
            Device::adopt(descriptor, profile, &phys(&test)).unwrap();
        left.is_same(device.nodes());
        assert!(
            !feedback.iter().any(|it| matches!(it, Feedback::Play { .. })),
            "{name}: {feedback:?}"
        );
        // The program has stayed, and sees that its keys are let go of.
        let mut released = 0;
        while let Ok(events) = program.fetch_events() {
            let up = |event: &evdev::InputEvent| (event.event_type().0, event.value()) == (1, 0);
            released += events.filter(up).count();
        }
        assert_eq!(released, keys, "{name}");
        assert_eq!(program.get_key_state().unwrap().iter().count(), 0, "{name}");
        for ((axis, info), (_, before)) in program.get_absinfo().unwrap().zip(positions) {
            let mut own = profile.controls().iter().filter(|it| it.slot().is_none());
            let control = own.find(|it| {
                let code = it.code();
                (code.kind, code.code) == (EventType::Abs, axis.0)
            });
            match control.map(|it| it.kind()) {
                Some(ControlKind::Absolute(it)) if !it.position => {
                    assert_eq!(info.value(), it.rest, "{name} {axis:?}");
                }
                Some(_) => assert_eq!(info.value(), before.value(), "{name} {axis:?}"),
                None => {} // contacts
            }
        }
        // And what comes then.
        device.write(&profile.frame(&held).unwrap()).unwrap();
        assert_eq!(program.get_key_state().unwrap().iter().count(), keys, "{name}");
    }
}

#[test]
fn fingers_are_lifted_and_one_that_comes_down_is_where_it_is() {
    let Some(mut maker) = Maker::start("touchscreen", "adopt-fingers") else { return };
    let mut program = reader(&maker.nodes[0]);
    maker.set(&["touch0=1", "touch0_x=0.5", "touch0_y=0.5", "touch1=1", "touch1_x=1"]);
    while program.fetch_events().is_ok() {}
    let (descriptor, _) = maker.kill();
    let profile = Profile::builtin("touchscreen").unwrap();
    let device = Device::adopt(descriptor, profile, &phys("adopt-fingers")).unwrap().device;
    let mut events = || -> Vec<_> {
        let events = program.fetch_events().unwrap();
        events.map(|it| (it.event_type().0, it.code(), it.value())).collect()
    };
    let lift = (3, AbsoluteAxisCode::ABS_MT_TRACKING_ID.0, -1);
    assert_eq!(events().iter().filter(|it| **it == lift).count(), 2);
    device.write(&profile.frame(["touch0=1", "touch0_x=0", "touch0_y=0"]).unwrap()).unwrap();
    let down = events();
    for axis in [AbsoluteAxisCode::ABS_MT_POSITION_X, AbsoluteAxisCode::ABS_MT_POSITION_Y] {
        assert!(down.contains(&(3, axis.0, 0)), "{axis:?}: {down:?}");
    }
}

fn rumble(strong_magnitude: u16) -> FFEffectData {
    FFEffectData {
        direction: 0,
        trigger: FFTrigger::default(),
        replay: FFReplay { length: 60_000, delay: 0 },
        kind: FFEffectKind::Rumble { strong_magnitude, weak_magnitude: 0 },
    }
}

/// Waits until the kernel has something for whoever has the device; a minute is for ever.
fn wait_until_readable(device: impl AsFd) {
    let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
    assert_ne!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 0, "nothing came");
}

#[test]
fn effects_uploaded_before_are_played_and_who_uploads_meanwhile_is_answered() {
    let Some(mut maker) = Maker::start("xbox-one", "adopt-rumble") else { return };
    let mut program = reader(&maker.nodes[0]);
    let mut first = program.upload_ff_effect(rumble(0x4000)).unwrap();
    first.play(1).unwrap();
    let snapshot = Snapshot::parse(&maker.set(&[])).unwrap();
    let (descriptor, _) = maker.kill();

    // Nobody is there to answer.
    let uploading = thread::spawn(move || program.upload_ff_effect(rumble(0x8000)).unwrap());
    wait_until_readable(&descriptor);
    let profile = Profile::builtin("xbox-one").unwrap();
    let Adopted { device, feedback } =
        Device::adopt(descriptor, profile, &phys("adopt-rumble")).unwrap();
    let second = uploading.join().unwrap();

    let mut player = Player::resume(profile, &snapshot, Instant::now());
    feedback.iter().for_each(|it| player.handle(it, Instant::now()));
    let motors = |strong| Some(Command::Rumble(Rumble { strong, weak: 0 }));
    // Nobody knows whether the first one was stopped meanwhile.
    assert_eq!(player.poll(), motors(0));
    for (mut effect, strong) in [(second, 0x8000), (first, 0x4000)] {
        effect.play(1).unwrap();
        while let Some(feedback) = device.read_feedback().unwrap() {
            player.handle(&feedback, Instant::now());
        }
        assert_eq!(player.poll(), motors(strong));
        effect.stop().unwrap();
        while let Some(feedback) = device.read_feedback().unwrap() {
            player.handle(&feedback, Instant::now());
        }
        assert_eq!(player.poll(), motors(0));
        // Erasing waits for an answer, which there is nobody here to give.
        std::mem::forget(effect);
    }
}

#[test]
fn who_waits_for_an_answer_that_the_killed_process_had_read_already_gets_it() {
    let Some(maker) = Maker::start("xbox-one", "adopt-lost") else { return };
    let mut program = reader(&maker.nodes[0]);
    let (descriptor, _) = maker.kill();
    // Erasing would wait for an answer, which there is nobody here to give.
    let upload = move || program.upload_ff_effect(rumble(0x8000)).map(std::mem::forget);
    let uploading = thread::spawn(upload);
    wait_until_readable(&descriptor);
    let mut request = [0; 24];
    File::from(descriptor.try_clone().unwrap()).read_exact(&mut request).unwrap();

    let profile = Profile::builtin("xbox-one").unwrap();
    let Adopted { device, feedback } =
        Device::adopt(descriptor, profile, &phys("adopt-lost")).unwrap();
    let [Feedback::Upload { effect }] = feedback[..] else { panic!("{feedback:?}") };
    assert_eq!(effect.kind, EffectKind::Rumble { strong: 0x8000, weak: 0 });
    uploading.join().unwrap().unwrap();
    assert_eq!(device.read_feedback().unwrap(), None);
}

#[test]
fn another_device_than_the_one_that_is_meant_is_refused() {
    let Some(maker) = Maker::start("mouse", "adopt-other") else { return };
    let (descriptor, left) = maker.kill();
    let mouse = Profile::builtin("mouse").unwrap();
    let again = descriptor.try_clone().unwrap();
    let error = Device::adopt(again, mouse, &phys("adopt-else")).unwrap_err();
    assert!(matches!(error, AdoptError::OtherDevice { .. }), "{error:?}");
    let device = Device::adopt(descriptor, mouse, &phys("adopt-other")).unwrap().device;
    left.is_same(device.nodes());
    let syspath = device.syspath().to_owned();
    drop(device);
    assert!(!syspath.exists());
}
