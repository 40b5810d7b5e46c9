//! Whole pads: what the kernel's own driver is told.

use hotseat_wire::{Axes, Change, Contact, Kind};
use vinput::uhid::{Battery, Button, Model, State, Touch};

/// The buttons of triggers among the buttons, the left one first.
const TRIGGER_BUTTONS: [u8; 2] = [28, 29];

/// The way of changes to a pad.
#[derive(Debug, Default)]
pub(crate) struct Pad {
    /// The fingers on the touchpad, by their places.
    fingers: [Option<u16>; 2],
    /// How far the triggers are pulled.
    triggers: [u16; 2],
    /// Whether the client pressed the triggers as buttons.
    pressed: [bool; 2],
}

impl Pad {
    /// Bits of the kinds of frame that a pad takes.
    pub(crate) fn kinds(model: Model) -> u32 {
        let has_touchpad = model.controls().any(|control| control == "touchpad");
        let touch = if has_touchpad { Kind::Touch.bit() } else { 0 };
        Kind::Gamepad.bit() | Kind::Motion.bit() | Kind::Battery.bit() | touch
    }

    /// Makes a change. What the model lacks it leaves out by itself.
    pub(crate) fn apply(&mut self, state: &mut State, change: &Change) {
        match *change {
            Change::Button { button, down } => self.button(state, button, down),
            Change::Axes(axes) => self.axes(state, axes),
            Change::Touch(contact) => self.touch(state, contact),
            Change::Lift { id } => {
                if let Some(place) = self.fingers.iter().position(|finger| *finger == Some(id)) {
                    (self.fingers[place], state.touches[place]) = (None, None);
                }
            }
            Change::Motion(motion) => (state.gyro, state.accel) = (motion.gyro, motion.accel),
            Change::Battery(battery) => {
                state.battery = Battery { percent: battery.percent, charging: battery.charging };
            }
            _ => {}
        }
    }

    /// All was let go of.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    fn button(&mut self, state: &mut State, button: u8, down: bool) {
        if let Some(side) = TRIGGER_BUTTONS.iter().position(|trigger| *trigger == button) {
            self.pressed[side] = down;
            self.pull(state);
        } else if let Some(button) = Button::ALL.get(usize::from(button)) {
            state.buttons = state.buttons.with(*button, down);
        }
    }

    fn axes(&mut self, state: &mut State, axes: Axes) {
        let stick = |stick: [i16; 2]| stick.map(|axis| f32::from(axis) / f32::from(i16::MAX));
        state.left_stick = stick(axes.left_stick);
        state.right_stick = stick(axes.right_stick);
        self.triggers = [axes.left_trigger, axes.right_trigger];
        self.pull(state);
    }

    /// Triggers of pads are axes, from which the pad makes the buttons. A client that has only those pulls all the way.
    fn pull(&self, state: &mut State) {
        let [left, right] = std::array::from_fn(|side| match self.triggers[side] {
            0 if self.pressed[side] => 1.0,
            way => part(way),
        });
        (state.left_trigger, state.right_trigger) = (left, right);
    }

    fn touch(&mut self, state: &mut State, contact: Contact) {
        let place = self.fingers.iter().position(|finger| *finger == Some(contact.id));
        let free = || self.fingers.iter().position(Option::is_none);
        let Some(place) = place.or_else(free) else { return };
        self.fingers[place] = Some(contact.id);
        // Seven bits of it tell touches apart.
        let id = contact.id.to_le_bytes()[0];
        let (x, y) = (part(contact.place.x), part(contact.place.y));
        state.touches[place] = Some(Touch { id, x, y });
    }
}

/// Of the whole way.
fn part(value: u16) -> f32 {
    f32::from(value) / f32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use hotseat_wire::{Motion, Place, button};

    use super::*;

    fn press(name: &str, down: bool) -> Change {
        Change::Button { button: button::number(name).unwrap(), down }
    }

    fn finger(id: u16, x: u16, y: u16) -> Change {
        Change::Touch(Contact { id, place: Place { x, y }, pressure: 0 })
    }

    const PULLED: Axes = Axes {
        left_stick: [-32767, 32767],
        right_stick: [16384, 0],
        left_trigger: 65535,
        right_trigger: 0,
    };

    #[test]
    fn whole_pads_know_the_same_words() {
        let (mut pad, mut state) = (Pad::default(), State::NEUTRAL);
        let mut apply = |change| pad.apply(&mut state, &change);
        apply(Change::Axes(PULLED));
        apply(press("south", true));
        apply(press("mute", true));
        apply(finger(258, 65535, 0));
        apply(finger(259, 0, 0));
        apply(finger(260, 0, 0));
        apply(Change::Lift { id: 259 });
        let motion = Motion { time: 5, gyro: [1.0, 2.0, 3.0], accel: [4.0, 5.0, 6.0] };
        apply(Change::Motion(motion));
        apply(Change::Battery(hotseat_wire::Battery { percent: 40, charging: true }));
        assert_eq!(state.buttons, Button::South | Button::Mute);
        assert_eq!((state.left_stick, state.right_stick[1]), ([-1.0, 1.0], 0.0));
        assert_eq!(state.left_trigger, 1.0);
        assert_eq!((state.gyro, state.accel), (motion.gyro, motion.accel));
        assert_eq!(state.touches, [Some(Touch { id: 2, x: 1.0, y: 0.0 }), None]);
        assert_eq!(state.battery, Battery { percent: 40, charging: true });
        // A client that has buttons for triggers pulls them all the way.
        pad.apply(&mut state, &Change::Axes(Axes::default()));
        pad.apply(&mut state, &press("r2", true));
        assert_eq!((state.left_trigger, state.right_trigger), (0.0, 1.0));
        pad.release();
        state = State::NEUTRAL;
        pad.apply(&mut state, &Change::Axes(Axes::default()));
        assert_eq!(state, State::NEUTRAL);
    }

    #[test]
    fn buttons_of_pads_have_the_numbers_of_the_protocol() {
        for (number, name) in button::NAMES.into_iter().enumerate().take(Button::ALL.len()) {
            // The directional pad is no button there, by name.
            if (4..8).contains(&number) {
                continue;
            }
            let mut named = State::NEUTRAL;
            let has_it = |model: &Model| model.apply(&mut named, [format!("{name}=1")]).is_ok();
            assert!(Model::ALL.iter().any(has_it), "{name}");
            let mut changed = State::NEUTRAL;
            Pad::default().apply(&mut changed, &press(name, true));
            assert_eq!(changed, named, "{name}");
        }
    }
}
