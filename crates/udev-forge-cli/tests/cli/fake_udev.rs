//! The program as Wolf calls its fake-udev.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use udev_forge::{MonitorError, ParseError};

use crate::namespace::{Namespace, failure, program, receive};

/// What Wolf says of an Xbox pad's event node (`gen_udev_base_event` and what it adds for a joypad).
fn event_node() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("ACTION", "add"),
        ("SEQNUM", "7"),
        ("USEC_INITIALIZED", "1763700000"),
        ("SUBSYSTEM", "input"),
        ("ID_INPUT", "1"),
        ("ID_INPUT_JOYSTICK", "1"),
        (".INPUT_CLASS", "joystick"),
        ("ID_SERIAL", "noserial"),
        ("TAGS", ":seat:uaccess:"),
        ("CURRENT_TAGS", ":seat:uaccess:"),
        ("DEVNAME", "/dev/input/event5"),
        ("DEVPATH", "/devices/virtual/input/input20/event5"),
        ("MAJOR", "13"),
        ("MINOR", "69"),
    ])
}

/// And of the hidraw node of a DualSense.
fn hidraw_node() -> BTreeMap<&'static str, &'static str> {
    let mut properties = event_node();
    properties.extend([
        ("SUBSYSTEM", "hidraw"),
        ("DEVNAME", "/dev/hidraw3"),
        ("DEVPATH", "/devices/virtual/misc/uhid/0003:054C:0CE6.0005/hidraw/hidraw3"),
        ("MAJOR", "240"),
        ("MINOR", "3"),
    ]);
    properties.remove(".INPUT_CLASS");
    properties.remove("ID_INPUT_JOYSTICK");
    properties
}

/// The properties as Wolf hands them over: sorted, each ended by a NUL, in one line of base64.
fn encode(properties: &BTreeMap<&str, &str>) -> String {
    let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\0")).collect();
    STANDARD.encode(text)
}

/// A directory on PATH with the program by the name `fake-udev`, and a node to be removed.
struct Container {
    namespace: Namespace,
    dir: TempDir,
}

impl Container {
    fn new() -> Option<Self> {
        let namespace = Namespace::new()?;
        let dir = TempDir::new().unwrap();
        symlink(program(), dir.path().join("fake-udev")).unwrap();
        Some(Self { namespace, dir })
    }

    fn bash(&self, script: &str, input: &str) -> Output {
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", script]).env("PATH", path).current_dir(self.dir.path());
        self.namespace.run(&mut bash, input)
    }
}

#[test]
fn wolfs_plug_reaches_libudev_with_the_right_header() {
    let Some(container) = Container::new() else { return };
    let monitor = container.namespace.monitor();
    for properties in [event_node(), hidraw_node()] {
        // Wolf's script, with a file for the node.
        let script = format!(
            "mkdir -p input && touch node && chmod 777 node && fake-udev -m {}",
            encode(&properties)
        );
        let output = container.bash(&script, "");
        assert!(output.status.success(), "{output:?}");

        // The monitor refuses a message with the hash of another subsystem or the bits of other tags.
        let received = receive(&monitor).unwrap();
        assert_eq!((received.uid, received.gid), (0, 0));
        let arrived: BTreeMap<_, _> = received.message.properties().iter().collect();
        assert_eq!(arrived, properties);
    }
}

#[test]
fn wolfs_unplug_goes_on_after_the_message() {
    let Some(container) = Container::new() else { return };
    let monitor = container.namespace.monitor();
    let node = container.dir.path().join("node");
    fs::write(&node, "").unwrap();
    let mut properties = event_node();
    properties.insert("ACTION", "remove");
    let output = container.bash(&format!("fake-udev -m {} && rm node", encode(&properties)), "");
    assert!(output.status.success(), "{output:?}");
    assert!(!node.exists());
    assert_eq!(receive(&monitor).unwrap().message.action().as_str(), "remove");
}

#[test]
fn the_example_of_fake_udevs_help_works() {
    let Some(container) = Container::new() else { return };
    let monitor = container.namespace.monitor();
    let example = r#"echo -ne "ACTION=add\0DEVNAME=input/bomb\0DEVPATH=/devices/bomb\0SEQNUM=1234\0SUBSYSTEM=input\0" | base64 | fake-udev"#;
    let output = container.bash(example, "");
    assert!(output.status.success(), "{output:?}");
    let message = receive(&monitor).unwrap().message;
    assert_eq!((message.devpath(), message.seqnum()), ("/devices/bomb", 1234));
    assert_eq!(message.properties().get("DEVNAME"), Some("/dev/input/bomb"));
}

