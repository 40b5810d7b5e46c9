//! How pads come and go, of whichever model.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::thread;

use evdev::{FFEffectData, FFEffectKind, FFReplay, FFTrigger};
use vinput::uhid::{CreateError, Device, Feedback, Mac, Model};
use vinput::{DeviceName, Reaper, hid};

use crate::harness::{create, expect_feedback, gamepad, try_create};

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
fn rumble_by_evdev_comes_back_and_stops() {
    for model in Model::ALL {
        let Some(pad) = create(model, &format!("rumble-{model}")) else { return };
        let mut program = gamepad(&pad);
        let mut effect = program.upload_ff_effect(rumble(0xffff, 0)).unwrap();
        effect.play(1).unwrap();
        expect_feedback(&pad, Feedback::Rumble { low: 1.0, high: 0.0 });
        effect.stop().unwrap();
        expect_feedback(&pad, Feedback::Rumble { low: 0.0, high: 0.0 });
    }
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
fn of_two_pads_made_at_once_with_one_address_one_is_made() {
    if create(Model::DualSense, "race").is_none() {
        return;
    }
    for _ in 0..5 {
        let [first, second] = thread::scope(|scope| {
            [(), ()]
                .map(|()| scope.spawn(|| try_create(Model::DualSense, "race")))
                .map(|thread| thread.join().unwrap())
        });
        let (made, refused) = if first.is_ok() { (first, second) } else { (second, first) };
        assert!(made.unwrap().syspath().exists());
        let error = refused.unwrap_err();
        assert!(matches!(error, CreateError::DuplicateMac { .. }), "{error:?}");
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
        expect_feedback(&pad, Feedback::Rumble { low: 1.0, high: 1.0 });
        let syspath = pad.syspath().to_owned();
        drop(pad);
        assert!(!syspath.exists());
    }
}

/// Has a hidraw node and never reports, as the pads of `Model` do all the time: sixty-four of those leave an emulated processor
/// no time.
const QUIET: &str = r#"
backend = "uhid"
name = "quiet"
title = "A quiet pad"
device_name = "Quiet pad"
bus = "usb"
vendor = 0x1209
product = 0xbeef
version = 0x0100
driver = "hid-generic"
report_descriptor = "05 01 09 05 a1 01 05 09 19 01 29 08 15 00 25 01 75 01 95 08 81 02 c0"
"#;

#[test]
fn the_sixty_fifth_pad_is_refused_before_it_is_made_and_room_is_used_again() {
    let Some(_first) = create(Model::DualShock4Bluetooth, "many") else { return };
    let nodes = || fs::read_dir("/sys/class/hidraw").unwrap().count();
    let quiet = Arc::new(hid::Profile::parse(QUIET).unwrap());
    let phys = DeviceName::new("test/quiet").unwrap();
    let mut others = Vec::new();
    while nodes() < 64 {
        let mac = Mac::derived_from(&format!("quiet-{}", others.len()));
        others.push(hid::Device::create(&quiet, None, &phys, mac).unwrap());
    }
    let error = try_create(Model::DualShock4Bluetooth, "many-more").unwrap_err();
    assert!(matches!(error, CreateError::NoHidraw { max: 64 }), "{error:?}");
    assert_eq!(nodes(), 64);
    others.pop();
    let _again = try_create(Model::DualShock4Bluetooth, "many-again").unwrap();
    assert_eq!(nodes(), 64);
}
