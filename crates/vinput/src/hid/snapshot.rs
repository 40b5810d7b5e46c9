//! What a HID device leaves to the process that takes it over.

use super::descriptor::ReportKind;
use super::output::Output;
use crate::snapshot::{self, Kind, Reader, SnapshotError};

/// Most reports of a device: 256 numbers of each kind.
const MOST_REPORTS: usize = 3 * 256;
/// Most axes that stay where they are: as many as controls.
const MOST_POSITIONS: usize = 1024;
/// `UHID_DATA_MAX` (include/uapi/linux/uhid.h): most bytes in a report.
const MOST_BYTES: usize = 4096;

/// What a device was told, which it answers when it is asked, and where its
/// [positions](crate::profile::Axis::position) are. The default is that of a device of which nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// In logical units, by the order of the controls.
    pub(super) positions: Vec<i32>,
    /// The last of each report, the newest at the end.
    pub(super) told: Vec<Output>,
}

impl Snapshot {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], if it is anything else, in whatever part.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        snapshot::parse(bytes, Kind::Hid, Self::read, Self::to_bytes)
    }

    /// The snapshot, to be kept by whoever survives this process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        let mut bytes = snapshot::start(Kind::Hid);
        bytes.extend(count(self.positions.len()));
        bytes.extend(self.positions.iter().flat_map(|position| position.to_le_bytes()));
        bytes.extend(count(self.told.len()));
        for Output { kind, data } in &self.told {
            bytes.push(*kind as u8);
            bytes.extend(count(data.len()));
            bytes.extend(data);
        }
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut snapshot = Self::default();
        let count = usize::from(reader.u16()?);
        for _ in 0..Some(count).filter(|it| *it <= MOST_POSITIONS)? {
            snapshot.positions.push(i32::from_le_bytes(reader.array()?));
        }
        let count = usize::from(reader.u16()?);
        for _ in 0..Some(count).filter(|it| *it <= MOST_REPORTS)? {
            let kind = match reader.u8()? {
                0 => ReportKind::Input,
                1 => ReportKind::Output,
                2 => ReportKind::Feature,
                _ => return None,
            };
            let length = usize::from(reader.u16()?);
            let data = reader.bytes(length).filter(|it| it.len() <= MOST_BYTES)?.to_owned();
            let same = |it: &Output| it.kind == kind && it.data.first() == data.first();
            if snapshot.told.iter().any(same) {
                return None;
            }
            snapshot.told.push(Output { kind, data });
        }
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_as_it_was_written_and_nothing_twice() {
        let output = |kind, data: &[u8]| Output { kind, data: data.to_owned() };
        let mut snapshot = Snapshot {
            positions: vec![i32::MIN, 7],
            told: vec![
                output(ReportKind::Output, &[1, 2]),
                output(ReportKind::Feature, &[1]),
                output(ReportKind::Input, &[]),
            ],
        };
        let bytes = snapshot.to_bytes();
        assert_eq!(Snapshot::parse(&bytes).as_ref(), Ok(&snapshot));
        for at in 0..bytes.len() {
            assert_eq!(Snapshot::parse(&bytes[..at]), Err(SnapshotError::Malformed));
        }
        snapshot.told.push(output(ReportKind::Output, &[1, 3]));
        assert_eq!(Snapshot::parse(&snapshot.to_bytes()), Err(SnapshotError::Malformed));
    }
}
