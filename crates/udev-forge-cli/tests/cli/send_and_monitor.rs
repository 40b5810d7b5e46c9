//! `send` and `monitor`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use udev_forge::Monitor;

use crate::namespace::{Namespace, program, receive, wait_for};

const PROPERTIES: [&str; 5] = [
    "DEVPATH=/devices/virtual/input/input20/event5",
    "SUBSYSTEM=input",
    "DEVNAME=/dev/input/event5",
    "NAME=\"a pad\u{1b}[2J\"",
    "TAGS=:seat:uaccess:",
];

#[test]
fn properties_are_sent_from_arguments_and_from_lines() {
    let Some(namespace) = Namespace::new() else { return };
    let monitor = namespace.monitor();
    let arguments = [&["send", "--action", "add"], &PROPERTIES[..]].concat();
    let printed = namespace.succeed(&arguments, "");
    assert!(printed.starts_with("sent add /devices/virtual/input/input20/event5 (input), "));
    let from_arguments = receive(&monitor).unwrap().message;

    let lines = format!("ACTION=add\n\n{}\n", PROPERTIES.join("\n"));
    namespace.succeed(&["send"], &lines);
    let from_lines = receive(&monitor).unwrap().message;

    for message in [from_arguments, from_lines] {
        let pairs: Vec<_> = message.properties().iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs.first().unwrap(), "ACTION=add");
        assert_eq!(pairs[1..6], PROPERTIES);
        // The kernel's counter, as none was given.
        assert!(pairs[6].starts_with("SEQNUM=") && message.seqnum() > 0);
    }
}

#[test]
fn the_action_option_replaces_the_messages_own() {
    let Some(namespace) = Namespace::new() else { return };
    let monitor = namespace.monitor();
    let arguments = ["send", "--action", "remove", "ACTION=add", "SEQNUM=9"];
    namespace.succeed(&[&arguments, &PROPERTIES[..]].concat(), "");
    let message = receive(&monitor).unwrap().message;
    assert_eq!((message.action().as_str(), message.seqnum()), ("remove", 9));
}

#[test]
fn a_device_of_the_host_is_sent_as_it_is_forged() {
    let Some(namespace) = Namespace::new() else { return };
    let monitor = namespace.monitor();
    for action in ["add", "remove"] {
        let device = "/sys/class/mem/null";
        let printed = namespace.succeed(&["send", "--device", device, "--action", action], "");
        let start = format!("sent {action} /devices/virtual/mem/null (mem), ");
        assert!(printed.starts_with(&start), "{printed}");
        let message = receive(&monitor).unwrap().message;
        assert_eq!(message.properties().get("DEVNAME"), Some("/dev/null"));
        assert_eq!(message.properties().get("MINOR"), Some("3"));
    }
}

#[test]
fn a_message_goes_into_the_namespace_of_a_process_in_the_name_of_its_root() {
    if Namespace::new().is_none() {
        return;
    }
    // As a container's runtime does it: a namespace of users in which root is somebody else.
    let mut container = Command::new("unshare")
        .args(["--user", "--net", "sh", "-c", "echo ready; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("ready", container.stdout.take().unwrap());
    let pid = container.id().to_string();
    fs::write(format!("/proc/{pid}/uid_map"), "0 100000 65536").unwrap();
    fs::write(format!("/proc/{pid}/gid_map"), "0 200000 65536").unwrap();
    let netns = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let monitor = Monitor::open_in(netns.as_fd()).unwrap();

    let outside = Namespace::new().unwrap();
    let send = |options: &[&str]| {
        let start = ["send", "--netns", &pid, "ACTION=add"];
        outside.succeed(&[&start, options, &PROPERTIES[..]].concat(), "");
        let received = receive(&monitor).unwrap();
        (received.uid, received.gid)
    };
    assert_eq!(send(&[]), (100_000, 200_000));
    assert_eq!(send(&["--uid", "0"]), (0, 200_000));
    assert_eq!(send(&["--uid", "7", "--gid", "8"]), (7, 8));
    drop(container.stdin.take());
    container.wait().unwrap();
}

#[test]
fn the_monitor_prints_messages_and_what_is_wrong_with_them() {
    let Some(namespace) = Namespace::new() else { return };
    let mut monitor = namespace.start(Command::new(program()).args(["monitor", "--count", "2"]));
    wait_for("listening", monitor.stderr.take().unwrap());
    let message = [&["send", "ACTION=add"], &PROPERTIES[..]].concat();
    namespace.succeed(&message, "");
    // A message of libudev's with the wrong hash.
    let bad = "QUNUSU9OPWFkZABERVZQQVRIPS9kZXZpY2VzL3gAU1VCU1lTVEVNPWlucHV0AFNFUU5VTT0xAA==";
    namespace.succeed(&["-m", bad, "--udev-subsystem", "hidraw"], "");

    let output = monitor.wait_with_output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "add /devices/virtual/input/input20/event5 (input)");
    assert_eq!(
        lines[1],
        "  header ok: subsystem c1a28470, devtype 00000000, tags 0208200800401009; from uid 0, gid 0"
    );
    // Nothing that a terminal would obey.
    assert!(lines.contains(&"  NAME=\"a pad\\u{1b}[2J\""), "{printed}");
    let bad = "BAD: a datagram that is no message of udev: the header's hash of SUBSYSTEM does not fit \
               the property";
    assert!(lines.contains(&bad), "{printed}");
}

#[test]
fn the_monitor_prints_a_line_of_json_for_each_message() {
    let Some(namespace) = Namespace::new() else { return };
    let mut monitor = namespace.start(Command::new(program()).args(["monitor", "--json"]));
    wait_for("listening", monitor.stderr.take().unwrap());
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    for seqnum in ["SEQNUM=1", "SEQNUM=2"] {
        let message = [&["send", "ACTION=add", seqnum], &PROPERTIES[..]].concat();
        namespace.succeed(&message, "");
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["ok"], true);
        assert_eq!(line["uid"], 0);
        assert_eq!(line["message"]["header"]["tag_bloom"], "0208200800401009");
        assert_eq!(line["message"]["properties"]["SEQNUM"], seqnum[7..]);
        assert_eq!(line["message"]["properties"]["NAME"], "\"a pad\u{1b}[2J\"");
    }
    // It ends quietly when nobody reads any more.
    drop(lines);
    let message = [&["send", "ACTION=add"], &PROPERTIES[..]].concat();
    namespace.succeed(&message, "");
    assert!(monitor.wait().unwrap().success());
}
