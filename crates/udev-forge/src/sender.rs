//! Sending messages as udevd does.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::ucred;
use nix::sys::socket::{ControlMessage, MsgFlags, NetlinkAddr, SockFlag, UnixCredentials, sendmsg};
use nix::unistd::getpid;

use crate::message::Message;
use crate::netlink::{self, GROUP_UDEV, OpenError};

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no socket to send from.
    #[error("cannot open a socket to send from")]
    Open(#[source] OpenError),
    /// The message is not shorter than [`Message::SIZE_LIMIT`]: some receivers would drop it.
    #[error("a message of {size} bytes is too large for libudev before 252 and for eudev")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The kernel has no memory for the message now; it may have later.
    #[error("no buffer for the message; try again")]
    NoBuffer(#[source] io::Error),
    /// The process may not send to the network namespace, or not with these credentials.
    #[error(
        "not permitted to send udev messages: this needs CAP_NET_ADMIN in the user namespace that owns \
         the network namespace, and CAP_SETUID and CAP_SETGID for credentials that are not one's own"
    )]
    NotPermitted(#[source] io::Error),
    /// Any other failure. `InvalidInput`: an id of the credentials does not exist in the sender's user
    /// namespace.
    #[error("cannot send a udev message")]
    Send(#[source] io::Error),
}

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

/// Sends udev messages to the listeners of one network namespace.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
}

impl Sender {
    /// A sender into the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`SendError::Open`].
    pub fn open() -> Result<Self, SendError> {
        let socket = netlink::open(SockFlag::empty()).map_err(SendError::Open)?;
        Ok(Self { socket })
    }

    /// A sender into the network namespace behind `netns`, such as an open `/proc/PID/ns/net`.
    ///
    /// Only a short-lived thread enters the namespace. The sender keeps it alive.
    ///
    /// # Errors
    ///
    /// [`SendError::Open`].
    pub fn open_in(netns: BorrowedFd<'_>) -> Result<Self, SendError> {
        let open = || netlink::open(SockFlag::empty());
        let socket = netlink::within(netns, open).map_err(SendError::Open)?;
        Ok(Self { socket })
    }

    /// Sends `message` to every udev monitor. That nobody listens is a success, as it is in udevd.
    ///
    /// # Errors
    ///
    /// [`SendError`]; only [`NoBuffer`](SendError::NoBuffer) is worth another attempt.
    pub fn send(&self, message: &Message, credentials: &Credentials) -> Result<(), SendError> {
        let datagram = message.encode();
        if datagram.len() >= Message::SIZE_LIMIT {
            return Err(SendError::TooLarge { size: datagram.len() });
        }
        let Credentials { uid, gid } = *credentials;
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&datagram)],
            // The kernel takes no pid but the sender's own; no receiver looks at it.
            &[ControlMessage::ScmCredentials(&UnixCredentials::from(ucred {
                pid: getpid().as_raw(),
                uid,
                gid,
            }))],
            MsgFlags::empty(),
            Some(&NetlinkAddr::new(0, GROUP_UDEV)),
        );
        match sent {
            Ok(_) | Err(Errno::ECONNREFUSED | Errno::ESRCH) => Ok(()),
            Err(errno @ Errno::ENOBUFS) => Err(SendError::NoBuffer(errno.into())),
            Err(errno @ Errno::EPERM) => Err(SendError::NotPermitted(errno.into())),
            Err(errno) => Err(SendError::Send(errno.into())),
        }
    }
}
