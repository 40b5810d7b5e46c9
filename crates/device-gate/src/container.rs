//! A running container, held by file descriptors.

mod ids;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, stat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use self::ids::root_id;
use crate::belonging::started;
use crate::cgroup::{Cgroup, CgroupError, Cgroups};
use crate::id_map::IdMapError;
use crate::{sys, thread};

/// The process is not one whose container can be served.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// No such process, or it ended while we looked.
    #[error("process {pid} is not running")]
    NotRunning {
        /// The process.
        pid: u32,
    },
    /// Something of the process could not be opened.
    #[error("could not open `/proc/{pid}/{what}` (this needs root)")]
    Open {
        /// The process.
        pid: u32,
        /// Which file.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process has the host's mount namespace: it is not in a container.
    #[error("process {pid} is not in a container: it sees the host's own mounts")]
    HostMounts {
        /// The process.
        pid: u32,
    },
    /// The process has the host's network namespace.
    #[error(
        "process {pid} shares the host's network: an event forged there would reach the host's own \
         desktop and every other such container"
    )]
    HostNetwork {
        /// The process.
        pid: u32,
    },
    /// The process is in the root cgroup, so a grant to it would be a grant to the whole host.
    #[error("process {pid} is in the root cgroup: a grant to it would be one to every process")]
    RootCgroup {
        /// The process.
        pid: u32,
    },
    /// Its cgroup cannot be used.
    #[error("no cgroup to grant devices to")]
    Cgroup(#[source] CgroupError),
    /// Its user namespace's map is not readable as such.
    #[error("could not understand `/proc/{pid}/{what}`")]
    IdMap {
        /// The process.
        pid: u32,
        /// `uid_map` or `gid_map`.
        what: &'static str,
        /// Why.
        #[source]
        source: IdMapError,
    },
    /// The directory that will be its root could not be opened.
    #[error("could not open `{path}`, the root of the container of process {pid}")]
    Root {
        /// The process.
        pid: u32,
        /// The directory, in the process's mount namespace.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process is not in the container that it was said to be in.
    #[error("process {pid} is not in a cgroup of the container `{id}`")]
    NotIt {
        /// The process.
        pid: u32,
        /// The container's id.
        id: String,
    },
    /// A user or group that its user namespace does not have.
    #[error("`/proc/{pid}/{what}` has no id {id}")]
    Unmapped {
        /// The process.
        pid: u32,
        /// `uid_map` or `gid_map`.
        what: &'static str,
        /// The id, as numbered inside.
        id: u32,
    },
    /// Neither root nor the process's own user is in its user namespace.
    #[error("neither user 0 nor its own is mapped in the user namespace of process {pid}")]
    RootUnmapped {
        /// The process.
        pid: u32,
    },
}

/// A running container: the init process of its namespaces, and what belongs to it.
///
/// The process is pinned by a pidfd first and checked to be alive last, so that everything read from
/// `/proc/PID` in between is its own, even if the number is used again afterwards.
#[derive(Debug)]
pub struct Container {
    pid: u32,
    start_time: u64,
    pidfd: OwnedFd,
    root: OwnedFd,
    mount: OwnedFd,
    network: OwnedFd,
    network_inode: u64,
    network_is_initial: bool,
    user: OwnedFd,
    user_is_initial: bool,
    root_ids: (u32, u32),
    root_ids_inside: (u32, u32),
    cgroup: Cgroup,
    other_cgroup: Option<Cgroup>,
    shares_cgroup: bool,
}

/// Its cgroup, and that of the other version, where the host has both.
impl<'a> From<&'a Container> for Cgroups<'a> {
    fn from(container: &'a Container) -> Self {
        Self::new(&container.cgroup, container.other_cgroup.as_ref())
    }
}

