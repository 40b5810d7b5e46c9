//! A device of the host follows its session: into another container, and through a restart of its own.

use super::gadget::ConBee;
use super::{CONBEE, LISTING, expect_event, session, watching};
use crate::harness::{Container, Daemon};

/// Nobody opens it by a node of his own making.
#[track_caller]
pub(super) fn refuses(container: &Container, numbers: &str) {
    let refused =
        container.try_sh(&format!("rm -f /tmp/try; mknod /tmp/try {numbers}; exec 3<>/tmp/try"));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");
}

#[test]
fn a_move_takes_the_dongle_along() {
    let conbee = ConBee::new();
    conbee.plug();
    let daemon = watching();
    let [old, new] = ["old", "new"].map(Container::start);
    let before = (old.sh(LISTING), new.sh(LISTING));
    session(&daemon, "s", &old);
    let added = daemon.json(&[&["rule", "add", "s", "--link", "zigbee"], &CONBEE[..]].concat());
    assert_eq!(added["devices"], serde_json::json!(["/dev/ttyACM0"]), "{added}");
    let grants = daemon.traces().grants;
    // A program that has it open: the device is none of ours, so it stays open.
    let mut holder =
        old.program(&[], &["sh", "-c", "exec 3<>/dev/zigbee; echo holds; read go; stty -a <&3"]);
    holder.expect("holds");

    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    daemon.hotseat(&["session", "move", "s", &new.reference()]);
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    assert_eq!(old.sh(LISTING), before.0);
    refuses(&old, "c 166 0");
    new.sh("exec 3<>/dev/ttyACM0; exec 4<>/dev/zigbee");
    assert_eq!(daemon.traces().grants, grants);
    let shown = daemon.json(&["session", "show", "s"]);
    assert_eq!(shown["container"]["reference"], new.reference(), "{shown}");
    assert_eq!(shown["host_devices"][0]["verified"], true, "{shown}");
    holder.say("go");
    holder.expect("speed");

    // Pulled out, it is gone where it is now.
    conbee.unplug();
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    refuses(&new, "c 166 0");
    // And back: the rule is the session's, not the container's.
    conbee.plug();
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM");
    daemon.hotseat(&["session", "move", "s", &old.reference()]);
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM");
    assert_eq!(new.sh(LISTING), before.1);
    old.sh("exec 3<>/dev/zigbee");
    watcher.end("TERM");
}

/// The daemon hears of the restart by the container's label.
#[test]
fn a_restarted_container_has_what_the_host_has_by_then() {
    let conbee = ConBee::new();
    conbee.plug();
    let mut daemon = Daemon::start();
    daemon.relaunch_with(
        "follow = true\n[[rule]]\nsession = \"s\"\nvendor = \"1cf1\"\nsubsystem = \"tty\"\nlinks = [\"zigbee\"]",
    );
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let container = Container::start_with("restart", "--label hotseat.session=s", "");
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    let before = (daemon.traces(), container.sh(LISTING));
    container.sh("exec 3<>/dev/zigbee");

    docker(&container, "restart --time 0");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    assert_eq!(container.sh(LISTING), before.1);
    container.sh("exec 3<>/dev/zigbee");
    daemon.returns_to(&before.0);

    // Pulled out while there is no container: the next one starts all the same.
    docker(&container, "stop --time 0");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    conbee.unplug();
    docker(&container, "start");
    watcher.expect(r#""event":"attached""#);
    assert!(!container.sh("ls /dev").contains("zigbee"));
    refuses(&container, "c 166 0");
    conbee.plug();
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    container.sh("exec 3<>/dev/zigbee");
    watcher.end("TERM");
}

fn docker(container: &Container, command: &str) {
    crate::harness::sh(&format!("docker {command} {}", container.name));
}
