//! systemd's descriptor store: what is in it outlives the daemon (docs/survive.md).
//!
//! Words of the protocol: sd_notify(3), sd_pid_notify_with_fds(3), sd_listen_fds_with_names(3). Without a store nothing
//! happens, and devices end with the daemon.

mod memory;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use tracing::warn;

pub(crate) use self::memory::Memory;

/// How the grants are called in the store.
const MAP: &str = "grants/map";
const LINK: &str = "grants/link";

/// How long systemd is waited for. It may be reading its units again.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// The store.
#[derive(Debug)]
pub(crate) struct Keep {
    /// How many descriptors there is room for; none without a store.
    room: usize,
    /// What is in it.
    names: Mutex<BTreeSet<String>>,
}

/// What an earlier daemon had put into the store.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// By session and slot.
    pub(crate) devices: BTreeMap<(String, u8), KeptDevice>,
    /// What it had granted.
    pub(crate) grants: Option<OwnedFd>,
}

/// A device in the store.
#[derive(Debug)]
pub(crate) struct KeptDevice {
    /// Its descriptor.
    pub(crate) device: Option<OwnedFd>,
    /// What the kernel does not know of it.
    pub(crate) memory: Option<OwnedFd>,
}

/// A device that is in the store until this is dropped, which has to be before the device is closed: the store would keep
/// it.
#[derive(Debug)]
pub(crate) struct Stored {
    keep: Arc<Keep>,
    names: [String; 2],
    memory: Arc<Memory>,
}

impl Keep {
    /// The store that systemd has for this process, with what it has passed from there.
    pub(crate) fn new(passed: Vec<(String, OwnedFd)>) -> (Arc<Self>, Kept) {
        // systemd.exec(5), "FDSTORE"; since systemd 254.
        let room = env::var("FDSTORE").ok().and_then(|room| room.parse().ok());
        let room = room.filter(|_| env::var_os("NOTIFY_SOCKET").is_some()).unwrap_or(0);
        let keep = Self { room, names: Mutex::default() };
        let kept = keep.sort(passed);
        (Arc::new(keep), kept)
    }

    /// Whether there is a store.
    pub(crate) fn is_there(&self) -> bool {
        self.room > 0
    }

    fn sort(&self, passed: Vec<(String, OwnedFd)>) -> Kept {
        let mut by_name = BTreeMap::new();
        for (name, descriptor) in passed {
            match by_name.entry(name) {
                Entry::Vacant(vacant) => drop(vacant.insert(Some(descriptor))),
                // Which of them it is, nobody can tell.
                Entry::Occupied(mut twice) => drop(twice.insert(None)),
            }
        }
        self.names().extend(by_name.keys().cloned());
        let mut kept = Kept::default();
        for (name, descriptor) in by_name {
            match parse(&name) {
                Some((slot, Part::Device)) => kept.device(slot).device = descriptor,
                Some((slot, Part::Memory)) => kept.device(slot).memory = descriptor,
                None if name == MAP => kept.grants = descriptor,
                // Its program may be another one than ours.
                None if name == LINK => {}
                None => {
                    warn!(name, "the descriptor store has something that is not known");
                    self.remove(&[&name]);
                }
            }
        }
        kept
    }

    /// Puts a device into the store, which then outlives us. `None`: it does not, which is said if there is a store.
    pub(crate) fn store(
        self: &Arc<Self>,
        session: &str,
        slot: u8,
        device: BorrowedFd<'_>,
        fingerprint: u64,
    ) -> Option<Stored> {
        if !self.is_there() {
            return None;
        }
        let names = names(session, slot);
        // What could not be taken out of it before.
        self.remove(&[&names[0], &names[1]]);
        let stored = Memory::create(fingerprint).and_then(|memory| {
            self.put(&names[1], memory.as_fd())?;
            self.put(&names[0], device)?;
            Ok(Arc::new(memory))
        });
        match stored {
            Ok(memory) => Some(Stored { keep: Arc::clone(self), names, memory }),
            Err(error) => {
                warn!(session, slot, %error, "the device will not outlive the daemon");
                // Its number is to be granted to nobody when it is gone.
                self.remove(&[&names[0], &names[1], MAP, LINK]);
                None
            }
        }
    }

    /// A device that an earlier daemon has put there.
    pub(crate) fn hold(self: &Arc<Self>, session: &str, slot: u8, memory: Memory) -> Stored {
        let memory = Arc::new(memory);
        Stored { keep: Arc::clone(self), names: names(session, slot), memory }
    }

