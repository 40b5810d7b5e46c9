//! A session's devices are its own: against other containers, hostile containers, the runtime, the host.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;

use serde_json::Value;
use udev_forge::{Action, Monitor};

use crate::harness::{Container, Daemon, HOTSEAT, sh};

/// Makes a node for every input and hidraw minor there can be, tries to open each, and prints those that open.
const TRY_ALL_MINORS: &str = "
import os, stat
hidraw = next(int(line.split()[0]) for line in open('/proc/devices') if line.endswith(' hidraw\\n'))
opened = []
for major, minors in (13, 1024), (hidraw, 64):
    for minor in range(minors):
        path = '/dev/try'
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(major, minor))
        try:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            opened.append(f'{major}:{minor}')
        except OSError as error:
            assert error.errno in (1, 6, 19), error
        os.unlink(path)
print('opened', *sorted(opened))
";

#[test]
fn a_container_opens_its_own_devices_and_no_others() {
    let daemon = Daemon::start();
    let alice = Container::start("alice");
    let bob = Container::start("bob");
    daemon.hotseat(&["session", "add", "alice", "--container", &alice.reference()]);
    daemon.hotseat(&["session", "add", "bob", "--container", &bob.reference()]);
    let pad = daemon.plug("alice", "dualsense");
    daemon.plug("bob", "keyboard");
    daemon.plug("bob", "dualsense");

    // Docker gives CAP_MKNOD by default: the nodes can be made, only the grant decides.
    let numbers = |session: &Value| {
        let devices = session["devices"].as_array().unwrap().iter();
        let nodes = devices.flat_map(|device| device["nodes"].as_array().unwrap());
        let mut numbers: Vec<_> =
            nodes.map(|node| format!("{}:{}", node["major"], node["minor"])).collect();
        numbers.sort_unstable();
        format!("opened {}", numbers.join(" "))
    };
    let opened =
        |container: &Container| container.python(TRY_ALL_MINORS).expect("opened").trim().to_owned();
    let show = |session| daemon.json(&["session", "show", session]);
    assert_eq!(opened(&alice), numbers(&show("alice")));
    assert_eq!(opened(&bob), numbers(&show("bob")));
    assert!(pad.node("hidraw").starts_with("/dev/hidraw"));

    let stranger = Container::start("stranger");
    assert_eq!(opened(&stranger), "opened");

    daemon.hotseat(&["unplug", "alice", "0"]);
    assert_eq!(opened(&alice), "opened");
}

#[test]
fn two_containers_hear_nothing_of_each_other() {
    let daemon = Daemon::start();
    let alice = Container::start("alice");
    let bob = Container::start("bob");
    daemon.hotseat(&["session", "add", "alice", "--container", &alice.reference()]);
    daemon.hotseat(&["session", "add", "bob", "--container", &bob.reference()]);
    let monitor = |container: &Container| {
        let mut monitor = container.program(&[], &["udevadm", "monitor", "--udev", "--property"]);
        monitor.expect("UDEV - the event");
        monitor
    };
    let (mut alices, mut bobs) = (monitor(&alice), monitor(&bob));
    let pad = daemon.plug("alice", "xbox-one");
    daemon.hotseat(&["unplug", "alice", "0"]);
    let mouse = daemon.plug("bob", "mouse");
    daemon.hotseat(&["unplug", "bob", "0"]);

    // Each hears its own device to the end, and not a word of the other's.
    for name in ["event", "js", "js", "event"] {
        alices.expect(&format!("DEVNAME={}", pad.node(name)));
    }
    for name in ["event", "mouse", "mouse", "event"] {
        bobs.expect(&format!("DEVNAME={}", mouse.node(name)));
    }
    let (alices, bobs) = (alices.end("TERM"), bobs.end("TERM"));
    assert!(!alices.contains("ID_INPUT_MOUSE"), "{alices}");
    assert!(!bobs.contains("ID_INPUT_JOYSTICK"), "{bobs}");
    assert_eq!(alice.sh("ls /dev/input /run/udev/data"), bob.sh("ls /dev/input /run/udev/data"));
}

