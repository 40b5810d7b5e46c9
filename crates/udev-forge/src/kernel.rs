//! The kernel's own events.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{NetlinkAddr, SockFlag, bind, recvfrom};

use crate::message::Action;
use crate::netlink::{self, OpenError};

/// The multicast group of the kernel's own messages (`uevent_net_init` in lib/kobject_uevent.c).
const GROUP_KERNEL: u32 = 1;

/// The largest event: `UEVENT_BUFFER_SIZE` in include/linux/kobject.h, and the first line.
const EVENT_SIZE: usize = 2048 + 512;

/// More than the receive buffer holds.
const QUEUE: usize = 4096;

/// Listens to the kernel's events while a device is made, so that what is forged for it can have the
/// kernel's own [`seqnum`](crate::Stamp::seqnum).
///
/// ```no_run
/// use udev_forge::KernelEvents;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let events = KernelEvents::listen()?;
/// // A device is made here.
/// let seqnum = events.added().get("/devices/virtual/input/input20/event5").copied();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KernelEvents(OwnedFd);

impl KernelEvents {
    /// Listens from now on, in the network namespace of the calling thread. Only one that belongs to the
    /// first user namespace hears of devices.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn listen() -> Result<Self, OpenError> {
        let socket = netlink::open(SockFlag::SOCK_NONBLOCK)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP_KERNEL))
            .map_err(|errno| OpenError::Listen(errno.into()))?;
        Ok(Self(socket))
    }

    /// The numbers of the `add` events heard since the last call, by devpath. An event is here as soon as
    /// the device is; when too many came at once, some are missing.
    pub fn added(&self) -> BTreeMap<String, u64> {
        let mut added = BTreeMap::new();
        let mut buffer = [0; EVENT_SIZE];
        for _ in 0..QUEUE {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                // Anybody may send to the group who is root in this network namespace.
                Ok((size, Some(sender))) if sender.pid() == 0 => {
                    added.extend(buffer.get(..size).and_then(parse_added));
                }
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => break,
            }
        }
        added
    }
}

impl KernelEvents {
    /// The next event: what happened, and to the device of which devpath; `None` when there is none now. What is no event
    /// of the kernel is passed over. Readable ([`AsFd`], for poll) when there is something to report.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` when events were lost because they came faster than they were received; the next call goes on with the
    /// next one. Any other error is one of the socket.
    pub fn try_next(&self) -> io::Result<Option<(Action, String)>> {
        let mut buffer = [0; EVENT_SIZE];
        loop {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                // Anybody may send to the group who is root in this network namespace.
                Ok((size, Some(sender))) if sender.pid() == 0 => {
                    if let Some(event) = buffer.get(..size).and_then(parse) {
                        return Ok(Some(event));
                    }
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for KernelEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What happened, and the devpath, from the first field of an event: `add@/devices/...`.
fn parse(datagram: &[u8]) -> Option<(Action, String)> {
    let first = datagram.split(|&byte| byte == 0).next()?;
    let (action, devpath) = str::from_utf8(first).ok()?.split_once('@')?;
    Some((action.parse().ok()?, devpath.to_owned()))
}

/// Devpath and number of an `add` event: `add@/devices/...`, then `KEY=VALUE`, each ended by a NUL
/// (`kobject_uevent_env` in lib/kobject_uevent.c).
fn parse_added(datagram: &[u8]) -> Option<(String, u64)> {
    let text = str::from_utf8(datagram).ok()?;
    let devpath = text.split('\0').next()?.strip_prefix("add@")?;
    let seqnum = text.split('\0').find_map(|field| field.strip_prefix("SEQNUM="))?;
    Some((devpath.to_owned(), seqnum.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_path_and_number() {
        let event = b"add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=x\0SEQNUM=7\0";
        assert_eq!(parse_added(event), Some(("/devices/a".into(), 7)));
        for other in [
            &b""[..],
            b"add@/devices/a",
            b"remove@/devices/a\0SEQNUM=7\0",
            b"add@/devices/a\0SEQNUM=x\0",
            b"add@\xff\0SEQNUM=7\0",
            b"libudev\0\xfe\xed",
        ] {
            assert_eq!(parse_added(other), None);
        }
    }

    #[test]
    fn the_first_field_says_what_happened_to_which_device() {
        let event = b"remove@/devices/a\0ACTION=remove\0DEVPATH=/devices/a\0SEQNUM=8\0";
        assert_eq!(parse(event), Some((Action::Remove, "/devices/a".into())));
        for other in [&b""[..], b"libudev\0\xfe\xed", b"add", b"burn@/devices/a", b"add@\xff\0"] {
            assert_eq!(parse(other), None);
        }
    }

    #[test]
    fn silence_is_no_event() {
        let events = KernelEvents::listen().unwrap();
        assert_eq!(events.added().len(), 0);
        assert_eq!(events.try_next().unwrap(), None);
    }
}
