//! Input datagrams: from the client to the server.

mod body;

pub use self::body::{Body, Edge, Finger, Kind, Log};
use crate::bytes::{Reader, Writer};
use crate::{DecodeError, MAX_DATAGRAM, MAX_SLOTS, VERSION};

/// The type of a datagram with input.
pub(crate) const TYPE: u8 = 1;

/// All that a client says of one part of one device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// The session's place for the device, below [`MAX_SLOTS`].
    pub slot: u8,
    /// The time of the slot that it belongs to; the server says which one is now.
    pub epoch: u8,
    /// What it says.
    pub body: Body,
}

/// An input datagram that has been checked from end to end.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Counts a connection's datagrams, wrapping.
    pub tick: u32,
    /// When it was made: microseconds of the client's clock, wrapping.
    pub time: u32,
    frames: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a datagram. Frames of unknown kinds are skipped.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if anything in it is not as docs/protocol.md has it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = header(bytes, TYPE)?;
        let datagram = Self { tick: reader.u32()?, time: reader.u32()?, frames: reader.0 };
        let mut rest = Reader(datagram.frames);
        while !rest.0.is_empty() {
            next(&mut rest)?;
        }
        Ok(datagram)
    }

    /// The frames, in their order.
    pub fn frames(&self) -> impl Iterator<Item = Frame> + use<'a> {
        let mut rest = Reader(self.frames);
        std::iter::from_fn(move || {
            while !rest.0.is_empty() {
                // All was read before.
                match next(&mut rest) {
                    Ok(None) => {}
                    Ok(Some(frame)) => return Some(frame),
                    Err(_) => return None,
                }
            }
            None
        })
    }
}

/// Checks what all datagrams begin with, and returns what comes after it.
pub(crate) fn header(bytes: &[u8], expected: u8) -> Result<Reader<'_>, DecodeError> {
    if bytes.len() > MAX_DATAGRAM {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let mut reader = Reader(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let kind = reader.u8()?;
    if kind != expected {
        return Err(DecodeError::DatagramType(kind));
    }
    Ok(reader)
}

/// Reads a frame, or skips one of an unknown kind.
fn next(reader: &mut Reader<'_>) -> Result<Option<Frame>, DecodeError> {
    let (slot, kind, epoch) = (reader.u8()?, reader.u8()?, reader.u8()?);
    let len = reader.u8()?;
    let mut body = Reader(reader.bytes(len.into())?);
    if slot >= MAX_SLOTS {
        return Err(DecodeError::Value { field: "slot" });
    }
    let Some(kind) = Kind::from_number(kind) else { return Ok(None) };
    let frame = Frame { slot, epoch, body: Body::read(kind, &mut body)? };
    body.end()?;
    Ok(Some(frame))
}

/// Makes an input datagram in a buffer.
#[derive(Debug)]
pub struct Builder<'a> {
    buffer: &'a mut [u8; MAX_DATAGRAM],
    len: usize,
}

impl<'a> Builder<'a> {
    /// A datagram without frames.
    pub fn new(buffer: &'a mut [u8; MAX_DATAGRAM], tick: u32, time: u32) -> Self {
        let mut builder = Self { buffer, len: 0 };
        builder.put(&[VERSION, TYPE]);
        builder.put(&tick.to_le_bytes());
        builder.put(&time.to_le_bytes());
        builder
    }

    /// Adds a frame. Returns whether there was room.
    pub fn push(&mut self, frame: &Frame) -> bool {
        let mut body = [0; u8::MAX as usize];
        let mut writer = Writer::new(&mut body);
        frame.body.write(&mut writer);
        let Some(len) = writer.finish().and_then(|len| u8::try_from(len).ok()) else {
            return false;
        };
        let header = [frame.slot, frame.body.kind() as u8, frame.epoch, len];
        let before = self.len;
        if self.put(&header) && self.put(&body[..len.into()]) {
            return true;
        }
        self.len = before;
        false
    }

    /// The datagram.
    #[must_use]
    pub fn finish(self) -> &'a [u8] {
        &self.buffer[..self.len]
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        let Some(place) = self.buffer.get_mut(self.len..end) else { return false };
        place.copy_from_slice(bytes);
        self.len = end;
        true
    }
}

#[cfg(test)]
mod tests;
