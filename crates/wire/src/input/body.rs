//! What a frame says: the whole state of one part of a device.

use crate::bytes::{Reader, Writer};
use crate::change::{Axes, Battery, Contact, Motion, Pen, Place};
use crate::list::List;
use crate::names::pen;
use crate::set::Set;
use crate::{DecodeError, MAX_CONTACTS, MAX_EDGES};

/// Which part of a device a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Buttons, sticks and triggers.
    Gamepad = 1,
    /// Keys.
    Keyboard = 2,
    /// Relative motion, wheels and buttons.
    Mouse = 3,
    /// A place on the screen.
    Pointer = 4,
    /// Fingers on a touchscreen, a touchpad, or the touchpad of a pad.
    Touch = 5,
    /// A pen.
    Pen = 6,
    /// Motion sensors.
    Motion = 7,
    /// The battery.
    Battery = 8,
    /// Buttons and axes of a wheel or stick that pads do not have.
    Joystick = 9,
}

impl Kind {
    /// Every kind, in the order of a slot's frames in a datagram: a place comes before the button pressed there.
    pub const ALL: [Self; 9] = [
        Self::Pointer,
        Self::Gamepad,
        Self::Joystick,
        Self::Keyboard,
        Self::Mouse,
        Self::Touch,
        Self::Pen,
        Self::Motion,
        Self::Battery,
    ];

    /// The bits of all kinds.
    pub const EVERY: u32 = 0x3fe;

    /// Its bit in the kinds that a device takes.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Its place in an array with one entry for each kind.
    pub(crate) const fn index(self) -> usize {
        self as usize - 1
    }

    /// The numbers that its [`Log`] can have; 0 where it has none.
    pub(crate) const fn numbers(self) -> u16 {
        match self {
            Self::Gamepad | Self::Joystick => 32,
            Self::Keyboard => 256,
            Self::Mouse | Self::Pen => 8,
            Self::Pointer | Self::Touch | Self::Motion | Self::Battery => 0,
        }
    }
}

/// Something that went down or up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// The button's or key's number.
    pub number: u8,
    /// Whether it went down.
    pub down: bool,
}

/// The oldest edges that the server has not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Log {
    /// The number of the last of these edges, counted from 1 since the plug, wrapping; of the last acknowledged one
    /// if there is none here.
    pub last: u16,
    /// The edges, in their order.
    pub edges: List<Edge, MAX_EDGES>,
}

/// A finger in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finger {
    /// Where it is, or where it was.
    pub contact: Contact,
    /// Whether it went up. It stays in the frames until the server has acknowledged that.
    pub ended: bool,
}

/// The whole state of one part of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// See [`Kind::Gamepad`].
    Gamepad {
        /// Those that are held after the last edge in the log.
        held: u32,
        /// Sticks and triggers now.
        axes: Axes,
        /// What went down and up.
        log: Log,
    },
    /// See [`Kind::Keyboard`].
    Keyboard {
        /// Those that are held after the last edge in the log.
        held: Set,
        /// What went down and up.
        log: Log,
    },
    /// See [`Kind::Mouse`].
    Mouse {
        /// Those that are held after the last edge in the log.
        held: u8,
        /// All motion and all turning since the plug, wrapping: right, down, wheel up, wheel right.
        sums: [i32; 4],
        /// What went down and up.
        log: Log,
    },
    /// See [`Kind::Pointer`].
    Pointer(Place),
    /// See [`Kind::Touch`]: every finger that is down, and those of the last ones that went up.
    Touch(List<Finger, MAX_CONTACTS>),
    /// See [`Kind::Pen`].
    Pen {
        /// What is so after the last edge in the log.
        held: u8,
        /// Where it is and how it is held now.
        pen: Pen,
        /// What went down and up.
        log: Log,
    },
    /// See [`Kind::Motion`].
    Motion(Motion),
    /// See [`Kind::Battery`].
    Battery(Battery),
    /// See [`Kind::Joystick`].
    Joystick {
        /// Those that are held after the last edge in the log.
        held: u32,
        /// The axes now.
        axes: [i16; 8],
        /// What went down and up.
        log: Log,
    },
}

