//! The user's own profiles.

use std::fs;

use crate::harness::{Container, Daemon};

#[test]
fn a_profile_captured_from_a_device_can_be_plugged_beside_it() {
    let mut daemon = Daemon::start();
    let directory = daemon.path("profiles");
    fs::create_dir(&directory).unwrap();
    daemon.relaunch_with(&format!("profiles = {directory:?}"));
    let container = Container::start("profiles");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-elite");

    let capture = ["profiles", "capture", &pad.node("event"), "--name", "mine"];
    fs::write(directory.join("mine.toml"), daemon.hotseat(&capture)).unwrap();
    assert!(daemon.hotseat(&["profiles"]).contains("mine: Microsoft X-Box One Elite 2 pad"));
    let mine = daemon.plug("s", "mine");
    for device in [&pad, &mine] {
        let udev = container.sh(&format!("udevadm info --query=property {}", device.node("event")));
        assert!(udev.contains("ID_INPUT_JOYSTICK=1"), "{udev}");
    }
    daemon.hotseat(&["send", "s", &mine.slot(), "south=1"]);
    let held = container.try_sh(&format!("evtest --query {} EV_KEY BTN_SOUTH", mine.node("event")));
    // evtest's way to say that a key is down.
    assert_eq!(held.status.code(), Some(10));
}

#[test]
fn a_file_that_is_no_profile_is_named_with_line_and_cause() {
    let mut daemon = Daemon::start();
    let directory = daemon.path("profiles");
    fs::create_dir(&directory).unwrap();
    let axis = "[controls]\nx = { code = \"ABS_X\", min = 5, max = 5 }\n";
    let head = "name = \"bad\"\ntitle = \"\"\ndevice_name = \"Bad\"\nbus = \"usb\"\nvendor = 1\nproduct = 1\n\
                version = 1\n";
    fs::write(directory.join("bad.toml"), format!("{head}{axis}")).unwrap();
    daemon.relaunch_with(&format!("profiles = {directory:?}"));
    let container = Container::start("bad-profile");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);

    let cause = "bad.toml is not a profile: line 9: `min` (5) must be less than `max` (5)";
    let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", r#"{"profile":"bad"}"#);
    assert_eq!((status, problem["code"].as_str()), (422, Some("bad-profile")));
    assert!(problem["detail"].as_str().unwrap().contains(cause), "{problem}");
    let doctor = daemon.run(&["doctor", "--json"]);
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.contains("line 9: `min` (5)"), "{doctor}");
    // The others are not harmed by it.
    daemon.plug("s", "mouse");
}
