//! Every library in every kind of user namespace, with every kind of filter.

use std::collections::BTreeMap;

use serde_json::json;
use udev_forge::{Credentials, Message, Properties};

use crate::listener::Trust::{self, Anybody, Outside, Root};
use crate::listener::{Arrived, Devices, Filters, Listener, Place, libraries};

/// An attempt: the sender's user here, the user that arrives, and who takes the message.
type Attempt = (u32, u64, &'static [Trust]);

/// The host's root, where the namespace does not have it, arrives as the "overflow" user 65534. That is why
/// nothing is ever sent in its name, and why [`Outside`] is no help where 65534 is a user of the namespace.
const OVERFLOW: u64 = 65_534;

fn message(pairs: &[(&str, &str)]) -> Message {
    let mut properties = Properties::new();
    for (key, value) in pairs {
        properties.set(key, value).unwrap();
    }
    Message::new(properties).unwrap()
}

/// A pad and a USB device come, the pad goes.
fn messages() -> [Message; 3] {
    let pad = |action, seqnum| {
        message(&[
            ("ACTION", action),
            ("DEVPATH", "/devices/virtual/input/input20/event5"),
            ("SUBSYSTEM", "input"),
            ("DEVNAME", "/dev/input/event5"),
            ("SEQNUM", seqnum),
            ("MAJOR", "13"),
            ("MINOR", "69"),
            ("USEC_INITIALIZED", "123456789"),
            ("ID_INPUT", "1"),
            ("ID_INPUT_JOYSTICK", "1"),
            ("NAME", "\"Gerät = 1\""),
            ("TAGS", ":seat:uaccess:"),
            ("CURRENT_TAGS", ":seat:uaccess:"),
        ])
    };
    let usb = message(&[
        ("ACTION", "add"),
        ("DEVPATH", "/devices/pci0000:00/0000:00:14.0/usb1/1-1"),
        ("SUBSYSTEM", "usb"),
        ("DEVNAME", "/dev/bus/usb/001/002"),
        ("DEVTYPE", "usb_device"),
        ("SEQNUM", "6000"),
        ("MAJOR", "189"),
        ("MINOR", "1"),
        ("USEC_INITIALIZED", "123456789"),
        ("TAGS", ":seat:"),
        ("CURRENT_TAGS", ":seat:"),
    ]);
    [pad("add", "4242"), usb, pad("remove", "4300")]
}

const PAD_COMES: usize = 0;
const USB: usize = 1;
const PAD_GOES: usize = 2;

/// The filters by name, and which of the messages pass. libudev-zero has no tags: it delivers all.
fn filters() -> (Filters, Vec<(&'static str, Vec<usize>)>) {
    let filters = json!({
        "none": {},
        "input": {"subsystem": "input"},
        "hidraw": {"subsystem": "hidraw"},
        "usb_device": {"subsystem": "usb", "devtype": "usb_device"},
        "usb_interface": {"subsystem": "usb", "devtype": "usb_interface"},
        "seat": {"tag": "seat"},
        "uaccess": {"tag": "uaccess"},
        "other tag": {"tag": "power-switch"},
        "input and uaccess": {"subsystem": "input", "tag": "uaccess"},
        "usb and uaccess": {"subsystem": "usb", "tag": "uaccess"},
    });
    let pass = vec![
        ("none", vec![PAD_COMES, USB, PAD_GOES]),
        ("input", vec![PAD_COMES, PAD_GOES]),
        ("hidraw", vec![]),
        ("usb_device", vec![USB]),
        ("usb_interface", vec![]),
        ("seat", vec![PAD_COMES, USB, PAD_GOES]),
        ("uaccess", vec![PAD_COMES, PAD_GOES]),
        ("other tag", vec![]),
        ("input and uaccess", vec![PAD_COMES, PAD_GOES]),
        ("usb and uaccess", vec![]),
    ];
    (filters, pass)
}

/// What passes in libudev-zero, whose filter for tags does nothing.
fn without_tags<'a>(filter: &str, pass: &'a [(&str, Vec<usize>)]) -> &'a [usize] {
    let same_without_tag = match filter {
        "seat" | "uaccess" | "other tag" => "none",
        "input and uaccess" => "input",
        // Its devtype filter wants a devtype only if one was asked for.
        "usb and uaccess" => "usb_device",
        other => other,
    };
    &pass.iter().find(|(name, _)| *name == same_without_tag).unwrap().1
}

/// Tags are a set: systemd 257 puts them in any order.
fn normal(key: &str, value: &str) -> String {
    if !key.ends_with("TAGS") {
        return value.to_owned();
    }
    let mut tags: Vec<&str> = value.split(':').collect();
    tags.sort_unstable();
    tags.join(":")
}

/// Each of the expected messages was delivered, in order, with every property.
fn assert_delivered(what: &str, devices: &Devices, expected: &[&Message]) {
    assert_eq!(devices.len(), expected.len(), "{what}: {devices:?}");
    for (device, message) in devices.iter().zip(expected) {
        let normal_device: BTreeMap<_, _> =
            device.iter().map(|(key, value)| (key.as_str(), normal(key, value))).collect();
        for (key, value) in message.properties().iter() {
            assert_eq!(normal_device.get(key), Some(&normal(key, value)), "{what}: {device:?}");
        }
    }
}