    /// Takes devices out of the store that nobody has a use for. What is left of them is open here.
    pub(crate) fn forget<'a>(&self, slots: impl Iterator<Item = (&'a str, u8)>) {
        let names: Vec<_> = slots.flat_map(|(session, slot)| names(session, slot)).collect();
        if !names.is_empty() {
            drop(self.take_out(&names));
        }
    }

    /// Takes everything out of the store: nothing outlives us.
    pub(crate) fn empty(&self) {
        let names: Vec<_> = self.names().iter().cloned().collect();
        drop(self.take_out(&names));
    }

    /// Has the grants end with us, whenever that is, from when this returns on.
    pub(crate) fn forget_grants(&self) {
        let is_there = self.names().contains(MAP) || self.names().contains(LINK);
        if is_there {
            drop(self.take_out(&[MAP.to_owned(), LINK.to_owned()]));
        }
    }

    /// Has the grants outlive us, in the place of those of an earlier daemon.
    pub(crate) fn store_grants(&self, grants: Option<device_gate::Lasting<'_>>) {
        self.remove(&[MAP, LINK]);
        let Some(grants) = grants.filter(|_| self.is_there()) else { return };
        let put = self.put(MAP, grants.map).and_then(|()| self.put(LINK, grants.link));
        if let Err(error) = put {
            warn!(%error, "nothing is granted while no daemon runs");
            self.remove(&[MAP, LINK]);
        }
    }

    fn put(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let mut names = self.names();
        if names.len() >= self.room {
            let room = self.room;
            return Err(io::Error::other(format!(
                "systemd's descriptor store has room for {room} (`FileDescriptorStoreMax=` of the unit)"
            )));
        }
        // Not to be polled: a device is readable and hung up for reasons of its own.
        send(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), Some(descriptor))?;
        names.insert(name.to_owned());
        Ok(())
    }

    /// Has systemd take these out of the store.
    fn take_out(&self, names: &[String]) -> Leaving {
        for name in names {
            self.remove(&[name]);
        }
        Leaving(
            barrier()
                .inspect_err(|error| warn!(?names, %error, "nobody knows when they are gone"))
                .ok(),
        )
    }

    /// Takes what is there of these out of the store.
    fn remove(&self, removed: &[&str]) {
        let mut names = self.names();
        for name in removed.iter().filter(|name| names.contains(**name)).collect::<Vec<_>>() {
            match send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None) {
                Ok(()) => drop(names.remove(*name)),
                // It is still there, to be tried again with the next of its name.
                Err(error) => warn!(name, %error, "it stays in the descriptor store"),
            }
        }
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn device(&mut self, slot: (String, u8)) -> &mut KeptDevice {
        self.devices.entry(slot).or_insert(KeptDevice { device: None, memory: None })
    }
}

/// Systemd is taking something out of the store. Dropping this waits until it has.
#[derive(Debug)]
pub(crate) struct Leaving(Option<OwnedFd>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let Some(barrier) = &self.0 else { return };
        let mut ends = [PollFd::new(barrier, PollFlags::empty())];
        // Hung up when systemd has come so far.
        let answered = loop {
            match poll(&mut ends, Some(&PATIENCE)) {
                // A signal; there are a few in a daemon's life.
                Err(Errno::INTR) => {}
                answered => break answered,
            }
        };
        if answered != Ok(1) {
            warn!("systemd does not answer; it may have a device still that is unplugged");
        }
    }
}

impl Stored {
    /// Has systemd let go of the device, which may be closed when what this returns is dropped. What is stored under the
    /// same names from now on stays.
    pub(crate) fn let_go(mut self) -> Leaving {
        self.keep.take_out(&mem::take(&mut self.names))
    }

    /// What the kernel does not know of the device.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if !self.names[0].is_empty() {
            drop(self.keep.take_out(&self.names));
        }
    }
}

/// Hung up when systemd has done what it was told before (sd_notify(3), "BARRIER=1").
fn barrier() -> io::Result<OwnedFd> {
    let (done, barrier) = pipe_with(PipeFlags::CLOEXEC)?;
    send("BARRIER=1", Some(barrier.as_fd()))?;
    Ok(done)
}

/// Tells systemd something, and passes it a descriptor.
fn send(message: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let path = env::var_os("NOTIFY_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        path => SocketAddrUnix::new(path)?,
    };
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    let descriptors: Vec<_> = descriptor.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        // There is room for one.
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let message = [IoSlice::new(message.as_bytes())];
    sendmsg_addr(&socket, &address, &message, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What a name in the store is of.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Device,
    Memory,
}

fn names(session: &str, slot: u8) -> [String; 2] {
    [format!("device/{session}/{slot}"), format!("state/{session}/{slot}")]
}

fn parse(name: &str) -> Option<((String, u8), Part)> {
    let (part, slot) = name.split_once('/')?;
    let (session, slot) = slot.rsplit_once('/')?;
    let part = match part {
        "device" => Part::Device,
        "state" => Part::Memory,
        _ => return None,
    };
    Some(((session.to_owned(), slot.parse().ok()?), part))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn what_comes_from_the_store_is_known_by_its_name() {
        let keep = Keep { room: 0, names: Mutex::default() };
        let names = [
            "device/s/3",
            "state/s/3",
            "device/s-2/0",
            "grants/map",
            "grants/link",
            "device/s",
            "device/s/x",
            "device/s/256",
        ];
        let kept = keep.sort(names.map(|name| (name.to_owned(), null())).into());
        let slots: Vec<_> =
            kept.devices.keys().map(|(name, slot)| (name.as_str(), *slot)).collect();
        assert_eq!(slots, [("s", 3), ("s-2", 0)]);
        let whole = &kept.devices[&("s".to_owned(), 3)];
        assert!(whole.device.is_some() && whole.memory.is_some());
        assert!(kept.devices[&("s-2".to_owned(), 0)].memory.is_none());
        assert!(kept.grants.is_some());
    }

    #[test]
    fn of_two_with_one_name_neither_is_taken() {
        let keep = Keep { room: 0, names: Mutex::default() };
        let names = ["device/s/3", "state/s/3", "device/s/3"];
        let kept = keep.sort(names.map(|name| (name.to_owned(), null())).into());
        assert!(kept.devices[&("s".to_owned(), 3)].device.is_none());
    }
}
