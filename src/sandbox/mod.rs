//! The built-in sandbox of `hotseat run`: a container without a container engine.
//!
//! It has namespaces of its own (mount, network, process, IPC, host name), a /dev with the standard nodes and
//! no others, an empty /run, a cgroup with the same device policy as any container, and the host's files
//! otherwise: it fences off devices and their events, not files.

pub mod init;
pub mod launch;
mod sys;

pub(crate) use sys::inherited;

use std::fs;

use device_gate::{Cgroup, CgroupError};

/// Whether a text can name a session, and so a sandbox: it becomes a directory, a cgroup and a part of `phys`.
pub fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The cgroup of a session's sandbox, made if it is missing.
fn cgroup(name: &str) -> Result<Cgroup, CgroupError> {
    Cgroup::root()?.create_child("hotseat")?.create_child(name)
}

/// The sandbox's first process: the one in its cgroup that is number 1 in a process namespace.
pub(crate) fn find(name: &str) -> Option<u32> {
    let path = Cgroup::root().ok()?.path().join("hotseat").join(name);
    let processes = fs::read_to_string(path.join("cgroup.procs")).ok()?;
    processes.lines().filter_map(|line| line.parse().ok()).find(|&pid| is_init(pid))
}

/// Whether a process is number 1 in its own process namespace (`NSpid` in proc_pid_status(5)).
fn is_init(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| {
        status.lines().find_map(|line| line.strip_prefix("NSpid:")).is_some_and(|pids| {
            let mut pids = pids.split_ascii_whitespace();
            pids.next_back() == Some("1") && pids.next().is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_a_directory_and_in_phys() {
        for name in ["a", "alice", "seat-1", "0", &"a".repeat(32)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-a", "A", "a/b", "a b", "a\n", "é", &"a".repeat(33)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn an_ordinary_process_is_no_init() {
        assert!(!is_init(std::process::id()));
        assert!(!is_init(u32::MAX));
    }
}
