//! Names of controls for codes: those of the built-in profiles where the device is of their kind.

use std::collections::BTreeSet;

use crate::{EventCode, EventType};

/// Names that are given to one device's controls, each once.
pub(super) struct Names {
    taken: BTreeSet<String>,
    is_pad: bool,
    /// Whether X and Y are where the kernel's names of their codes say.
    is_positional: bool,
    is_pointer: bool,
}

/// Vendors whose pads are: drivers/hid/hid-playstation.c and hid-nintendo.c report the upper button as
/// `BTN_NORTH`. Others do as xpad does, and SDL expects it of pads that it does not know.
const POSITIONAL: [u16; 2] = [0x054c, 0x057e];

/// Codes whose names on a pad are not those of the kernel without the prefix.
const PAD: [(&str, &str); 17] = [
    ("BTN_TL", "lb"),
    ("BTN_TR", "rb"),
    ("BTN_TL2", "l2"),
    ("BTN_TR2", "r2"),
    ("BTN_SELECT", "back"),
    ("BTN_MODE", "guide"),
    ("BTN_THUMBL", "ls"),
    ("BTN_THUMBR", "rs"),
    ("ABS_X", "lx"),
    ("ABS_Y", "ly"),
    ("ABS_RX", "rx"),
    ("ABS_RY", "ry"),
    ("ABS_Z", "lt"),
    ("ABS_RZ", "rt"),
    ("ABS_HAT0X", "dpad_x"),
    ("ABS_HAT0Y", "dpad_y"),
    ("BTN_Z", "capture"),
];

/// Where xpad has X and Y.
const XPAD: [(&str, &str); 2] = [("BTN_NORTH", "west"), ("BTN_WEST", "north")];

impl Names {
    /// For a device with these codes, of which `keys` are named after their codes anyway.
    pub(super) fn new(codes: &BTreeSet<EventCode>, keys: &[EventCode], vendor: u16) -> Self {
        let has = |name: &str| codes.iter().any(|code| code.name() == Some(name));
        let names = keys.iter().filter_map(|code| code.name()?.strip_prefix("KEY_"));
        let joystick = codes
            .iter()
            .any(|code| code.kind == EventType::Key && (0x120..0x140).contains(&code.code));
        Self {
            taken: names.map(str::to_lowercase).collect(),
            is_pad: has("BTN_SOUTH"),
            is_positional: POSITIONAL.contains(&vendor),
            is_pointer: !joystick
                && ["BTN_LEFT", "BTN_TOUCH", "BTN_TOOL_PEN"].map(has).contains(&true),
        }
    }

    /// Whether an axis says where something is, and stays there.
    pub(super) fn is_place(&self, code: EventCode) -> bool {
        match code.name() {
            Some("ABS_THROTTLE") => true,
            Some("ABS_X" | "ABS_Y" | "ABS_DISTANCE") => self.is_pointer,
            _ => false,
        }
    }

    /// A name for a code that has none yet.
    pub(super) fn of(&mut self, code: EventCode) -> String {
        let full = match code.name() {
            Some(name) => name.to_lowercase(),
            None => format!("{:?}_{:x}", code.kind, code.code).to_lowercase(),
        };
        let swapped = XPAD.iter().filter(|_| !self.is_positional);
        let on_pad =
            swapped.chain(&PAD).find(|(known, _)| self.is_pad && code.name() == Some(known));
        let motion = match code.name() {
            Some("REL_X") => Some("dx"),
            Some("REL_Y") => Some("dy"),
            _ => None,
        };
        let (_, short) = full.split_once('_').unwrap_or(("", &full));
        let short = on_pad.map(|(_, name)| *name).or(motion).unwrap_or(short).to_owned();
        let name = if self.taken.contains(&short) || short.is_empty() { full } else { short };
        self.taken.insert(name.clone());
        name
    }
}
