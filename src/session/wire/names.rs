//! The controls of a profile, as far as the protocol has words for them.

use std::ops::RangeInclusive;

use hotseat_wire::{button, joystick};
use vinput::hid;
use vinput::profile::{Axis, ControlKind};
use vinput::{EventCode, EventType};

/// The number of a control among those of its device.
pub(super) type Index = u16;

/// The directional pad among the buttons: up, down, left, right.
pub(super) const DPAD: RangeInclusive<u8> = 4..=7;

/// What controls are called that do not have the name of the button that they stand for, by its number: the directional
/// pad where it is four buttons, then the profiles `wheel`, `flight-stick` and `xbox-series`.
const OTHER_NAMES: [(u8, &str); 25] = [
    (4, "dpad_up"),
    (5, "dpad_down"),
    (6, "dpad_left"),
    (7, "dpad_right"),
    (0, "cross"),
    (1, "circle"),
    (2, "square"),
    (3, "triangle"),
    (8, "paddle_left"),
    (9, "paddle_right"),
    (10, "l3"),
    (11, "r3"),
    (12, "share"),
    (13, "options"),
    (0, "trigger"),
    (1, "thumb"),
    (2, "thumb2"),
    (3, "top"),
    (8, "top2"),
    (9, "pinkie"),
    (10, "base"),
    (11, "base2"),
    (12, "base3"),
    (13, "base4"),
    (17, "share"),
];

/// A control of a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) index: Index,
    pub(super) name: &'a str,
    pub(super) what: What,
}

/// What kind of control it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    /// A button.
    Button,
    /// A key of a keyboard, with its code.
    Key(u8),
    /// An axis that says where something is, or how far.
    Axis(Axis),
    /// One direction of a hat switch.
    Hat,
    /// What is only relative.
    Motion {
        /// How many steps one report has room for, one way and the other.
        steps: (i32, i32),
        /// What one step of a wheel is, in 1/120 detent.
        step: u8,
    },
    /// A finger.
    Contact,
}

/// Units of a wheel on the wire per detent.
const DETENT: u8 = 120;

pub(super) fn of_uinput(profile: &vinput::Profile) -> Vec<Named<'_>> {
    let what = |control: &vinput::profile::Control| match control.kind() {
        ControlKind::Absolute(axis) => Some(What::Axis(axis)),
        ControlKind::Contact => Some(What::Contact),
        ControlKind::Relative { hi_res } => {
            let step = if hi_res.is_some() { 1 } else { DETENT };
            Some(What::Motion { steps: (-i32::MAX, i32::MAX), step })
        }
        ControlKind::Key => Some(key(control.code()).map_or(What::Button, What::Key)),
        _ => None,
    };
    let controls = profile.controls().iter();
    numbered(controls.map(|control| (control.name(), what(control))))
}

pub(super) fn of_hid(profile: &hid::Profile) -> Vec<Named<'_>> {
    let what = |control: &hid::Control| match control.kind() {
        hid::ControlKind::Absolute(axis) => Some(What::Axis(axis)),
        hid::ControlKind::Hat(_) => Some(What::Hat),
        hid::ControlKind::Relative { min, max } => {
            Some(What::Motion { steps: (min, max), step: DETENT })
        }
        // Keyboard and consumer page ("HID Usage Tables" 1.5, 10 and 15), named after codes of evdev.
        hid::ControlKind::Key | hid::ControlKind::Selected => match control.usage() >> 16 {
            0x07 | 0x0c => {
                let name = format!("KEY_{}", control.name().to_uppercase());
                EventCode::from_name(&name).and_then(key).map(What::Key)
            }
            _ => Some(What::Button),
        },
        _ => None,
    };
    let controls = profile.controls().iter();
    numbered(controls.map(|control| (control.name(), what(control))))
}

/// The code of a key that the protocol can say, 1 to 255: buttons have higher ones.
fn key(code: EventCode) -> Option<u8> {
    u8::try_from(code.code).ok().filter(|number| code.kind == EventType::Key && *number != 0)
}

fn numbered<'a>(controls: impl Iterator<Item = (&'a str, Option<What>)>) -> Vec<Named<'a>> {
    let numbered = (0..).zip(controls);
    numbered.filter_map(|(index, (name, what))| Some(Named { index, name, what: what? })).collect()
}

/// The buttons of a pad. Each control is one of them only.
pub(super) fn buttons(named: &[Named<'_>]) -> [Option<Index>; 32] {
    let mut buttons: [Option<Index>; 32] = [None; 32];
    // The directional pad's names are those of keys.
    let own = (0..).zip(button::NAMES).filter(|(number, _)| !DPAD.contains(number));
    for (number, name) in own.chain(OTHER_NAMES) {
        // A pad may report a button as a key, as xpad does with this one.
        let is_button = |what| what == What::Button || (name == "share" && what != What::Hat);
        let control = named.iter().find(|it| it.name == name && is_button(it.what));
        let Some(control) = control else { continue };
        if !buttons.contains(&Some(control.index)) {
            buttons[usize::from(number)].get_or_insert(control.index);
        }
    }
    buttons
}

/// The number of a pad's button by what a control is called that stands for it.
pub(crate) fn button_named(name: &str) -> Option<u8> {
    let other = || OTHER_NAMES.iter().find(|(_, other)| *other == name);
    button::number(name).or_else(|| other().map(|(number, _)| *number))
}

/// The buttons of a wheel or stick that pads do not have.
pub(super) fn joystick_buttons(named: &[Named<'_>]) -> [Option<Index>; 32] {
    std::array::from_fn(|number| {
        let name = joystick::BUTTONS.get(number)?;
        let is_it = |it: &&Named<'_>| it.name == *name && it.what == What::Button;
        named.iter().find(is_it).map(|control| control.index)
    })
}

/// The keys of a keyboard, by their codes.
pub(super) fn keys(named: &[Named<'_>], buttons: &[Option<Index>]) -> [Option<Index>; 256] {
    let mut keys = [None; 256];
    for control in named {
        match control.what {
            What::Key(code) if !buttons.contains(&Some(control.index)) => {
                keys[usize::from(code)] = Some(control.index);
            }
            _ => {}
        }
    }
    keys
}
