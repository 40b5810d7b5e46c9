//! Containers that are ready before their first program: docs/ready.md, and its table.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Container, Daemon, HOTSEAT, IMAGE, Program, sh};

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
        try:
            for event in pad.read_loop():
                print("read", event.type, event.code, event.value)
        except OSError:
            print("lost", node)
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
        self.program.expect(&format!("lost {}", pad.node("event")));
    }

    fn pid(&self) -> u64 {
        let inspect =
            format!("{} inspect --format '{{{{.State.Pid}}}}' {}", self.engine, self.name);
        sh(&inspect).trim().parse().unwrap()
    }

    /// Its next life, when it has ended.
    fn start_again(&mut self) {
        let again = format!("exec {} start --attach {}", self.engine, self.name);
        self.program = Program::start(&["sh", "-c", &again]);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Podman waits ten seconds unless it is told not to; Docker has no such option.
        let time = if self.engine.starts_with("podman") { "--time 0" } else { "" };
        let remove = format!("{} rm --force {time} {}", self.engine, self.name);
        let _ = Command::new("sh").args(["-c", &remove]).output();
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
    let is_shown = |line: &&str| line.contains(" /dev/input ") || line.contains(" /run/udev ");
    mounts.lines().filter(|line| line.contains(" - tmpfs hotseat ")).filter(is_shown).count()
}

