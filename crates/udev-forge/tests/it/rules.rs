//! What the rules make of whole devices: the tables of properties and tags that genuine udevd gives.

use std::fs;

use udev_forge::{Forged, Hwdb, ParseError, PartsError, ReadError, Stamp, Sysfs};

use crate::fixture::{FakeSysfs, InputDevice, KEYBOARD, MOUSE, PAD, forge, read, write};

const BLUETOOTH_PAD: InputDevice = InputDevice { product: "5/45e/b13/513", ..PAD };
const TOUCHPAD: InputDevice = InputDevice {
    sysname: "input32",
    ev: "b",
    key: "420 10000 0 0 0 0",
    abs: "260800000000003",
    prop: "5",
    nodes: &[("event22", 86), ("mouse4", 36)],
    ..PAD
};
const TOUCHSCREEN: InputDevice =
    InputDevice { key: "400 0 0 0 0 0", prop: "2", nodes: &[("event22", 86)], ..TOUCHPAD };
const TABLET: InputDevice = InputDevice { key: "1c03 0 0 0 0 0", abs: "1000003", ..TOUCHSCREEN };
const MOTION: InputDevice = InputDevice {
    ev: "19",
    key: "0",
    abs: "3f",
    prop: "40",
    nodes: &[("event21", 85), ("js3", 3)],
    ..PAD
};

/// The rules' part of the `add` message, and the tags.
fn rules(device: &InputDevice, node: Option<&str>) -> (String, String) {
    let message = forge(device, node, 7, 8).add_message();
    let pairs = message.properties().iter();
    let pairs = pairs.skip_while(|(key, _)| *key != "USEC_INITIALIZED").skip(1);
    let pairs = pairs.filter(|(key, _)| !key.ends_with("TAGS"));
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    let tags = message.properties().get("TAGS").unwrap_or_default();
    assert_eq!(message.properties().get("CURRENT_TAGS").unwrap_or_default(), tags);
    (pairs.join(" "), tags.to_owned())
}

#[track_caller]
fn assert_rules(device: &InputDevice, node: Option<&str>, properties: &str, tags: &str) {
    assert_eq!(rules(device, node), (properties.to_owned(), tags.to_owned()));
}

#[test]
fn a_usb_pad() {
    let properties = "ID_INPUT=1 ID_INPUT_JOYSTICK=1 .INPUT_CLASS=joystick ID_SERIAL=noserial";
    assert_rules(&PAD, None, properties, ":seat:");
    assert_rules(&PAD, Some("event5"), properties, ":seat:uaccess:");
    assert_rules(&PAD, Some("js0"), properties, ":seat:uaccess:");
}

#[test]
fn a_bluetooth_pad_has_no_class_and_no_serial() {
    let properties = "ID_INPUT=1 ID_INPUT_JOYSTICK=1 ID_BUS=bluetooth";
    assert_rules(&BLUETOOTH_PAD, None, properties, ":seat:");
    let event = format!("{properties} ID_INPUT_JOYSTICK_INTEGRATION=external");
    assert_rules(&BLUETOOTH_PAD, Some("event5"), &event, ":seat:uaccess:");
    assert_rules(&BLUETOOTH_PAD, Some("js0"), properties, ":seat:uaccess:");
}

#[test]
fn a_bluetooth_pad_with_a_record_key_is_a_power_switch_too() {
    let pad = InputDevice { key: "7cdb000000000000 0 8000000000 0 0", ..BLUETOOTH_PAD };
    let properties = "ID_INPUT=1 ID_INPUT_JOYSTICK=1 ID_INPUT_KEY=1 ID_BUS=bluetooth";
    let event = format!("{properties} ID_INPUT_JOYSTICK_INTEGRATION=external");
    assert_rules(&pad, Some("event5"), &event, ":power-switch:seat:uaccess:");
    assert_rules(&pad, Some("js0"), properties, ":seat:uaccess:");
}

