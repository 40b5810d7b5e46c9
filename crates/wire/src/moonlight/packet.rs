//! The packets as they are.

use super::{MAX_PACKET, MAX_PADS, Maker, Model};
use crate::DecodeError;
use crate::bytes::Reader;

/// An input packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// The mouse moves.
    MouseMove {
        /// Counts to the right.
        dx: i16,
        /// Counts downwards.
        dy: i16,
    },
    /// The pointer is put to a place, on a screen of this size.
    MousePlace {
        /// From the left.
        x: i16,
        /// From above.
        y: i16,
        /// The size of the screen, less one.
        width: i16,
        /// The same downwards.
        height: i16,
    },
    /// A button of the mouse.
    MouseButton {
        /// 1 left, 2 middle, 3 right, 4 and 5 the others.
        button: u8,
        /// Whether it goes down.
        down: bool,
    },
    /// A key.
    Key {
        /// Its virtual key code on Windows, as on a US keyboard; the bit 0x8000 says nothing.
        code: u16,
        /// 1 shift, 2 control, 4 alt, 8 the Windows key.
        modifiers: u8,
        /// Whether it goes down.
        down: bool,
    },
    /// The wheel turns, in 1/120 detent; up is positive.
    Scroll(i16),
    /// The other wheel turns; right is positive.
    HorizontalScroll(i16),
    /// Text, at most 32 bytes.
    Text(String),
    /// A finger on the screen.
    Touch {
        /// What it does.
        event: TouchEvent,
        /// Which one.
        pointer: u32,
        /// Where, 0 to 1.
        place: [f32; 2],
        /// How hard; 0 is unknown. How far away, if it hovers.
        pressure: f32,
    },
    /// A pen on the screen.
    Pen {
        /// What it does.
        event: TouchEvent,
        /// 1 pen, 2 eraser, 0 unknown.
        tool: u8,
        /// The buttons on it, from the tip on, as bits.
        buttons: u8,
        /// Where, 0 to 1.
        place: [f32; 2],
        /// How hard; 0 is unknown. How far away, if it hovers.
        pressure: f32,
        /// Degrees on the screen, from upwards; 0xffff is unknown.
        rotation: u16,
        /// Degrees from upright; 0xff is unknown.
        tilt: u8,
    },
    /// How a pad is.
    Pad {
        /// Which one.
        pad: u8,
        /// A bit for each pad that there is.
        present: u16,
        /// Those that are held.
        buttons: u32,
        /// 0 to 255.
        triggers: [u8; 2],
        /// To the right and up.
        left_stick: [i16; 2],
        /// To the right and up.
        right_stick: [i16; 2],
    },
    /// There is a pad.
    PadArrived {
        /// Which one.
        pad: u8,
        /// What it is.
        model: Model,
    },
    /// A finger on a pad's touchpad.
    PadTouch {
        /// Which one.
        pad: u8,
        /// What it does.
        event: TouchEvent,
        /// Which of the pad's touchpads.
        touchpad: u8,
        /// Which finger.
        pointer: u32,
        /// Where, 0 to 1.
        place: [f32; 2],
        /// How hard; 0 is unknown.
        pressure: f32,
    },
    /// A pad's accelerometer, in metres per second squared.
    PadAcceleration {
        /// Which one.
        pad: u8,
        /// Along its axes.
        accel: [f32; 3],
    },
    /// A pad's gyroscope, in degrees per second.
    PadTurning {
        /// Which one.
        pad: u8,
        /// About its axes.
        gyro: [f32; 3],
    },
    /// A pad's battery.
    PadBattery {
        /// Which one.
        pad: u8,
        /// `LI_BATTERY_STATE_*`: 0 unknown, 1 none, 2 in use, 3 charging, 4 not charging though it could, 5 full.
        state: u8,
        /// 0 to 100; 0xff is unknown.
        percent: u8,
    },
    /// The client can rumble.
    Haptics {
        /// Whether it wants to.
        enable: bool,
    },
}

/// What a finger or pen does (`LI_TOUCH_EVENT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Moonlight's")]
pub enum TouchEvent {
    Hover,
    Down,
    Up,
    Move,
    Cancel,
    ButtonOnly,
    HoverLeave,
    CancelAll,
}

/// The longest text (`UTF8_TEXT_EVENT_MAX_COUNT`).
const MAX_TEXT: usize = 32;

impl Packet {
    /// Takes the next packet from the front of the bytes. Packets of unknown types are skipped; `None` says that there
    /// is none left. Bytes after the fields of a packet are skipped, as newer clients may have more fields.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if the packet is shorter than its fields or a field has a value that it must not have: a pad
    /// above 15, a number that is none, an unknown event, a text that is none.
    pub fn take(bytes: &mut &[u8]) -> Result<Option<Self>, DecodeError> {
        while !bytes.is_empty() {
            let mut reader = Reader(bytes);
            // Big-endian, unlike all that is not as old.
            let size = u32::from_be_bytes(reader.array()?);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > MAX_PACKET {
                return Err(DecodeError::TooLarge(size));
            }
            let mut packet = Reader(reader.bytes(size)?);
            let number = packet.u32()?;
            let read = Self::read(number, &mut packet)?;
            *bytes = reader.0;
            if read.is_some() {
                return Ok(read);
            }
        }
        Ok(None)
    }