impl Body {
    /// Which part of a device it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Gamepad { .. } => Kind::Gamepad,
            Self::Keyboard { .. } => Kind::Keyboard,
            Self::Mouse { .. } => Kind::Mouse,
            Self::Pointer(_) => Kind::Pointer,
            Self::Touch(_) => Kind::Touch,
            Self::Pen { .. } => Kind::Pen,
            Self::Motion(_) => Kind::Motion,
            Self::Battery(_) => Kind::Battery,
            Self::Joystick { .. } => Kind::Joystick,
        }
    }

    pub(super) fn read(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            Kind::Gamepad => Self::Gamepad {
                held: reader.u32()?,
                axes: Axes {
                    left_stick: [reader.i16()?, reader.i16()?],
                    right_stick: [reader.i16()?, reader.i16()?],
                    left_trigger: reader.u16()?,
                    right_trigger: reader.u16()?,
                },
                log: read_log(kind, reader)?,
            },
            Kind::Keyboard => {
                let words = [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
                let held = Set::from_words(words);
                if held.contains(0) {
                    return Err(DecodeError::Value { field: "key" });
                }
                Self::Keyboard { held, log: read_log(kind, reader)? }
            }
            Kind::Mouse => Self::Mouse {
                held: reader.u8()?,
                sums: [reader.i32()?, reader.i32()?, reader.i32()?, reader.i32()?],
                log: read_log(kind, reader)?,
            },
            Kind::Pointer => Self::Pointer(read_place(reader)?),
            Kind::Touch => Self::Touch(read_fingers(reader)?),
            Kind::Pen => {
                let held = reader.u8()?;
                let pen = read_pen(reader)?;
                Self::Pen { held, pen, log: read_log(kind, reader)? }
            }
            Kind::Motion => Self::Motion(read_motion(reader)?),
            Kind::Battery => {
                let percent = reader.u8()?;
                if percent > 100 {
                    return Err(DecodeError::Value { field: "battery percent" });
                }
                Self::Battery(Battery { percent, charging: reader.bool("battery charging")? })
            }
            Kind::Joystick => {
                let held = reader.u32()?;
                let mut axes = [0; 8];
                for axis in &mut axes {
                    *axis = reader.i16()?;
                }
                Self::Joystick { held, axes, log: read_log(kind, reader)? }
            }
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Gamepad { held, axes, log } => {
                writer.put(&held.to_le_bytes());
                for axis in axes.left_stick.iter().chain(&axes.right_stick) {
                    writer.put(&axis.to_le_bytes());
                }
                writer.put(&axes.left_trigger.to_le_bytes());
                writer.put(&axes.right_trigger.to_le_bytes());
                write_log(log, writer);
            }
            Self::Keyboard { held, log } => {
                held.words().iter().for_each(|word| writer.put(&word.to_le_bytes()));
                write_log(log, writer);
            }
            Self::Mouse { held, sums, log } => {
                writer.put(&[*held]);
                sums.iter().for_each(|sum| writer.put(&sum.to_le_bytes()));
                write_log(log, writer);
            }
            Self::Pointer(place) => write_place(place, writer),
            Self::Touch(fingers) => {
                // At most MAX_CONTACTS.
                writer.put(&[u8::try_from(fingers.len()).unwrap_or(u8::MAX)]);
                for Finger { contact, ended } in fingers.iter() {
                    writer.put(&contact.id.to_le_bytes());
                    writer.put(&[u8::from(*ended)]);
                    write_place(&contact.place, writer);
                    writer.put(&contact.pressure.to_le_bytes());
                }
            }
            Self::Pen { held, pen, log } => {
                writer.put(&[*held, pen.tool]);
                write_place(&pen.place, writer);
                writer.put(&pen.pressure.to_le_bytes());
                writer.put(&pen.distance.to_le_bytes());
                pen.tilt.iter().for_each(|tilt| writer.put(&tilt.to_le_bytes()));
                write_log(log, writer);
            }
            Self::Motion(motion) => {
                writer.put(&motion.time.to_le_bytes());
                for number in motion.gyro.iter().chain(&motion.accel) {
                    writer.put(&number.to_le_bytes());
                }
            }
            Self::Battery(battery) => {
                writer.put(&[battery.percent, u8::from(battery.charging)]);
            }
            Self::Joystick { held, axes, log } => {
                writer.put(&held.to_le_bytes());
                axes.iter().for_each(|axis| writer.put(&axis.to_le_bytes()));
                write_log(log, writer);
            }
        }
    }
}