#[test]
fn a_mouse() {
    let properties = "ID_INPUT=1 ID_INPUT_MOUSE=1 .INPUT_CLASS=mouse ID_SERIAL=noserial";
    assert_rules(&MOUSE, None, properties, ":seat:");
    assert_rules(&MOUSE, Some("event6"), properties, "");
    assert_rules(&MOUSE, Some("mouse0"), properties, "");
    let absolute = InputDevice { ev: "b", rel: "0", abs: "3", ..MOUSE };
    assert_rules(&absolute, Some("event6"), properties, "");
}

#[test]
fn a_keyboard() {
    let properties =
        "ID_INPUT=1 ID_INPUT_KEY=1 ID_INPUT_KEYBOARD=1 .INPUT_CLASS=kbd ID_SERIAL=noserial";
    assert_rules(&KEYBOARD, None, properties, ":seat:");
    assert_rules(&KEYBOARD, Some("event8"), properties, ":power-switch:");
}

#[test]
fn surfaces_and_sensors() {
    let touchpad = "ID_INPUT=1 ID_INPUT_TOUCHPAD=1 .INPUT_CLASS=mouse ID_SERIAL=noserial";
    assert_rules(&TOUCHPAD, None, touchpad, ":seat:");
    assert_rules(&TOUCHPAD, Some("event22"), touchpad, "");
    let bluetooth = InputDevice { product: "5/54c/ce6/8100", ..TOUCHPAD };
    let properties =
        "ID_INPUT=1 ID_INPUT_TOUCHPAD=1 ID_BUS=bluetooth ID_INPUT_TOUCHPAD_INTEGRATION=external";
    assert_rules(&bluetooth, Some("event22"), properties, "");

    assert_rules(&TOUCHSCREEN, None, "ID_INPUT=1 ID_INPUT_TOUCHSCREEN=1", ":seat:");
    assert_rules(&TOUCHSCREEN, Some("event22"), "ID_INPUT=1 ID_INPUT_TOUCHSCREEN=1", "");
    let tablet = "ID_INPUT=1 ID_INPUT_TABLET=1 .INPUT_CLASS=mouse ID_SERIAL=noserial";
    assert_rules(&TABLET, Some("event22"), tablet, "");
    assert_rules(&MOTION, None, "ID_INPUT=1 ID_INPUT_ACCELEROMETER=1", ":seat:");
    assert_rules(&MOTION, Some("event21"), "ID_INPUT=1 ID_INPUT_ACCELEROMETER=1", "");
    assert_rules(&MOTION, Some("js3"), "ID_INPUT=1 ID_INPUT_ACCELEROMETER=1", "");
}

#[test]
fn an_infrared_remote_is_known_by_its_name() {
    let remote = InputDevice { name: "Some IR Receiver", ..KEYBOARD };
    assert!(rules(&remote, None).0.ends_with(".INPUT_CLASS=ir ID_SERIAL=noserial"));
}

#[test]
fn libinput_groups_the_event_nodes_of_one_place() {
    for (phys, group) in [
        ("usb-0000:00:14.0-1/input1", Some("3/45e/2ea:usb-0000:00:14.0-1")),
        ("usb-0000:00:14.0-6.3.1/input0", Some("3/45e/2ea:usb-0000:00:14.0-6.3")),
        ("hotseat/alice/0", Some("3/45e/2ea:hotseat/alice/0")),
        ("a1:b2:c3:d4:e5:f6", Some("3/45e/2ea:a1:b2:c3:d4:e5:f6")),
        ("no-dash.after", Some("3/45e/2ea:no-dash")),
        ("v1.2", Some("3/45e/2ea:v1")),
        ("100% ", Some("3/45e/2ea:100%%")),
        ("tab\tdel\u{7f}\u{1} ", Some("3/45e/2ea:tab?del??")),
        ("a(b)\"c'\\x20 \u{fc}[x]{y}<z>", Some("3/45e/2ea:a(b)\"c'\\x20 \u{fc}[x]{y}<z>")),
        ("", None),
    ] {
        let pad = InputDevice { phys, ..PAD };
        let message = forge(&pad, Some("event5"), 1, 2).add_message();
        assert_eq!(message.properties().get("LIBINPUT_DEVICE_GROUP"), group, "{phys}");
        for node in [None, Some("js0")] {
            let message = forge(&pad, node, 1, 2).add_message();
            assert_eq!(message.properties().get("LIBINPUT_DEVICE_GROUP"), None);
        }
    }
}

