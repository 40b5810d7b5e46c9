//! How a device's controls are.

use crate::change::{Axes, Battery, Change, Contact, Motion, Pen, Place};
use crate::input::Kind;
use crate::list::List;
use crate::names::joystick;
use crate::set::Set;
use crate::{MAX_CONTACTS, names};

/// How the controls of a device are, except for what is only relative: [`Change::Move`] and [`Change::Wheel`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Buttons of the pad that are held.
    pub buttons: Set,
    /// Sticks and triggers.
    pub axes: Axes,
    /// Keys that are held.
    pub keys: Set,
    /// Buttons of the mouse that are held.
    pub mouse_buttons: Set,
    /// Where the pointer was put.
    pub place: Place,
    /// Fingers that are down.
    pub contacts: List<Contact, MAX_CONTACTS>,
    /// What is so of the pen.
    pub pen_buttons: Set,
    /// Where the pen is.
    pub pen: Pen,
    /// What the motion sensors measured last.
    pub motion: Motion,
    /// The battery.
    pub battery: Battery,
    /// Buttons of a wheel or stick that are held.
    pub joystick_buttons: Set,
    /// Axes of a wheel or stick.
    pub joystick_axes: [i16; 8],
}

impl State {
    /// Follows a change. Returns whether it was one.
    pub fn apply(&mut self, change: &Change) -> bool {
        match *change {
            Change::Button { button, down } => self.buttons.set(button, down),
            Change::Axes(axes) => replace(&mut self.axes, axes),
            // KEY_RESERVED: no key.
            Change::Key { key, down } => key != 0 && self.keys.set(key, down),
            Change::MouseButton { button, down } => self.mouse_buttons.set(button, down),
            Change::Move { dx, dy } => (dx, dy) != (0, 0),
            Change::Wheel { vertical, horizontal } => (vertical, horizontal) != (0, 0),
            Change::Place(place) => replace(&mut self.place, place),
            Change::Touch(contact) => {
                match self.contacts.find_mut(|other| other.id == contact.id) {
                    Some(old) => replace(old, contact),
                    None => self.contacts.push(contact),
                }
            }
            Change::Lift { id } => {
                let before = self.contacts.len();
                self.contacts.retain(|contact| contact.id != id);
                self.contacts.len() != before
            }
            Change::PenButton { button, down } => self.pen_buttons.set(button, down),
            Change::Pen(pen) => replace(&mut self.pen, pen),
            Change::Motion(motion) => replace(&mut self.motion, motion),
            Change::Battery(battery) => replace(&mut self.battery, battery),
            Change::JoystickButton { button, down } => self.joystick_buttons.set(button, down),
            Change::JoystickAxes(axes) => replace(&mut self.joystick_axes, axes),
        }
    }

    /// Whether nothing of a part is held, pressed or turning.
    #[must_use]
    pub fn is_at_rest(&self, kind: Kind) -> bool {
        let mut rest = *self;
        rest.release(kind, |_| {});
        rest == *self
    }

    /// Lets go of a part: keys and buttons up, sticks and triggers to rest, fingers and pen lifted, turning
    /// stopped. What is nobody's doing stays: places, levers, gravity, the battery. `each` is told every change.
    pub fn release(&mut self, kind: Kind, mut each: impl FnMut(Change)) {
        let before = *self;
        let mut change = |change: Change| {
            if self.apply(&change) {
                each(change);
            }
        };
        match kind {
            Kind::Gamepad => {
                change(Change::Axes(Axes::default()));
                let held = before.buttons.iter();
                held.for_each(|button| change(Change::Button { button, down: false }));
            }
            Kind::Keyboard => {
                before.keys.iter().for_each(|key| change(Change::Key { key, down: false }));
            }
            Kind::Mouse => {
                let held = before.mouse_buttons.iter();
                held.for_each(|button| change(Change::MouseButton { button, down: false }));
            }
            Kind::Touch => {
                before.contacts.iter().for_each(|contact| change(Change::Lift { id: contact.id }));
            }
            Kind::Pen => {
                change(Change::Pen(Pen { pressure: 0, ..before.pen }));
                // The tip goes up before the pen goes away.
                for button in (names::pen::NEAR..=7).rev() {
                    change(Change::PenButton { button, down: false });
                }
            }
            Kind::Motion => {
                change(Change::Motion(Motion { gyro: [0.0; 3], ..before.motion }));
            }
            Kind::Joystick => {
                let mut axes = [0; 8];
                axes[joystick::THROTTLE] = before.joystick_axes[joystick::THROTTLE];
                change(Change::JoystickAxes(axes));
                let held = before.joystick_buttons.iter();
                held.for_each(|button| change(Change::JoystickButton { button, down: false }));
            }
            Kind::Pointer | Kind::Battery => {}
        }
    }

    /// What is held of a part that has a log.
    pub(crate) fn held(&self, kind: Kind) -> Set {
        match kind {
            Kind::Gamepad => self.buttons,
            Kind::Keyboard => self.keys,
            Kind::Mouse => self.mouse_buttons,
            Kind::Pen => self.pen_buttons,
            Kind::Joystick => self.joystick_buttons,
            Kind::Pointer | Kind::Touch | Kind::Motion | Kind::Battery => Set::NONE,
        }
    }
}

/// An edge as a change.
pub(crate) fn edge(kind: Kind, number: u8, down: bool) -> Change {
    match kind {
        Kind::Gamepad => Change::Button { button: number, down },
        Kind::Mouse => Change::MouseButton { button: number, down },
        Kind::Pen => Change::PenButton { button: number, down },
        Kind::Joystick => Change::JoystickButton { button: number, down },
        // Of the kinds without a log there are no edges.
        _ => Change::Key { key: number, down },
    }
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    if *old == new {
        return false;
    }
    *old = new;
    true
}
