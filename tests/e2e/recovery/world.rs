//! Everything that sessions leave anywhere, so that two moments can be compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Daemon, devices_of_hotseat, files, sh};

/// What there is, with the kernel's numbers taken out, which are others after each plug.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct World {
    sessions: Vec<String>,
    /// Nodes, records, tags and half-made things in the staging file systems.
    staged: Vec<String>,
    /// The mounts of the daemon on the host.
    mounts: Vec<String>,
    /// In each container: mounts, directories, links.
    inside: Vec<Inside>,
    kernel: usize,
    grants: String,
    /// Programs and maps of BPF, and what is pinned.
    bpf: Vec<String>,
    cgroups: Vec<String>,
    /// Specifications of CDI, and what lies beside them.
    cdi: Vec<String>,
    /// The journal, and what lies beside it.
    journal: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inside {
    mounts: Vec<String>,
    dev: Vec<String>,
    run: Vec<String>,
}

impl World {
    /// As it is now, with these containers by their first processes.
    pub(super) fn now(daemon: &Daemon, containers: &[u32]) -> Self {
        Self {
            sessions: sessions(daemon),
            staged: below(&daemon.path("stage")),
            mounts: mounts("/proc/self/mountinfo", &daemon.path("stage").display().to_string()),
            inside: containers.iter().map(|pid| Inside::of(*pid)).collect(),
            kernel: devices_of_hotseat().len() + uhid_devices(),
            grants: daemon.metrics()["hotseat_grants"].to_string(),
            bpf: bpf(),
            cgroups: cgroups(),
            cdi: names(&daemon.path("cdi")),
            journal: beside_the_journal(daemon),
        }
    }

    /// It is so again. What ended a moment ago may be there for another one, so this looks more than once.
    #[track_caller]
    pub(super) fn is_back(&self, daemon: &Daemon, containers: &[u32]) {
        let is_back = (0..10).any(|_| Self::now(daemon, containers) == *self);
        assert!(is_back, "{:#?}\nwas before\n{self:#?}", Self::now(daemon, containers));
    }
}

impl Inside {
    fn of(pid: u32) -> Self {
        let root = format!("/proc/{pid}/root");
        Self {
            mounts: mounts(&format!("/proc/{pid}/mountinfo"), " - tmpfs hotseat "),
            dev: names(Path::new(&format!("{root}/dev"))),
            run: names(Path::new(&format!("{root}/run"))),
        }
    }
}

/// A line for each session, and one for each device.
fn sessions(daemon: &Daemon) -> Vec<String> {
    let mut lines = Vec::new();
    for session in daemon.call("GET", "/v1/sessions", "").1.as_array().unwrap() {
        let name = &session["name"];
        lines.push(format!("{name} in {}", session["container"]["reference"]));
        for device in session["devices"].as_array().unwrap() {
            let (slot, profile, device_name) =
                (&device["slot"], &device["profile"], &device["name"]);
            let nodes = device["nodes"].as_array().unwrap().len();
            let verified = &device["verified"];
            lines.push(format!("{slot} {profile} {device_name} {nodes} nodes verified={verified}"));
        }
        for waiting in session["waiting"].as_array().unwrap() {
            lines.push(format!("{} {} waits", waiting["slot"], waiting["profile"]));
        }
    }
    lines
}

/// All files below a directory, without numbers.
fn below(directory: &Path) -> Vec<String> {
    sorted(files(directory).into_iter().map(|path: PathBuf| plain(&path.display().to_string())))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(Result::unwrap);
    sorted(entries.map(|entry| {
        let target = fs::read_link(entry.path()).map(|it| format!(" -> {}", it.display()));
        plain(&format!("{}{}", entry.file_name().display(), target.unwrap_or_default()))
    }))
}

/// The mount points in a table whose lines contain a text.
fn mounts(table: &str, text: &str) -> Vec<String> {
    let table = fs::read_to_string(table).unwrap();
    let ours = table.lines().filter(|line| line.contains(text));
    sorted(ours.map(|line| line.split(' ').nth(4).unwrap().to_owned()))
}

fn uhid_devices() -> usize {
    fs::read_dir("/sys/devices/virtual/misc/uhid")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(':'))
        .count()
}

fn bpf() -> Vec<String> {
    let all = sh("bpftool prog show; bpftool map show; ls -A /sys/fs/bpf");
    sorted(all.lines().filter(|line| line.contains("hotseat")).map(plain))
}

/// Cgroups of ours, those of sandboxes included.
fn cgroups() -> Vec<String> {
    let root = Path::new("/sys/fs/cgroup");
    let ours = names(root).into_iter().filter(|name| name.starts_with("hotseat"));
    ours.chain(names(&root.join("hotseat")).into_iter().filter(|name| !name.contains('.')))
        .collect()
}

/// What lies beside the journal; not what it says, which the next daemon tells.
fn beside_the_journal(daemon: &Daemon) -> Vec<String> {
    let all: BTreeSet<_> = names(&daemon.path("")).into_iter().collect();
    all.into_iter().filter(|name| name.starts_with("journal")).collect()
}

/// Numbers become `#`.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        if !c.is_ascii_digit() {
            plain.push(c);
        } else if !plain.ends_with('#') {
            plain.push('#');
        }
    }
    plain
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    lines
}
