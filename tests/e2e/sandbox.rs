//! `hotseat run`: the container that needs no engine.

use serde_json::Value;

use crate::harness::{Daemon, HOTSEAT, Program, SDL_TESTS, sh};

#[test]
fn a_command_runs_with_its_devices_from_the_start() {
    let daemon = Daemon::start();
    let script = "ls /dev/input | sort | tr '\\n' ' '; set -- /dev/input/event*; exec 3<>$1; echo opened; \
                  ls /dev | grep -c uinput; exit 7";
    let output =
        daemon.run(&["run", "--session", "s", "--plug", "xbox-one", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.starts_with("event") && stdout.contains(" js") && stdout.contains("opened\n0\n"),
        "{stdout}"
    );
    assert_eq!(daemon.json(&["session", "ls"]), Value::Array(Vec::new()));
    assert_eq!(sh("find /sys/fs/cgroup -maxdepth 1 -name 'hotseat*' | wc -l").trim(), "0");
}

#[test]
fn a_session_that_waits_for_its_container_gets_the_sandbox_and_stays() {
    let daemon = Daemon::start();
    daemon.hotseat(&["session", "add", "s"]);
    let script = "ls /dev/input | grep -c event";
    let run = ["run", "--session", "s", "--plug", "mouse", "--", "sh", "-c", script];
    assert_eq!(daemon.hotseat(&run).trim(), "1");
    assert_eq!(daemon.hotseat(&run).trim(), "1");
    assert_eq!(daemon.json(&["session", "ls"])[0]["name"], "s");
    daemon.hotseat(&["session", "rm", "s"]);
}

#[test]
fn sdl_in_the_sandbox_sees_a_pad_come_and_go() {
    let daemon = Daemon::start();
    let testjoystick = format!("{SDL_TESTS}/testjoystick");
    let socket = daemon.path("sock").display().to_string();
    let mut sdl = Program::start(&[
        "env",
        "SDL_VIDEODRIVER=dummy",
        &HOTSEAT,
        "--socket",
        &socket,
        "run",
        "--session",
        "game",
        "--",
        "sh",
        "-c",
        &format!("echo inside; exec {testjoystick}"),
    ]);
    sdl.expect("inside");
    for _ in 0..2 {
        daemon.plug("game", "xbox-one");
        sdl.expect("Joystick device 0 added");
        daemon.hotseat(&["send", "game", "0", "south=1"]);
        sdl.expect("button 0 down");
        daemon.hotseat(&["unplug", "game", "0"]);
        sdl.expect("removed.");
    }
    // SIGTERM ends the sandbox, and the session with it.
    daemon.plug("game", "mouse");
    sdl.end("TERM");
    assert_eq!(daemon.json(&["session", "ls"]), Value::Array(Vec::new()));
}

#[test]
fn the_sandbox_is_a_container_like_any_other() {
    let daemon = Daemon::start();
    let socket = daemon.path("sock").display().to_string();
    let script = "echo inside; grep ' / / ' /proc/self/mountinfo >/dev/null; \
                  mknod /dev/try c 10 223; (exec 3<>/dev/try) 2>&1 || true; \
                  (echo x > /sys/kernel/uevent_helper) 2>&1 || true; ip -o link | wc -l; cat";
    let mut inside = Program::start(&[
        &HOTSEAT,
        "--socket",
        &socket,
        "run",
        "--session",
        "game",
        "--",
        "sh",
        "-c",
        script,
    ]);
    inside.expect("inside");
    inside.expect("Operation not permitted");
    inside.expect("Read-only file system");
    let checks = daemon.json(&["doctor", "sandbox:game"]);
    let checks = checks.as_array().unwrap();
    let of = |name: &str| checks.iter().find(|check| check["check"] == name).unwrap();
    assert_eq!(of("container")["status"], "ok");
    assert_eq!(of("udev-control")["status"], "ok");
    assert!(of("container-cgroup")["detail"].as_str().unwrap().ends_with("/hotseat/game"));
}

#[test]
fn a_command_that_cannot_run_leaves_nothing() {
    let daemon = Daemon::start();
    let output = daemon.run(&["run", "--session", "s", "--", "/nonexistent/game"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("could not run `/nonexistent/game`"), "{stderr}");
    let output = daemon.run(&["run", "--session", "s", "--plug", "nope", "--", "true"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no profile `nope`"));
    assert_eq!(daemon.json(&["session", "ls"]), Value::Array(Vec::new()));
    assert_eq!(sh("find /sys/fs/cgroup -maxdepth 1 -name 'hotseat*' | wc -l").trim(), "0");
}
