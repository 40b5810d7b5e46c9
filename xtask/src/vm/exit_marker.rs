//! How the machine says that a command has ended: in the command's own output, behind everything that the
//! command wrote, by a marker that nothing else can contain.

use std::fs::File;
use std::io::{self, Read as _, Write};

/// Passes output on until the marker comes, followed by the exit status and a newline.
pub(super) struct ExitMarker {
    marker: Vec<u8>,
    /// Received, but possibly the beginning of the marker.
    held: Vec<u8>,
}

impl ExitMarker {
    /// A marker that was never used before.
    pub(super) fn new() -> io::Result<Self> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let text = format!("hotseat-vm-exit-{:032x}:", u128::from_ne_bytes(random));
        Ok(Self { marker: text.into_bytes(), held: Vec::new() })
    }

    /// What the machine is to print.
    pub(super) fn text(&self) -> &[u8] {
        &self.marker
    }

    /// Takes the next piece of output, writes what is certainly not the marker to `out`, and returns the
    /// exit status as soon as it is known.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut impl Write) -> io::Result<Option<u8>> {
        self.held.extend_from_slice(piece);
        let found = self.held.windows(self.marker.len()).position(|part| part == self.marker);
        let certain = found.unwrap_or_else(|| self.held.len() - self.beginning_of_marker());
        out.write_all(&self.held[..certain])?;
        out.flush()?;
        self.held.drain(..certain);
        if found.is_none() || self.held.last() != Some(&b'\n') {
            return Ok(None);
        }
        let status = &self.held[self.marker.len()..self.held.len() - 1];
        let status = str::from_utf8(status).ok().and_then(|text| text.parse().ok());
        status.map(Some).ok_or_else(|| io::Error::other("no exit status behind the marker"))
    }

    /// How many bytes at the end of `held` could be the beginning of the marker.
    fn beginning_of_marker(&self) -> usize {
        let longest = self.held.len().min(self.marker.len());
        let mut lengths = (1..=longest).rev();
        lengths.find(|&length| self.held.ends_with(&self.marker[..length])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::ExitMarker;

    #[test]
    fn the_output_is_untouched_wherever_it_is_cut() {
        let output = b"\x00binary \xff hotseat-vm-exit- no newline";
        let mut whole = ExitMarker::new().unwrap();
        let stream = [&output[..], whole.text(), b"17\n"].concat();
        for size in 1..stream.len() {
            whole.held.clear();
            let mut seen = Vec::new();
            let mut status = None;
            for piece in stream.chunks(size) {
                assert_eq!(status, None);
                status = whole.push(piece, &mut seen).unwrap();
            }
            assert_eq!(status, Some(17));
            assert_eq!(seen, output);
        }
    }

    #[test]
    fn output_without_the_marker_is_passed_on_at_once() {
        let mut marker = ExitMarker::new().unwrap();
        let mut seen = Vec::new();
        assert_eq!(marker.push(b"hello", &mut seen).unwrap(), None);
        assert_eq!(seen, b"hello");
    }
}