#[test]
fn a_grant_survives_the_runtime_and_systemd() {
    sh("systemctl start docker");
    let mut daemon = Daemon::start();
    daemon.relaunch_with("follow = true");
    daemon.terminate();
    // That nothing was missing is said there.
    daemon.launch_by(&["env", "RUST_LOG=hotseat=debug"]);
    daemon.log().expect("are followed runtime=docker");
    let container = Container::start("update");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let opens = || container.sh(&format!("exec 3<>{}", pad.node("event")));
    opens();
    // Elsewhere grants are given again, once we have heard of it.
    let is_never_lost = daemon.traces().grants.starts_with("by root override");
    let (update, reload) = ("an update of a container", "a reload of systemd");
    for (disturbance, heard) in [
        (format!("docker update --cpus 1 {}", container.name), Some(update)),
        ("systemctl daemon-reload".to_owned(), Some(reload)),
        (
            format!("docker update --memory 300m --memory-swap 300m {}", container.name),
            Some(update),
        ),
        ("systemctl daemon-reexec".to_owned(), Some(reload)),
        (format!("docker pause {0} && docker unpause {0}", container.name), None),
    ] {
        sh(&disturbance);
        if let Some(heard) = heard.filter(|_| !is_never_lost) {
            daemon.log().expect(&format!("after=\"{heard}\""));
        }
        opens();
    }
}

