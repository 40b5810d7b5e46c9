//! What of a device the kernel does not know: in memory that outlives the daemon, written anew in place.
//!
//! ```text
//! 0   hotseat1, the version of what follows
//! 8   the fingerprint of what the device was made from
//! 16  how often it was tried to take the device over, and nobody lived to tell
//! 20  the length of the snapshot, and the snapshot
//! ```
//!
//! Numbers are little-endian. A snapshot is written at once, and the kernel ends that for a kill between two pages at
//! most: those of more than one page, of HID devices with long reports, may be part of one and part of the next.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

const VERSION: &[u8; 8] = b"hotseat1";
const FINGERPRINT: u64 = 8;
const TRIES: u64 = 16;
const SNAPSHOT: u64 = 20;

/// No snapshot is longer: 768 reports of 4 KiB.
const LONGEST: u32 = 4 << 20;

/// The memory of one device.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    /// That of a new device.
    pub(super) fn create(fingerprint: u64) -> io::Result<Self> {
        let file = File::from(memfd_create("hotseat-device", MemfdFlags::CLOEXEC)?);
        file.write_all_at(VERSION, 0)?;
        file.write_all_at(&fingerprint.to_le_bytes(), FINGERPRINT)?;
        file.write_all_at(&[0; 8], TRIES)?;
        Ok(Self(file))
    }

    /// That of a device that was made from what has this fingerprint; `None` if it was from anything else.
    pub(crate) fn open(descriptor: OwnedFd, fingerprint: u64) -> Option<Self> {
        let memory = Self(File::from(descriptor));
        let (version, made_from) = (memory.read(0)?, memory.read(FINGERPRINT)?);
        (version == *VERSION && u64::from_le_bytes(made_from) == fingerprint).then_some(memory)
    }

    /// Notes that it is about to be tried to take the device over, and says how often that was begun and not ended.
    pub(crate) fn begin(&self) -> io::Result<u32> {
        let tries = u32::from_le_bytes(self.read(TRIES).unwrap_or_default());
        self.0.write_all_at(&tries.saturating_add(1).to_le_bytes(), TRIES)?;
        Ok(tries)
    }

    /// Notes that it has ended.
    pub(crate) fn settle(&self) {
        if let Err(error) = self.0.write_all_at(&[0; 4], TRIES) {
            tracing::warn!(%error, "a device may not outlive the next daemon");
        }
    }

    /// Replaces the snapshot.
    pub(crate) fn remember(&self, snapshot: &[u8]) -> io::Result<()> {
        let length = u32::try_from(snapshot.len()).map_err(io::Error::other)?;
        let bytes = [&length.to_le_bytes()[..], snapshot].concat();
        self.0.write_all_at(&bytes, SNAPSHOT)
    }

    /// The snapshot; nothing if there is none.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let length = u32::from_le_bytes(self.read(SNAPSHOT).unwrap_or_default()).min(LONGEST);
        let mut bytes = vec![0; length as usize];
        match self.0.read_exact_at(&mut bytes, SNAPSHOT + 4) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }

    fn read<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_daemon_reads_what_was_written_last() {
        let memory = Memory::create(7).unwrap();
        assert!(memory.snapshot().is_empty());
        memory.remember(b"a long one").unwrap();
        memory.remember(b"short").unwrap();
        let again = Memory::open(memory.0.try_clone().unwrap().into(), 7).unwrap();
        assert_eq!(again.snapshot(), b"short");
        assert_eq!([again.begin().unwrap(), again.begin().unwrap()], [0, 1]);
        again.settle();
        assert_eq!(memory.begin().unwrap(), 0);
        assert_eq!(memory.snapshot(), b"short");
    }

    #[test]
    fn what_is_of_another_device_or_no_memory_is_refused() {
        let memory = Memory::create(7).unwrap();
        assert!(Memory::open(memory.0.try_clone().unwrap().into(), 8).is_none());
        assert!(Memory::open(File::open("/dev/null").unwrap().into(), 0).is_none());
    }

    #[test]
    fn a_snapshot_that_was_cut_off_is_none() {
        let memory = Memory::create(7).unwrap();
        memory.remember(b"a long one").unwrap();
        memory.0.set_len(SNAPSHOT + 6).unwrap();
        assert!(memory.snapshot().is_empty());
    }
}