fn read_log(kind: Kind, reader: &mut Reader<'_>) -> Result<Log, DecodeError> {
    let mut log = Log { last: reader.u16()?, edges: List::new() };
    for _ in 0..reader.u8()? {
        let edge = Edge { number: reader.u8()?, down: reader.bool("edge direction")? };
        if u16::from(edge.number) >= kind.numbers() {
            return Err(DecodeError::Value { field: "edge number" });
        }
        if kind == Kind::Keyboard && edge.number == 0 {
            return Err(DecodeError::Value { field: "key" });
        }
        if !log.edges.push(edge) {
            return Err(DecodeError::Value { field: "edge count" });
        }
    }
    Ok(log)
}

fn write_log(log: &Log, writer: &mut Writer<'_>) {
    writer.put(&log.last.to_le_bytes());
    // At most MAX_EDGES.
    writer.put(&[u8::try_from(log.edges.len()).unwrap_or(u8::MAX)]);
    log.edges.iter().for_each(|edge| writer.put(&[edge.number, u8::from(edge.down)]));
}

fn read_place(reader: &mut Reader<'_>) -> Result<Place, DecodeError> {
    Ok(Place { x: reader.u16()?, y: reader.u16()? })
}

fn write_place(place: &Place, writer: &mut Writer<'_>) {
    writer.put(&place.x.to_le_bytes());
    writer.put(&place.y.to_le_bytes());
}

fn read_fingers(reader: &mut Reader<'_>) -> Result<List<Finger, MAX_CONTACTS>, DecodeError> {
    let mut fingers: List<Finger, MAX_CONTACTS> = List::new();
    for _ in 0..reader.u8()? {
        let id = reader.u16()?;
        let ended = reader.bool("finger ended")?;
        let contact = Contact { id, place: read_place(reader)?, pressure: reader.u16()? };
        if fingers.iter().any(|other| other.contact.id == id) {
            return Err(DecodeError::Value { field: "finger id" });
        }
        if !fingers.push(Finger { contact, ended }) {
            return Err(DecodeError::Value { field: "finger count" });
        }
    }
    Ok(fingers)
}

fn read_pen(reader: &mut Reader<'_>) -> Result<Pen, DecodeError> {
    let pen = Pen {
        tool: reader.u8()?,
        place: read_place(reader)?,
        pressure: reader.u16()?,
        distance: reader.u16()?,
        tilt: [reader.i8()?, reader.i8()?],
    };
    if usize::from(pen.tool) >= pen::TOOLS.len() {
        return Err(DecodeError::Value { field: "pen tool" });
    }
    if pen.tilt.iter().any(|tilt| !(-90..=90).contains(tilt)) {
        return Err(DecodeError::Value { field: "pen tilt" });
    }
    Ok(pen)
}

fn read_motion(reader: &mut Reader<'_>) -> Result<Motion, DecodeError> {
    let time = reader.u32()?;
    let gyro = [reader.f32()?, reader.f32()?, reader.f32()?];
    let accel = [reader.f32()?, reader.f32()?, reader.f32()?];
    // NaN is in no range.
    let is_in_range = |number: &f32| (-Motion::MOST..=Motion::MOST).contains(number);
    if !gyro.iter().chain(&accel).all(is_in_range) {
        return Err(DecodeError::Value { field: "motion" });
    }
    Ok(Motion { time, gyro, accel })
}
