//! Control groups (cgroups(7), version 2).

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A cgroup could not be found or used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// `/proc/self/mountinfo` could not be read.
    #[error("could not read the mount table")]
    MountTable(#[source] io::Error),
    /// There is no cgroup-v2 hierarchy.
    #[error(
        "no cgroup v2 file system is mounted: boot with systemd.unified_cgroup_hierarchy=1, or mount \
         one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified`"
    )]
    NoCgroup2,
    /// The mounted hierarchy starts below the host's root.
    #[error(
        "`{path}` is not the host's root cgroup: this process runs in a cgroup namespace of its own; \
         run it on the host, or give its container the host's cgroup namespace (`--cgroupns=host`)"
    )]
    NotRoot {
        /// Where cgroup v2 is mounted.
        path: PathBuf,
    },
    /// A process's cgroup could not be read.
    #[error("could not read the cgroup of process {pid}")]
    OfProcess {
        /// The process.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process is in no cgroup v2.
    #[error("process {pid} is in no cgroup v2 that this process can see")]
    NotInCgroup2 {
        /// The process.
        pid: u32,
    },
    /// The cgroup's directory could not be opened.
    #[error("could not open cgroup `{path}`")]
    Open {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A cgroup could not be made.
    #[error("could not make cgroup `{path}`")]
    Create {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An open cgroup-v2 directory.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    directory: File,
    id: u64,
}

impl Cgroup {
    /// The host's root cgroup.
    ///
    /// # Errors
    ///
    /// When cgroup v2 is not mounted, or only a part of it can be seen (a private cgroup namespace): a
    /// program attached there would silently cover nothing but ourselves.
    pub fn root() -> Result<Self, CgroupError> {
        let path = mount_point()?;
        // Only the real root lacks this file (Documentation/admin-guide/cgroup-v2.rst, "cgroup.type").
        if path.join("cgroup.type").exists() {
            return Err(CgroupError::NotRoot { path });
        }
        Self::open(path)
    }

    /// The cgroup that process `pid` is in now.
    ///
    /// # Errors
    ///
    /// When the process is gone, or its cgroup cannot be seen from here.
    pub fn of_pid(pid: u32) -> Result<Self, CgroupError> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .map_err(|source| CgroupError::OfProcess { pid, source })?;
        let relative = parse_proc_cgroup(&text).ok_or(CgroupError::NotInCgroup2 { pid })?;
        Self::open(mount_point()?.join(relative))
    }

    /// Makes (or finds) the cgroup `name` below this one.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or opened.
    pub fn create_child(&self, name: &str) -> Result<Self, CgroupError> {
        let path = self.path.join(name);
        match fs::create_dir(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(CgroupError::Create { path, source })
            }
            _ => Self::open(path),
        }
    }

    /// Opens a cgroup by its directory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self, CgroupError> {
        let opened = File::open(&path).and_then(|directory| {
            let id = directory.metadata()?.ino();
            Ok((directory, id))
        });
        match opened {
            Ok((directory, id)) => Ok(Self { path, directory, id }),
            Err(source) => Err(CgroupError::Open { path, source }),
        }
    }

    /// Its directory below the cgroup-v2 mount.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel's 64-bit id: the directory's inode number, never used again (fs/kernfs/dir.c).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether this is the host's root, in which every process is.
    pub fn is_root(&self) -> bool {
        !self.path.join("cgroup.type").exists()
    }

    /// Whether its processes are frozen (a paused container).
    pub fn is_frozen(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The first cgroup2 mount point of `/proc/self/mountinfo` (proc(5)).
fn mount_point() -> Result<PathBuf, CgroupError> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(CgroupError::MountTable)?;
    parse_mount_point(&table).ok_or(CgroupError::NoCgroup2)
}

fn parse_mount_point(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        file_system.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// The path after `0::/`, relative; `None` when it lies outside this process's cgroup namespace or the
/// cgroup was removed.
pub(crate) fn parse_proc_cgroup(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.starts_with("..") && !path.ends_with(" (deleted)")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup2_mount_is_found_among_v1_mounts() {
        let table = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                     36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n\
                     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(parse_mount_point(table), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(parse_mount_point(table.lines().next().unwrap()), None);
    }

    #[test]
    fn a_process_cgroup_is_the_line_with_hierarchy_zero() {
        let hybrid = "5:devices:/docker/abc\n0::/system.slice/docker-abc.scope\n";
        assert_eq!(parse_proc_cgroup(hybrid), Some("system.slice/docker-abc.scope"));
        assert_eq!(parse_proc_cgroup("0::/\n"), Some(""));
    }

    #[test]
    fn a_cgroup_outside_the_namespace_or_removed_is_not_found() {
        for text in ["5:devices:/docker/abc\n", "0::/../../other\n", "0::/gone (deleted)\n"] {
            assert_eq!(parse_proc_cgroup(text), None, "{text}");
        }
    }
}
