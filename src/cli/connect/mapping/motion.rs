//! The motion sensors of pads, as hid-playstation and hid-nintendo report them (Documentation/input/event-codes.rst,
//! INPUT_PROP_ACCELEROMETER).

use evdev::{AbsoluteAxisCode, EventSummary, MiscCode};
use hotseat_wire::{Change, Motion};

use crate::cli::connect::abilities::{Abilities, NINTENDO};
use crate::cli::connect::axis::Axis;

/// Metres per second squared in a g (ISO 80000-3).
const STANDARD_GRAVITY: f64 = 9.806_65;

#[derive(Debug)]
pub(super) struct Sensors {
    /// x, y, z of the accelerometer, then of the gyroscope.
    axes: [Axis; 6],
    /// In g and degrees per second.
    measured: [f64; 6],
    /// Of the sensors' clock, in microseconds.
    time: u32,
    has_news: bool,
    is_nintendo: bool,
}

const CODES: [AbsoluteAxisCode; 6] = [
    AbsoluteAxisCode::ABS_X,
    AbsoluteAxisCode::ABS_Y,
    AbsoluteAxisCode::ABS_Z,
    AbsoluteAxisCode::ABS_RX,
    AbsoluteAxisCode::ABS_RY,
    AbsoluteAxisCode::ABS_RZ,
];

impl Sensors {
    pub(super) fn new(abilities: &Abilities) -> Self {
        let axis =
            |code: AbsoluteAxisCode| abilities.absolute.get(&code.0).copied().unwrap_or_default();
        Self {
            axes: CODES.map(axis),
            measured: [0.0; 6],
            time: 0,
            has_news: false,
            is_nintendo: abilities.vendor == NINTENDO,
        }
    }

    pub(super) fn follow(&mut self, event: &EventSummary) {
        match *event {
            EventSummary::AbsoluteAxis(_, code, value) => {
                if let Some(number) = CODES.iter().position(|known| *known == code) {
                    self.measured[number] = self.axes[number].measured(value);
                    self.has_news = true;
                }
            }
            EventSummary::Misc(_, MiscCode::MSC_TIMESTAMP, time) => {
                self.time = time.cast_unsigned();
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        if !std::mem::take(&mut self.has_news) {
            return;
        }
        let [ax, ay, az, gx, gy, gz] = self.measured;
        let accel = self.turned([ax, ay, az]).map(|g| single(g * STANDARD_GRAVITY));
        let gyro = self.turned([gx, gy, gz]).map(|degrees| single(degrees.to_radians()));
        changes.push(Change::Motion(Motion { time: self.time, gyro, accel }));
    }

    /// Along the protocol's axes: x right, y out of the face, z to the player. hid-playstation has the same; a Nintendo chip's x
    /// points to the triggers, y to the left, z out of the face.
    fn turned(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        if self.is_nintendo { [-y, z, -x] } else { [x, y, z] }
    }
}

fn single(number: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "no sensor is that exact")]
    let number = number as f32;
    number
}
