//! From the events of a device to the changes that the protocol has. No device, no clock: tests have both.

mod motion;
mod pad;
mod pen;
mod touch;
mod wheel;

use evdev::{
    AbsoluteAxisCode, EventSummary, InputEvent, KeyCode, RelativeAxisCode, SynchronizationCode,
};
use hotseat_wire::{Change, Place};

use self::motion::Sensors;
use self::pad::Pad;
use self::pen::PenTablet;
use self::touch::Touch;
use self::wheel::Wheel;
use super::abilities::{Abilities, Role};
use super::axis::Axis;

/// What a device's events mean.
#[derive(Debug)]
pub(super) struct Mapper {
    part: Part,
    /// Since the last report, or of it.
    changes: Vec<Change>,
    is_reported: bool,
    /// Events were lost: those up to the next report are of no use (Documentation/input/event-codes.rst, SYN_DROPPED).
    is_lost: bool,
}

#[derive(Debug)]
enum Part {
    Pad(Pad),
    Wheel(Wheel),
    Keyboard,
    Mouse(Mouse),
    Touch(Touch),
    Pen(PenTablet),
    Motion(Sensors),
}

/// What is to be done after an event.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome<'a> {
    /// Nothing yet.
    More,
    /// A report is complete, and this is what it changes.
    Report(&'a [Change]),
    /// Events were lost, and how the device is now is to be asked.
    Lost,
}

impl Mapper {
    /// `None` for a device that cannot be played with.
    pub(super) fn new(abilities: &Abilities) -> Option<Self> {
        let part = match abilities.role()? {
            Role::Pad => match abilities.wheel() {
                Some(profile) => Part::Wheel(Wheel::new(abilities, profile)),
                None => Part::Pad(Pad::new(abilities)),
            },
            Role::Keyboard => Part::Keyboard,
            Role::Mouse | Role::Pointer => Part::Mouse(Mouse::new(abilities)),
            Role::Touch => Part::Touch(Touch::new(abilities)),
            Role::Pen => Part::Pen(PenTablet::new(abilities)),
            Role::Motion => Part::Motion(Sensors::new(abilities)),
        };
        Some(Self { part, changes: Vec::new(), is_reported: false, is_lost: false })
    }

    /// Takes an event.
    pub(super) fn take(&mut self, event: InputEvent) -> Outcome<'_> {
        match event.destructure() {
            EventSummary::Synchronization(_, SynchronizationCode::SYN_DROPPED, _) => {
                self.is_lost = true;
                Outcome::More
            }
            EventSummary::Synchronization(_, SynchronizationCode::SYN_REPORT, _) => {
                if std::mem::take(&mut self.is_lost) {
                    return Outcome::Lost;
                }
                Outcome::Report(self.report())
            }
            _ if self.is_lost => Outcome::More,
            event => {
                self.follow(&event);
                Outcome::More
            }
        }
    }

    /// Takes how the device is now, as events would say it.
    pub(super) fn catch_up(&mut self, now: &[InputEvent]) -> &[Change] {
        self.clear();
        now.iter().for_each(|event| self.follow(&event.destructure()));
        self.report()
    }

    fn follow(&mut self, event: &EventSummary) {
        if self.is_reported {
            self.clear();
        }
        let changes = &mut self.changes;
        match &mut self.part {
            Part::Pad(pad) => pad.follow(event, changes),
            Part::Wheel(wheel) => wheel.follow(event, changes),
            Part::Keyboard => keyboard(event, changes),
            Part::Mouse(mouse) => mouse.follow(event, changes),
            Part::Touch(touch) => touch.follow(event, changes),
            Part::Pen(pen) => pen.follow(event, changes),
            Part::Motion(sensors) => sensors.follow(event),
        }
    }

    fn report(&mut self) -> &[Change] {
        if self.is_reported {
            self.clear();
        }
        let changes = &mut self.changes;
        match &mut self.part {
            Part::Pad(pad) => pad.finish(changes),
            Part::Wheel(wheel) => wheel.finish(changes),
            Part::Keyboard => {}
            Part::Mouse(mouse) => mouse.finish(changes),
            Part::Touch(touch) => touch.finish(changes),
            Part::Pen(pen) => pen.finish(changes),
            Part::Motion(sensors) => sensors.finish(changes),
        }
        self.is_reported = true;
        &self.changes
    }

    fn clear(&mut self) {
        self.changes.clear();
        self.is_reported = false;
    }
}

