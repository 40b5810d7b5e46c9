//! Real devices of the host in containers that were there before them. Each example of the founding texts is a test.

mod bare;
mod cycles;
mod follow;
mod gadget;
mod lost;
mod pads;
mod places;
mod qemu;
mod service;
mod usb;

use serde_json::Value;

use self::gadget::ConBee;
use crate::harness::{Container, Daemon, HOTSEAT, Program, files, sh};

/// A gateway's add-on: it finds its dongle through libudev and pyserial, plays ping-pong with it, and goes on when that is
/// pulled out. It does not let go of a line.
const ADD_ON: &str = r"
import os, pyudev, serial, serial.tools.list_ports
context = pyudev.Context()
monitor = pyudev.Monitor.from_netlink(context)
monitor.filter_by('tty')
monitor.start()
print('waiting', flush=True)
lines = []
for device in iter(monitor.poll, None):
    print(device.action, device.device_node, device.get('ID_VENDOR_ID'), device.get('ID_MODEL_ID'),
          device.get('ID_SERIAL_SHORT'), device.is_initialized, sep=' ', flush=True)
    if device.action == 'remove':
        print('present' if os.path.lexists(device.device_node) else 'absent', flush=True)
        if lines:
            try:
                ended = lines[-1].read()
            except serial.SerialException:
                # A line that is gone hangs up.
                ended = b''
            print('ended', ended, flush=True)
        continue
    ports = serial.tools.list_ports.comports()
    print('found', *(port.hwid for port in ports if port.device == device.device_node), flush=True)
    lines.append(serial.Serial(device.device_node))
    lines[-1].write(b'ping %d\n' % len(lines))
    print('answer', lines[-1].readline().decode().strip(), flush=True)
";

/// A daemon that watches the host's devices already, for which it has descriptors of its own.
fn watching() -> Daemon {
    let daemon = Daemon::start();
    daemon.hotseat(&["devices"]);
    daemon
}

fn session(daemon: &Daemon, name: &str, container: &Container) {
    daemon.hotseat(&["session", "add", name, "--container", &container.reference()]);
}

