//! Under the unit as it is shipped, whose sandbox leaves the daemon enough for devices of the host.

use super::gadget::ConBee;
use super::{ADD_ON, LISTING};
use crate::harness::{Container, Program};
use crate::shipped::{PROGRAM, Shipped, hotseat};

#[test]
fn under_the_unit_as_shipped_a_dongle_comes_and_goes() {
    let conbee = ConBee::new();
    let _shipped = Shipped::start();
    let container = Container::start("shipped");
    hotseat(&format!("session add s --container {}", container.reference()));
    let before = container.sh(LISTING);
    hotseat("rule add s --vendor 1cf1 --product 0030 --link zigbee");
    let mut watcher = Program::start(&[PROGRAM, "watch", "--json", "--since", "0-0"]);
    let mut add_on = container.python(ADD_ON);
    add_on.expect("waiting");

    let mut firmware = conbee.firmware();
    conbee.plug();
    add_on.expect("add /dev/ttyACM0 1cf1 0030 DE2706277 True");
    add_on.expect("answer pong 1");
    firmware.expect("heard ping 1");
    super::expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    container.sh("exec 3<>/dev/zigbee; head -c 12 /dev/bus/usb/*/* | grep -q .");
    conbee.unplug();
    add_on.expect("remove /dev/ttyACM0");
    super::expect_event(&mut watcher, "host-unplugged", "/dev/bus");
    assert_eq!(container.sh(LISTING), before);
    // The next daemon has the rule, and finds the device.
    conbee.plug();
    super::expect_event(&mut watcher, "host-plugged", "/dev/ttyACM");
    crate::harness::sh("systemctl restart hotseat.service");
    hotseat("session ls");
    let mut watcher = Program::start(&[PROGRAM, "watch", "--json", "--since", "0-0"]);
    super::expect_event(&mut watcher, "host-plugged", "/dev/ttyACM");
    container.sh("exec 3<>/dev/zigbee");
    let doctor = hotseat("doctor || true");
    assert!(!doctor.contains("FAILED"), "{doctor}");
}
