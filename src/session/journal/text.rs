//! The journal as text.
//!
//! ```text
//! hotseat-journal 3
//! CHECKSUM JSON
//! ...
//! ```
//!
//! The first line is the same in every version but for its number. The checksum, in eight hexadecimal digits, is the
//! CRC-32 of the JSON. Version 1 had no such line and no checksums; version 2 had no rules about the
//! host's devices.

use serde::Deserialize;

use super::change::{Change, Intent, Known};
use super::kept::Book;

/// The version that is written.
const VERSION: u32 = 3;

/// Whose lines are lines of [`VERSION`] too.
const BEFORE: u32 = 2;

/// What the first line begins with.
const HEAD: &str = "hotseat-journal ";

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// This.
    Book(Book),
    /// It is of version 1, which knew no sessions: what was begun and had not ended, and in which.
    Version1(Vec<(String, Intent)>),
    /// It is of a version that is not known here.
    Newer(u32),
    /// This line is none.
    Corrupt { line: usize },
}

/// The first line.
pub(super) fn head() -> String {
    format!("{HEAD}{VERSION}\n")
}

/// A change as a line.
pub(super) fn line(change: &Change) -> serde_json::Result<String> {
    let json = serde_json::to_string(change)?;
    Ok(format!("{:08x} {json}\n", crc32(json.as_bytes())))
}

/// Reads a journal of any version. A last line without an end is passed over: whoever wrote it was killed before it had
/// done what it says.
pub(super) fn read(bytes: &[u8]) -> Read {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
    let mut lines = lines.map(|line| &line[..line.len() - 1]).enumerate().peekable();
    let Some(&(_, first)) = lines.peek() else {
        // Nothing, or less than a line: a beginning.
        return if is_a_beginning(bytes) { Read::Book(Book::default()) } else { corrupt(0) };
    };
    if first.starts_with(b"{") {
        return read_version_1(lines);
    }
    match version(first) {
        Some(BEFORE | VERSION) => {}
        Some(newer) if newer > VERSION => return Read::Newer(newer),
        _ => return corrupt(0),
    }
    let mut book = Book::default();
    for (number, line) in lines.skip(1) {
        match change(line) {
            Some(change) => book.apply(change),
            None => return corrupt(number),
        }
    }
    Read::Book(book)
}

fn corrupt(number: usize) -> Read {
    Read::Corrupt { line: number + 1 }
}

fn is_a_beginning(bytes: &[u8]) -> bool {
    head().as_bytes().starts_with(bytes) || bytes.starts_with(b"{")
}

fn version(first: &[u8]) -> Option<u32> {
    std::str::from_utf8(first).ok()?.strip_prefix(HEAD)?.parse().ok()
}

fn change(line: &[u8]) -> Option<Change> {
    let (checksum, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let is_right = checksum.len() == 8
        && u32::from_str_radix(checksum, 16).is_ok_and(|sum| sum == crc32(json.as_bytes()));
    if is_right { serde_json::from_str(json).ok() } else { None }
}

/// A line of version 1: an intent, or with `end` its end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line1 {
    #[serde(rename = "v")]
    _version: u32,
    operation: Operation1,
    session: String,
    slot: u8,
    #[serde(default)]
    end: Option<End1>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Operation1 {
    Plug,
    Unplug,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum End1 {
    Done,
    RolledBack,
    Incomplete,
}

/// Version 1 passed over what it could not read, and so is it read.
fn read_version_1<'a>(lines: impl Iterator<Item = (usize, &'a [u8])>) -> Read {
    let mut open: Vec<(String, Intent)> = Vec::new();
    for line in lines.filter_map(|(_, line)| serde_json::from_slice::<Line1>(line).ok()) {
        let slot = line.slot;
        let intent = match line.operation {
            Operation1::Plug => Intent::Plug(slot, Known { profile: String::new(), name: None }),
            Operation1::Unplug => Intent::Unplug(slot),
        };
        match line.end {
            None => open.push((line.session, intent)),
            Some(End1::Done | End1::RolledBack | End1::Incomplete) => {
                open.retain(|(session, other)| (session, other) != (&line.session, &intent));
            }
        }
    }
    Read::Version1(open)
}

/// CRC-32 as in ISO 3309 and zlib's `crc32`: polynomial 0xEDB88320, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_everybody_has() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