    fn read(number: u32, reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match number {
            0x03 | 0x04 => {
                reader.bytes(1)?;
                let (code, modifiers) = (reader.u16()?, reader.u8()?);
                reader.bytes(2)?;
                Self::Key { code, modifiers, down: number == 0x03 }
            }
            0x05 => {
                let (x, y) = (be(reader)?, be(reader)?);
                reader.bytes(2)?;
                Self::MousePlace { x, y, width: be(reader)?, height: be(reader)? }
            }
            0x07 => Self::MouseMove { dx: be(reader)?, dy: be(reader)? },
            0x08 | 0x09 => Self::MouseButton { button: reader.u8()?, down: number == 0x08 },
            0x0a => {
                let amount = be(reader)?;
                // The same again, and a zero.
                reader.bytes(4)?;
                Self::Scroll(amount)
            }
            0x0c => pad(reader)?,
            0x0d => Self::Haptics { enable: reader.u16()? != 0 },
            0x17 => text(reader)?,
            0x5500_0001 => Self::HorizontalScroll(be(reader)?),
            0x5500_0002 => {
                let event = touch_event(reader)?;
                reader.bytes(3)?;
                let (pointer, place) = (reader.u32()?, numbers(reader)?);
                let [pressure] = numbers(reader)?;
                // The contact's size and its turning are not used.
                reader.bytes(8)?;
                Self::Touch { event, pointer, place, pressure }
            }
            0x5500_0003 => {
                let (event, tool, buttons) = (touch_event(reader)?, reader.u8()?, reader.u8()?);
                reader.bytes(1)?;
                let (place, [pressure]) = (numbers(reader)?, numbers(reader)?);
                let (rotation, tilt) = (reader.u16()?, reader.u8()?);
                reader.bytes(9)?;
                Self::Pen { event, tool, buttons, place, pressure, rotation, tilt }
            }
            0x5500_0004 => {
                let pad = pad_number(reader)?;
                let maker = match reader.u8()? {
                    1 => Maker::Xbox,
                    2 => Maker::PlayStation,
                    3 => Maker::Nintendo,
                    4 => Maker::Steam,
                    _ => Maker::Unknown,
                };
                let (capabilities, buttons) = (reader.u16()?, reader.u32()?);
                Self::PadArrived { pad, model: Model { maker, capabilities, buttons } }
            }
            0x5500_0005 => {
                let (pad, event) = (pad_number(reader)?, touch_event(reader)?);
                reader.bytes(1)?;
                let (touchpad, pointer) = (reader.u8()?, reader.u32()?);
                let (place, [pressure]) = (numbers(reader)?, numbers(reader)?);
                Self::PadTouch { pad, event, touchpad, pointer, place, pressure }
            }
            0x5500_0006 => {
                let (pad, sensor) = (pad_number(reader)?, reader.u8()?);
                reader.bytes(2)?;
                let measured = numbers(reader)?;
                match sensor {
                    1 => Self::PadAcceleration { pad, accel: measured },
                    2 => Self::PadTurning { pad, gyro: measured },
                    _ => return Err(DecodeError::Value { field: "motion type" }),
                }
            }
            0x5500_0007 => {
                let (pad, state, percent) = (pad_number(reader)?, reader.u8()?, reader.u8()?);
                reader.bytes(1)?;
                Self::PadBattery { pad, state, percent }
            }
            _ => return Ok(None),
        }))
    }
}

/// A big-endian number, as the mouse has them.
fn be(reader: &mut Reader<'_>) -> Result<i16, DecodeError> {
    reader.array().map(i16::from_be_bytes)
}

fn pad(reader: &mut Reader<'_>) -> Result<Packet, DecodeError> {
    reader.bytes(2)?;
    let pad = u8::try_from(reader.u16()?).ok().filter(|pad| *pad < MAX_PADS);
    let pad = pad.ok_or(DecodeError::Value { field: "pad" })?;
    let present = reader.u16()?;
    reader.bytes(2)?;
    let low = reader.u16()?;
    let triggers = reader.array()?;
    let left_stick = [reader.i16()?, reader.i16()?];
    let right_stick = [reader.i16()?, reader.i16()?];
    reader.bytes(2)?;
    let high = reader.u16()?;
    reader.bytes(2)?;
    let buttons = u32::from(high) << 16 | u32::from(low);
    Ok(Packet::Pad { pad, present, buttons, triggers, left_stick, right_stick })
}

fn pad_number(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let pad = reader.u8()?;
    if pad < MAX_PADS { Ok(pad) } else { Err(DecodeError::Value { field: "pad" }) }
}

fn text(reader: &mut Reader<'_>) -> Result<Packet, DecodeError> {
    let bytes = reader.bytes(reader.0.len())?;
    if bytes.len() > MAX_TEXT {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let text = str::from_utf8(bytes).map_err(|_| DecodeError::Value { field: "text" })?;
    Ok(Packet::Text(text.to_owned()))
}

fn touch_event(reader: &mut Reader<'_>) -> Result<TouchEvent, DecodeError> {
    Ok(match reader.u8()? {
        0 => TouchEvent::Hover,
        1 => TouchEvent::Down,
        2 => TouchEvent::Up,
        3 => TouchEvent::Move,
        4 => TouchEvent::Cancel,
        5 => TouchEvent::ButtonOnly,
        6 => TouchEvent::HoverLeave,
        7 => TouchEvent::CancelAll,
        _ => return Err(DecodeError::Value { field: "touch event" }),
    })
}

/// Numbers that are numbers.
fn numbers<const N: usize>(reader: &mut Reader<'_>) -> Result<[f32; N], DecodeError> {
    let mut numbers = [0.0; N];
    for number in &mut numbers {
        *number = reader.f32()?;
        if !number.is_finite() {
            return Err(DecodeError::Value { field: "number" });
        }
    }
    Ok(numbers)
}
