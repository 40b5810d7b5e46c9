//! Feedback datagrams: from the server to the client.

use crate::bytes::{Reader, Writer};
use crate::input::{Kind, header};
use crate::{DecodeError, MAX_DATAGRAM, MAX_SLOTS, VERSION};

/// The type of a datagram with feedback.
pub(crate) const TYPE: u8 = 2;

/// What programs send back to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feedback {
    /// The motors: 0 is off, 65535 is full.
    Rumble {
        /// The heavy one, low of pitch.
        low: u16,
        /// The light one, high of pitch.
        high: u16,
        /// The one in the left trigger.
        left_trigger: u16,
        /// The one in the right trigger.
        right_trigger: u16,
        /// Milliseconds after which they stop if nothing newer is said.
        ttl_ms: u16,
    },
    /// The lamps of a keyboard: bit 0 num lock, 1 caps lock, 2 scroll lock, 3 compose, 4 kana, as `LED_*` of
    /// linux/input-event-codes.h.
    Lamps(u16),
    /// The colour of the light bar: red, green, blue.
    LightBar([u8; 3]),
    /// The light bar blinks, or stops to where both are 0.
    Blink {
        /// Milliseconds that it is on.
        on_ms: u16,
        /// Milliseconds that it is off.
        off_ms: u16,
    },
    /// The row of lights that says which player this is; bit 0 is the leftmost one.
    PlayerLights {
        /// Those that are lit.
        on: u8,
        /// Those that blink.
        blinking: u8,
    },
    /// The light in the mute button: 0 off, 1 on, 2 pulsing.
    MuteLight(u8),
    /// The light around the home button: 65535 is full.
    HomeLight(u16),
    /// The resistance of the left trigger: the kind of effect and its ten parameters, as a DualSense takes them.
    LeftTrigger([u8; 11]),
    /// The resistance of the right trigger.
    RightTrigger([u8; 11]),
}

impl Feedback {
    /// How many kinds there are.
    pub(crate) const KINDS: usize = 9;

    /// The number of the first kind.
    const FIRST: u8 = 0x90;

    /// The motors stand still.
    pub const STILL: Self =
        Self::Rumble { low: 0, high: 0, left_trigger: 0, right_trigger: 0, ttl_ms: 0 };

    /// Whether it makes a motor run.
    pub(crate) fn is_on(&self) -> bool {
        match self {
            Self::Rumble { low, high, left_trigger, right_trigger, .. } => {
                [low, high, left_trigger, right_trigger].iter().any(|motor| **motor > 0)
            }
            _ => false,
        }
    }

    /// Its place in an array with one entry for each kind. What is newer of a kind replaces what is older.
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::Rumble { .. } => 0,
            Self::Lamps(_) => 1,
            Self::LightBar(_) => 2,
            Self::Blink { .. } => 3,
            Self::PlayerLights { .. } => 4,
            Self::MuteLight(_) => 5,
            Self::HomeLight(_) => 6,
            Self::LeftTrigger(_) => 7,
            Self::RightTrigger(_) => 8,
        }
    }

    pub(crate) fn number(&self) -> u8 {
        // Fewer than 256.
        Self::FIRST + u8::try_from(self.index()).unwrap_or_default()
    }

    pub(crate) fn read(number: u8, reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match number.checked_sub(Self::FIRST) {
            Some(0) => Self::Rumble {
                low: reader.u16()?,
                high: reader.u16()?,
                left_trigger: reader.u16()?,
                right_trigger: reader.u16()?,
                ttl_ms: reader.u16()?,
            },
            Some(1) => Self::Lamps(reader.u16()?),
            Some(2) => Self::LightBar(reader.array()?),
            Some(3) => Self::Blink { on_ms: reader.u16()?, off_ms: reader.u16()? },
            Some(4) => Self::PlayerLights { on: reader.u8()?, blinking: reader.u8()? },
            Some(5) => match reader.u8()? {
                light @ 0..=2 => Self::MuteLight(light),
                _ => return Err(DecodeError::Value { field: "mute light" }),
            },
            Some(6) => Self::HomeLight(reader.u16()?),
            Some(7) => Self::LeftTrigger(reader.array()?),
            Some(8) => Self::RightTrigger(reader.array()?),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Rumble { low, high, left_trigger, right_trigger, ttl_ms } => {
                for number in [low, high, left_trigger, right_trigger, ttl_ms] {
                    writer.put(&number.to_le_bytes());
                }
            }
            Self::Lamps(number) | Self::HomeLight(number) => writer.put(&number.to_le_bytes()),
            Self::LightBar(colour) => writer.put(colour),
            Self::Blink { on_ms, off_ms } => {
                writer.put(&on_ms.to_le_bytes());
                writer.put(&off_ms.to_le_bytes());
            }
            Self::PlayerLights { on, blinking } => writer.put(&[*on, *blinking]),
            Self::MuteLight(light) => writer.put(&[*light]),
            Self::LeftTrigger(effect) | Self::RightTrigger(effect) => writer.put(effect),
        }
    }
}

/// What the server says of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The slot.
    pub slot: u8,
    /// The time of the slot that is now.
    pub epoch: u8,
    /// What it says.
    pub body: Body,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The epoch, and nothing else.
    Epoch,
    /// What has been applied.
    Ack {
        /// Of which part of the device.
        kind: Kind,
        /// The newest datagram with a frame for it.
        tick: u32,
        /// The last edge, or the newest finger that went up; 0 if there is none.
        last: u16,
    },
    /// What a program sends.
    Feedback {
        /// Orders the feedback of a slot that is of one kind, wrapping.
        sequence: u16,
        /// What it is.
        feedback: Feedback,
    },
}

