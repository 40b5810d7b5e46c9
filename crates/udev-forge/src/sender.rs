//! Sending messages as udevd does.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{NetlinkAddr, SockFlag};

use crate::message::Message;
use crate::netlink::{self, Credentials, GROUP_LIBUDEV_ZERO, GROUP_UDEV, OpenError};

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

/// Sends udev messages to the listeners of one network namespace.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    libudev_zero: bool,
}

impl Sender {
    /// A sender into the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`SendError::Open`].
    pub fn open() -> Result<Self, SendError> {
        let socket = netlink::open(SockFlag::empty()).map_err(SendError::Open)?;
        Ok(Self { socket, libudev_zero: false })
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
        Ok(Self { socket, libudev_zero: false })
    }

    /// Whether each message is sent a second time, for programs with libudev-zero: it has a group and a
    /// format of its own ([`Message::encode_for_libudev_zero`]). Off at first; other programs do not
    /// notice.
    #[must_use]
    pub fn libudev_zero(mut self, on: bool) -> Self {
        self.libudev_zero = on;
        self
    }

    /// Sends `message` to every udev monitor. That nobody listens is a success, as it is in udevd.
    ///
    /// # Errors
    ///
    /// [`SendError`]; only [`NoBuffer`](SendError::NoBuffer) is worth another attempt.
    pub fn send(&self, message: &Message, credentials: &Credentials) -> Result<(), SendError> {
        self.broadcast(&message.encode(), GROUP_UDEV, *credentials)?;
        if self.libudev_zero {
            self.broadcast(&message.encode_for_libudev_zero(), GROUP_LIBUDEV_ZERO, *credentials)?;
        }
        Ok(())
    }

    fn broadcast(
        &self,
        datagram: &[u8],
        group: u32,
        credentials: Credentials,
    ) -> Result<(), SendError> {
        if datagram.len() >= Message::SIZE_LIMIT {
            return Err(SendError::TooLarge { size: datagram.len() });
        }
        match netlink::send(&self.socket, datagram, NetlinkAddr::new(0, group), credentials) {
            Ok(()) | Err(Errno::ECONNREFUSED | Errno::ESRCH) => Ok(()),
            Err(errno @ Errno::ENOBUFS) => Err(SendError::NoBuffer(errno.into())),
            Err(errno @ Errno::EPERM) => Err(SendError::NotPermitted(errno.into())),
            Err(errno) => Err(SendError::Send(errno.into())),
        }
    }
}
