//! Containers of users: rootless Podman. What holds for the sandbox is in `host_devices.rs`.

use super::gadget::ConBee;
use super::{CONBEE, expect_event};
use crate::harness::{Daemon, sh};
use crate::matrix::{ROOTLESS, name, serve_rootless_podman};
use crate::matrix_others::{CONSUMERS, skipped};

/// A container of the user `player`, without any option that has to do with devices.
struct Rootless(String);

impl Rootless {
    fn start(name: &str, session: &str) -> Self {
        sh(&format!(
            "{ROOTLESS} run --detach --network none --label hotseat.session={session} --name {name} \
             --rootfs {CONSUMERS}:O sleep infinity"
        ));
        Self(name.to_owned())
    }

    fn sh(&self, script: &str) -> String {
        sh(&format!("{ROOTLESS} exec {} sh -ec '{script}' 2>&1", self.0))
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        sh(&format!("{ROOTLESS} rm --force --time 0 {}", self.0));
    }
}

#[test]
fn a_dongle_comes_into_a_rootless_container_and_goes() {
    if skipped() {
        return;
    }
    serve_rootless_podman();
    let conbee = ConBee::new();
    let mut daemon = Daemon::start();
    daemon.relaunch_with("follow = true\nfollow_podman_users = [\"player\"]");
    daemon.hotseat(&["devices"]);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let gateway = Rootless::start(&name("gateway"), "gateway");
    expect_attached(&mut watcher, "gateway");
    let other = Rootless::start(&name("other"), "other");
    expect_attached(&mut watcher, "other");
    let list = "find /dev /run/udev | sort";
    let before = (gateway.sh(list), other.sh(list));
    daemon.hotseat(
        &[&["rule", "add", "gateway", "--link", "zigbee", "--mode", "0600"], &CONBEE[..]].concat(),
    );

    let mut firmware = conbee.firmware();
    for number in 1..=2 {
        conbee.plug();
        expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
        // Its root owns it, who is `player` on the host.
        assert_eq!(gateway.sh("stat -L -c \"%u %a\" /dev/zigbee").trim(), "0 600");
        gateway.sh(&format!(
            "exec 3<>/dev/zigbee; stty raw -echo <&3; echo ping {number} >&3
             read answer <&3; test \"$answer\" = \"pong {number}\""
        ));
        firmware.expect(&format!("heard ping {number}"));
        let udev = gateway.sh("udevadm info --query=property /dev/ttyACM0");
        assert!(udev.contains("ID_SERIAL_SHORT=DE2706277"), "{udev}");
        assert_eq!(other.sh(list), before.1);
        conbee.unplug();
        expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
        assert_eq!(gateway.sh(list), before.0);
        firmware.rest();
        firmware = conbee.firmware();
    }

    // What cannot be there: a node whose owner is nobody of that container.
    daemon.hotseat(&["rule", "rm", "gateway", "1"]);
    daemon.hotseat(&[&["rule", "add", "gateway", "--owner", "4000000000"], &CONBEE[..]].concat());
    conbee.plug();
    let failed = watcher.expect(r#""event":"host-plug-failed""#);
    assert!(failed.contains("4000000000"), "{failed}");
    assert_eq!(gateway.sh(list), before.0);
    watcher.end("TERM");
}

fn expect_attached(watcher: &mut crate::harness::Program, session: &str) {
    let attached = watcher.expect(r#""event":"attached""#);
    assert!(attached.contains(&format!(r#""session":"{session}""#)), "{attached}");
}
