//! Looking through the container's eyes: does a path open there?

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::cgroup::Cgroup;
use crate::container::Container;
use crate::sys::probe::{Place, spawn_opener};

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

/// Opens `path` read-write as the container's root, in its cgroup, mount and user namespace, and closes
/// it again.
///
/// # Errors
///
/// [`ProbeError`]; only [`ProbeError::Refused`] says that the device cannot be used.
pub fn open_in_container(container: &Container, path: &str) -> Result<(), ProbeError> {
    let c_path = CString::new(path)
        .map_err(|source| ProbeError::Refused { path: path.to_owned(), source: source.into() })?;
    let place = Place {
        cgroup: container.cgroup().as_fd(),
        user: container.user_namespace(),
        mount: Some((container.mount_namespace(), container.root())),
    };
    open(container.cgroup(), &place, &c_path, OFlags::RDWR)
}

/// Opens `path` in a cgroup, in our own namespaces.
pub(crate) fn open_in_cgroup(
    cgroup: &Cgroup,
    path: &CStr,
    flags: OFlags,
) -> Result<(), ProbeError> {
    let place = Place { cgroup: cgroup.as_fd(), user: None, mount: None };
    open(cgroup, &place, path, flags)
}

fn open(cgroup: &Cgroup, place: &Place<'_>, path: &CStr, flags: OFlags) -> Result<(), ProbeError> {
    let name = || path.to_string_lossy().into_owned();
    // A process started in a frozen cgroup would not run until it is thawed.
    if cgroup.is_frozen() {
        return Err(ProbeError::Frozen { path: name() });
    }
    // Flags of open(2) are small positive integers.
    let flags = (flags | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY).bits().cast_signed();
    let child = spawn_opener(place, path, flags).map_err(|source| ProbeError::Start {
        path: name(),
        cgroup: cgroup.path().display().to_string(),
        source,
    })?;
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