#[test]
fn sysfs_is_read_as_it_is() {
    let parent = read(&PAD, None);
    assert_eq!(parent.device_id().as_str(), "+input:input20");
    assert_eq!((parent.devnum(), parent.devname()), (None, None));

    let event = read(&PAD, Some("event5"));
    assert_eq!(event.device_id().as_str(), "c13:69");
    assert_eq!(event.devpath(), "/devices/virtual/input/input20/event5");
    assert_eq!((event.subsystem(), event.sysname()), ("input", "event5"));
    assert_eq!((event.devnum(), event.devname()), (Some((13, 69)), Some("/dev/input/event5")));
    assert_eq!(event.input(), parent.input());
    let input = event.input().unwrap();
    assert_eq!((input.capabilities.bustype, input.vendor, input.product), (3, 0x45e, 0x2ea));
    assert_eq!(input.name, "Wolf X-Box One (virtual) pad");
}

#[test]
fn a_link_to_a_device_is_followed() {
    let sysfs = FakeSysfs::with(&PAD);
    let link = sysfs.root().join("event5");
    std::os::unix::fs::symlink(sysfs.device_dir(&PAD).join("event5"), &link).unwrap();
    let device = Sysfs::at(sysfs.root()).read(&link).unwrap();
    assert_eq!(device.devpath(), "/devices/virtual/input/input20/event5");
}

#[test]
fn a_name_cannot_forge_lines_of_the_uevent_file() {
    for name in ["x\nDEVNAME=mem\nMAJOR=1\nMINOR=1", "x\rID_SEAT=seat9", "x\0"] {
        let pad = InputDevice { name, ..PAD };
        let sysfs = FakeSysfs::with(&pad);
        for syspath in [sysfs.device_dir(&pad), sysfs.device_dir(&pad).join("event5")] {
            let read = Sysfs::at(sysfs.root()).read(&syspath);
            assert!(matches!(read, Err(ReadError::Malformed { .. })), "{read:?}");
        }
    }
}

#[test]
fn a_hid_device_cannot_forge_lines_of_its_uevent_file() {
    let sysfs = FakeSysfs::with(&PAD);
    let dir = sysfs.root().join("devices/virtual/misc/uhid/0003:1209:0009.0001");
    fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/sys/bus/hid", dir.join("subsystem")).unwrap();
    let read = |name: &str| {
        let uevent = format!(
            "DRIVER=hid-generic\nHID_ID=0003:00001209:00000009\nHID_NAME={name}\nHID_PHYS=\n\
             HID_UNIQ=\nMODALIAS=hid:b0003g0001v00001209p00000009\n"
        );
        write(&dir.join("uevent"), &uevent);
        Sysfs::at(sysfs.root()).read(&dir)
    };
    assert!(read("a = \"b\" \\ pad").is_ok());
    for name in ["x\nID_SEAT=seat9", "x\ry", "x\nHID_UNIQ=y", "x\n"] {
        assert!(matches!(read(name), Err(ReadError::Malformed { .. })), "{name:?}");
    }
}

#[test]
fn the_kernel_is_believed_only_what_it_can_know() {
    let sysfs = FakeSysfs::with(&PAD);
    let dir = sysfs.device_dir(&PAD);
    let uevent =
        "DEVNAME=mem\nMAJOR=1\nMINOR=1\nTAGS=:uaccess:\nACTION=remove\nbroken\n=x\nNAME=\"a\"";
    write(&dir.join("uevent"), uevent);
    let device = Sysfs::at(sysfs.root()).read(&dir).unwrap();
    let kernel: Vec<_> = device.kernel_properties().iter().map(|(key, _)| key).collect();
    assert_eq!(kernel, ["DEVPATH", "SUBSYSTEM", "NAME"]);
}

