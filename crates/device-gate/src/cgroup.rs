//! Control groups (cgroups(7)): version 2, and the devices hierarchy of version 1.

mod error;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, fstatfs};
use rustix::io::Errno;

pub use self::error::CgroupError;

/// An open cgroup directory: of version 2, or of the devices hierarchy of version 1.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    directory: File,
    id: u64,
    is_v1: bool,
    is_root: bool,
}

/// The cgroups that decide about a container's devices, at most one of each version. Where there are two, both must
/// agree (`devcgroup_check_permission` in security/device_cgroup.c).
#[derive(Debug, Clone, Copy)]
pub struct Cgroups<'a> {
    pub(crate) v2: Option<&'a Cgroup>,
    pub(crate) v1: Option<&'a Cgroup>,
}

impl<'a> Cgroups<'a> {
    /// Of two cgroups of one version it is the first that counts.
    pub(crate) fn new(first: &'a Cgroup, second: Option<&'a Cgroup>) -> Self {
        let of_version = |is_v1| {
            [Some(first), second].into_iter().flatten().find(|cgroup| cgroup.is_v1 == is_v1)
        };
        Self { v2: of_version(false), v1: of_version(true) }
    }
}

impl<'a> From<&'a Cgroup> for Cgroups<'a> {
    fn from(cgroup: &'a Cgroup) -> Self {
        Self::new(cgroup, None)
    }
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
        let root = Self::open(path)?;
        if root.is_root() {
            Ok(root)
        } else {
            Err(CgroupError::NotRoot { path: root.path.clone() })
        }
    }

    /// The root of the devices hierarchy of cgroup v1; `None` where that controller is not in use.
    ///
    /// # Errors
    ///
    /// When it is in use and not mounted, or only a part of it can be seen.
    pub fn devices_root() -> Result<Option<Self>, CgroupError> {
        let text = fs::read_to_string("/proc/self/cgroup").map_err(CgroupError::MountTable)?;
        if parse_proc_devices_cgroup(&text).is_none() {
            return Ok(None);
        }
        let root = Self::open(devices_mount_point()?)?;
        if root.is_root() {
            Ok(Some(root))
        } else {
            Err(CgroupError::NotRoot { path: root.path.clone() })
        }
    }

    /// The cgroup that process `pid` is in now, as far as devices go: that of version 2, but that of the devices
    /// hierarchy of version 1 where it is that one which restricts it, or it is in none of its own of version 2.
    ///
    /// # Errors
    ///
    /// When the process is gone, or its cgroup cannot be seen from here.
    pub fn of_pid(pid: u32) -> Result<Self, CgroupError> {
        Self::both_of_pid(pid).map(|(cgroup, _)| cgroup)
    }

    /// The same, and the one of the other version, if there is one.
    pub(crate) fn both_of_pid(pid: u32) -> Result<(Self, Option<Self>), CgroupError> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .map_err(|source| CgroupError::OfProcess { pid, source })?;
        let v1 = match parse_proc_devices_cgroup(&text) {
            Some(relative) => Some(Self::open(devices_mount_point()?.join(relative))?),
            None => None,
        };
        let v2 = match (parse_proc_cgroup(&text), mount_point()) {
            (Some(relative), Ok(mount)) => Some(Self::open(mount.join(relative))?),
            (Some(_), Err(error)) if v1.is_none() => return Err(error),
            _ => None,
        };
        match (v2, v1) {
            (None, None) => Err(CgroupError::NotInCgroup2 { pid }),
            (Some(only), None) | (None, Some(only)) => Ok((only, None)),
            (Some(v2), Some(v1)) => {
                let v1_is_its_own = v1.restricts_devices() || v2.is_root() && !v1.is_root();
                Ok(if v1_is_its_own { (v1, Some(v2)) } else { (v2, Some(v1)) })
            }
        }
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
            let is_v1 = fstatfs(&directory)?.f_type == CGROUP_V1_MAGIC;
            Ok((directory, id, is_v1))
        });
        match opened {
            Ok((directory, id, is_v1)) => {
                let is_root = has_files_of_root(&path, is_v1);
                Ok(Self { path, directory, id, is_v1, is_root })
            }
            Err(source) => Err(CgroupError::Open { path, source }),
        }
    }

    /// Its directory below the mount of its hierarchy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel's 64-bit id: the directory's inode number, never used again (fs/kernfs/dir.c).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether this is the host's root, in which every process is.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// Whether it is one of version 1.
    pub(crate) fn is_v1(&self) -> bool {
        self.is_v1
    }

    /// Whether it is still there. Ids are never used again, so no other cgroup of its name is taken for it.
    pub(crate) fn exists(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.id)
    }

    /// Whether this cgroup of version 1 allows less than everything.
    fn restricts_devices(&self) -> bool {
        fs::read_to_string(self.path.join("devices.list")).is_ok_and(|list| list != "a *:* rwm\n")
    }

    /// The cgroups it lies in, up to the root.
    pub(crate) fn ancestors(&self) -> Result<Vec<Self>, CgroupError> {
        let mut ancestors = Vec::new();
        let mut at_root = self.is_root();
        for path in self.path.ancestors().skip(1) {
            if at_root {
                break;
            }
            let ancestor = Self::open(path.to_owned())?;
            at_root = ancestor.is_root();
            ancestors.push(ancestor);
        }
        Ok(ancestors)
    }

    /// The cgroups below it, each before those below it. What goes away meanwhile is left out.
    pub(crate) fn descendants(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut to_read = vec![self.path.clone()];
        while let Some(path) = to_read.pop() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir())
                    && let Ok(cgroup) = Self::open(entry.path())
                {
                    to_read.push(entry.path());
                    found.push(cgroup);
                }
            }
        }
        found
    }

    /// Its directory, once more.
    pub(crate) fn reopen(&self) -> Result<Self, CgroupError> {
        Self::open(self.path.clone())
    }

    /// Its directory.
    pub(crate) fn directory(&self) -> &File {
        &self.directory
    }

    /// Takes the lock of its directory, which ends with this value ([`Drop`]). `false`: another daemon has it.
    pub(crate) fn lock(&self) -> io::Result<bool> {
        match flock(&self.directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether its processes are frozen (a paused container).
    pub fn is_frozen(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that is being started may have the descriptor too, and would keep the lock for a moment.
        let _ = flock(&self.directory, FlockOperation::Unlock);
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

/// Whether the cgroup is the real root, and not just the topmost one that can be seen from here.
fn has_files_of_root(path: &Path, is_v1: bool) -> bool {
    let has = |file: &str| path.join(file).exists();
    if is_v1 {
        // Only the root has this file (`cgroup1_base_files` in kernel/cgroup/cgroup-v1.c).
        has("cgroup.sane_behavior")
    } else {
        // Only the root lacks this file (Documentation/admin-guide/cgroup-v2.rst, "cgroup.type"); but one that was
        // just removed has none at all.
        !has("cgroup.type") && has("cgroup.procs")
    }
}

/// `CGROUP_SUPER_MAGIC` of include/uapi/linux/magic.h.
const CGROUP_V1_MAGIC: rustix::fs::FsWord = 0x27_e0eb;

/// The first mount of the devices hierarchy of cgroup v1.
fn devices_mount_point() -> Result<PathBuf, CgroupError> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(CgroupError::MountTable)?;
    parse_devices_mount_point(&table).ok_or(CgroupError::NoDevicesMount)
}

fn parse_devices_mount_point(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let options = file_system.strip_prefix("cgroup ")?.rsplit(' ').next()?;
        options.split(',').any(|option| option == "devices").then_some(())?;
        mount.split(' ').nth(4).map(PathBuf::from)
    })
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

/// The same of the line `N:devices:/`, in which controllers that are mounted together share a line.
fn parse_proc_devices_cgroup(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(":/")?;
        controllers.split(',').any(|controller| controller == "devices").then_some(path)
    })?;
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
        assert_eq!(parse_devices_mount_point(table), Some("/sys/fs/cgroup/devices".into()));
        let together = "36 31 0:33 / /cg rw - cgroup none rw,cpu,devices\n";
        assert_eq!(parse_devices_mount_point(together), Some("/cg".into()));
        assert_eq!(
            parse_devices_mount_point("36 31 0:33 / /cg rw - cgroup devices rw,cpu\n"),
            None
        );
    }

    #[test]
    fn the_devices_cgroup_is_the_line_that_names_that_controller() {
        let text = "5:cpu,devices:/docker/a:b\n1:name=systemd:/x\n0::/system.slice\n";
        assert_eq!(parse_proc_devices_cgroup(text), Some("docker/a:b"));
        assert_eq!(parse_proc_devices_cgroup("5:devices:/\n"), Some(""));
        assert_eq!(parse_proc_devices_cgroup("5:devices:/../x\n0::/\n"), None);
        assert_eq!(parse_proc_devices_cgroup("1:name=devices:/x\n"), None);
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
