//! Injecting events as if the kernel had sent them, where a udevd works.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, SockFlag, recvmsg};

use crate::netlink::{self, Credentials, OpenError};
use crate::uevent::Uevent;

// include/uapi/linux/netlink.h.
const HEADER_SIZE: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// The one request of uevent sockets: `UEVENT_SEND`, which is `NLMSG_MIN_TYPE` (the kernel looks at nothing
/// but that it is no control message, `netlink_rcv_skb`).
const UEVENT_SEND: u16 = 16;

/// Why an event was not injected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// There is no socket to send from.
    #[error("cannot open a socket to inject from")]
    Open(#[source] OpenError),
    /// The event is larger than [`Uevent::SIZE_LIMIT`].
    #[error("an event of {size} bytes is too large for the kernel")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The process may not speak for the kernel in that network namespace, or not with these credentials.
    #[error(
        "not permitted to inject events: this needs CAP_SYS_ADMIN in the user namespace that owns the \
         network namespace, and CAP_SETUID and CAP_SETGID for credentials that are not one's own"
    )]
    NotPermitted(#[source] io::Error),
    /// The request could not be sent.
    #[error("cannot send an event to the kernel")]
    Send(#[source] io::Error),
    /// The kernel's answer could not be received; the event may have been sent or not.
    #[error("no answer from the kernel about an event")]
    Answer(#[source] io::Error),
    /// The kernel refused.
    #[error("the kernel did not take an event")]
    Refused(#[source] io::Error),
}

/// Injects events into one network namespace: the kernel sends them on to the listeners of its own group there,
/// such as the udevd of a booted container (`uevent_net_rcv_skb` in lib/kobject_uevent.c, since Linux 4.18).
///
/// That is for containers with a udevd of their own, and for network namespaces that belong to a user namespace:
/// in others the kernel's own events arrive, and an injected one would be a second.
#[derive(Debug)]
pub struct Injector {
    socket: OwnedFd,
    requests: AtomicU32,
}

impl Injector {
    /// An injector into the network namespace behind `netns`, such as an open `/proc/PID/ns/net`.
    ///
    /// Only a short-lived thread enters the namespace. The injector keeps it alive.
    ///
    /// # Errors
    ///
    /// [`InjectError::Open`].
    pub fn open_in(netns: BorrowedFd<'_>) -> Result<Self, InjectError> {
        let open = || netlink::open(SockFlag::SOCK_NONBLOCK);
        let socket = netlink::within(netns, open).map_err(InjectError::Open)?;
        Ok(Self { socket, requests: AtomicU32::new(0) })
    }

    /// Injects `event`. When this returns, it is in the queue of every listener. That nobody listens is a
    /// success, as it is for the kernel.
    ///
    /// The credentials are what a udevd sees of the sender, as for [`Sender::send`](crate::Sender::send): it
    /// believes user 0 as its user namespace has it.
    ///
    /// # Errors
    ///
    /// [`InjectError`].
    pub fn inject(&self, event: &Uevent, credentials: &Credentials) -> Result<(), InjectError> {
        let payload = event.encode();
        if payload.len() > Uevent::SIZE_LIMIT {
            return Err(InjectError::TooLarge { size: payload.len() });
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = request(number, &payload);
        netlink::send(&self.socket, &request, NetlinkAddr::new(0, 0), *credentials)
            .map_err(|errno| refusal(errno, InjectError::Send))?;
        self.answer(number)
    }

    /// The kernel has worked on the request, and answered it, when `sendmsg` returns.
    fn answer(&self, number: u32) -> Result<(), InjectError> {
        // The container's root may send to this socket too, and keep its queue full.
        for _ in 0..QUEUE {
            let mut buffer = [0; HEADER_SIZE + 4];
            let mut parts = [io::IoSliceMut::new(&mut buffer)];
            let received = recvmsg::<NetlinkAddr>(
                self.socket.as_raw_fd(),
                &mut parts,
                None,
                MsgFlags::empty(),
            );
            let from_kernel = match received {
                Ok(received) => received.address.is_some_and(|from| from.pid() == 0),
                // Answers may be missing; ours may still come.
                Err(Errno::ENOBUFS) => continue,
                Err(errno) => return Err(InjectError::Answer(errno.into())),
            };
            match error_in(&buffer) {
                Some((of, error)) if from_kernel && of == number => return outcome(error),
                _ => {}
            }
        }
        Err(InjectError::Answer(io::ErrorKind::TimedOut.into()))
    }
}

/// More than the receive buffer holds.
const QUEUE: usize = 4096;

/// `struct nlmsghdr` and the payload.
fn request(number: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEADER_SIZE + payload.len()).unwrap_or(u32::MAX);
    let mut request = size.to_ne_bytes().to_vec();
    request.extend(UEVENT_SEND.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    request.extend(number.to_ne_bytes());
    // Our port: the kernel fills it in.
    request.extend(0_u32.to_ne_bytes());
    request.extend(payload);
    request
}

/// The number of the request that an `NLMSG_ERROR` answers, and its error.
fn error_in(answer: &[u8; HEADER_SIZE + 4]) -> Option<(u32, i32)> {
    let word = |at: usize| answer.get(at..)?.first_chunk::<4>().copied();
    let kind = u16::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    let number = u32::from_ne_bytes(word(8)?);
    (kind == NLMSG_ERROR).then_some((number, i32::from_ne_bytes(word(HEADER_SIZE)?)))
}

fn outcome(error: i32) -> Result<(), InjectError> {
    match error {
        0 => Ok(()),
        error => Err(refusal(Errno::from_raw(error.saturating_neg()), InjectError::Refused)),
    }
}

fn refusal(errno: Errno, other: fn(io::Error) -> InjectError) -> InjectError {
    match errno {
        Errno::EPERM => InjectError::NotPermitted(errno.into()),
        errno => other(errno.into()),
    }
}
