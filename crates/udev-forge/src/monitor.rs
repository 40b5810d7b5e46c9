//! Receiving messages as libudev does.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, NetlinkAddr, SockFlag, UnixCredentials, bind, recvmsg,
    setsockopt, sockopt,
};

use crate::message::{Message, ParseError};
use crate::netlink::{self, GROUP_UDEV, OpenError};

/// Why no message was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// There is no socket to receive from.
    #[error("cannot open a socket to receive from")]
    Open(#[source] OpenError),
    /// Messages were lost because they came faster than they were received.
    #[error("messages were lost: the receive buffer overflowed")]
    Overflow,
    /// A datagram that was not sent to the group of udev, or without credentials. libudev ignores it.
    #[error("a datagram that is no broadcast of udev")]
    NotBroadcast,
    /// A datagram that libudev, or some version of it, drops.
    #[error("a datagram that is no message of udev")]
    Message(#[source] ParseError),
    /// Any other failure.
    #[error("cannot receive")]
    Receive(#[source] io::Error),
}

/// A message and its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// The sender's user, in the ids of the receiver's user namespace.
    pub uid: u32,
    /// The sender's group, likewise.
    pub gid: u32,
}

/// Listens to the udev messages of one network namespace, without blocking.
///
/// Readable ([`AsFd`], for poll) when [`try_recv`](Self::try_recv) has something to report.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
}

impl Monitor {
    /// A monitor of the network namespace of the calling thread. It receives what is sent from now on.
    ///
    /// # Errors
    ///
    /// [`MonitorError::Open`].
    pub fn open() -> Result<Self, MonitorError> {
        let socket = listen().map_err(MonitorError::Open)?;
        Ok(Self { socket })
    }

    /// A monitor of the network namespace behind `netns`, such as an open `/proc/PID/ns/net`.
    ///
    /// Only a short-lived thread enters the namespace. The monitor keeps it alive.
    ///
    /// # Errors
    ///
    /// [`MonitorError::Open`].
    pub fn open_in(netns: BorrowedFd<'_>) -> Result<Self, MonitorError> {
        let socket = netlink::within(netns, listen).map_err(MonitorError::Open)?;
        Ok(Self { socket })
    }

    /// Takes the next datagram; `None` when there is none now.
    ///
    /// # Errors
    ///
    /// [`MonitorError`]: of the datagram taken, unless it is [`Receive`](MonitorError::Receive). The next
    /// call goes on with the next one.
    pub fn try_recv(&self) -> Result<Option<Received>, MonitorError> {
        let mut buffer = [0; Message::SIZE_LIMIT];
        let mut control = cmsg_space!(UnixCredentials);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        // With MSG_TRUNC the size is that of the datagram, even if it did not fit.
        let received = recvmsg::<NetlinkAddr>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_TRUNC,
        );
        let received = match received {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::ENOBUFS) => return Err(MonitorError::Overflow),
            Err(errno) => return Err(MonitorError::Receive(errno.into())),
        };

        let size = received.bytes;
        let is_broadcast = received.address.is_some_and(|from| from.groups() == GROUP_UDEV);
        let control = received.cmsgs().map_err(|errno| MonitorError::Receive(errno.into()))?;
        let credentials = control.into_iter().find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(credentials) => Some(credentials),
            _ => None,
        });
        let (Some(credentials), true) = (credentials, is_broadcast) else {
            return Err(MonitorError::NotBroadcast);
        };

        let datagram = buffer.get(..size);
        let message = datagram.ok_or(ParseError::TooLarge { size }).and_then(Message::parse);
        let message = message.map_err(MonitorError::Message)?;
        Ok(Some(Received { message, uid: credentials.uid(), gid: credentials.gid() }))
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn listen() -> Result<OwnedFd, OpenError> {
    let socket = netlink::open(SockFlag::SOCK_NONBLOCK)?;
    // Credentials first: no datagram may be queued without.
    setsockopt(&socket, sockopt::PassCred, &true)
        .and_then(|()| bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP_UDEV)))
        .map_err(|errno| OpenError::Listen(errno.into()))?;
    Ok(socket)
}
