//! Containers with users of their own, and containers with a udevd of their own.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Container, Daemon, IMAGE, Program, SDL_TESTS, sh};

/// A Podman container with a user namespace, in which 65534 is a user, as with Docker's userns-remap.
struct Podman {
    name: String,
    pid: String,
}

impl Podman {
    fn start(name: &str, options: &str) -> Self {
        let name = format!("hotseat-{}-{name}", std::process::id());
        sh(&format!(
            "podman run --detach --name {name} --uidmap 0:100000:65536 --gidmap 0:100000:65536 {options} \
             {IMAGE} sleep infinity"
        ));
        let pid = sh(&format!("podman inspect --format '{{{{.State.Pid}}}}' {name}"));
        Self { name, pid: pid.trim().to_owned() }
    }

    fn reference(&self) -> String {
        format!("pid:{}", self.pid)
    }

    fn sh(&self, script: &str) -> String {
        sh(&format!("podman exec {} sh -ec '{script}'", self.name))
    }

    fn program(&self, command: &[&str]) -> Program {
        let all = [&["podman", "exec", "--interactive", &self.name], command].concat();
        Program::start(&all)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = Command::new("podman").args(["rm", "--force", "--time", "0", &self.name]).output();
    }
}

/// Starts a udevd where `program` starts programs, and waits until it answers.
fn start_udevd(program: impl Fn(&[&str]) -> Program) -> Program {
    let udevd = program(&["/usr/lib/systemd/systemd-udevd"]);
    let wait = "until udevadm control --ping 2>/dev/null; do :; done; echo answers";
    program(&["sh", "-c", wait]).expect("answers");
    udevd
}

fn start_monitor(program: impl Fn(&[&str]) -> Program) -> Program {
    let mut monitor = program(&["udevadm", "monitor", "--udev", "--property"]);
    monitor.expect("UDEV - the event which udev sends out after rule processing");
    monitor
}

/// The next events of a device of ours, as "ACTION NAME" with the name's number left out, and sorted: a udevd
/// works on siblings at the same time.
fn next_events(monitor: &mut Program, count: usize) -> Vec<String> {
    let event = |_| {
        // UDEV  [41.129876] add      /devices/virtual/input/input6/event4 (input)
        let line = monitor.expect("/devices/virtual/input/");
        let line = line.split(']').nth(1).unwrap();
        let mut words = line.split_whitespace();
        let action = words.next().unwrap();
        let name = words.next().unwrap().rsplit('/').next().unwrap();
        // The line that follows says the path again.
        monitor.expect("DEVPATH=");
        format!("{action} {}", name.trim_end_matches(|c: char| c.is_ascii_digit()))
    };
    let mut events: Vec<_> = (0..count).map(event).collect();
    events.sort_unstable();
    events
}

const PAD_COMES: [&str; 3] = ["add event", "add input", "add js"];
const PAD_GOES: [&str; 3] = ["remove event", "remove input", "remove js"];

fn check<'a>(checks: &'a Value, name: &str) -> &'a Value {
    checks.as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()
}

#[test]
fn a_container_with_users_of_its_own_sees_everything_as_its_own_roots() {
    let daemon = Daemon::start();
    let container = Podman::start("users", "");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["container"]["udev"], "forge");
    // This libudev takes no message but root's here, because the map has the overflow user.
    let map = fs::read_to_string(format!("/proc/{}/uid_map", container.pid)).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    let mut monitor = start_monitor(|command| container.program(command));
    let pad = daemon.plug("s", "xbox-one");
    monitor.expect(&format!("DEVNAME={}", pad.node("event")));

    // As udevd leaves it, to the letter of ls.
    let listed = container.sh("cd /run/udev; find . -type f -o -type s -o -type d | sort | \
         xargs stat --format \"%A %U:%G %n\"");
    let id = |node: &str| {
        let numbers = container.sh(&format!("stat --format %Hr:%Lr {}", pad.node(node)));
        format!("c{}", numbers.trim())
    };
    let parent = container.sh("cd /run/udev/data; echo +input:*");
    let parent = parent.trim();
    let mut expected = vec![
        "drwxr-xr-x root:root .".to_owned(),
        "srw------- root:root ./control".to_owned(),
        "drwxr-xr-x root:root ./data".to_owned(),
        format!("-rw-r--r-- root:root ./data/{parent}"),
        "drwxr-xr-x root:root ./tags".to_owned(),
        "drwxr-xr-x root:root ./tags/seat".to_owned(),
        format!("-r--r--r-- root:root ./tags/seat/{parent}"),
        "drwxr-xr-x root:root ./tags/uaccess".to_owned(),
    ];
    for node in ["event", "js"] {
        expected.push(format!("-rw-r--r-- root:root ./data/{}", id(node)));
        for tag in ["seat", "uaccess"] {
            expected.push(format!("-r--r--r-- root:root ./tags/{tag}/{}", id(node)));
        }
    }
    let mut listed: Vec<_> = listed.lines().collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);

    // To read and not to alter, though it is its own.
    container.sh("cat /run/udev/data/* /run/udev/tags/*/*");
    for attempt in [
        "touch /run/udev/data/c1:3",
        "echo E:ID_SEAT=seat9 >> /run/udev/data/c*",
        "chmod 666 /run/udev/control",
        "chown 1 /run/udev/data",
        "rm /run/udev/tags/seat/c*",
        "mkdir /run/udev/tags/other",
        "mount -o remount,bind,rw /run/udev",
    ] {
        let refused = sh(&format!(
            "podman exec {} sh -ec '{attempt}' 2>&1 && echo worked || echo refused",
            container.name
        ));
        assert!(refused.ends_with("refused\n"), "`{attempt}`: {refused}");
    }
    daemon.hotseat(&["unplug", "s", "0"]);
    monitor.expect("ACTION=remove");
}