#[test]
fn what_is_not_a_device_is_an_error() {
    let sysfs = FakeSysfs::with(&PAD);
    let read = |path: &str| Sysfs::at(sysfs.root()).read(&sysfs.root().join(path));
    assert!(matches!(read("devices/gone"), Err(ReadError::Io { .. })));
    assert!(matches!(read(""), Err(ReadError::NotADevice { .. })));
    assert!(matches!(read("devices/virtual"), Err(ReadError::Io { .. })));
    assert!(matches!(read("/etc"), Err(ReadError::NotADevice { .. })));
    let dev = sysfs.device_dir(&PAD).join("event5/dev");
    for value in ["", "13", "13:x", "4096:0", "1:1048576"] {
        fs::write(&dev, value).unwrap();
        let error = read("devices/virtual/input/input20/event5").unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }), "{value}");
    }
}

#[test]
fn a_hidraw_node_belongs_to_the_seat() {
    let sysfs = FakeSysfs::with(&PAD);
    let dir = sysfs.root().join("devices/virtual/misc/uhid/0003:054C:0CE6.0005/hidraw/hidraw3");
    write(&dir.join("uevent"), "MAJOR=240\nMINOR=3\nDEVNAME=hidraw3\n");
    write(&dir.join("dev"), "240:3\n");
    std::os::unix::fs::symlink("/sys/class/hidraw", dir.join("subsystem")).unwrap();
    let device = Sysfs::at(sysfs.root()).read(&dir).unwrap();
    let forged =
        Forged::add(&device, &Hwdb::empty(), Stamp { seqnum: 5000, usec_initialized: 123 });
    assert_eq!(forged.record().file_name(), "c240:3");
    assert_eq!(forged.record().text(), "I:123\nG:seat\nQ:seat\nV:1\n");
}

#[test]
fn the_number_of_an_event_is_never_zero() {
    let pad = forge(&PAD, Some("event5"), 0, 0);
    assert_eq!(pad.add_message().seqnum(), 1);
    assert_eq!(
        pad.remove_message(Stamp { seqnum: 0, usec_initialized: 0 }).properties().get("SEQNUM"),
        Some("1")
    );
}

#[test]
fn the_record_is_what_the_remove_message_says() {
    let forged = forge(&PAD, Some("event5"), 4242, 2_798_422_893);
    assert_eq!(
        forged.record().text(),
        "I:2798422893\nE:ID_INPUT=1\nE:ID_INPUT_JOYSTICK=1\nE:ID_SERIAL=noserial\n\
         G:seat\nG:uaccess\nQ:seat\nQ:uaccess\nV:1\n"
    );
}

#[test]
fn a_device_survives_the_journal() {
    for (device, node) in [(PAD, None), (PAD, Some("event5")), (KEYBOARD, Some("event8"))] {
        let forged = forge(&device, node, 4242, 123_456_789);
        assert_eq!(Forged::from_parts(forged.to_parts()), Ok(forged));
    }
}

#[test]
fn a_damaged_journal_is_refused() {
    let parts = forge(&PAD, Some("event5"), 4242, 123_456_789).to_parts();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());

    let mut damaged = parts.clone();
    damaged.tags.push("../../data".to_owned());
    assert!(matches!(Forged::from_parts(damaged), Err(PartsError::Tag(_))));
    let mut damaged = parts.clone();
    damaged.rules.push(pair("ID_SERIAL", "a\nb"));
    assert!(matches!(Forged::from_parts(damaged), Err(PartsError::Property(_))));
    let mut damaged = parts.clone();
    damaged.rules.push(pair("ACTION", "add"));
    assert_eq!(Forged::from_parts(damaged), Err(PartsError::Contradiction));
    let mut damaged = parts.clone();
    damaged.kernel.retain(|(key, _)| key != "DEVPATH");
    let missing = PartsError::Message(ParseError::Missing("DEVPATH"));
    assert_eq!(Forged::from_parts(damaged), Err(missing));
    let mut damaged = parts;
    damaged.kernel.push(pair("MINOR", "69/../../x"));
    assert!(matches!(Forged::from_parts(damaged), Err(PartsError::Id(_))));
}
