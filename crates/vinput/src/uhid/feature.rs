//! A feature report: what a pad answers when it is asked for one.

/// Up to 64 bytes, the report's number first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feature {
    bytes: [u8; 64],
    length: usize,
}

impl Feature {
    /// A report of this many bytes that starts with these; the rest is zero.
    pub(super) fn new(length: usize, start: &[u8]) -> Self {
        let mut report = Self { bytes: [0; 64], length };
        report.put(0, start);
        report
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}
