//! Every runtime: a device plugged before a program starts and while it runs, through a restart, until it is unplugged.
//! Each step is seen by a program inside, which opens, reads, and loses the device. The containers are started with no
//! device flag and no added capability.
//!
//! This file has the rows of Docker and Podman, which the older test machine has too; the others' are in
//! `matrix_others.rs`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Daemon, IMAGE, sh};
use crate::matrix_others::skipped;

/// How a runtime is asked for a container, as shell scripts.
pub(crate) struct Row {
    /// Starts a container with [`MAIN`], and returns when it runs.
    pub(crate) start: String,
    /// Prints its reference; for a container that is followed by its label, nothing.
    pub(crate) reference: String,
    /// Starts it again.
    pub(crate) restart: String,
    /// Ends it, and removes it.
    pub(crate) stop: String,
    /// More of the daemon's configuration.
    pub(crate) configuration: &'static str,
}

/// What the containers run: a shell that takes scripts from one named pipe and prints to another, so that programs can
/// be started in a container of any runtime in the same way, and are in its cgroup.
pub(crate) const MAIN: &str =
    "mkfifo /run/in /run/out; while :; do sh < /run/in > /run/out 2>&1; done";

/// Opens a node and reads a press. Then, as its second argument says, it loses the device, or listens for another and
/// does the same with that.
const READER: &str = r#"
import os, struct, sys
def opens(path):
    fd = os.open(path, os.O_RDWR)
    print("opened", path, flush=True)
    return fd
def reads(fd):
    kind = 0
    while kind != 1:
        _, _, kind, code, value = struct.unpack("llHHi", os.read(fd, 24))
    print("read", code, value, flush=True)
def loses(fd, path):
    try:
        while True:
            os.read(fd, 24)
    except OSError as error:
        print("lost", error.errno, os.path.exists(path), flush=True)
path = sys.argv[1]
fd = opens(path)
reads(fd)
if sys.argv[2] == "listen":
    import pyudev
    monitor = pyudev.Monitor.from_netlink(pyudev.Context())
    monitor.filter_by("input")
    monitor.start()
    print("listens", flush=True)
    while True:
        device = monitor.poll()
        if device.action == "add" and "/event" in (device.device_node or ""):
            path = device.device_node
            break
    fd = opens(path)
    reads(fd)
loses(fd, path)
"#;

/// A program in a container, and what it prints.
struct Inside {
    output: BufReader<File>,
    transcript: String,
}

impl Inside {
    /// Starts the reader in the container whose first process is `pid`.
    fn start(pid: u64, node: &str, then: &str) -> Self {
        let run = PathBuf::from(format!("/proc/{pid}/root/run"));
        // The container has only just started.
        while !run.join("out").exists() {
            assert!(run.exists(), "the container ended");
        }
        fs::write(run.join("in"), format!("exec python3 -c '{READER}' {node} {then}\n")).unwrap();
        let output = BufReader::new(File::open(run.join("out")).unwrap());
        Self { output, transcript: String::new() }
    }

    fn expect(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            let length = self.output.read_line(&mut line).unwrap();
            assert!(length > 0, "ended without `{text}`:\n{}", self.transcript);
            self.transcript.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }
}

/// A row's container, removed on drop.
struct Started<'a>(&'a Row);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        sh(&self.0.stop);
    }
}