#[test]
fn a_udevd_in_the_container_is_given_events_and_does_the_rest() {
    let daemon = Daemon::start();
    // A udevd needs this to speak to its listeners; the managers of booted containers give it.
    let container = Podman::start("udevd", "--cap-add NET_ADMIN");
    let program = |command: &[&str]| container.program(command);
    let udevd = start_udevd(program);

    let checks = daemon.json(&["doctor", &container.reference()]);
    assert_eq!(check(&checks, "udevd")["status"], "ok", "{checks}");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let shown = daemon.hotseat(&["session", "show", "s"]);
    assert!(shown.contains("udev inject\n"), "{shown}");

    let mut monitor = start_monitor(program);
    let mut sdl = program(&["env", "SDL_VIDEODRIVER=dummy", &format!("{SDL_TESTS}/testjoystick")]);
    for _ in 0..2 {
        let pad = daemon.plug("s", "xbox-one");
        let (event, js) = (pad.node("event"), pad.node("js"));
        sdl.expect("name: Xbox One S Controller");
        assert_eq!(next_events(&mut monitor, 3), PAD_COMES);
        // The udevd's own work: its socket, its database.
        assert_eq!(container.sh("stat --format %F /run/udev/control").trim(), "socket");
        let info = container.sh(&format!("udevadm info {event} {js}"));
        assert_eq!(info.matches("E: ID_INPUT_JOYSTICK=1").count(), 2, "{info}");
        assert_eq!(info.matches("E: CURRENT_TAGS=:").count(), 2, "{info}");
        // SDL 2.26 reads the press here and says nothing: its window has no focus.
        let script = format!(
            "import evdev\n\
             d = evdev.InputDevice('{event}')\n\
             print('opened', flush=True)\n\
             for e in d.read_loop(): print(e.type, e.code, e.value, flush=True)"
        );
        let mut evdev = program(&["python3", "-c", &script]);
        evdev.expect("opened");
        daemon.hotseat(&["send", "s", &pad.slot(), "south=1"]);
        evdev.expect("1 304 1");
        daemon.hotseat(&["unplug", "s", &pad.slot()]);
        sdl.expect("removed.");
        // Nothing else came before: it would be among these.
        assert_eq!(next_events(&mut monitor, 3), PAD_GOES);
        assert_eq!(container.sh("ls /run/udev/data"), "");
    }
    assert!(!daemon.path("stage/s/udev/data").read_dir().unwrap().any(|entry| entry.is_ok()));
    let heard = monitor.end("TERM");
    assert!(!heard.contains("UDEV_WORKER_FAILED"), "{heard}");
    drop(udevd);
}

#[test]
fn a_udevd_that_hears_the_kernel_is_told_nothing_twice() {
    let daemon = Daemon::start();
    let container = Container::start_with("kernel", "--cap-add NET_ADMIN", "");
    let program = |command: &[&str]| container.program(&[], command);
    let udevd = start_udevd(program);
    let checks = daemon.json(&["doctor", &container.reference()]);
    assert_eq!(check(&checks, "udevd")["status"], "warning", "{checks}");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let shown = daemon.json(&["session", "show", "s"]);
    assert_eq!(shown["container"]["udev"], "kernel");

    let mut monitor = start_monitor(program);
    for _ in 0..2 {
        let pad = daemon.plug("s", "xbox-one");
        container.sh(&format!("exec 3<>{}", pad.node("event")));
        assert_eq!(next_events(&mut monitor, 3), PAD_COMES);
        daemon.hotseat(&["unplug", "s", "0"]);
        assert_eq!(next_events(&mut monitor, 3), PAD_GOES);
    }
    drop(udevd);
}

#[test]
fn programs_with_libudev_zero_are_told_where_it_is_configured() {
    let mut daemon = Daemon::start();
    daemon.relaunch_with("libudev_zero = true");
    let container = Container::start("zero");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut listener = container.python(
        "import socket\n\
         s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)\n\
         s.bind((0, 4))\n\
         print('listens', flush=True)\n\
         while True: print(*s.recv(8192).decode().split('\\0'), flush=True)",
    );
    listener.expect("listens");
    let pad = daemon.plug("s", "xbox-one");
    let event = pad.node("event").replace("/dev/", " DEVNAME=");
    let added = listener.expect(&event);
    assert!(added.starts_with("ACTION=add DEVPATH=/devices/virtual/input/"), "{added}");
    assert!(added.contains(" ID_INPUT_JOYSTICK=1 "), "{added}");
    daemon.hotseat(&["unplug", "s", "0"]);
    let removed = listener.expect(&event);
    assert!(removed.starts_with("ACTION=remove "), "{removed}");
}