fn assert_arrived(what: &str, arrived: &Arrived, takes: &[Trust]) {
    let messages = messages();
    let (_, pass) = filters();
    for (library, monitors) in &arrived.devices {
        let trust = Trust::of(library);
        for (filter, passing) in &pass {
            let what = format!("{what}, {library}, {filter}");
            let passing = if trust == Anybody { without_tags(filter, &pass) } else { passing };
            let expected: Vec<_> = passing.iter().map(|&index| &messages[index]).collect();
            let expected = if takes.contains(&trust) { &expected[..] } else { &[] };
            assert_delivered(&what, &monitors[*filter], expected);
        }
    }
}

/// Sends all messages in the name of each attempt's user.
fn try_all(name: &str, place: &Place, attempts: &[Attempt]) {
    println!("{name}: {:?}", libraries().keys());
    let mut listener = Listener::start(place, &filters().0);
    assert_eq!(listener.ready["uid"], place.uid, "{name}");
    let sender = listener.sender().libudev_zero(true);
    for &(uid, seen, takes) in attempts {
        for message in messages() {
            sender.send(&message, &Credentials { uid, gid: uid }).unwrap();
        }
        let arrived = listener.arrived();
        assert_eq!(arrived.uids(2), [seen; 3], "{name}: as user {uid}");
        assert_eq!(arrived.uids(4), [seen; 3], "{name}: as user {uid}, for libudev-zero");
        assert_arrived(&format!("{name}, as user {uid}"), &arrived, takes);
    }
}

#[test]
fn initial_user_namespace() {
    let all = &[Root, Outside, Anybody];
    try_all("initial", &Place::PLAIN, &[(0, 0, all), (1000, 1000, &[Anybody])]);
}

/// What Docker's userns-remap, LXD and rootless podman set up.
#[test]
fn a_map_that_has_the_overflow_user() {
    let place = Place { map: "0 100000 65536", ..Place::PLAIN };
    try_all(
        "0 100000 65536",
        &place,
        &[(100_000, 0, &[Root, Outside, Anybody]), (0, OVERFLOW, &[Anybody])],
    );
}

#[test]
fn a_map_without_the_overflow_user() {
    let place = Place { map: "0 100000 65534", ..Place::PLAIN };
    try_all(
        "0 100000 65534",
        &place,
        &[(100_000, 0, &[Root, Outside, Anybody]), (0, OVERFLOW, &[Outside, Anybody])],
    );
}

#[test]
fn a_map_of_one_user() {
    let place = Place { map: "0 1000 1", ..Place::PLAIN };
    try_all(
        "0 1000 1",
        &place,
        &[(1000, 0, &[Root, Outside, Anybody]), (0, OVERFLOW, &[Outside, Anybody])],
    );
}

/// What `podman run --userns=keep-id` sets up, the program being the user who is kept.
#[test]
fn a_map_that_keeps_the_users_id() {
    let map = "0 100000 1000\n1000 1000 1\n1001 101000 64536";
    let place = Place { map, uid: 1000, ..Place::PLAIN };
    let attempts: &[Attempt] = &[
        (100_000, 0, &[Root, Outside, Anybody]),
        // In the name of the program's own user: enough since systemd 252 only.
        (1000, 1000, &[Outside, Anybody]),
        (0, OVERFLOW, &[Anybody]),
    ];
    try_all("keep-id", &place, attempts);
}

/// What Flatpak and Steam's runtime set up in the container. Nobody in that sandbox is user 0, so libraries
/// that want user 0 cannot be reached: their programs depend on inotify there.
#[test]
fn a_bubblewrap_sandbox_in_the_container() {
    let place = Place { map: "0 100000 65536", uid: 1000, nested: true, ..Place::PLAIN };
    let mut listener = Listener::start(&place, &json!({}));
    assert_eq!(listener.ready["map"], json!(["1000", "1000", "1"]));
    listener.arrived();
    let attempts: &[Attempt] = &[
        (100_000, OVERFLOW, &[Outside, Anybody]),
        (101_000, 1000, &[Outside, Anybody]),
        (0, OVERFLOW, &[Outside, Anybody]),
    ];
    try_all("nested bubblewrap", &place, attempts);
}

/// The time of a message is the host's; nothing compares it with the program's clock.
#[test]
fn a_time_namespace() {
    const OFFSET: f64 = 1e6;
    let command = &["unshare", "--time", "--fork", "--monotonic", "1000000", "python3"];
    let place = Place { command, ..Place::PLAIN };
    let outside = Listener::start(&Place::PLAIN, &json!({}));
    let inside = Listener::start(&place, &json!({}));
    let clock = |listener: &Listener| listener.ready["monotonic"].as_f64().unwrap();
    assert!(clock(&inside) >= clock(&outside) + OFFSET);
    try_all("time namespace", &place, &[(0, 0, &[Root, Outside, Anybody])]);
}

/// systemd's and eudev's monitors are deaf for good if /run/udev/control is missing when they are made.
#[test]
fn without_the_control_file_a_monitor_hears_nothing_ever() {
    let place = Place { control: false, ..Place::PLAIN };
    let mut listener = Listener::start(&place, &filters().0);
    let sender = listener.sender().libudev_zero(true);
    let send = || {
        for message in messages() {
            sender.send(&message, &Credentials { uid: 0, gid: 0 }).unwrap();
        }
    };
    let all = &[Root, Outside, Anybody];
    send();
    assert_arrived("no control file", &listener.tell("control"), &[Anybody]);
    send();
    assert_arrived("made too late", &listener.arrived(), &[Anybody]);
    listener.tell("listen");
    send();
    assert_arrived("a new monitor", &listener.arrived(), all);
}
