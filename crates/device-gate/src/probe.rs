//! Looking through the container's eyes: does a path open there?

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::access::Access;
use crate::cgroup::{Cgroup, Cgroups};
use crate::container::Container;
use crate::sys::probe::{Attempt, Place, spawn_opener};

/// How long the opener may take; it only waits when the cgroup is frozen meanwhile, or the machine is
/// badly overloaded.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The path does not open there, or that could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The open, or entering the container for it, failed.
    #[error("`{path}` does not open from inside: {source}")]
    Refused {
        /// The path as seen inside.
        path: String,
        /// The error of `open(2)`: `EPERM` from the device cgroup, `EACCES` from ownership or a `nodev`
        /// mount, `ENOENT` when the node is not there.
        source: io::Error,
    },
    /// The container is paused, so nothing can run in it.
    #[error("could not try `{path}` from inside: the container is paused")]
    Frozen {
        /// The path as seen inside.
        path: String,
    },
    /// The opener could not be started.
    #[error("could not start a process in cgroup `{cgroup}` to try `{path}`")]
    Start {
        /// The path as seen inside.
        path: String,
        /// The cgroup's path.
        cgroup: String,
        /// Why; `EAGAIN` when the container is at its process limit.
        #[source]
        source: io::Error,
    },
    /// The opener did not come back.
    #[error("could not learn whether `{path}` opens from inside")]
    Wait {
        /// The path as seen inside.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Opens `path` read-write as the container's root, in the cgroup of its first process, its mount and user namespace,
/// and closes it again. (Not in the container's own cgroup: one with others below it takes no process, says
/// Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint".)
///
/// # Errors
///
/// [`ProbeError`]; only [`ProbeError::Refused`] says that the device cannot be used.
pub fn open_in_container(container: &Container, path: &str) -> Result<(), ProbeError> {
    let c_path = CString::new(path)
        .map_err(|source| ProbeError::Refused { path: path.to_owned(), source: source.into() })?;
    let inside = Inside {
        user: container.user_namespace(),
        ids: container.root_ids_inside(),
        mount: Some((container.mount_namespace(), container.root())),
    };
    in_cgroups_of(container, |cgroups| open(cgroups, &inside, &c_path, OFlags::RDWR))
}

/// Asks whether `path` may be opened with `access` as [`open_in_container`] would, and opens nothing: a serial line that is
/// opened tells the device at its other end. (access(2) asks the device cgroup too, `inode_permission` in fs/namei.c.)
///
/// # Errors
///
/// As [`open_in_container`].
pub fn ask_in_container(
    container: &Container,
    path: &str,
    access: Access,
) -> Result<(), ProbeError> {
    let c_path = CString::new(path)
        .map_err(|source| ProbeError::Refused { path: path.to_owned(), source: source.into() })?;
    let inside = Inside {
        user: container.user_namespace(),
        ids: container.root_ids_inside(),
        mount: Some((container.mount_namespace(), container.root())),
    };
    let mut mode = rustix::fs::Access::EXISTS;
    mode.set(rustix::fs::Access::READ_OK, access.contains(Access::READ));
    mode.set(rustix::fs::Access::WRITE_OK, access.contains(Access::WRITE));
    // Flags of access(2) are small positive integers.
    let attempt = Attempt::Access(mode.bits().cast_signed());
    in_cgroups_of(container, |cgroups| attempt_in(cgroups, &inside, &c_path, attempt))
}

/// Opens `path` in the cgroups of the container's first process, in our own namespaces.
pub(crate) fn open_in_cgroups_of(
    container: &Container,
    path: &CStr,
    flags: OFlags,
) -> Result<(), ProbeError> {
    let inside = Inside { user: None, ids: (0, 0), mount: None };
    in_cgroups_of(container, |cgroups| open(cgroups, &inside, path, flags))
}

fn in_cgroups_of<T>(container: &Container, work: impl FnOnce(Cgroups<'_>) -> T) -> T {
    match &Cgroup::both_of_pid(container.pid()) {
        Ok((cgroup, other)) => work(Cgroups::new(cgroup, other.as_ref())),
        Err(_) => work(Cgroups::from(container)),
    }
}

/// Opens `path` in a cgroup, in our own namespaces.
pub(crate) fn open_in_cgroup<'a>(
    cgroups: impl Into<Cgroups<'a>>,
    path: &CStr,
    flags: OFlags,
) -> Result<(), ProbeError> {
    let inside = Inside { user: None, ids: (0, 0), mount: None };
    open(cgroups.into(), &inside, path, flags)
}

/// The namespaces that a path is opened in, and as whom.
struct Inside<'a> {
    user: Option<BorrowedFd<'a>>,
    ids: (u32, u32),
    /// And the root directory to have.
    mount: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
}

fn open(
    cgroups: Cgroups<'_>,
    inside: &Inside<'_>,
    path: &CStr,
    flags: OFlags,
) -> Result<(), ProbeError> {
    // Flags of open(2) are small positive integers.
    let flags = (flags | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY).bits().cast_signed();
    attempt_in(cgroups, inside, path, Attempt::Open(flags))
}

fn attempt_in(
    cgroups: Cgroups<'_>,
    inside: &Inside<'_>,
    path: &CStr,
    attempt: Attempt,
) -> Result<(), ProbeError> {
    let name = || path.to_string_lossy().into_owned();
    let both = || [cgroups.v2, cgroups.v1].into_iter().flatten();
    let start = |source| ProbeError::Start {
        path: name(),
        cgroup: both().next().map(|cgroup| cgroup.path().display().to_string()).unwrap_or_default(),
        source,
    };
    // A process started in a frozen cgroup would not run until it is thawed.
    if both().any(Cgroup::is_frozen) {
        return Err(ProbeError::Frozen { path: name() });
    }
    // A process is born into a cgroup of version 2, but has to move into one of version 1 by itself.
    let procs = |v1: &Cgroup| File::options().write(true).open(v1.path().join("cgroup.procs"));
    let to_join = cgroups.v1.map(procs).transpose().map_err(start)?;
    let place = Place {
        cgroup: cgroups.v2.map(AsFd::as_fd),
        to_join: to_join.as_ref().map(AsFd::as_fd),
        user: inside.user,
        ids: inside.ids,
        mount: inside.mount,
    };
    let child = spawn_opener(&place, path, attempt).map_err(start)?;
    match wait(child).map_err(|source| ProbeError::Wait { path: name(), source })? {
        0 => Ok(()),
        errno => {
            Err(ProbeError::Refused { path: name(), source: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// The child's exit status. A child that takes too long is killed; one that cannot even be killed, because it
/// hangs in a file system of the container's own, is left to a thread that waits for it.
fn wait(child: OwnedFd) -> io::Result<i32> {
    if !ends_in_time(&child)? {
        pidfd_send_signal(&child, Signal::KILL)?;
        if !ends_in_time(&child)? {
            std::thread::Builder::new()
                .name("hotseat-probe".to_owned())
                .spawn(move || reap(&child))?;
        } else {
            reap(&child)?;
        }
        return Err(io::ErrorKind::TimedOut.into());
    }
    reap(&child)?.ok_or_else(|| io::ErrorKind::Interrupted.into())
}

fn ends_in_time(child: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(child, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&PATIENCE)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The exit status, or `None` when a signal ended it.
fn reap(child: &OwnedFd) -> io::Result<Option<i32>> {
    loop {
        match waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED) {
            Ok(status) => return Ok(status.and_then(|status| status.exit_status())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
