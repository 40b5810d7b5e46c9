//! Events that nobody heard, as there were more than the sockets hold.

use super::follow::refuses;
use super::gadget::ConBee;
use super::{CONBEE, expect_event, session, watching};
use crate::harness::{Container, sh};

/// A disk that comes and goes by a command, without a driver of its own.
const LOOP: &str = "/dev/loop98";

struct Loop;

impl Loop {
    fn new() -> Self {
        sh(&format!(
            "modprobe loop; truncate --size 1M /tmp/loop98.img; losetup {LOOP} /tmp/loop98.img"
        ));
        Self
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        sh(&format!("losetup --detach {LOOP}; rm /tmp/loop98.img"));
    }
}

/// Many times what the buffer of a socket holds (`net.core.rmem_default`, where an event takes about 1 KB).
const EVENTS: &str = "for number in $(seq 1000); do echo change > /sys/class/mem/null/uevent; done";

#[test]
fn what_came_and_went_while_events_were_lost_is_seen_all_the_same() {
    let conbee = ConBee::new();
    conbee.plug();
    let mut daemon = watching();
    let container = Container::start("lost");
    session(&daemon, "s", &container);
    let added = daemon.json(&[&["rule", "add", "s"], &CONBEE[..]].concat());
    assert_eq!(added["devices"], serde_json::json!(["/dev/ttyACM0"]), "{added}");
    daemon.hotseat(&[
        "rule",
        "add",
        "s",
        "--devname",
        "loop98",
        "--danger",
        "disk",
        "--access",
        "r",
    ]);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);

    // The buffers are full before anything happens that matters: of none of that anything can be heard.
    sh(&format!("kill -STOP {}; {EVENTS}", daemon.pid()));
    conbee.unplug();
    let _loop98 = Loop::new();
    sh(&format!("udevadm settle; kill -CONT {}", daemon.pid()));
    daemon.log().expect("events of the host's devices were lost");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    expect_event(&mut watcher, "host-plugged", "/dev/loop98");
    refuses(&container, "c 166 0");
    container.sh("head -c 512 /dev/loop98 > /dev/null");

    // And it goes on hearing.
    conbee.plug();
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    container.sh("exec 3<>/dev/ttyACM0");
    watcher.end("TERM");
}