/// Keys as they are; the wire has no repeats.
fn keyboard(event: &EventSummary, changes: &mut Vec<Change>) {
    if let EventSummary::Key(_, key, value @ (0 | 1)) = event
        && let Ok(key) = u8::try_from(key.0)
    {
        changes.push(Change::Key { key, down: *value == 1 });
    }
}

/// A mouse, also one that says where it is.
#[derive(Debug)]
struct Mouse {
    x: Axis,
    y: Axis,
    /// Where a wheel reports 1/120 detents, its whole ones say the same again.
    has_fine_wheel: bool,
    has_fine_side_wheel: bool,
    /// Of this report.
    motion: [i32; 2],
    wheels: [i32; 2],
    place: Option<Place>,
    last: Place,
}

/// 1/120 detents in one.
const DETENT: i32 = 120;

impl Mouse {
    fn new(abilities: &Abilities) -> Self {
        let axis =
            |code: AbsoluteAxisCode| abilities.absolute.get(&code.0).copied().unwrap_or_default();
        Self {
            x: axis(AbsoluteAxisCode::ABS_X),
            y: axis(AbsoluteAxisCode::ABS_Y),
            has_fine_wheel: abilities.has_relative(RelativeAxisCode::REL_WHEEL_HI_RES),
            has_fine_side_wheel: abilities.has_relative(RelativeAxisCode::REL_HWHEEL_HI_RES),
            motion: [0; 2],
            wheels: [0; 2],
            place: None,
            last: Place::default(),
        }
    }

    fn follow(&mut self, event: &EventSummary, changes: &mut Vec<Change>) {
        match *event {
            EventSummary::Key(_, key, value @ (0 | 1)) => {
                changes.extend(mouse_button(key, value == 1));
            }
            EventSummary::RelativeAxis(_, axis, value) => self.turn(axis, value),
            EventSummary::AbsoluteAxis(_, AbsoluteAxisCode::ABS_X, value) => {
                self.place.get_or_insert(self.last).x = self.x.part(value);
            }
            EventSummary::AbsoluteAxis(_, AbsoluteAxisCode::ABS_Y, value) => {
                self.place.get_or_insert(self.last).y = self.y.part(value);
            }
            _ => {}
        }
    }

    fn turn(&mut self, axis: RelativeAxisCode, value: i32) {
        let (sum, value) = match axis {
            RelativeAxisCode::REL_X => (&mut self.motion[0], value),
            RelativeAxisCode::REL_Y => (&mut self.motion[1], value),
            RelativeAxisCode::REL_WHEEL_HI_RES => (&mut self.wheels[0], value),
            RelativeAxisCode::REL_HWHEEL_HI_RES => (&mut self.wheels[1], value),
            RelativeAxisCode::REL_WHEEL if !self.has_fine_wheel => {
                (&mut self.wheels[0], value.saturating_mul(DETENT))
            }
            RelativeAxisCode::REL_HWHEEL if !self.has_fine_side_wheel => {
                (&mut self.wheels[1], value.saturating_mul(DETENT))
            }
            _ => return,
        };
        *sum = sum.saturating_add(value);
    }

    fn finish(&mut self, changes: &mut Vec<Change>) {
        let [dx, dy] = std::mem::take(&mut self.motion);
        if (dx, dy) != (0, 0) {
            changes.push(Change::Move { dx, dy });
        }
        let [vertical, horizontal] = std::mem::take(&mut self.wheels);
        if (vertical, horizontal) != (0, 0) {
            changes.push(Change::Wheel { vertical, horizontal });
        }
        if let Some(place) = self.place.take() {
            self.last = place;
            changes.push(Change::Place(place));
        }
    }
}

/// The button of a mouse that a key is: `BTN_LEFT` and the seven after it.
fn mouse_button(key: KeyCode, down: bool) -> Option<Change> {
    let button = key.0.checked_sub(KeyCode::BTN_LEFT.0).filter(|button| *button < 8)?;
    Some(Change::MouseButton { button: u8::try_from(button).ok()?, down })
}

#[cfg(test)]
mod tests;