impl Body {
    const EPOCH: u8 = 0x80;
    const ACK: u8 = 0x81;

    fn number(&self) -> u8 {
        match self {
            Self::Epoch => Self::EPOCH,
            Self::Ack { .. } => Self::ACK,
            Self::Feedback { feedback, .. } => feedback.number(),
        }
    }
}

/// A feedback datagram that has been checked from end to end.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// About the client's datagrams.
    pub receipt: Receipt,
    frames: &'a [u8],
}

/// What the server says of the client's datagrams as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// How many came, wrapping.
    pub count: u32,
    /// The newest one.
    pub tick: u32,
    /// The time that it carried.
    pub time: u32,
    /// For how many microseconds the server has had it.
    pub delay: u32,
}

impl<'a> Datagram<'a> {
    /// Reads a datagram. Frames of unknown kinds are skipped.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if anything in it is not as docs/protocol.md has it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = header(bytes, TYPE)?;
        let (count, tick) = (reader.u32()?, reader.u32()?);
        let (time, delay) = (reader.u32()?, reader.u32()?);
        let receipt = Receipt { count, tick, time, delay };
        let datagram = Self { receipt, frames: reader.0 };
        let mut rest = Reader(datagram.frames);
        while !rest.0.is_empty() {
            Frame::read(&mut rest)?;
        }
        Ok(datagram)
    }

    /// The frames, in their order.
    pub fn frames(&self) -> impl Iterator<Item = Frame> + use<'a> {
        let mut rest = Reader(self.frames);
        std::iter::from_fn(move || {
            while !rest.0.is_empty() {
                // All was read before.
                match Frame::read(&mut rest) {
                    Ok(None) => {}
                    Ok(Some(frame)) => return Some(frame),
                    Err(_) => return None,
                }
            }
            None
        })
    }
}

impl Frame {
    /// Reads a frame, or skips one of an unknown kind.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let (slot, number, epoch) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let len = reader.u8()?;
        let mut rest = Reader(reader.bytes(len.into())?);
        if slot >= MAX_SLOTS {
            return Err(DecodeError::Value { field: "slot" });
        }
        let body = match number {
            Body::EPOCH => Body::Epoch,
            Body::ACK => {
                let kind = Kind::from_number(rest.u8()?);
                let (tick, last) = (rest.u32()?, rest.u16()?);
                match kind {
                    Some(kind) => Body::Ack { kind, tick, last },
                    // Of a frame that we never sent.
                    None => return Err(DecodeError::Value { field: "acknowledged kind" }),
                }
            }
            number if number < Feedback::FIRST => return Ok(None),
            number => {
                if usize::from(number - Feedback::FIRST) >= Feedback::KINDS {
                    return Ok(None);
                }
                let sequence = rest.u16()?;
                match Feedback::read(number, &mut rest)? {
                    Some(feedback) => Body::Feedback { sequence, feedback },
                    None => return Ok(None),
                }
            }
        };
        rest.end()?;
        Ok(Some(Self { slot, epoch, body }))
    }

    /// The length of the longest frame: four bytes in front, a sequence number, a trigger effect.
    pub(crate) const LONGEST: usize = 4 + 2 + 11;

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let mut bytes = [0; Self::LONGEST];
        let mut body = Writer::new(&mut bytes);
        match &self.body {
            Body::Epoch => {}
            Body::Ack { kind, tick, last } => {
                body.put(&[*kind as u8]);
                body.put(&tick.to_le_bytes());
                body.put(&last.to_le_bytes());
            }
            Body::Feedback { sequence, feedback } => {
                body.put(&sequence.to_le_bytes());
                feedback.write(&mut body);
            }
        }
        let len = body.finish().unwrap_or_default();
        // No longer than LONGEST.
        let header = [self.slot, self.body.number(), self.epoch, u8::try_from(len).unwrap_or(0)];
        writer.put(&header);
        writer.put(&bytes[..len]);
    }
}

/// Makes a feedback datagram in a buffer.
#[derive(Debug)]
pub struct Builder<'a> {
    buffer: &'a mut [u8; MAX_DATAGRAM],
    len: usize,
}

impl<'a> Builder<'a> {
    /// A datagram without frames.
    pub fn new(buffer: &'a mut [u8; MAX_DATAGRAM], receipt: Receipt) -> Self {
        let mut writer = Writer::new(buffer);
        writer.put(&[VERSION, TYPE]);
        for number in [receipt.count, receipt.tick, receipt.time, receipt.delay] {
            writer.put(&number.to_le_bytes());
        }
        let len = writer.finish().unwrap_or_default();
        Self { buffer, len }
    }

    /// Adds a frame. Returns whether there was room.
    pub fn push(&mut self, frame: &Frame) -> bool {
        let mut writer = Writer::new(&mut self.buffer[self.len..]);
        frame.write(&mut writer);
        match writer.finish() {
            Some(len) => self.len += len,
            None => return false,
        }
        true
    }

    /// The datagram.
    #[must_use]
    pub fn finish(self) -> &'a [u8] {
        &self.buffer[..self.len]
    }
}
