//! HID devices that the user describes in a file.

use std::fs;

use crate::harness::{Container, Daemon, sh};

#[test]
fn a_captured_usb_keyboard_and_mouse_work_in_a_container() {
    let mut daemon = Daemon::start();
    let directory = daemon.path("profiles");
    fs::create_dir(&directory).unwrap();
    daemon.relaunch_with(&format!("profiles = {directory:?}"));
    let container = Container::start("hid-profiles");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    for (name, control, code) in [("Mouse", "left", "BTN_LEFT"), ("Keyboard", "a", "KEY_A")] {
        let hidraw = sh(&format!(
            "grep -l 'HID_NAME=QEMU QEMU USB {name}' /sys/class/hidraw/*/device/uevent"
        ));
        let hidraw = format!("/dev/{}", hidraw.trim().split('/').nth(4).unwrap());
        let profile = format!("usb-{}", name.to_lowercase());
        let text = daemon.hotseat(&["profiles", "capture", &hidraw, "--name", &profile]);
        fs::write(directory.join(format!("{profile}.toml")), text).unwrap();
        assert!(
            daemon.hotseat(&["profiles"]).contains(&format!("{profile}: QEMU QEMU USB {name}"))
        );

        let device = daemon.plug("s", &profile);
        let node = device.node("event");
        let udev = container.sh(&format!("udevadm info --query=property {node}"));
        assert!(udev.contains(&format!("ID_INPUT_{}=1", name.to_uppercase())), "{udev}");
        daemon.hotseat(&["send", "s", &device.slot(), &format!("{control}=1")]);
        let held = container.try_sh(&format!("evtest --query {node} EV_KEY {code}"));
        // evtest's way to say that a key is down.
        assert_eq!(held.status.code(), Some(10), "{name}");
        daemon.hotseat(&["unplug", "s", &device.slot()]);
    }
}

#[test]
fn a_report_descriptor_that_does_not_parse_is_told_with_file_line_and_cause() {
    let mut daemon = Daemon::start();
    let directory = daemon.path("profiles");
    fs::create_dir(&directory).unwrap();
    let head = "name = \"bad\"\ntitle = \"\"\ndevice_name = \"Bad\"\nbus = \"usb\"\nvendor = 1\nproduct = 1\n\
                version = 1\nbackend = \"uhid\"\n";
    fs::write(directory.join("bad.toml"), format!("{head}report_descriptor = \"05 01 09\"\n"))
        .unwrap();
    daemon.relaunch_with(&format!("profiles = {directory:?}"));
    let container = Container::start("bad-hid");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", r#"{"profile":"bad"}"#);
    assert_eq!((status, problem["code"].as_str()), (422, Some("bad-profile")));
    let cause =
        "bad.toml is not a profile: line 9: report_descriptor: byte 2: the last item is cut off";
    assert!(problem["detail"].as_str().unwrap().contains(cause), "{problem}");
}
