//! Snapshots: what a process leaves to the one that takes its devices over.
//!
//! A version and a kind, a byte each, then what the kind has, numbers little-endian. There is one way to write
//! each snapshot, and nothing else is read: whatever has been changed or cut off is refused.

use thiserror::Error;

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A player's effects and lights.
    Player = b'e',
    /// A pad of uhid.
    Pad = b'p',
    /// A HID device of the user's own.
    Hid = b'h',
}

/// Why bytes are no snapshot. The device can be taken over all the same, with less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Another version of this crate wrote it.
    #[error("the snapshot has version {found}, and only {VERSION} is known here")]
    Version {
        /// The version that it has.
        found: u8,
    },
    /// It was changed or cut off, or is of something else.
    #[error("this is no snapshot, or not all of one, or one of another kind of device")]
    Malformed,
}

/// The beginning of a snapshot.
pub(crate) fn start(kind: Kind) -> Vec<u8> {
    vec![VERSION, kind as u8]
}

/// Reads a snapshot, and checks that it is as it would be written.
pub(crate) fn parse<T>(
    bytes: &[u8],
    kind: Kind,
    read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    write: impl FnOnce(&T) -> Vec<u8>,
) -> Result<T, SnapshotError> {
    match bytes {
        [VERSION, found, rest @ ..] if *found == kind as u8 => {
            let parsed = read(&mut Reader(rest)).ok_or(SnapshotError::Malformed)?;
            if write(&parsed) == bytes { Ok(parsed) } else { Err(SnapshotError::Malformed) }
        }
        [VERSION, ..] | [] => Err(SnapshotError::Malformed),
        [found, ..] => Err(SnapshotError::Version { found: *found }),
    }
}

/// What is left of a snapshot. `None` from any of its methods: there is not that much.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<u16, SnapshotError> {
        let write = |value: &u16| [&start(Kind::Pad)[..], &value.to_le_bytes()].concat();
        parse(bytes, Kind::Pad, |reader| reader.u16(), write)
    }

    #[test]
    fn only_the_whole_snapshot_of_this_version_and_kind_is_read() {
        assert_eq!(read(&[1, b'p', 0x34, 0x12]), Ok(0x1234));
        assert_eq!(read(&[1, b'p', 0x34]), Err(SnapshotError::Malformed));
        assert_eq!(read(&[1, b'p', 0x34, 0x12, 0]), Err(SnapshotError::Malformed));
        assert_eq!(read(&[1, b'e', 0x34, 0x12]), Err(SnapshotError::Malformed));
        assert_eq!(read(&[]), Err(SnapshotError::Malformed));
        assert_eq!(read(&[2, b'p', 0x34, 0x12]), Err(SnapshotError::Version { found: 2 }));
    }
}
