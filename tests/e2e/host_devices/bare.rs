//! A host without udevd, as a small one may be: the kernel's events and sysfs are all there is.

use super::gadget::ConBee;
use super::{ADD_ON, CONBEE, LISTING, expect_event, session, watching};
use crate::harness::{Container, sh};

/// The host's udevd is away, until this is dropped.
struct NoUdevd;

impl NoUdevd {
    fn new() -> Self {
        // With its sockets, by which it would be started again.
        sh("systemctl stop 'systemd-udevd*.socket' systemd-udevd");
        Self
    }
}

impl Drop for NoUdevd {
    fn drop(&mut self) {
        sh(
            "systemctl start systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udevd",
        );
    }
}

#[test]
fn without_a_udevd_what_is_there_and_what_comes_are_told_of_alike() {
    let conbee = ConBee::new();
    let _no_udevd = NoUdevd::new();
    let mut firmware = conbee.firmware();
    conbee.plug();
    let mut daemon = watching();
    daemon.log().expect("has_udevd=false");
    let (gateway, other) = (Container::start("gateway"), Container::start("other"));
    session(&daemon, "gateway", &gateway);
    session(&daemon, "other", &other);
    let before = (gateway.sh(LISTING), other.sh(LISTING));
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut add_on = gateway.python(ADD_ON);
    add_on.expect("waiting");

    // What is there already.
    let added = daemon.json(&[&["rule", "add", "gateway"], &CONBEE[..]].concat());
    assert_eq!(added["devices"], serde_json::json!(["/dev/ttyACM0"]), "{added}");
    add_on.expect("add /dev/ttyACM0 1cf1 0030 DE2706277 True");
    add_on.expect("answer pong 1");
    firmware.expect("heard ping 1");
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    // As a udevd would have named it.
    let by_id = gateway.sh("readlink -f /dev/serial/by-id/*DE2706277*");
    assert_eq!(by_id.trim(), "/dev/hotseat/ttyACM0");
    assert!(!std::path::Path::new("/dev/serial").exists(), "there is a udevd after all");

    conbee.unplug();
    add_on.expect("remove /dev/ttyACM0 1cf1 0030 DE2706277");
    add_on.expect("ended b''");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    firmware.rest();
    assert_eq!(gateway.sh(LISTING), before.0);

    // What comes.
    let mut firmware = conbee.firmware();
    conbee.plug();
    add_on.expect("add /dev/ttyACM1 1cf1 0030 DE2706277 True");
    add_on.expect("answer pong 2");
    firmware.expect("heard ping 2");
    assert_eq!(other.sh(LISTING), before.1);
    conbee.unplug();
    add_on.expect("remove /dev/ttyACM1");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM1");
    assert_eq!(gateway.sh(LISTING), before.0);
    add_on.end("TERM");
    watcher.end("TERM");
}
