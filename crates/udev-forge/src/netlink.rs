//! Sockets of `NETLINK_KOBJECT_UEVENT` (netlink(7)).

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::{panic, thread};

use nix::libc::ucred;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
    UnixCredentials, sendmsg, socket,
};
use nix::unistd::getpid;

/// The multicast group of udevd's messages, `MONITOR_GROUP_UDEV` in systemd's device-monitor.c. Group 1
/// is the kernel's.
pub(crate) const GROUP_UDEV: u32 = 2;

/// The multicast group of the messages for libudev-zero, as a bit mask: `UDEV_MONITOR_NLGRP` in its
/// udev_monitor.c.
pub(crate) const GROUP_LIBUDEV_ZERO: u32 = 4;

/// In whose name a message is sent, in the ids of the sender's user namespace.
///
/// libudev before systemd 252 and eudev drop every message that is not from uid 0 *as seen by the
/// receiver*. For a container with a user namespace these are therefore the host's ids of the
/// container's root; 0 otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No thread could be started to enter the namespace.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The namespace could not be entered: it needs `CAP_SYS_ADMIN` here and in the user namespace that
    /// owns it.
    #[error("cannot enter the network namespace")]
    Enter(#[source] io::Error),
    /// The socket could not be made.
    #[error("cannot make a uevent socket")]
    Socket(#[source] io::Error),
    /// The socket could not be made to receive udev's messages with their senders' credentials.
    #[error("cannot listen to udev's messages")]
    Listen(#[source] io::Error),
}

/// A socket in the network namespace of the calling thread. It stays there.
pub(crate) fn open(flags: SockFlag) -> Result<OwnedFd, OpenError> {
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags | SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkKObjectUEvent,
    )
    .map_err(|errno| OpenError::Socket(errno.into()))
}

/// Sends one datagram in the name of `credentials`.
pub(crate) fn send(
    socket: &OwnedFd,
    datagram: &[u8],
    to: NetlinkAddr,
    credentials: Credentials,
) -> nix::Result<()> {
    let Credentials { uid, gid } = credentials;
    // The kernel takes no pid but the sender's own; no receiver looks at it.
    let credentials = UnixCredentials::from(ucred { pid: getpid().as_raw(), uid, gid });
    let control = [ControlMessage::ScmCredentials(&credentials)];
    let parts = [IoSlice::new(datagram)];
    sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&to)).map(drop)
}

/// Runs `work` in a network namespace, on a thread that ends with it.
pub(crate) fn within<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, OpenError> + Send,
) -> Result<T, OpenError> {
    thread::scope(|scope| {
        let enter_and_work = || {
            setns(netns, CloneFlags::CLONE_NEWNET)
                .map_err(|errno| OpenError::Enter(errno.into()))?;
            work()
        };
        let thread = thread::Builder::new()
            .name("udev-forge-netns".to_owned())
            .spawn_scoped(scope, enter_and_work)
            .map_err(OpenError::Thread)?;
        thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}
