//! A profile that was captured from a device makes a device that no program can tell from it. Needs root and
//! /dev/uinput.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use evdev::raw_stream::RawDevice;
use vinput::uinput::{CreateError, DEFAULT_PATH, Device};
use vinput::{DeviceName, MinorError, Profile};

/// Whether there is a kernel to test; says so where there is none.
fn has_uinput() -> bool {
    let is_there = Path::new(DEFAULT_PATH).exists();
    if !is_there {
        assert!(std::env::var_os("HOTSEAT_VM").is_none(), "no {DEFAULT_PATH} in the test machine");
        // Not eprintln!, which the test harness keeps to itself.
        std::io::stderr().write_all(b"SKIP(no /dev/uinput)\n").unwrap();
    }
    is_there
}

fn create(profile: &Profile) -> Device {
    let phys = DeviceName::new("hotseat/capture").unwrap();
    Device::create(profile, profile.device_name(), &phys).unwrap()
}

fn node(device: &Device) -> String {
    format!("/dev/{}", device.nodes()[0].devname)
}

/// Everything that programs can ask of a device and that a profile decides.
fn looks(device: &Device) -> Vec<String> {
    let read = |file: &str| {
        format!("{file}: {}", fs::read_to_string(device.syspath().join(file)).unwrap().trim())
    };
    let bitmaps = ["ev", "key", "rel", "abs", "msc", "sw", "led", "snd", "ff"];
    let mut looks: Vec<_> =
        bitmaps.iter().map(|name| read(&format!("capabilities/{name}"))).collect();
    let ids = ["bustype", "vendor", "product", "version"];
    looks.extend(ids.iter().map(|name| read(&format!("id/{name}"))));
    looks.extend([read("name"), read("properties")]);
    let reader = RawDevice::open(node(device)).unwrap();
    looks.push(format!("effects: {}", reader.max_ff_effects()));
    for (axis, info) in reader.get_absinfo().unwrap() {
        let range = (info.minimum(), info.maximum(), info.fuzz(), info.flat(), info.resolution());
        looks.push(format!("{axis:?}: {range:?}"));
    }
    looks
}

#[test]
fn a_captured_profile_makes_an_equal_device() {
    if !has_uinput() {
        return;
    }
    for profile in Profile::builtins() {
        let original = create(profile);
        let text = vinput::capture(Path::new(&node(&original)), "copy").unwrap();
        assert!(!text.contains("# Left out"), "{text}");
        let captured = Profile::parse(&text).unwrap();
        let copy = create(&captured);
        assert_eq!(looks(&copy), looks(&original), "{}:\n{text}", profile.name());
        // And of a copy, the same profile: nothing creeps in.
        assert_eq!(
            Profile::parse(&vinput::capture(Path::new(&node(&copy)), "copy").unwrap()).unwrap(),
            captured
        );
    }
}

#[test]
fn the_names_of_a_captured_pad_are_those_of_the_built_in_ones() {
    if !has_uinput() {
        return;
    }
    let profile = Profile::builtin("gamepad").unwrap();
    let original = create(profile);
    let text = vinput::capture(Path::new(&node(&original)), "gamepad").unwrap();
    let captured = Profile::parse(&text).unwrap();
    assert_eq!(captured.controls(), profile.controls(), "{text}");
}

#[test]
fn a_device_that_would_get_no_event_node_is_refused_before_it_is_made() {
    if !has_uinput() {
        return;
    }
    let profile = Profile::builtin("keyboard").unwrap();
    let phys = DeviceName::new("hotseat/full").unwrap();
    let mut devices = Vec::new();
    let error = loop {
        match Device::create(profile, profile.device_name(), &phys) {
            Ok(device) => devices.push(device),
            Err(error) => break error,
        }
        assert!(devices.len() < 2000, "there is no limit");
    };
    let CreateError::Minors(MinorError::Exhausted { most, .. }) = &error else {
        panic!("{} devices, then {error:?}", devices.len());
    };
    assert!(*most < 2, "{error}");
    // 32 numbers for event nodes and 768 shared ones, less what the machine has by itself.
    assert!(devices.len() > 700, "{} devices, then {error}", devices.len());
    // Room for one is room for the next.
    devices.truncate(devices.len() - 2);
    Device::create(profile, profile.device_name(), &phys).unwrap();
}
