//! Sockets of `NETLINK_KOBJECT_UEVENT` (netlink(7)).

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::{panic, thread};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// The multicast group of udevd's messages, `MONITOR_GROUP_UDEV` in systemd's device-monitor.c. Group 1
/// is the kernel's.
pub(crate) const GROUP_UDEV: u32 = 2;

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
