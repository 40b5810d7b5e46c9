//! The sandbox's system calls that need `unsafe`, or bytes.

#![expect(
    unsafe_code,
    reason = "rustix marks every unshare unsafe for the sake of CLONE_FILES; a descriptor arrives by number"
)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Children of the calling thread start in a process namespace of their own.
pub(super) fn unshare_pid() -> io::Result<()> {
    // SAFETY: NEWPID touches no descriptor of another thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.map_err(io::Error::from)
}

/// The namespaces of a container, but for the process namespace, which only children can be in.
pub(super) fn unshare_namespaces() -> io::Result<()> {
    let namespaces =
        UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    // SAFETY: none of these touches a descriptor of another thread.
    unsafe { unshare_unsafe(namespaces) }.map_err(io::Error::from)
}

/// Takes the descriptor that the launcher passed by number.
pub(crate) fn inherited(number: RawFd) -> io::Result<UnixStream> {
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only borrowed to ask whether there is such a descriptor, which fails if there is none.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    // The command must not have it.
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and nothing in this process has made it: the launcher left it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) }.into())
}

/// A new network namespace has its loopback interface, number 1, down. One `RTM_NEWLINK` (rtnetlink(7)) brings
/// it up.
pub(super) fn bring_up_loopback() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    // struct nlmsghdr: length, type, flags, sequence, port.
    message.extend(32u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family, padding, type; index; flags; mask of the flags to change.
    message.extend([0; 4]);
    message.extend(1i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());

    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // NETLINK_ROUTE is 0
    )?;
    send(&kernel, &message, SendFlags::empty())?;
    // struct nlmsghdr, then the negated errno.
    let mut answer = [0; 64];
    let (length, _) = recv(&kernel, &mut answer, RecvFlags::empty())?;
    match answer[..length]
        .get(16..20)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes)
    {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