/// Attaches the row's container to the session `s`, or sees it attached; returns its first process.
fn attach(daemon: &mut Daemon, row: &Row) -> u64 {
    if row.reference.is_empty() {
        daemon.log().expect("attached by its label");
    } else {
        let body = format!(r#"{{"container":"{}"}}"#, sh(&row.reference).trim());
        let (status, answer) = daemon.call("PUT", "/v1/sessions/s/container", &body);
        assert_eq!(status, 200, "{answer}");
    }
    let session = daemon.json(&["session", "show", "s"]);
    session["container"]["pid"].as_u64().unwrap()
}

/// Goes through the row's cells; returns the session as it was at first.
pub(crate) fn run(row: &Row) -> Value {
    let mut daemon = Daemon::start();
    if !row.configuration.is_empty() {
        daemon.relaunch_with(row.configuration);
    }
    if !row.reference.is_empty() {
        daemon.hotseat(&["session", "add", "s"]);
    }
    let container = Started(row);
    sh(&row.start);
    let pid = attach(&mut daemon, row);
    let session = daemon.json(&["session", "show", "s"]);
    let before = daemon.traces();

    // Before the program starts.
    let pad = daemon.plug("s", "xbox-one");
    let mut inside = Inside::start(pid, &pad.node("event"), "listen");
    inside.expect("opened");
    daemon.hotseat(&["send", "s", "0", "south=1"]);
    inside.expect("read 304 1");
    inside.expect("listens");

    // While it runs.
    let mouse = daemon.plug("s", "mouse");
    inside.expect(&format!("opened {}", mouse.node("event")));
    daemon.hotseat(&["send", "s", "1", "left=1"]);
    inside.expect("read 272 1");
    daemon.hotseat(&["unplug", "s", "1"]);
    // ENODEV, and no node.
    inside.expect("lost 19 False");
    drop(inside);

    // What was plugged is there again after a restart: in the same slot, by the same name.
    sh(&row.restart);
    let again = attach(&mut daemon, row);
    assert_ne!(pid, again);
    let shown = daemon.json(&["session", "show", "s"]);
    assert_eq!(shown["waiting"], Value::Array(Vec::new()), "{shown}");
    let [device] = shown["devices"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    for member in ["slot", "profile", "name"] {
        assert_eq!(device[member], pad.0[member], "{shown}");
    }
    assert_eq!(device["verified"], true, "{shown}");
    let node = device["nodes"][0]["path"].as_str().unwrap();
    let mut inside = Inside::start(again, node, "lose");
    inside.expect("opened");
    daemon.hotseat(&["send", "s", "0", "east=1"]);
    inside.expect("read 305 1");
    daemon.hotseat(&["unplug", "s", "0"]);
    inside.expect("lost 19 False");

    let after = daemon.traces();
    assert_eq!((after.kernel, after.grants), (before.kernel, before.grants));
    daemon.hotseat(&["session", "rm", "s"]);
    drop(container);
    session
}

pub(crate) fn name(name: &str) -> String {
    format!("hotseat-{}-{name}", std::process::id())
}

/// A row of Docker or Podman, which are followed.
pub(crate) fn followed(engine: &str, name: &str, options: &str, image: &str) -> Row {
    Row {
        start: format!(
            "{engine} run --detach --label hotseat.session=s --name {name} {options} {image} sh -c '{MAIN}'"
        ),
        reference: String::new(),
        restart: format!("{engine} restart --time 0 {name}"),
        stop: format!("{engine} rm --force {name}"),
        configuration: "follow = true",
    }
}

/// A script that waits until a condition holds.
pub(crate) fn until(condition: &str) -> String {
    format!("timeout 60 sh -c 'until {condition}; do :; done'\n")
}

/// Podman's API, served as `podman.socket` would have it.
pub(crate) fn serve_podman() {
    sh(&format!(
        "mkdir -p /run/podman
         systemctl --quiet is-active hotseat-podman-api ||
             systemd-run --quiet --unit hotseat-podman-api \
                 podman system service --time 0 unix:///run/podman/podman.sock
         {}",
        until("test -S /run/podman/podman.sock")
    ));
}

#[test]
fn docker() {
    sh("systemctl start docker");
    let name = name("docker");
    let session = run(&followed("docker", &name, "", IMAGE));
    assert_eq!(session["container"]["reference"], format!("docker:{name}"));
    assert_eq!(session["container"]["shares_cgroup"], false);
}

#[test]
fn podman() {
    serve_podman();
    let name = name("podman");
    let session = run(&followed("podman", &name, "--network none", IMAGE));
    assert_eq!(session["container"]["reference"], format!("podman:{name}"));
    assert_eq!(session["container"]["shares_cgroup"], false);
}

#[test]
fn podman_with_runc() {
    serve_podman();
    run(&followed("podman --runtime runc", &name("runc"), "--network none", IMAGE));
}

#[test]
fn podman_with_users_of_its_own() {
    serve_podman();
    let map = "--network none --uidmap 0:300000:65536 --gidmap 0:300000:65536";
    run(&followed("podman", &name("userns"), map, IMAGE));
}

/// Podman of the user `player`, and its API.
pub(crate) const ROOTLESS: &str =
    "cd /; runuser -u player -- env HOME=/home/player XDG_RUNTIME_DIR=/run/user/1000 podman";

/// Serves it, as the user's own `podman.socket` would.
pub(crate) fn serve_rootless_podman() {
    sh(&format!(
        "loginctl enable-linger player
         {}
         mkdir -p /run/user/1000/podman
         chown player: /run/user/1000/podman
         systemctl --quiet is-active hotseat-rootless-api ||
             systemd-run --quiet --unit hotseat-rootless-api --uid player \
                 --setenv HOME=/home/player --setenv XDG_RUNTIME_DIR=/run/user/1000 \
                 podman system service --time 0 unix:///run/user/1000/podman/podman.sock
         {}",
        until("test -S /run/user/1000/bus"),
        until("test -S /run/user/1000/podman/podman.sock"),
    ));
}

#[test]
fn podman_rootless() {
    if skipped() {
        return;
    }
    serve_rootless_podman();
    let name = name("rootless");
    // Options come before the root file system.
    let mut row = followed(ROOTLESS, &name, "--network none --rootfs", "/home/player/consumers:O");
    row.configuration = "follow = true\nfollow_podman_users = [\"player\"]";
    let session = run(&row);
    assert_eq!(session["container"]["reference"], format!("podman:player/{name}"));
    assert_eq!(session["container"]["shares_cgroup"], false);
}