impl Container {
    /// Opens the container whose first process is `pid`, as numbered here.
    ///
    /// # Errors
    ///
    /// [`ContainerError`]; in particular when the process is not in a container, or shares the host's
    /// network.
    pub fn open(pid: u32) -> Result<Self, ContainerError> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pidfd = raw
            .and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok())
            .ok_or(ContainerError::NotRunning { pid })?;
        let namespace = |what| open_proc(pid, what, OFlags::RDONLY);

        let mount = namespace("ns/mnt")?;
        if is_own_namespace(pid, "ns/mnt") {
            return Err(ContainerError::HostMounts { pid });
        }
        let network = namespace("ns/net")?;
        if is_own_namespace(pid, "ns/net") {
            return Err(ContainerError::HostNetwork { pid });
        }
        let network_inode = inode(&network, pid, "ns/net")?;
        let network_is_initial = sys::fs::owning_user_namespace(network.as_fd())
            .and_then(|owner| Ok(fstat(owner)?.st_ino == INITIAL_USER_NAMESPACE))
            .map_err(|source| ContainerError::Open { pid, what: "ns/net", source })?;
        let user = namespace("ns/user")?;
        let root = open_proc(pid, "root", OFlags::PATH | OFlags::DIRECTORY)?;
        let (uid, uid_inside) = root_id(pid, "uid_map", "Uid:")?;
        let (gid, gid_inside) = root_id(pid, "gid_map", "Gid:")?;
        let (cgroup, other_cgroup) = Cgroup::both_of_pid(pid).map_err(ContainerError::Cgroup)?;
        if cgroup.is_root() {
            return Err(ContainerError::RootCgroup { pid });
        }

        let container = Self {
            pid,
            start_time: started(pid).ok_or(ContainerError::NotRunning { pid })?,
            pidfd,
            root,
            mount,
            network,
            network_inode,
            network_is_initial,
            user_is_initial: is_own_namespace(pid, "ns/user"),
            user,
            root_ids: (uid, gid),
            root_ids_inside: (uid_inside, gid_inside),
            cgroup,
            other_cgroup,
            shares_cgroup: false,
        };
        if container.is_running() { Ok(container) } else { Err(ContainerError::NotRunning { pid }) }
    }

    /// Opens the container that this was said of, if it still runs: without asking its runtime, which may have been
    /// told to forget it, or be away.
    ///
    /// # Errors
    ///
    /// [`ContainerError::NotRunning`] when the process is another one, or the cgroup is; and as [`Container::open`].
    pub fn open_again(identity: &Identity) -> Result<Self, ContainerError> {
        let mut container = Self::open(identity.pid)?;
        let not_running = ContainerError::NotRunning { pid: identity.pid };
        if container.start_time != identity.start_time {
            return Err(not_running);
        }
        container.take_cgroup(identity.cgroup.clone())?;
        container.shares_cgroup = identity.shares_cgroup;
        if container.cgroup.id() == identity.cgroup_id { Ok(container) } else { Err(not_running) }
    }

    /// What tells it from every other container of this boot.
    pub fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            start_time: self.start_time,
            cgroup: self.cgroup.path().to_owned(),
            cgroup_id: self.cgroup.id(),
            shares_cgroup: self.shares_cgroup,
        }
    }

    /// The first process, as numbered here.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Becomes readable when the first process ends (pidfd_open(2)).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Whether the first process still runs.
    pub fn is_running(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready == 0)
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Whether its cgroup holds processes from outside the container too ([`Container::find_own_cgroup`]): a grant to
    /// it would be one to them.
    pub fn shares_cgroup(&self) -> bool {
        self.shares_cgroup
    }

    pub(crate) fn set_cgroup(&mut self, cgroup: Cgroup) {
        self.cgroup = cgroup;
    }

    pub(crate) fn set_shares_cgroup(&mut self, shared: bool) {
        self.shares_cgroup = shared;
    }

    /// Takes an ancestor of its first process's cgroup for the container's own: the outermost whose name contains
    /// `name`, such as the container's id. A service manager inside puts its first process deeper. Says whether
    /// there is one.
    ///
    /// # Errors
    ///
    /// When that cgroup cannot be opened.
    pub fn widen_cgroup(&mut self, name: &str) -> Result<bool, ContainerError> {
        let contains = |path: &&Path| {
            path.file_name().is_some_and(|last| last.to_string_lossy().contains(name))
        };
        let Some(path) = self.cgroup.path().ancestors().filter(contains).last() else {
            return Ok(false);
        };
        self.cgroup = Cgroup::open(path.to_owned()).map_err(ContainerError::Cgroup)?;
        Ok(true)
    }

    /// Its network namespace.
    pub fn network_namespace(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// The network namespace's inode number: equal for containers that share it (namespaces(7)).
    pub fn network_inode(&self) -> u64 {
        self.network_inode
    }

    /// Whether its network namespace belongs to the initial user namespace. The kernel sends the events of every
    /// device into such a network namespace, and none into others (`uevent_net_broadcast_untagged` in
    /// lib/kobject_uevent.c, since Linux 4.18).
    pub fn hears_the_kernel(&self) -> bool {
        self.network_is_initial
    }

    /// The host's ids of the container's user 0 and group 0; where its user namespace has no such user (bubblewrap
    /// maps its caller alone), those of its first process.
    pub fn root_ids(&self) -> (u32, u32) {
        self.root_ids
    }

    /// The same, as its user namespace numbers them.
    pub(crate) fn root_ids_inside(&self) -> (u32, u32) {
        self.root_ids_inside
    }

    /// Whether it has users of its own: a user namespace that is not ours.
    pub fn has_users_of_its_own(&self) -> bool {
        !self.user_is_initial
    }

    /// Whether something is at `path` (relative to the container's root), following no link.
    ///
    /// # Errors
    ///
    /// When it cannot be told; `ELOOP` for a link on the way, [`io::ErrorKind::TimedOut`] when the container's file
    /// system does not answer.
    pub fn has(&self, path: &str) -> io::Result<bool> {
        let (root, path) = (self.root.try_clone()?, path.to_owned());
        let look = move || {
            let resolve =
                ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
        };
        match thread::run_within("hotseat-look", look, drop)? {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Its mount namespace.
    pub(crate) fn mount_namespace(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }

    /// Its user namespace, when it is not ours.
    pub(crate) fn user_namespace(&self) -> Option<BorrowedFd<'_>> {
        (!self.user_is_initial).then(|| self.user.as_fd())
    }

    /// What will be its root, while it is being started.
    pub(crate) fn set_root(&mut self, root: OwnedFd) {
        self.root = root;
    }

    /// The root directory of its first process (`O_PATH`).
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// What is needed to change something inside, for a thread that may have to be left behind.
    pub(crate) fn inside(&self) -> io::Result<Inside> {
        Ok(Inside {
            mount: self.mount.try_clone()?,
            root: self.root.try_clone()?,
            root_ids: self.root_ids,
            hosts_dev: stat("/dev")?.st_dev,
        })
    }
}

/// What tells a container from every other of this boot, for a daemon that is started while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its first process, as numbered here.
    pub pid: u32,
    /// When that started, in clock ticks since boot (field 22 of proc_pid_stat(5)): a number is used again.
    pub start_time: u64,
    /// The directory of its cgroup.
    pub cgroup: PathBuf,
    /// The cgroup's id, which is never used again.
    pub cgroup_id: u64,
    /// [`Container::shares_cgroup`].
    pub shares_cgroup: bool,
}

