//! Wheels and flight sticks that there are profiles of, which say what each of their controls is.

use std::collections::BTreeMap;

use evdev::EventSummary;
use hotseat_wire::{Axes, Change, button, joystick};
use vinput::profile::{Control, ControlKind};
use vinput::{EventType, Profile};

use crate::cli::connect::abilities::Abilities;
use crate::cli::connect::axis::Axis;
use crate::session::button_named;

/// A wheel or a stick.
#[derive(Debug)]
pub(super) struct Wheel {
    keys: BTreeMap<u16, Key>,
    absolute: BTreeMap<u16, (Place, Axis)>,
    axes: Axes,
    others: [i16; 8],
    last: (Axes, [i16; 8]),
}

/// What a key is.
#[derive(Clone, Copy, Debug)]
enum Key {
    /// A button that pads have, too.
    Button(u8),
    /// One that they do not have.
    Other(u8),
}

/// What an axis is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A direction of the left or right stick.
    Stick(usize),
    /// A pedal that is the left or right trigger; the wheel's rest at their most.
    Trigger { side: usize, rests_at_most: bool },
    /// One that pads do not have.
    Other { number: usize, rests_at_most: bool },
    /// A lever, which stays where it is put.
    Lever(usize),
    /// Two directions of the hat.
    Hat([&'static str; 2]),
}

impl Wheel {
    pub(super) fn new(abilities: &Abilities, profile: &Profile) -> Self {
        let of = |kind| profile.controls().iter().filter(move |it| it.code().kind == kind);
        let axis = |it: &Control| {
            let axis = *abilities.absolute.get(&it.code().code)?;
            Some((it.code().code, (place(it)?, axis)))
        };
        Self {
            keys: of(EventType::Key).filter_map(|it| Some((it.code().code, key(it)?))).collect(),
            absolute: of(EventType::Abs).filter_map(axis).collect(),
            axes: Axes::default(),
            others: [0; 8],
            last: Default::default(),
        }
    }

    pub(super) fn follow(&mut self, event: &EventSummary, changes: &mut Vec<Change>) {
        match *event {
            EventSummary::Key(_, key, value @ (0 | 1)) => {
                let down = value == 1;
                changes.extend(self.keys.get(&key.0).map(|key| match *key {
                    Key::Button(button) => Change::Button { button, down },
                    Key::Other(button) => Change::JoystickButton { button, down },
                }));
            }
            EventSummary::AbsoluteAxis(_, code, value) => {
                if let Some((place, axis)) = self.absolute.get(&code.0).copied() {
                    self.set(place, axis, value, changes);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, place: Place, axis: Axis, value: i32, changes: &mut Vec<Change>) {
        let pressed = |rests_at_most| {
            if rests_at_most { u16::MAX - axis.part(value) } else { axis.part(value) }
        };
        match place {
            Place::Stick(number @ (0 | 1)) => self.axes.left_stick[number] = axis.stick(value),
            Place::Stick(number) => self.axes.right_stick[number % 2] = axis.stick(value),
            Place::Trigger { side: 0, rests_at_most } => {
                self.axes.left_trigger = pressed(rests_at_most);
            }
            Place::Trigger { rests_at_most, .. } => {
                self.axes.right_trigger = pressed(rests_at_most);
            }
            Place::Other { number, rests_at_most } => {
                self.others[number] = half(pressed(rests_at_most));
            }
            Place::Lever(number) => self.others[number] = half(axis.part(value)),
            Place::Hat([less, more]) => {
                for (name, down) in [(less, value < 0), (more, value > 0)] {
                    changes
                        .extend(button::number(name).map(|button| Change::Button { button, down }));
                }
            }
        }
    }

    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        let last = std::mem::replace(&mut self.last, (self.axes, self.others));
        if self.axes != last.0 {
            changes.push(Change::Axes(self.axes));
        }
        if self.others != last.1 {
            changes.push(Change::JoystickAxes(self.others));
        }
    }
}

fn key(control: &Control) -> Option<Key> {
    let other = joystick::number(control.name()).map(Key::Other);
    other.or_else(|| button_named(control.name()).map(Key::Button))
}

fn place(control: &Control) -> Option<Place> {
    let ControlKind::Absolute(axis) = control.kind() else { return None };
    let rests_at_most = axis.rest == axis.max;
    let other = joystick::AXES.iter().position(|name| *name == control.name());
    Some(match (control.name(), other) {
        (_, Some(number)) if axis.position => Place::Lever(number),
        ("wheel" | "x", _) => Place::Stick(0),
        ("y", _) => Place::Stick(1),
        ("twist", _) => Place::Stick(2),
        ("brake", _) => Place::Trigger { side: 0, rests_at_most },
        ("throttle", _) => Place::Trigger { side: 1, rests_at_most },
        ("dpad_x" | "hat_x", _) => Place::Hat(["left", "right"]),
        ("dpad_y" | "hat_y", _) => Place::Hat(["up", "down"]),
        (_, number) => Place::Other { number: number?, rests_at_most },
    })
}

/// Of what goes one way only the wire has fifteen bits.
fn half(part: u16) -> i16 {
    i16::try_from(part / 2).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    use evdev::InputEvent;

    use super::*;

    fn wheel(name: &str) -> (Wheel, &'static Profile) {
        let profile = Profile::builtin(name).unwrap();
        let ranges = profile.controls().iter().filter_map(|it| match it.kind() {
            ControlKind::Absolute(axis) => {
                let range = Axis { least: axis.min, most: axis.max, resolution: 0 };
                Some((it.code().code, range))
            }
            _ => None,
        });
        let abilities = Abilities { absolute: ranges.collect(), ..Abilities::default() };
        (Wheel::new(&abilities, profile), profile)
    }

    fn changes(wheel: &mut Wheel, profile: &Profile, name: &str, value: i32) -> Vec<Change> {
        let code = profile.controls().iter().find(|it| it.name() == name).unwrap().code();
        let kind = if code.kind == EventType::Key {
            evdev::EventType::KEY
        } else {
            evdev::EventType::ABSOLUTE
        };
        let mut changes = Vec::new();
        wheel.follow(&InputEvent::new(kind.0, code.code, value).destructure(), &mut changes);
        wheel.finish(&mut changes);
        changes
    }

    #[test]
    fn every_control_of_a_wheel_and_of_a_stick_says_something() {
        for name in ["wheel", "flight-stick"] {
            let (mut wheel, profile) = wheel(name);
            for control in profile.controls() {
                let (first, then) = match control.kind() {
                    ControlKind::Absolute(axis) => (axis.min, axis.max),
                    _ => (0, 1),
                };
                changes(&mut wheel, profile, control.name(), first);
                let said = changes(&mut wheel, profile, control.name(), then);
                assert!(!said.is_empty(), "{name}: {}", control.name());
            }
        }
    }

    #[test]
    fn pedals_are_pressed_levers_put_and_gears_shifted() {
        let (mut g29, profile) = wheel("wheel");
        let brake = Axes { left_trigger: u16::MAX, ..Axes::default() };
        assert_eq!(changes(&mut g29, profile, "brake", 255), []);
        assert_eq!(changes(&mut g29, profile, "brake", 0), [Change::Axes(brake)]);
        let clutch = Change::JoystickAxes([i16::MAX, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(changes(&mut g29, profile, "clutch", 0), [clutch]);
        let button = joystick::number("gear_reverse").unwrap();
        let reverse = [Change::JoystickButton { button, down: true }];
        assert_eq!(changes(&mut g29, profile, "gear_reverse", 1), reverse);
        let south = [Change::Button { button: 0, down: true }];
        assert_eq!(changes(&mut g29, profile, "cross", 1), south);

        let (mut stick, profile) = wheel("flight-stick");
        let full = Change::JoystickAxes([0, 0, 0, i16::MAX, 0, 0, 0, 0]);
        assert_eq!(changes(&mut stick, profile, "throttle", 255), [full]);
    }
}