#[test]
fn a_message_on_standard_input_may_be_wrapped_and_unpadded() {
    let Some(container) = Container::new() else { return };
    let monitor = container.namespace.monitor();
    let encoded = encode(&event_node());
    let wrapped = encoded.as_bytes().chunks(76).map(str::from_utf8).map(Result::unwrap);
    let wrapped = wrapped.collect::<Vec<_>>().join("\n");
    let output = container.bash("fake-udev", wrapped.trim_end_matches('='));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(receive(&monitor).unwrap().message.devpath(), event_node()["DEVPATH"]);
}

#[test]
fn hashes_are_as_given_if_they_are_given() {
    let Some(namespace) = Namespace::new() else { return };
    let monitor = namespace.monitor();
    let encoded = encode(&event_node());
    let send = |options: &[&str]| namespace.succeed(&[&["-m", &encoded], options].concat(), "");

    send(&["--udev-subsystem", "input", "--udev-devtype", ""]);
    assert!(receive(&monitor).is_ok());
    let refused = |hash| Err(ParseError::Hash(hash));
    let result = |monitor| match receive(monitor) {
        Err(MonitorError::Message(error)) => Err(error),
        other => panic!("{other:?}"),
    };
    send(&["--udev-subsystem", "hidraw"]);
    assert_eq!(result(&monitor), refused("SUBSYSTEM") as Result<(), _>);
    send(&["--udev-devtype", "usb_device"]);
    assert_eq!(result(&monitor), refused("DEVTYPE"));
}

#[test]
fn the_socket_may_be_described_as_it_is() {
    let Some(namespace) = Namespace::new() else { return };
    let monitor = namespace.monitor();
    let encoded = encode(&event_node());
    let domain = ["--sock-domain", "16", "--sock-type", "3", "--sock-protocol", "15"];
    namespace.succeed(&[&["-m", &encoded], &domain[..], &["--sock-groups", "2"]].concat(), "");
    assert!(receive(&monitor).is_ok());

    // libudev-zero's group only.
    namespace.succeed(&["-m", &encoded, "--sock-groups", "4"], "");
    assert_eq!(monitor.try_recv().unwrap(), None);
}

#[test]
fn a_message_that_nobody_would_take_is_not_sent() {
    let Some(container) = Container::new() else { return };
    let monitor = container.namespace.monitor();
    let without = |key| {
        let mut properties = event_node();
        properties.remove(key);
        encode(&properties)
    };
    let large = "x".repeat(9000);
    let mut too_large = event_node();
    too_large.insert("FILLER", &large);
    let cases = [
        (without("SEQNUM"), "error: receivers would drop the message: SEQNUM is missing"),
        (without("SUBSYSTEM"), "error: receivers would drop the message: SUBSYSTEM is missing"),
        (
            STANDARD.encode("ACTION=add\0\0"),
            "error: receivers would drop the message: `` is not KEY=VALUE",
        ),
        (
            STANDARD.encode(b"NAME=\xff\0"),
            "error: receivers would drop the message: a property is not UTF-8",
        ),
        ("-----".to_owned(), "error: the message is not base64: Invalid symbol 45, offset 4."),
        (String::new(), "error: there is no message"),
        (
            encode(&too_large),
            "error: a message of 9346 bytes is too large for libudev before 252 and for eudev",
        ),
    ];
    for (message, expected) in cases {
        let output = container.bash("fake-udev && rm fake-udev", &message);
        let (status, stderr) = failure(output);
        assert_eq!(status, Some(1), "{stderr}");
        assert_eq!(stderr.lines().next(), Some(expected));
    }
    assert_eq!(monitor.try_recv().unwrap(), None);
}

#[test]
fn what_is_no_socket_of_udev_is_a_wrong_usage() {
    for option in [["--sock-domain", "2"], ["--sock-type", "1"], ["--sock-protocol", "0"]] {
        let (status, stderr) = failure(crate::namespace::run(&option));
        assert_eq!(status, Some(2));
        assert!(stderr.contains("udev's messages need"), "{stderr}");
    }
    let (status, _) = failure(crate::namespace::run(&["--sock-groups", "0"]));
    assert_eq!(status, Some(2));
}
