//! `mount_setattr(2)`, `setfsuid(2)`, `unshare(CLONE_FS)`, `ioctl_nsfs(2)`.

#![expect(unsafe_code, reason = "rustix 1.1 has no safe wrapper for these calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Makes a detached mount read-only, without set-user-id and execution, and private.
pub(crate) fn make_mount_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is an empty C string (AT_EMPTY_PATH), `attr` is readable for the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the calling thread a current directory and root of its own, which `setns(CLONE_NEWNS)` requires.
pub(crate) fn unshare_fs() -> io::Result<()> {
    // SAFETY: CLONE_FS only copies the fs struct; no descriptor becomes invalid for another thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FS) }
        .map_err(io::Error::from)
}

/// Moves the calling thread into a copy of its mount namespace.
pub(crate) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: NEWNS touches no descriptor of another thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
        .map_err(io::Error::from)
}

/// Sets the ids with which the calling thread makes files. The calls report no errors: a failed change
/// shows as `EOVERFLOW` or `EACCES` on the file operation that follows.
pub(crate) fn set_thread_fs_ids(uid: u32, gid: u32) {
    // SAFETY: setfsgid takes a number and affects only the calling thread.
    unsafe { libc::setfsgid(gid) };
    // SAFETY: as above.
    unsafe { libc::setfsuid(uid) };
}

/// The user namespace that a namespace belongs to (ioctl_nsfs(2)).
pub(crate) fn owning_user_namespace(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    related(namespace, libc::NS_GET_USERNS)
}

/// The namespace that a process namespace was made in (ioctl_nsfs(2)); an error where that is above our own.
pub(crate) fn parent_namespace(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    related(namespace, libc::NS_GET_PARENT)
}

fn related(namespace: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), request) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user who made a user namespace (ioctl_nsfs(2)).
pub(crate) fn owner_uid(user_namespace: BorrowedFd<'_>) -> io::Result<u32> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t to its argument.
    let result =
        unsafe { libc::ioctl(user_namespace.as_raw_fd(), libc::NS_GET_OWNER_UID, &raw mut uid) };
    if result == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}
