//! A child in another cgroup, mount namespace and user namespace that opens one path.

#![expect(unsafe_code, reason = "clone3(CLONE_INTO_CGROUP) has no safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

// include/uapi/linux/sched.h. libc's CLONE_INTO_CGROUP is an int, in which bit 33 is lost.
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWUSER: u64 = 0x1000_0000;

/// What the child does with the path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attempt {
    /// Opens it with these flags.
    Open(i32),
    /// Asks whether it may, with this mode of access(2).
    Access(i32),
}

/// Where the child opens the path.
pub(crate) struct Place<'a> {
    /// Cgroup of version 2 to be born into; `None` for ours.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// The `cgroup.procs` of a cgroup of version 1 to move into.
    pub(crate) to_join: Option<BorrowedFd<'a>>,
    /// User namespace to enter; `None` for the initial one.
    pub(crate) user: Option<BorrowedFd<'a>>,
    /// Whom to become in it: user and group.
    pub(crate) ids: (u32, u32),
    /// Mount namespace to enter, and root directory to have in it: its own root is the host's while the container is
    /// being started.
    pub(crate) mount: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
}

/// Starts the child and returns its pidfd. Its exit status is 0 or the errno of what failed.
pub(crate) fn spawn_opener(
    place: &Place<'_>,
    path: &CStr,
    attempt: Attempt,
) -> io::Result<OwnedFd> {
    let mut pidfd: RawFd = -1;
    // SAFETY: an all-zero clone_args is valid: every field is an integer.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_PIDFD;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    if let Some(cgroup) = place.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    let to_join = place.to_join.map_or(-1, |fd| fd.as_raw_fd());
    let user = place.user.map_or(-1, |fd| fd.as_raw_fd());
    let (mount, root) =
        place.mount.map_or((-1, -1), |(namespace, root)| (namespace.as_raw_fd(), root.as_raw_fd()));
    // SAFETY: without CLONE_VM the child gets a copy of this process. It runs only `child`, which makes
    // system calls and touches no memory but its arguments, so locks held by other threads don't matter.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => child(to_join, user, place.ids, (mount, root), path, attempt),
        // SAFETY: CLONE_PIDFD stored a new descriptor, which nothing else owns.
        _ => Ok(unsafe { OwnedFd::from_raw_fd(pidfd) }),
    }
}

/// Starts a child in new user and mount namespaces, which only waits to be killed.
pub(crate) fn spawn_in_new_namespaces() -> io::Result<(OwnedFd, i64)> {
    let mut pidfd: RawFd = -1;
    // SAFETY: an all-zero clone_args is valid: every field is an integer.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWNS;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: as in `spawn_opener`; the child runs only the loop below.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            close_everything();
            loop {
                // SAFETY: a system call without arguments.
                unsafe { libc::syscall(libc::SYS_pause) };
            }
        }
        // SAFETY: CLONE_PIDFD stored a new descriptor, which nothing else owns.
        pid => Ok((unsafe { OwnedFd::from_raw_fd(pidfd) }, pid)),
    }
}

/// The child's whole life. Raw system calls only: it shares no locks with the threads it left behind, and
/// glibc's set*id wrappers would signal threads that don't exist here.
fn child(
    to_join: RawFd,
    user: RawFd,
    ids: (u32, u32),
    (mount, root): (RawFd, RawFd),
    path: &CStr,
    attempt: Attempt,
) -> ! {
    // The mounts first: they may belong to a user namespace above this one (bubblewrap's do), which cannot be reached
    // from it.
    let entered = (to_join < 0 || joins(to_join))
        && (mount < 0 || setns(mount, libc::CLONE_NEWNS) && change_root(root))
        && (user < 0 || setns(user, libc::CLONE_NEWUSER))
        && (user < 0 || become_user(ids))
        && close_everything();
    let status = if entered && succeeds(path, attempt) { 0 } else { last_errno() };
    loop {
        // SAFETY: ends this process alone, running no destructors of the parent's copy; does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

/// "0" is the writer itself (Documentation/admin-guide/cgroup-v1/cgroups.rst).
fn joins(procs: RawFd) -> bool {
    // SAFETY: one byte of a static string.
    unsafe { libc::syscall(libc::SYS_write, procs, c"0".as_ptr(), 1) == 1 }
}

fn setns(namespace: RawFd, kind: i32) -> bool {
    // SAFETY: a system call on two integers.
    unsafe { libc::syscall(libc::SYS_setns, namespace, kind) == 0 }
}

fn change_root(root: RawFd) -> bool {
    // SAFETY: a system call on an integer.
    let there = unsafe { libc::syscall(libc::SYS_fchdir, root) };
    // SAFETY: the path is a valid C string.
    there == 0 && unsafe { libc::syscall(libc::SYS_chroot, c".".as_ptr()) } == 0
}

fn become_user((uid, gid): (u32, u32)) -> bool {
    // SAFETY: a system call on three integers.
    let group = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    // SAFETY: a system call on three integers.
    let user = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    group == 0 && user == 0
}

/// Nothing of the parent's may live on in a child that hangs: a uinput descriptor keeps its device, a link its
/// grants.
fn close_everything() -> bool {
    // SAFETY: a system call on three integers; this process uses no descriptor any more.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) == 0 }
}

fn succeeds(path: &CStr, attempt: Attempt) -> bool {
    match attempt {
        // SAFETY: the path is a valid C string.
        Attempt::Open(flags) => unsafe {
            libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) >= 0
        },
        // SAFETY: the path is a valid C string.
        Attempt::Access(mode) => unsafe {
            libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path.as_ptr(), mode) == 0
        },
    }
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}