/// The inside of a container.
#[derive(Debug)]
pub(crate) struct Inside {
    /// Its mount namespace.
    pub(crate) mount: OwnedFd,
    /// The root directory of its first process (`O_PATH`).
    pub(crate) root: OwnedFd,
    /// The host's ids of its user 0 and group 0.
    pub(crate) root_ids: (u32, u32),
    /// The file system of the host's /dev.
    pub(crate) hosts_dev: u64,
}

/// The inode number of the initial user namespace: `PROC_USER_INIT_INO` in include/linux/proc_ns.h.
const INITIAL_USER_NAMESPACE: u64 = 0xefff_fffd;

fn open_proc(pid: u32, what: &'static str, flags: OFlags) -> Result<OwnedFd, ContainerError> {
    openat(CWD, format!("/proc/{pid}/{what}"), flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| open_error(pid, what, errno))
}

fn open_error(pid: u32, what: &'static str, errno: Errno) -> ContainerError {
    match errno {
        // A process that has ended but is not yet reaped has no namespaces and no root.
        Errno::NOENT | Errno::SRCH => ContainerError::NotRunning { pid },
        errno => ContainerError::Open { pid, what, source: errno.into() },
    }
}

/// Whether the process has the same namespace as we do.
fn is_own_namespace(pid: u32, what: &str) -> bool {
    let theirs = readlinkat(CWD, format!("/proc/{pid}/{what}"), Vec::new());
    let ours = readlinkat(CWD, format!("/proc/self/{what}"), Vec::new());
    matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs == ours)
}

fn inode(namespace: &OwnedFd, pid: u32, what: &'static str) -> Result<u64, ContainerError> {
    fstat(namespace).map(|stat| stat.st_ino).map_err(|errno| open_error(pid, what, errno))
}
