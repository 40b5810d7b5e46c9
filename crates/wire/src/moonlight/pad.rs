//! A pad.

use super::pointers::Pointers;
use super::{Maker, Model, Packet};
use crate::{Axes, Battery, Change, Motion, State, button};

/// A pad that there is.
#[derive(Debug)]
pub(super) struct Pad {
    maker: Maker,
    state: State,
    pointers: Pointers,
}

/// Moonlight's buttons, by the number of their bit, and ours by name. A paddle's number counts from the one under
/// the right hand's upper finger: right, left, right, left (SDL's `SDL_CONTROLLER_BUTTON_PADDLE1` and following).
const BUTTONS: [(u32, &str); 20] = [
    (0, "up"),
    (1, "down"),
    (2, "left"),
    (3, "right"),
    (4, "start"),
    (5, "back"),
    (6, "ls"),
    (7, "rs"),
    (8, "lb"),
    (9, "rb"),
    (10, "guide"),
    (12, "south"),
    (13, "east"),
    (14, "west"),
    (15, "north"),
    (16, "paddle_upper_right"),
    (17, "paddle_upper_left"),
    (18, "paddle_lower_right"),
    (19, "paddle_lower_left"),
    (20, "touchpad"),
];

/// The bit of the button whose name is another one for each maker.
const MISC: u32 = 21;

impl Pad {
    pub(super) fn new(model: Model) -> Self {
        Self { maker: model.maker, state: State::default(), pointers: Pointers::default() }
    }

    /// Tells what a packet changes.
    pub(super) fn handle(&mut self, packet: &Packet, mut each: impl FnMut(Change)) {
        let state = &mut self.state;
        let mut change = |change: Change| {
            if state.apply(&change) {
                each(change);
            }
        };
        match *packet {
            Packet::Pad { buttons, triggers, left_stick, right_stick, .. } => {
                let [left_trigger, right_trigger] =
                    triggers.map(|trigger| u16::from(trigger) * 257);
                change(Change::Axes(Axes {
                    left_stick: down(left_stick),
                    right_stick: down(right_stick),
                    left_trigger,
                    right_trigger,
                }));
                let misc = if self.maker == Maker::PlayStation { "mute" } else { "capture" };
                for (bit, name) in BUTTONS.into_iter().chain([(MISC, misc)]) {
                    if let Some(button) = button::number(name) {
                        change(Change::Button { button, down: buttons & 1 << bit != 0 });
                    }
                }
            }
            // Of two touchpads, ours have the first.
            Packet::PadTouch { event, touchpad: 0, pointer, place, pressure, .. } => {
                self.pointers.handle(event, pointer, place, pressure, change);
            }
            Packet::PadAcceleration { accel, .. } => {
                let motion = Motion { accel, ..self.state.motion }.clamped();
                self.motion(motion, each);
            }
            Packet::PadTurning { gyro, .. } => {
                let gyro = gyro.map(f32::to_radians);
                let motion = Motion { gyro, ..self.state.motion }.clamped();
                self.motion(motion, each);
            }
            // Where there is no battery, or nothing is known of it, it stays as it was.
            Packet::PadBattery { state: state @ 2..=5, percent: percent @ 0..=100, .. } => {
                change(Change::Battery(Battery { percent, charging: matches!(state, 3 | 5) }));
            }
            _ => {}
        }
    }

    fn motion(&mut self, motion: Motion, mut each: impl FnMut(Change)) {
        let change = Change::Motion(motion);
        if self.state.apply(&change) {
            each(change);
        }
    }
}

/// Moonlight's sticks go up, as those of XInput.
fn down([x, y]: [i16; 2]) -> [i16; 2] {
    [x, y.checked_neg().unwrap_or(i16::MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_button_has_a_number() {
        for (_, name) in BUTTONS {
            assert!(button::number(name).is_some(), "{name}");
        }
        assert!(button::number("mute").is_some() && button::number("capture").is_some());
    }
}