#[test]
fn a_planted_link_is_refused_and_the_host_stays_untouched() {
    let daemon = Daemon::start();
    let before = listing();
    let container = Container::start("plant");
    let refused = "mount-point-refused";
    let cases = [
        ("ln -s /etc /dev/input", "rm /dev/input", refused),
        ("ln -s ../../../etc /dev/input", "rm /dev/input", refused),
        ("touch /dev/input", "rm /dev/input", refused),
        ("mkfifo /dev/input", "rm /dev/input", refused),
        ("ln -s /proc/self/root/dev /dev/input", "rm /dev/input", refused),
        ("mkdir /dev/input; touch /dev/input/event0", "rm -r /dev/input", "mount-point-occupied"),
        ("rm -rf /run/udev; ln -s /etc /run/udev", "rm /run/udev", refused),
        ("mv /run /run2; ln -s /etc /run", "rm /run; mv /run2 /run", refused),
    ];
    for (plant, undo, code) in cases {
        container.sh(plant);
        let body = format!(r#"{{"name":"s","container":"{}"}}"#, container.reference());
        let (status, problem) = daemon.call("POST", "/v1/sessions", &body);
        assert_eq!((status, problem["code"].as_str()), (409, Some(code)), "{plant}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("/dev/input") || detail.contains("/run"), "{plant}: {detail}");
        let inside = container.sh("cat /proc/self/mountinfo");
        assert!(!inside.contains("hotseat"), "{plant}: a mount was left:\n{inside}");
        container.sh(undo);
    }
    // Nothing of the refusals stays: the same container can be attached now.
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.hotseat(&["session", "rm", "s"]);
    assert_eq!(listing(), before);
    assert_eq!(daemon.json(&["session", "ls"]), Value::Array(Vec::new()));
}

/// The host's directories that planted links point to.
fn listing() -> String {
    sh("find /etc /etc/udev /dev/input /run/udev -maxdepth 1 -printf '%p %y %l\n' | sort -u")
}

#[test]
fn a_privileged_container_is_not_shadowed() {
    let daemon = Daemon::start();
    let container = Container::start_with("privileged", "--privileged", "");
    let body = format!(r#"{{"name":"s","container":"{}"}}"#, container.reference());
    let (status, problem) = daemon.call("POST", "/v1/sessions", &body);
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("mount-point-occupied")),
        "{problem}"
    );
    assert!(problem["hint"].as_str().unwrap().contains("--privileged"), "{problem}");
}

#[test]
fn the_container_cannot_change_its_devices() {
    let daemon = Daemon::start();
    let container = Container::start("readonly");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let event = pad.node("event");
    for attempt in [
        format!("rm {event}"),
        format!("chmod 600 {event}"),
        format!("mv {event} /dev/input/event99"),
        "mknod /dev/input/event99 c 13 99".to_owned(),
        "touch /run/udev/data/c13:64".to_owned(),
        "rm /run/udev/control".to_owned(),
        "umount /dev/input".to_owned(),
    ] {
        let output = container.try_sh(&attempt);
        assert!(!output.status.success(), "`{attempt}` worked");
    }
    container.sh(&format!("exec 3<>{event}"));
}

#[test]
fn forged_events_have_the_numbers_of_the_kernels() {
    let daemon = Daemon::start();
    let container = Container::start("numbers");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pid = sh(&format!("docker inspect --format '{{{{.State.Pid}}}}' {}", container.name));
    let netns = fs::File::open(format!("/proc/{}/ns/net", pid.trim())).unwrap();
    let [inside, host] = [Monitor::open_in(netns.as_fd()).unwrap(), Monitor::open().unwrap()];
    daemon.plug("s", "keyboard");
    sh("udevadm settle");

    let added = |monitor: &Monitor| {
        let mut added = BTreeMap::new();
        while let Some(received) = monitor.try_recv().unwrap() {
            let message = received.message;
            if message.action() == Action::Add
                && message.devpath().starts_with("/devices/virtual/input/")
            {
                added.insert(message.devpath().to_owned(), message.seqnum());
            }
        }
        added
    };
    let (forged, genuine) = (added(&inside), added(&host));
    // The device, its event node, and a lamp for each of its LEDs.
    assert!(forged.len() > 3, "{forged:?}");
    assert_eq!(forged, genuine);
}

#[test]
fn the_host_keeps_its_seat_to_itself() {
    sh(&format!("{} setup", *HOTSEAT));
    let daemon = Daemon::start();
    let container = Container::start("seat");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);

    let host = Monitor::open().unwrap();
    let devices =
        ["xbox-one", "keyboard", "mouse", "dualsense"].map(|profile| daemon.plug("s", profile));
    sh("udevadm settle");
    // The pad's hidraw node, lights and battery are nobody's either.
    let others = sh("for it in /sys/class/hidraw/* /sys/class/leds/* /sys/class/power_supply/*; do
        case $(readlink -f $it) in */virtual/*) udevadm info --query=property $it; echo; esac
    done");
    let others: Vec<&str> = others.trim().split("\n\n").collect();
    assert!(others.len() > 6, "{others:?}");
    for other in others {
        assert!(other.contains("ID_SEAT=seat-hotseat"), "{other}");
        let tags = other.lines().find_map(|line| line.strip_prefix("CURRENT_TAGS="));
        assert_eq!(tags, Some(":seat-hotseat:"), "{other}");
    }
    assert_eq!(
        sh("stat --format '%a %U %G' /dev/hidraw*").trim().lines().last(),
        Some("600 root root")
    );
    for device in &devices {
        for node in device.0["nodes"].as_array().unwrap() {
            let path = node["path"].as_str().unwrap();
            let properties = sh(&format!("udevadm info --query=property {path}"));
            assert!(properties.contains("ID_SEAT=seat-hotseat\n"), "{path}: {properties}");
            assert!(properties.contains("LIBINPUT_IGNORE_DEVICE=1\n"), "{path}: {properties}");
            // The seat's own tag is the only one in force; 73-seat-late.rules sets it.
            assert!(properties.contains("CURRENT_TAGS=:seat-hotseat:\n"), "{path}: {properties}");
            for not in ["ID_INPUT_JOYSTICK=1", "ID_INPUT_KEYBOARD=1", "ID_INPUT_MOUSE=1"] {
                assert!(!properties.contains(not), "{path} has {not}: {properties}");
            }
            assert_eq!(sh(&format!("stat --format '%a %U %G' {path}")).trim(), "600 root root");
        }
    }
    let listed = sh("libinput list-devices");
    assert!(!listed.contains("Virtual mouse") && !listed.contains("X-Box"), "{listed}");

    // What the host's own udevd says of them, and nothing of what was said in the container.
    let mut heard = 0;
    while let Some(received) = host.try_recv().unwrap() {
        let properties = received.message.properties();
        if received.message.subsystem() == "input" {
            heard += 1;
            let tags = properties.get("CURRENT_TAGS");
            assert_eq!(tags, Some(":seat-hotseat:"), "{:?}", received.message);
            assert_eq!(properties.get("ID_SEAT"), Some("seat-hotseat"), "{:?}", received.message);
        }
    }
    // Three devices, two of them with two nodes, one with one; and the three of the whole pad, with two each.
    assert_eq!(heard, (3 + 2 + 1 + 2) + (3 + 3 * 2));

    let checks = daemon.json(&["doctor"]);
    let rules = checks.as_array().unwrap().iter().find(|check| check["check"] == "seat-rules");
    assert_eq!(rules.unwrap()["status"], "ok");
    fs::write("/etc/udev/rules.d/72-hotseat.rules", "# older\n").unwrap();
    let checks = daemon.json(&["doctor"]);
    let rules = checks.as_array().unwrap().iter().find(|check| check["check"] == "seat-rules");
    assert_eq!(rules.unwrap()["status"], "warning");
    sh(&format!("{} setup", *HOTSEAT));
}

#[test]
fn a_container_with_other_users_gets_its_own_root_as_owner() {
    let daemon = Daemon::start();
    let container = Container::start_with("user", "--user 1000:1000 --cap-drop ALL", "");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let event = pad.node("event");
    assert_eq!(container.sh(&format!("stat --format '%u %g %a' {event}")).trim(), "0 0 666");
    assert_eq!(container.sh("id -u").trim(), "1000");
    container.sh(&format!("exec 3<>{event}"));
}