#[test]
fn a_container_started_with_plain_flags_is_ready_and_taken_over() {
    let daemon = Daemon::start();
    sh("systemctl start docker");
    for engine in ["docker", "podman"] {
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
fn a_container_started_with_plain_flags_is_ready_for_a_session_that_was_elsewhere() {
    let daemon = Daemon::start();
    let elsewhere = Container::start("elsewhere");
    daemon.hotseat(&["session", "add", "s", "--container", &elsewhere.reference()]);
    let flags = daemon.hotseat(&["session", "show", "s", "--flags"]);
    let mut container = Started::start("docker", "flags", flags.trim());
    container.expect_ready();
    // It shows the directories that the session gives up with the move.
    daemon.hotseat(&["session", "move", "s", &format!("pid:{}", container.pid())]);
    container.expect_plug(&daemon, "s");

    // The paths of the flags show the new ones.
    sh(&format!("docker kill {0} && docker wait {0}", container.name));
    daemon.hotseat(&["session", "move", "s", &elsewhere.reference()]);
    container.start_again();
    container.expect_ready();
    assert_eq!(mounts_of(container.pid()), 2);
    daemon.hotseat(&["session", "rm", "s"]);
    daemon.hotseat(&["session", "add", "s", "--container", &format!("pid:{}", container.pid())]);
    container.expect_plug(&daemon, "s");
}

/// Has Docker read CDI specifications (an option in Docker 25 to 27, on by itself from 28).
fn let_docker_use_cdi() {
    sh(r#"systemctl start docker
        grep -q '"cdi"' /etc/docker/daemon.json && exit
        python3 - <<END
import json
path = "/etc/docker/daemon.json"
config = json.load(open(path))
config.setdefault("features", {})["cdi"] = True
json.dump(config, open(path, "w"))
END
        systemctl reset-failed docker
        systemctl restart docker"#);
}

const SPECIFICATION: &str = "/etc/cdi/hotseat.json";

#[test]
fn a_cdi_device_makes_a_container_ready() {
    let mut daemon = Daemon::start();
    let_docker_use_cdi();
    for engine in ["docker", "podman", "podman --runtime runc"] {
        daemon.hotseat(&["session", "add", "s"]);
        let wrote = daemon.hotseat(&["cdi", "--wait", "30"]);
        assert_eq!(
            wrote,
            format!("wrote {SPECIFICATION}; its devices:\n--device hotseat.dev/session=s\n")
        );
        let device = "--device hotseat.dev/session=s";
        let mut container = Started::start(engine, "cdi", device);
        container.expect_ready();
        assert_eq!(mounts_of(container.pid()), 2, "{engine}");
        container.expect_plug(&daemon, "s");

        if engine == "podman --runtime runc" {
            // From here on it is Podman's own, as above.
            daemon.hotseat(&["session", "rm", "s"]);
            continue;
        }
        // Without the file it does not start again: so it is never taken away by itself.
        let stop = format!("{engine} kill {0} && {engine} wait {0}", container.name);
        sh(&stop);
        daemon.log().expect("the container ended");
        fs::remove_file(SPECIFICATION).unwrap();
        let start = format!("{engine} start {} 2>&1 && exit 9 || true", container.name);
        let refused = sh(&start);
        assert!(refused.contains("unresolvable CDI devices hotseat.dev/session=s"), "{refused}");
        daemon.hotseat(&["cdi", "--wait", "30", "--session", "s"]);

        // Its next life is ready as well, even when its session was forgotten.
        daemon.hotseat(&["session", "rm", "s"]);
        container.start_again();
        container.expect_ready();
        container.expect_plug(&daemon, "s");
        let pid = container.pid();
        let shown = daemon.json(&["session", "show", "s"]);
        assert_eq!(shown["container"]["pid"], pid, "{engine}");
        drop(container);
        daemon.log().expect("the container ended");

        assert_eq!(try_to_write(engine, device), "1\n", "{engine}");
        daemon.log().expect("the container ended");
        daemon.hotseat(&["session", "rm", "s"]);
    }
    fs::remove_file(SPECIFICATION).unwrap();
}

#[test]
fn a_session_becomes_a_cdi_device_where_that_is_configured_and_stays_one() {
    let mut daemon = Daemon::start();
    let directory = daemon.path("cdi");
    daemon.relaunch_with(&format!("cdi_dir = \"{}\"", directory.display()));
    let devices = || {
        let text = fs::read_to_string(directory.join("hotseat.json")).unwrap();
        let specification: Value = serde_json::from_str(&text).unwrap();
        let devices = specification["devices"].as_array().unwrap();
        devices.iter().map(|device| device["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    daemon.hotseat(&["session", "add", "bob"]);
    daemon.hotseat(&["session", "add", "alice"]);
    daemon.hotseat(&["session", "rm", "bob"]);
    assert_eq!(devices(), ["alice", "bob"]);
    // Until somebody says that none of its containers is left.
    let file = directory.join("hotseat.json").display().to_string();
    daemon.hotseat(&["cdi", "--prune", "--output", &file]);
    assert_eq!(devices(), ["alice"]);

    // One name that the engines refuse would take all devices away.
    let (status, problem) = daemon.call("POST", "/v1/sessions", r#"{"name":"bad-"}"#);
    assert_eq!((status, &problem["code"]), (400, &Value::from("session-name")), "{problem}");
    fs::write(&file, "{}").unwrap();
    let (status, problem) = daemon.call("POST", "/v1/sessions", r#"{"name":"carol"}"#);
    assert_eq!((status, &problem["code"]), (409, &Value::from("cdi-foreign")), "{problem}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    // Nothing of the refused ones stays.
    let sessions = daemon.json(&["session", "ls"]);
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
}

/// The configuration of a directory of OCI hooks.
fn hooks_dir(daemon: &Daemon) -> &'static str {
    daemon.hotseat(&["cdi", "--wait", "30", "--hooks-dir", "/tmp/hotseat-hooks"]);
    "podman --hooks-dir /tmp/hotseat-hooks"
}

#[test]
fn an_annotation_makes_a_container_ready_by_a_hook() {
    let daemon = Daemon::start();
    let podman = hooks_dir(&daemon);
    let annotation = "--annotation hotseat.session=s";
    let users = "--uidmap 0:100000:65536 --gidmap 0:100000:65536";
    for options in ["", "--read-only", users] {
        let mut container = Started::start(podman, "hook", &format!("{annotation} {options}"));
        container.expect_ready();
        container.expect_plug(&daemon, "s");
        daemon.hotseat(&["session", "rm", "s"]);
    }
}

#[test]
fn a_container_starts_even_if_the_daemon_is_slow_or_away() {
    let mut daemon = Daemon::start();
    let podman = hooks_dir(&daemon);
    // A second, as it is unless something else is asked for.
    daemon.hotseat(&["cdi", "--hooks-dir", "/tmp/hotseat-hooks"]);
    let annotation = "--annotation hotseat.session=s";
    daemon.hotseat(&["session", "add", "s"]);
    // Its socket is there, and nobody answers.
    sh(&format!("kill -STOP {}", daemon.pid()));
    let mut container = Started::start(podman, "slow", annotation);
    container.program.expect("process 1 lacks /run/udev/control");
    container.program.expect("listens");
    sh(&format!("kill -CONT {}", daemon.pid()));
    // Whether or not the daemon still did what the hook had asked for.
    daemon.hotseat(&["session", "attach", "s", &format!("pid:{}", container.pid())]);
    let pad = daemon.plug("s", "xbox-one");
    sh(&format!("{podman} exec {} sh -c 'exec 3<>{}'", container.name, pad.node("event")));
    daemon.hotseat(&["session", "rm", "s"]);

    daemon.crash();
    let mut container = Started::start(podman, "away", annotation);
    container.program.expect("process 1 lacks /run/udev/control");
    container.program.expect("listens");
    daemon.launch();
}

#[test]
fn a_listener_from_before_the_attach_stays_deaf_and_doctor_says_so() {
    let daemon = Daemon::start();
    daemon.hotseat(&["session", "add", "s"]);
    sh("systemctl start docker");
    let mut container = Started::start("docker", "late", "");
    container.program.expect("process 1 lacks /run/udev/control");
    container.program.expect("listens");
    daemon.hotseat(&["session", "attach", "s", &format!("pid:{}", container.pid())]);
    let checks = daemon.json(&["doctor", &format!("pid:{}", container.pid())]);
    let check = |name: &str| {
        let check = checks.as_array().unwrap().iter().find(|check| check["check"] == name);
        check.unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!((&*check("udev-control"), &*check("udev-monitors")), ("ok", "warning"), "{checks}");
    let script = FIRST.replace("-e $path", "-n again");
    let late = ["docker", "exec", &container.name, "sh", "-ec", &script];
    let mut late = Program::start(&late);
    late.expect("listens");
    let pad = daemon.plug("s", "xbox-one");
    late.expect(&format!("opened {}", pad.node("event")));
    sh(&format!("docker kill {}", container.name));
    let said = container.program.rest();
    assert!(!said.contains("heard add"), "{said}");
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
