//! What belongs to a container alone, and what it shares: its cgroup, its network namespace.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cgroup::{Cgroup, CgroupError, parse_proc_cgroup};
use crate::container::{Container, ContainerError};
use crate::sys::fs::parent_namespace;
use crate::thread;

impl Container {
    /// Looks for the cgroup that is the container's own when its runtime has not named one: the root of its cgroup
    /// namespace (cgroup_namespaces(7)), and where it has none of its own, the cgroup of its first process. When
    /// processes from outside the container are in that one, it is only shared ([`Container::shares_cgroup`]).
    ///
    /// Never an ancestor, even one that holds nothing else now: what will be in `/docker` tomorrow?
    ///
    /// # Errors
    ///
    /// [`ContainerError::Cgroup`] when it cannot be opened.
    pub fn find_own_cgroup(&mut self) -> Result<(), ContainerError> {
        if let Some(root) = self.cgroup_namespace_root() {
            let root = Cgroup::open(root).map_err(ContainerError::Cgroup)?;
            if !root.is_root() {
                self.set_cgroup(root);
            }
        }
        let shared = !self.holds_all_of(self.cgroup().path());
        self.set_shares_cgroup(shared);
        Ok(())
    }

    /// Takes a cgroup that its runtime has named for the container's own.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Cgroup`] when it cannot be opened.
    pub fn take_cgroup(&mut self, path: PathBuf) -> Result<(), ContainerError> {
        self.set_cgroup(Cgroup::open(path).map_err(ContainerError::Cgroup)?);
        Ok(())
    }

    /// The cgroups of processes that are in the container's network namespace and not in the container, below the
    /// host's root: other containers of its pod, for example. They hear what is announced to this one. Looks at every
    /// process of the host.
    ///
    /// # Errors
    ///
    /// When /proc cannot be read.
    pub fn network_neighbours(&self) -> io::Result<BTreeSet<PathBuf>> {
        let own = self.cgroup().path();
        let root = Cgroup::root().map_err(io::Error::other)?;
        let mut neighbours = BTreeSet::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if namespace_inode(pid, "net") != Some(self.network_inode()) || self.holds(pid) {
                continue;
            }
            // It may have ended since.
            let Ok(cgroup) = Cgroup::of_pid(pid) else { continue };
            if self.shares_cgroup() || !cgroup.path().starts_with(own) {
                let path = cgroup.path().strip_prefix(root.path()).unwrap_or(cgroup.path());
                neighbours.insert(path.to_owned());
            }
        }
        Ok(neighbours)
    }

    /// The user who made its user namespace: for a rootless container the user whose it is. `None` for a container
    /// without a user namespace of its own.
    ///
    /// # Errors
    ///
    /// When the kernel does not say (ioctl_nsfs(2)).
    pub fn user_namespace_owner(&self) -> io::Result<Option<u32>> {
        self.user_namespace().map(crate::sys::fs::owner_uid).transpose()
    }

    /// The root of its cgroup namespace, as a directory here: what is left of its first process's cgroup when the
    /// part that can be seen from in there is taken off.
    fn cgroup_namespace_root(&self) -> Option<PathBuf> {
        let pid = self.pid();
        let namespace = openat(
            CWD,
            format!("/proc/{pid}/ns/cgroup"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        let seen = thread::run("hotseat-cgroup", || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ControlGroup))
                .ok()?;
            fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()
        });
        let seen = seen.ok()??;
        let seen = parse_proc_cgroup(&seen)?;
        let cgroup = Cgroup::of_pid(pid).ok()?;
        let depth = Path::new(seen).components().count();
        let root = cgroup.path().ancestors().nth(depth)?;
        // The process may have moved in between.
        (root.join(seen) == cgroup.path()).then(|| root.to_owned())
    }

    /// Whether every process in a cgroup and those below it is in the container.
    fn holds_all_of(&self, cgroup: &Path) -> bool {
        let processes = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        let inside = |pid: &str| pid.parse().is_ok_and(|pid| has_ended(pid) || self.holds(pid));
        if !processes.lines().all(inside) {
            return false;
        }
        let children = fs::read_dir(cgroup).into_iter().flatten().flatten();
        children
            .filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir()))
            .all(|child| self.holds_all_of(&child.path()))
    }

    /// Whether a process is in the container: it has the container's mounts, or is in its process namespace or in
    /// one below, such as a sandbox's in there.
    fn holds(&self, pid: u32) -> bool {
        if namespace_inode(pid, "mnt") == namespace_inode(self.pid(), "mnt") {
            return true;
        }
        let Some(own) = namespace_inode(self.pid(), "pid") else { return false };
        if Some(own) == namespace_inode(std::process::id(), "pid") {
            return false;
        }
        let path = format!("/proc/{pid}/ns/pid");
        let mut namespace = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok();
        while let Some(current) = namespace {
            if fstat(&current).is_ok_and(|stat| stat.st_ino == own) {
                return true;
            }
            namespace = parent_namespace(current.as_fd()).ok();
        }
        false
    }
}

fn has_ended(pid: u32) -> bool {
    namespace_inode(pid, "mnt").is_none()
}

/// The number of a process's namespace; `None` when the process has ended.
fn namespace_inode(pid: u32, kind: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    // mnt:[4026531841] (namespaces(7))
    link.to_str()?.split(['[', ']']).nth(1)?.parse().ok()
}

/// The cgroup directories that `wanted` accepts by their paths below the host's root; nothing is looked for below one
/// that was found.
///
/// # Errors
///
/// When there is no cgroup v2, or only a part of it can be seen.
pub fn find_cgroups(wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, CgroupError> {
    let root = Cgroup::root()?;
    let mut found = Vec::new();
    let mut todo = vec![root.path().to_owned()];
    while let Some(directory) = todo.pop() {
        // Cgroups come and go.
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = entry.path();
            let below_root = path.strip_prefix(root.path()).unwrap_or(&path);
            if wanted(below_root) {
                found.push(path);
            } else {
                todo.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The first process of the container whose cgroup this is: number 1 of a process namespace, or else the one that has
/// been there longest. `None` when no process is in it or below.
pub fn first_process(cgroup: &Path) -> Option<u32> {
    let mut processes = Vec::new();
    collect(cgroup, &mut processes);
    let init = processes.iter().filter_map(|&pid| Some((init_depth(pid)?, pid))).min();
    match init {
        Some((_, pid)) => Some(pid),
        None => processes.into_iter().min_by_key(|&pid| started(pid)),
    }
}

fn collect(cgroup: &Path, processes: &mut Vec<u32>) {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    processes.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), processes);
        }
    }
}

/// How many process namespaces below ours a process is, if it is number 1 there (`NSpid` in proc_pid_status(5)).
fn init_depth(pid: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let below = pids.split_ascii_whitespace().skip(1);
    let depth = below.clone().count();
    (below.last() == Some("1")).then_some(depth)
}

/// When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}
