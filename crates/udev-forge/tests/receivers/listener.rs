//! A program with libudev in namespaces of its own: the Rust side of listener.py.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use udev_forge::Sender;

const SOURCE: &str = include_str!("listener.py");

/// Where a program runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The map of its user namespace, for users and groups alike; empty for the initial one.
    pub(crate) map: &'static str,
    /// Its user, as numbered there.
    pub(crate) uid: u32,
    /// Whether it runs in a bubblewrap sandbox there, whose user namespace has its user only.
    pub(crate) nested: bool,
    /// Whether /run/udev/control is there when it starts.
    pub(crate) control: bool,
    /// The program that runs it.
    pub(crate) command: &'static [&'static str],
}

impl Place {
    /// A container without a user namespace.
    pub(crate) const PLAIN: Self =
        Self { map: "", uid: 0, nested: false, control: true, command: &["python3"] };
}

/// Which messages a monitor asks for; all of them have names.
pub(crate) type Filters = Value;

/// The properties of each device that a monitor delivered, in order.
pub(crate) type Devices = Vec<BTreeMap<String, String>>;

/// What has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// By library and filter.
    pub(crate) devices: BTreeMap<String, BTreeMap<String, Devices>>,
    /// The senders' users by group, before any library looked.
    raw: Value,
}

impl Arrived {
    /// The users from whom datagrams came to `group`, as the program sees them.
    pub(crate) fn uids(&self, group: u32) -> Vec<u64> {
        self.raw(group).iter().map(|datagram| datagram["uid"].as_u64().unwrap()).collect()
    }

    /// The datagrams that came to `group`: `uid`, `port`, `data`.
    pub(crate) fn raw(&self, group: u32) -> &Vec<Value> {
        self.raw[group.to_string()].as_array().unwrap()
    }
}

pub(crate) struct Listener {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it said of itself.
    pub(crate) ready: Value,
}

impl Listener {
    /// Starts a program that listens with every library through each of the `filters`.
    pub(crate) fn start(place: &Place, filters: &Filters) -> Self {
        let config = json!({
            "enter": true, "map": !place.map.is_empty(), "uid": place.uid, "nested": place.nested,
            "control": place.control, "filters": filters, "libraries": libraries(),
        });
        let mut child = Command::new(place.command[0])
            .args(&place.command[1..])
            .args(["-c", SOURCE, &config.to_string()])
            .env("LISTENER", SOURCE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut listener = Self { child, input, output, ready: Value::Null };
        if !place.map.is_empty() {
            let pid = listener.answer()["unshared"].as_u64().unwrap();
            for file in ["uid_map", "gid_map"] {
                fs::write(format!("/proc/{pid}/{file}"), place.map).unwrap();
            }
            listener.input.write_all(b"mapped\n").unwrap();
        }
        listener.ready = listener.answer();
        listener
    }

    /// A sender into its network namespace.
    pub(crate) fn sender(&self) -> Sender {
        Sender::open_in(self.network().as_fd()).unwrap()
    }

    /// Its directory in /proc.
    pub(crate) fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.ready["ready"].to_string())
    }

    /// Its network namespace.
    pub(crate) fn network(&self) -> File {
        File::open(self.proc().join("ns/net")).unwrap()
    }

    /// Everything that has arrived since the last look.
    pub(crate) fn arrived(&mut self) -> Arrived {
        self.tell("look")
    }

    /// Makes it do what `command` says, and returns what has arrived.
    pub(crate) fn tell(&mut self, command: &str) -> Arrived {
        self.input.write_all(format!("{command}\n").as_bytes()).unwrap();
        let answer = self.answer();
        let devices = serde_json::from_value(answer["monitors"].clone()).unwrap();
        Arrived { devices, raw: answer["raw"].clone() }
    }

    /// Makes it look at what has arrived, and returns the signal that ends it thereby.
    pub(crate) fn killed_by_a_look(mut self) -> Option<i32> {
        self.input.write_all(b"look\n").unwrap();
        self.child.wait().unwrap().signal()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).unwrap();
        assert!(length > 0, "the program ended, see above");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The libraries that take part, by name.
pub(crate) fn libraries() -> BTreeMap<String, PathBuf> {
    // nextest says where the workspace is, which may not be where it was when this was compiled.
    let package = std::env::var("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let mut found = BTreeMap::new();
    for directory in [Path::new("/opt/libudev"), &Path::new(&package).join("../../target/libudev")]
    {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.insert(name, path.join("libudev.so.1"));
        }
    }
    assert!(
        ["systemd-247", "systemd-252"].iter().all(|name| found.contains_key(*name)),
        "the test machine has these libraries: {found:?}"
    );
    found
}

/// How a library decides whose messages to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// User 0 only: systemd before 252, eudev (`udev_monitor_receive_device`).
    Root,
    /// Also its own user, and users that are not in its user namespace: systemd since 252
    /// (`check_sender_uid` in sd-device/device-monitor.c).
    Outside,
    /// Anybody who sends to its own group: libudev-zero.
    Anybody,
}

impl Trust {
    pub(crate) fn of(library: &str) -> Self {
        match library.strip_prefix("systemd-").map(|version| version.parse::<u32>().unwrap()) {
            Some(252..) => Self::Outside,
            Some(_) => Self::Root,
            None if library == "libudev-zero" => Self::Anybody,
            None => Self::Root,
        }
    }
}
