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

/// Where the child opens the path.
pub(crate) struct Place<'a> {
    pub(crate) cgroup: BorrowedFd<'a>,
    /// User namespace to become root of; `None` for the initial one.
    pub(crate) user: Option<BorrowedFd<'a>>,
    /// Mount namespace to enter, and root directory to have in it: its own root is the host's while the container is
    /// being started.
    pub(crate) mount: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
}

/// Starts the child and returns its pidfd. Its exit status is 0 or the errno of what failed.
pub(crate) fn spawn_opener(place: &Place<'_>, path: &CStr, flags: i32) -> io::Result<OwnedFd> {
    let mut pidfd: RawFd = -1;
    // SAFETY: an all-zero clone_args is valid: every field is an integer.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_PIDFD | CLONE_INTO_CGROUP;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    args.cgroup = u64::from(place.cgroup.as_raw_fd().cast_unsigned());
    let user = place.user.map_or(-1, |fd| fd.as_raw_fd());
    let (mount, root) =
        place.mount.map_or((-1, -1), |(namespace, root)| (namespace.as_raw_fd(), root.as_raw_fd()));
    // SAFETY: without CLONE_VM the child gets a copy of this process. It runs only `child`, which makes
    // system calls and touches no memory but its arguments, so locks held by other threads don't matter.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => child(user, mount, root, path, flags),
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
fn child(user: RawFd, mount: RawFd, root: RawFd, path: &CStr, flags: i32) -> ! {
    let entered = (user < 0 || setns(user, libc::CLONE_NEWUSER))
        && (mount < 0 || setns(mount, libc::CLONE_NEWNS) && change_root(root))
        && (user < 0 || become_root())
        && close_everything();
    let status = if entered && opens(path, flags) { 0 } else { last_errno() };
    loop {
        // SAFETY: ends this process alone, running no destructors of the parent's copy; does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
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

fn become_root() -> bool {
    // SAFETY: a system call on three integers.
    let group = unsafe { libc::syscall(libc::SYS_setresgid, 0, 0, 0) };
    // SAFETY: a system call on three integers.
    let user = unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) };
    group == 0 && user == 0
}

/// Nothing of the parent's may live on in a child that hangs: a uinput descriptor keeps its device, a link its
/// grants.
fn close_everything() -> bool {
    // SAFETY: a system call on three integers; this process uses no descriptor any more.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) == 0 }
}

fn opens(path: &CStr, flags: i32) -> bool {
    // SAFETY: the path is a valid C string.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) >= 0 }
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}
