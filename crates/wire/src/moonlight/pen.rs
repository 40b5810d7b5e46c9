//! The pen.

use super::packet::TouchEvent;
use super::pointers::{place, unit};
use crate::names::pen::{BUTTON1, BUTTON2, BUTTON3, ERASER, NEAR, TIP};
use crate::{Change, Kind, Pen, State};

/// What a pen's packet changes in its state.
pub(super) struct Stroke {
    pub(super) event: TouchEvent,
    pub(super) tool: u8,
    pub(super) buttons: u8,
    pub(super) place: [f32; 2],
    pub(super) pressure: f32,
    pub(super) rotation: u16,
    pub(super) tilt: u8,
}

impl Stroke {
    /// Tells the changes, and makes them in the state.
    pub(super) fn apply(&self, state: &mut State, mut each: impl FnMut(Change)) {
        let (near, tip) = match self.event {
            TouchEvent::Hover | TouchEvent::Up => (true, false),
            TouchEvent::Down | TouchEvent::Move => (true, true),
            TouchEvent::ButtonOnly => {
                (state.pen_buttons.contains(NEAR), state.pen_buttons.contains(TIP))
            }
            TouchEvent::Cancel | TouchEvent::CancelAll | TouchEvent::HoverLeave => {
                return state.release(Kind::Pen, each);
            }
        };
        let mut change = |change: Change| {
            if state.apply(&change) {
                each(change);
            }
        };
        let button = |button, down| Change::PenButton { button, down };
        if self.event != TouchEvent::ButtonOnly {
            change(Change::Pen(self.pen(tip)));
        }
        // It comes near before it touches, and lifts before it goes.
        let mut parts = [(NEAR, near), (TIP, tip)];
        if !tip {
            parts.reverse();
        }
        parts.into_iter().for_each(|(number, down)| change(button(number, down)));
        for (number, bit) in [(BUTTON1, 1), (BUTTON2, 2), (BUTTON3, 4)] {
            change(button(number, self.buttons & bit != 0));
        }
    }

    fn pen(&self, touches: bool) -> Pen {
        let pressure = unit(self.pressure);
        Pen {
            tool: if self.tool == 2 { ERASER } else { 0 },
            place: place(self.place),
            // A pen that presses an unknown amount presses.
            pressure: match (touches, pressure) {
                (false, _) => 0,
                (true, 0) => u16::MAX / 2,
                (true, pressure) => pressure,
            },
            distance: if touches { 0 } else { pressure },
            tilt: self.tilt(),
        }
    }

    /// The two angles of a pen that leans so far from upright, in this direction of the screen: as Sunshine reckons.
    fn tilt(&self) -> [i8; 2] {
        if self.rotation == 0xffff || self.tilt == 0xff {
            return [0; 2];
        }
        let direction = f32::from(self.rotation).to_radians();
        let lean = f32::from(self.tilt.min(90)).to_radians();
        let (sine, cosine) = lean.sin_cos();
        let angle = |part: f32| {
            #[expect(clippy::cast_possible_truncation, reason = "saturates; −90 to 90")]
            let degrees = (part * sine).atan2(cosine).to_degrees().round() as i8;
            degrees.clamp(-90, 90)
        };
        [angle(-direction.sin()), angle(direction.cos())]
    }
}
