//! From a device of this machine to a profile, and to another device like it.

use std::fs;
use std::path::{Path, PathBuf};

use vinput::hid::Profile;
use vinput::uhid::{self, Mac, Model};
use vinput::{AnyProfile, DeviceName};

use crate::harness::{
    create, every_control_arrives, has_uhid, hidraw, looks, next_events, readers, skip,
};

fn captured(node: &Path) -> Profile {
    let text = vinput::capture(node, "copy").unwrap();
    match AnyProfile::parse(&text).unwrap() {
        AnyProfile::Uhid(profile) => profile,
        AnyProfile::Uinput(_) => panic!("{text}"),
    }
}

/// The hidraw node of a device with this name.
fn find(name: &str) -> Option<PathBuf> {
    let mut nodes = fs::read_dir("/sys/class/hidraw").unwrap().map(|entry| entry.unwrap());
    let found = nodes.find(|node| {
        let uevent = fs::read_to_string(node.path().join("device/uevent")).unwrap();
        uevent.lines().any(|line| line == format!("HID_NAME={name}"))
    });
    found.map(|node| Path::new("/dev").join(node.file_name()))
}

#[test]
fn a_copy_of_a_usb_mouse_and_of_a_usb_keyboard_are_like_them() {
    if !has_uhid() {
        return;
    }
    for name in ["QEMU QEMU USB Mouse", "QEMU QEMU USB Keyboard"] {
        let Some(node) = find(name) else {
            skip(&format!("no {name}"));
            continue;
        };
        let original =
            fs::canonicalize(format!("/sys/class/hidraw/{}/device", sysname(&node))).unwrap();
        let profile = captured(&node);
        assert_eq!(profile.device_name().as_str(), name);
        let copy = create(&profile, &format!("copy {name}"));
        assert_eq!(copy.driver(), "hid-generic");
        assert_eq!(looks(copy.syspath()), looks(&original), "{name}");
        every_control_arrives(&copy);
        // And of a copy, the same profile: nothing creeps in.
        assert_eq!(captured(&hidraw(&copy)), profile);
    }
}

fn sysname(node: &Path) -> String {
    node.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_captured_mouse_moves_by_what_it_is_told() {
    if !has_uhid() {
        return;
    }
    let Some(node) = find("QEMU QEMU USB Mouse") else {
        return skip("no QEMU USB mouse");
    };
    let mouse = create(&captured(&node), "moves");
    let mut readers = readers(mouse.nodes());
    for _ in 0..2 {
        let inputs = ["left=1", "dx=7", "dy=-9", "wheel=1"];
        mouse.write(&mouse.profile().frame(inputs).unwrap()).unwrap();
        let events = next_events(&mut readers);
        // REL_X, REL_Y, REL_WHEEL.
        for event in [(2, 0, 7), (2, 1, -9), (2, 8, 1)] {
            assert!(events.contains(&event), "{event:?}: {events:?}");
        }
        mouse.neutral().unwrap();
        assert!(next_events(&mut readers).contains(&(1, 0x110, 0)));
    }
}

#[test]
fn what_a_profile_cannot_say_of_a_device_is_at_its_top() {
    if !has_uhid() {
        return;
    }
    // hid-playstation asks it for calibration and address, which no file has.
    let name = DeviceName::new(Model::DualSense.device_name()).unwrap();
    let phys = DeviceName::new("test/dualsense").unwrap();
    let pad = uhid::Device::create(Model::DualSense, &name, &phys, Mac::derived_from("asked"));
    let pad = pad.unwrap();
    let node = Path::new("/dev").join(&pad.nodes().last().unwrap().devname);
    let text = vinput::capture(&node, "copy").unwrap();
    assert!(text.contains("# Left out: what the device answers"), "{text}");
    let profile = Profile::parse(&text).unwrap();
    assert_eq!(profile.driver(), Some("playstation"));
    assert!(profile.control("lx").is_some() && profile.control("dpad_x").is_some(), "{text}");
}
