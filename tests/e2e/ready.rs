//! Containers that are ready before their first program: docs/ready.md, and its table.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Daemon, HOTSEAT, IMAGE, Program, sh};

/// A container's first program. A shell looks first of all, and then becomes a program that listens with libudev: it
/// opens the node that it hears of, and reads an event.
const FIRST: &str = r#"
for path in /run/udev/control /run/udev/data /dev/input; do
    if [ -e $path ]; then echo "process $$ has $path"; else echo "process $$ lacks $path"; fi
done
exec python3 -u -c '
import evdev, pyudev
monitor = pyudev.Monitor.from_netlink(pyudev.Context())
monitor.start()
print("listens")
for device in iter(monitor.poll, None):
    node = device.device_node
    print("heard", device.action, node)
    if device.action == "add" and node and "event" in node:
        pad = evdev.InputDevice(node)
        print("opened", node)
        for event in pad.read_loop():
            print("read", event.type, event.code, event.value)
'"#;

/// What it says when nothing is missing.
const READY: [&str; 3] = [
    "process 1 has /run/udev/control\n",
    "process 1 has /run/udev/data\n",
    "process 1 has /dev/input\n",
];

/// A container whose first program is [`FIRST`], in the foreground.
struct Started {
    engine: &'static str,
    name: String,
    program: Program,
}

impl Started {
    /// `engine` is a command line up to `run`; `options` are those of `run`.
    fn start(engine: &'static str, name: &str, options: &str) -> Self {
        let name = format!("hotseat-{}-{name}", std::process::id());
        let run = format!("exec {engine} run --name {name} {options} {IMAGE} sh -ec \"$1\"");
        let program = Program::start(&["sh", "-c", &run, "sh", FIRST]);
        Self { engine, name, program }
    }

    fn expect_ready(&mut self) {
        for line in READY {
            assert_eq!(self.program.expect("process"), line);
        }
        self.program.expect("listens");
    }

    /// Plugs a pad that its first program hears of, opens and reads.
    fn expect_plug(&mut self, daemon: &Daemon, session: &str) {
        let pad = daemon.plug(session, "xbox-one");
        self.program.expect(&format!("opened {}", pad.node("event")));
        daemon.hotseat(&["send", session, &pad.slot(), "south=1"]);
        self.program.expect("read 1 304 1");
        daemon.hotseat(&["unplug", session, &pad.slot()]);
    }

    fn pid(&self) -> u64 {
        let inspect =
            format!("{} inspect --format '{{{{.State.Pid}}}}' {}", self.engine, self.name);
        sh(&inspect).trim().parse().unwrap()
    }

    fn engine(&self, command: &str) {
        sh(&format!("{} {command} {}", self.engine, self.name));
    }

    /// Its next life, seen from its first output on.
    fn follow(&mut self) {
        let logs = format!("exec {} logs --follow --since 0s {}", self.engine, self.name);
        self.program = Program::start(&["sh", "-c", &logs]);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let mut remove: Vec<_> = self.engine.split(' ').collect();
        remove.extend(["rm", "--force", &self.name]);
        let _ = Command::new(remove[0]).args(&remove[1..]).output();
    }
}

/// With what a container could make mounts writable.
const SYS_ADMIN: &str = "--cap-add SYS_ADMIN --security-opt apparmor=unconfined";

/// Tries to write, and to make it possible, as a program of a container that was started so.
fn try_to_write(engine: &str, options: &str) -> String {
    let attempt = "grep -c ' /dev/input .*hotseat' /proc/self/mountinfo
        for it in /dev/input /run/udev; do
            mount -o remount,bind,rw $it && echo remounted
            touch $it/planted && echo touched
            ln -s /etc $it/planted && echo linked
        done
        true";
    let command =
        format!("{engine} run --rm {SYS_ADMIN} {options} {IMAGE} sh -c \"$1\" 2>/dev/null");
    let output = Command::new("sh").args(["-c", &command, "sh", attempt]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// How many of a process's mounts are ours.
fn mounts_of(pid: u64) -> usize {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    mounts.lines().filter(|line| line.contains(" - tmpfs hotseat ")).count()
}

#[test]
fn a_container_started_with_plain_flags_is_ready_and_taken_over() {
    let daemon = Daemon::start();
    sh("systemctl start docker");
    for engine in ["docker", "podman", "podman --runtime runc"] {
        daemon.hotseat(&["session", "add", "s"]);
        let flags = daemon.hotseat(&["session", "show", "s", "--flags"]);
        let flags = flags.trim();
        let shown = daemon.hotseat(&["session", "show", "s"]);
        assert!(shown.contains(&format!("start a container with {flags}\n")), "{shown}");

        let mut container = Started::start(engine, "flags", flags);
        container.expect_ready();
        let pid = container.pid();
        assert_eq!(mounts_of(pid), 2);
        daemon.hotseat(&["session", "attach", "s", &format!("pid:{pid}")]);
        assert_eq!(mounts_of(pid), 2, "{engine}: taken over, not mounted twice");
        container.expect_plug(&daemon, "s");
        drop(container);

        assert_eq!(try_to_write(engine, flags), "1\n", "{engine}");
        daemon.hotseat(&["session", "rm", "s"]);
    }
}

#[test]
fn a_command_in_the_sandbox_is_ready() {
    let daemon = Daemon::start();
    let socket = daemon.path("sock").display().to_string();
    let run = [&*HOTSEAT, "--socket", &socket, "run", "--session", "s", "--", "sh", "-ec", FIRST];
    let mut program = Program::start(&run);
    // Process 1 is the sandbox's own, which reaps.
    for line in READY {
        assert_eq!(program.expect("process"), line.replace("process 1 ", "process 2 "));
    }
    program.expect("listens");
    let pad = daemon.plug("s", "xbox-one");
    program.expect(&format!("opened {}", pad.node("event")));
    daemon.hotseat(&["send", "s", &pad.slot(), "south=1"]);
    program.expect("read 1 304 1");
}