/// Reads on until this happens to the device whose path begins so.
fn expect_event(watcher: &mut Program, event: &str, path: &str) -> String {
    loop {
        let line = watcher.expect(&format!(r#""event":"{event}""#));
        if line.contains(&format!(r#""path":"{path}"#)) {
            return line;
        }
    }
}

/// Everything in /dev, and what udev says there.
const LISTING: &str = "find /dev /run/udev -printf '%p %y %m %l\n' | sort";

/// The rules of the text, `c 166:*` and `c 188:*`, ask for a number; that of the dongle is its identity.
const CONBEE: [&str; 6] = ["--subsystem", "tty", "--vendor", "1cf1", "--product", "0030"];

/// balenaOS: a gateway that must start without its Zigbee dongle finds it when it is plugged in.
#[test]
fn a_conbee_ii_appears_vanishes_and_comes_back_in_the_gateway_of_balenaos() {
    let conbee = ConBee::new();
    let daemon = watching();
    let (gateway, other) = (Container::start("gateway"), Container::start("other"));
    session(&daemon, "gateway", &gateway);
    session(&daemon, "other", &other);
    let before = (daemon.traces(), gateway.sh(LISTING), other.sh(LISTING));
    let added = daemon.json(&[&["rule", "add", "gateway"], &CONBEE[..]].concat());
    assert_eq!(added["devices"], Value::Array(Vec::new()), "{added}");
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut add_on = gateway.python(ADD_ON);
    add_on.expect("waiting");
    let mut elsewhere = other.python(ADD_ON);
    elsewhere.expect("waiting");

    let mut firmware = conbee.firmware();
    conbee.plug();
    add_on.expect("add /dev/ttyACM0 1cf1 0030 DE2706277 True");
    add_on.expect("found USB VID:PID=1CF1:0030 SER=DE2706277");
    add_on.expect("answer pong 1");
    firmware.expect("heard ping 1");
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    let shown = daemon.json(&["session", "show", "gateway"]);
    assert_eq!(shown["host_devices"][0]["path"], "/dev/ttyACM0", "{shown}");
    assert_eq!(shown["host_devices"][0]["verified"], true, "{shown}");
    // By the name that stays the same, too, as on the host.
    let by_id = gateway.sh("readlink -f /dev/serial/by-id/*DE2706277*");
    assert_eq!(by_id.trim(), "/dev/hotseat/ttyACM0");
    assert_eq!(
        gateway.sh("ls /dev/serial/by-id"),
        sh("ls /dev/serial/by-id"),
        "the host's own names"
    );

    // Who has no rule sees nothing, and opens nothing.
    assert_eq!(other.sh(LISTING), before.2);
    let refused = other.try_sh("mknod /tmp/acm c 166 0; exec 3<>/tmp/acm");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");

    conbee.unplug();
    add_on.expect("remove /dev/ttyACM0 1cf1 0030 DE2706277");
    add_on.expect("absent");
    add_on.expect("ended b''");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    assert_eq!(gateway.sh(LISTING), before.1);
    firmware.rest();
    let refused = gateway.try_sh("mknod /tmp/acm c 166 0; exec 3<>/tmp/acm");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");

    // The add-on has not let go of the old line, so the kernel gives the new one another number.
    let mut firmware = conbee.firmware();
    conbee.plug();
    add_on.expect("add /dev/ttyACM1 1cf1 0030 DE2706277 True");
    add_on.expect("answer pong 2");
    firmware.expect("heard ping 2");
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM1");
    conbee.unplug();
    add_on.expect("remove /dev/ttyACM1");

    let heard = elsewhere.end("TERM");
    assert!(!heard.contains("add"), "{heard}");
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM1");
    add_on.end("TERM");
    watcher.end("TERM");
    daemon.hotseat(&["rule", "rm", "gateway", "1"]);
    assert_eq!((gateway.sh(LISTING), other.sh(LISTING)), (before.1, before.2));
    daemon.returns_to(&before.0);
}

/// The same in the built-in sandbox, where the dongle is there first, goes, and comes back.
#[test]
fn a_conbee_ii_is_in_a_sandbox_that_starts_after_it() {
    let conbee = ConBee::new();
    let _firmware = conbee.firmware();
    conbee.plug();
    let daemon = Daemon::start();
    daemon.hotseat(&["session", "add", "box"]);
    daemon.hotseat(&[&["rule", "add", "box", "--link", "zigbee"], &CONBEE[..]].concat());
    let script = "import os, pyudev
for line in iter(input, 'end'):
    found = pyudev.Context().list_devices(subsystem='tty', ID_SERIAL_SHORT='DE2706277')
    print(*(d.device_node for d in found), os.access('/dev/zigbee', os.R_OK | os.W_OK), 'found', flush=True)";
    let socket = daemon.path("sock").display().to_string();
    let run = ["run", "--session", "box", "--", "python3", "-c", script];
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut sandbox = Program::start(&[&[&*HOTSEAT, "--socket", &socket], &run[..]].concat());
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    sandbox.say("look");
    assert_eq!(sandbox.expect("found").trim(), "/dev/ttyACM0 True found");
    conbee.unplug();
    expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
    sandbox.say("look");
    assert_eq!(sandbox.expect("found").trim(), "False found");
    conbee.plug();
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    sandbox.say("look");
    assert_eq!(sandbox.expect("found").trim(), "/dev/ttyACM0 True found");
    sandbox.say("end");
    sandbox.rest();
}

/// Where the clock is: Avassa's 250 is given out by the kernel as it goes.
fn rtc_major() -> String {
    let major = sh("awk '$2 == \"rtc\" { print $1 }' /proc/devices");
    major.trim().to_owned()
}

const BUSYBOX: &str = "-v /usr/bin/busybox:/usr/bin/busybox:ro";

/// Avassa: a rule of type, major, minor and permissions, and `hwclock -r`.
#[test]
fn the_clock_of_avassas_tutorial_is_read_by_hwclock() {
    let daemon = watching();
    let container = Container::start_with("busybox", BUSYBOX, "");
    session(&daemon, "clock", &container);
    let before = (daemon.traces(), container.sh(LISTING));
    let refused = container.try_sh("busybox hwclock -r");
    assert!(!refused.status.success(), "{refused:?}");

    let rule = ["rule", "add", "clock", "--type", "character", "--major", &rtc_major()];
    let added = daemon.json(&[&rule[..], &["--minor", "any", "--access", "r"]].concat());
    assert_eq!(added["devices"], serde_json::json!(["/dev/rtc0"]), "{added}");
    let time = container.sh("busybox hwclock -r");
    assert!(time.contains("seconds") || time.contains("20"), "{time}");
    // No more than was said.
    let refused = container.try_sh("exec 3<>/dev/rtc0");
    assert!(!refused.status.success(), "{refused:?}");
    daemon.hotseat(&["rule", "rm", "clock", "1"]);
    let refused = container.try_sh("busybox hwclock -r");
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(container.sh(LISTING), before.1);
    daemon.returns_to(&before.0);
}

/// Avassa: a loop device that is made on the host stays closed, and so do memory and disks.
#[test]
fn the_loop_device_of_avassas_tutorial_stays_closed() {
    let daemon = Daemon::start();
    let container = Container::start("loop");
    session(&daemon, "clock", &container);
    daemon.hotseat(&["rule", "add", "clock", "--major", &rtc_major(), "--access", "rm"]);
    sh("modprobe loop; truncate --size 1M /tmp/loop99.img; losetup /dev/loop99 /tmp/loop99.img");
    let tried = daemon.json(&["rule", "add", "clock", "--devname", "loop99", "--dry-run"]);
    let loop99 = tried.as_array().unwrap().iter().find(|device| device["path"] == "/dev/loop99");
    let why = loop99.unwrap()["rules"][0]["why_not"].as_str().unwrap().to_owned();
    assert!(why.contains(r#"danger = ["disk"]"#), "{why}");
    // A rule that is wide enough does not mean it either.
    daemon.hotseat(&["rule", "add", "clock", "--type", "block", "--danger", "everything"]);
    assert!(!container.sh("ls -R /dev").contains("loop99"));
    for (node, numbers) in [("loop99", "b 7 99"), ("mem", "c 1 1"), ("disk", "b 254 0")] {
        let script = format!("mknod /tmp/{node} {numbers}; cat /tmp/{node} > /dev/null");
        let refused = container.try_sh(&script);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");
    }
    // With the word it is, and is the container's as long as the rule is there.
    let rule = ["rule", "add", "clock", "--devname", "loop99", "--danger", "disk", "--access", "r"];
    assert_eq!(daemon.json(&rule)["devices"], serde_json::json!(["/dev/loop99"]));
    container.sh("head -c 512 /dev/loop99 > /dev/null");
    daemon.hotseat(&["rule", "rm", "clock", "3"]);
    let refused = container.try_sh("head -c 512 /tmp/loop99");
    assert!(!refused.status.success(), "{refused:?}");
    sh("losetup --detach /dev/loop99; rm /tmp/loop99.img");
}

/// Avassa's smart card reader is reached by its USB device node, whose number changes with every plug.
#[test]
fn all_nodes_of_a_usb_device_follow_with_their_new_numbers() {
    let conbee = ConBee::new();
    let daemon = watching();
    let container = Container::start("usb");
    session(&daemon, "usb", &container);
    let before = (daemon.traces(), container.sh(LISTING));
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    daemon.hotseat(&["rule", "add", "usb", "--vendor", "1cf1", "--product", "0030"]);
    let mut seen = Vec::new();
    for _ in 0..2 {
        conbee.plug();
        expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
        let shown = daemon.json(&["session", "show", "usb"]);
        let devices = shown["host_devices"].as_array().unwrap();
        let paths = devices.iter().map(|device| device["path"].as_str().unwrap());
        let paths: Vec<_> = paths.filter(|path| path.starts_with("/dev/")).collect();
        assert_eq!(paths.len(), 2, "{shown}");
        assert!(paths[0].starts_with("/dev/bus/usb/"), "the device before its line: {paths:?}");
        // The descriptors, as libusb reads them: vendor and product are bytes 8 to 11.
        let bytes = container.sh(&format!("head -c 12 {} | od -An -tx1 -j8", paths[0]));
        assert_eq!(bytes.trim(), "f1 1c 30 00");
        let name = format!("pyudev.Devices.from_device_file(pyudev.Context(), '{}')", paths[0]);
        let mut udev =
            container.python(&format!("import pyudev; print({name}['ID_SERIAL_SHORT'])"));
        udev.expect("DE2706277");
        seen.push(format!("{} {}", paths[0], devices[0]["minor"]));
        conbee.unplug();
        expect_event(&mut watcher, "host-unplugged", "/dev/bus");
        assert_eq!(container.sh(LISTING), before.1);
    }
    assert_ne!(seen[0], seen[1]);
    watcher.end("TERM");
    daemon.hotseat(&["rule", "rm", "usb", "1"]);
    daemon.returns_to(&before.0);
}

#[test]
fn a_rule_of_the_configuration_an_exclusive_device_and_why_another_has_it_not() {
    let conbee = ConBee::new();
    let mut daemon = Daemon::start();
    daemon.relaunch_with(
        "[[rule]]\nsession = \"*\"\nvendor = \"1cf1\"\nsubsystem = \"tty\"\nexclusive = true\nmode = \"0640\"\n\
         group = 20\nrequired = true",
    );
    let (one, two) = (Container::start("one"), Container::start("two"));
    session(&daemon, "one", &one);
    let shown = daemon.run(&["session", "show", "one"]);
    let warning = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(warning.contains("rule config0 has no device, which is required"), "{warning}");
    let of_doctor = || {
        let doctor = String::from_utf8(daemon.run(&["doctor"]).stdout).unwrap();
        let lines = doctor.lines().filter(|line| line.contains(" host-devices "));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let warning = of_doctor();
    assert!(
        warning.starts_with("warning") && warning.contains("rule config0 of session `one`"),
        "{warning}"
    );
    conbee.plug();
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    assert!(of_doctor().starts_with("ok"), "{}", of_doctor());
    assert_eq!(one.sh("stat -L -c '%a %u %g' /dev/ttyACM0").trim(), "640 0 20");
    session(&daemon, "two", &two);
    let failed = watcher.expect(r#""event":"host-plug-failed""#);
    assert!(failed.contains("host-device-taken") && failed.contains("`one`"), "{failed}");
    let warning = of_doctor();
    assert!(warning.starts_with("warning") && warning.contains("has `/dev/ttyACM0`"), "{warning}");
    let devices = daemon.json(&["devices"]);
    let tty = devices.as_array().unwrap().iter().find(|device| device["path"] == "/dev/ttyACM0");
    let rules = tty.unwrap()["rules"].as_array().unwrap();
    let plugged: Vec<_> = rules.iter().map(|rule| (&rule["session"], &rule["plugged"])).collect();
    assert_eq!(
        format!("{plugged:?}"),
        r#"[(String("one"), Bool(true)), (String("two"), Bool(false))]"#
    );
    // It comes to the other when the one gives it up.
    daemon.hotseat(&["session", "rm", "one"]);
    let plugged = expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
    assert!(plugged.contains(r#""session":"two""#), "{plugged}");
    two.sh("exec 3<>/dev/ttyACM0");
    watcher.end("TERM");
}

#[test]
fn a_daemon_that_is_killed_leaves_nothing_and_the_next_one_brings_the_device_back() {
    let conbee = ConBee::new();
    conbee.plug();
    sh("udevadm settle");
    let mut daemon = Daemon::start();
    let container = Container::start("killed");
    session(&daemon, "s", &container);
    let before = container.sh(LISTING);
    let added = daemon.json(&[&["rule", "add", "s"], &CONBEE[..]].concat());
    assert_eq!(added["devices"], serde_json::json!(["/dev/ttyACM0"]), "{added}");
    let with_it = container.sh(LISTING);
    let mut add_on = container.python(ADD_ON);
    add_on.expect("waiting");

    daemon.crash();
    daemon.launch();
    // Programs are told that it is gone, and that it is there.
    add_on.expect("remove /dev/ttyACM0");
    add_on.expect("add /dev/ttyACM0 1cf1 0030 DE2706277 True");
    assert_eq!(container.sh(LISTING), with_it);

    // Gone while there was no daemon.
    daemon.crash();
    conbee.unplug();
    sh("udevadm settle");
    daemon.launch();
    assert_eq!(container.sh(LISTING), before);
    assert_eq!(daemon.json(&["rule", "ls", "s"])[0]["id"], "1");
    assert_eq!(files(&daemon.path("stage")), [daemon.path("stage/s/udev/control")].into());
}
