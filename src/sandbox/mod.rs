//! The built-in sandbox of `hotseat run`: a container without a container engine.
//!
//! It has namespaces of its own (mount, network, process, IPC, host name), a /dev with the standard nodes and
//! no others, an empty /run, a cgroup with the same device policy as any container, and the host's files
//! otherwise: it fences off devices and their events, not files.

pub mod init;
pub mod launch;
mod sys;

pub(crate) use sys::inherited;

use device_gate::{Cgroup, CgroupError, first_process};

/// Whether a text can name a session, and so a sandbox: it becomes a directory, a cgroup and a part of `phys`.
pub fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The cgroup of a session's sandbox. One that a killed launcher has left is made anew: it has a device policy already,
/// and would have two.
fn cgroup(name: &str) -> Result<Cgroup, CgroupError> {
    let all = Cgroup::root()?.create_child("hotseat")?;
    // Not one with processes in it.
    let _ = std::fs::remove_dir(all.path().join(name));
    all.create_child(name)
}

/// The sandbox's first process: the one in its cgroup that is number 1 in a process namespace.
pub(crate) fn find(name: &str) -> Option<u32> {
    let path = Cgroup::root().ok()?.path().join("hotseat").join(name);
    first_process(&path)
}

/// Removes the cgroups of sandboxes that have ended and whose launcher was killed, and says how many.
pub(crate) fn sweep() -> usize {
    let Ok(root) = Cgroup::root() else { return 0 };
    let all = root.path().join("hotseat");
    let cgroups = std::fs::read_dir(&all).into_iter().flatten().flatten();
    let is_cgroup = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    // One with processes in it stays.
    let removed = cgroups
        .filter(is_cgroup)
        .filter(|cgroup| std::fs::remove_dir(cgroup.path()).is_ok())
        .count();
    let _ = std::fs::remove_dir(&all);
    removed
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
}
