//! Names of controls for usages: those of the built-in profiles where the device is of their kind.

use std::collections::{BTreeMap, BTreeSet};

use super::control::{Element, HAT, HatAxis, Spec, directions, elements, is_button, nowhere};
use super::descriptor::Descriptor;
use crate::{EventCode, EventType};

/// Most controls that are named by themselves: more than any pad or keyboard has.
const MOST: usize = 512;

/// Pages from here on are the makers' own ("HID Usage Tables" 1.5, table 3.1): what they mean is not known.
const VENDORS: u32 = 0xff00;

// Usages of applications.
const MOUSE: u32 = 0x0001_0002;
const GAMEPAD: u32 = 0x0001_0005;

const Z: u32 = 0x0001_0032;
const RX: u32 = 0x0001_0033;
const RZ: u32 = 0x0001_0035;

/// Names that are the same on every device. drivers/hid/hid-input.c makes codes of them.
const NAMES: [(u32, &str); 34] = [
    (0x0001_0030, "x"),
    (0x0001_0031, "y"),
    (Z, "z"),
    (RX, "rx"),
    (0x0001_0034, "ry"),
    (RZ, "rz"),
    (0x0001_0036, "slider"),
    (0x0001_0037, "dial"),
    (0x0001_0038, "wheel"),
    (0x0001_003d, "start"),
    (0x0001_003e, "back"),
    (0x0001_0085, "guide"),
    (0x0001_0090, "dpad_up"),
    (0x0001_0091, "dpad_down"),
    (0x0001_0092, "dpad_right"),
    (0x0001_0093, "dpad_left"),
    (0x0002_00ba, "rudder"),
    (0x0002_00bb, "throttle"),
    (0x0002_00c4, "accelerator"),
    (0x0002_00c5, "brake"),
    (0x0002_00c6, "clutch"),
    (0x0002_00c8, "steering"),
    (0x000c_00b5, "nextsong"),
    (0x000c_00b6, "previoussong"),
    (0x000c_00b7, "stopcd"),
    (0x000c_00cd, "playpause"),
    (0x000c_00e2, "mute"),
    (0x000c_00e9, "volumeup"),
    (0x000c_00ea, "volumedown"),
    (0x000c_0238, "hwheel"),
    (0x000d_0030, "pressure"),
    (0x000d_0032, "in_range"),
    (0x000d_0042, "tip"),
    (0x000d_0045, "eraser"),
];

/// Names on a gamepad that has the usual axes: what is left for Z and Rz depends on whether there is an Rx.
const ON_GAMEPAD: [(u32, &str); 6] = [
    (0x0001_0030, "lx"),
    (0x0001_0031, "ly"),
    (RX, "rx"),
    (0x0001_0034, "ry"),
    (0x0002_00c4, "rt"),
    (0x0002_00c5, "lt"),
];

const ON_MOUSE: [(u32, &str); 5] = [
    (0x0009_0001, "left"),
    (0x0009_0002, "right"),
    (0x0009_0003, "middle"),
    (0x0009_0004, "side"),
    (0x0009_0005, "extra"),
];

/// Keys of page 7 from 4 on, as codes of evdev (`hid_keyboard` in drivers/hid/hid-input.c).
const KEYS: [u16; 98] = [
    30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45,
    21, 44, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41,
    51, 52, 53, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88, 99, 70, 119, 110, 102, 104,
    111, 107, 109, 106, 105, 108, 103, 69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73,
    82, 83, 86, 127,
];
/// Those from 0xe0 on.
const MODIFIERS: [u16; 8] = [29, 42, 56, 125, 97, 54, 100, 126];

/// A name for everything that the device's input reports have and whose meaning is known.
pub(crate) fn name_all(descriptor: &Descriptor) -> Vec<(String, Spec)> {
    let axes: BTreeSet<(u32, u32)> =
        elements(descriptor).map(|it| (it.field.1.application, it.usage)).collect();
    let mut named = Vec::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    for element in elements(descriptor) {
        let nth = seen.entry(element.usage).and_modify(|count| *count += 1).or_insert(1);
        if named.len() >= MOST {
            break;
        }
        let spec = Spec { nth: (*nth > 1).then_some(*nth), ..Spec::of(element.usage) };
        let parts = match name(&element, &axes) {
            None => continue,
            Some(name) if name == "dpad" => {
                let axis = |axis| Spec { axis: Some(axis), ..spec };
                vec![
                    ("dpad_x".to_owned(), axis(HatAxis::X)),
                    ("dpad_y".to_owned(), axis(HatAxis::Y)),
                ]
            }
            Some(name) => vec![(name, rested(&element, &axes, spec))],
        };
        for (name, spec) in parts {
            // What has no room in its bits, for one, is no control.
            if spec.resolve(descriptor).is_ok() {
                let mut numbered = (2_u32..).map(|number| format!("{name}_{number}"));
                let is_free = |name: &String| !taken.contains(name);
                let free = Some(name.clone()).filter(is_free);
                let Some(name) = free.or_else(|| numbered.find(is_free)) else { continue };
                taken.insert(name.clone());
                named.push((name, spec));
            }
        }
    }
    named
}

/// What an element is called, if it means something by itself.
fn name(element: &Element<'_>, axes: &BTreeSet<(u32, u32)>) -> Option<String> {
    let (usage, (_, field)) = (element.usage, element.field);
    let (page, id) = (usage >> 16, usage & 0xffff);
    let known = |table: &[(u32, &str)]| {
        table.iter().find(|(known, _)| *known == usage).map(|(_, name)| (*name).to_owned())
    };
    let on_gamepad = field.application == GAMEPAD;
    match usage {
        HAT if directions(field).is_some() && nowhere(field).is_some() => {
            return Some("dpad".to_owned());
        }
        Z if on_gamepad => {
            return Some(if has_triggers(field.application, axes) { "lt" } else { "rx" }.into());
        }
        RZ if on_gamepad => {
            return Some(if has_triggers(field.application, axes) { "rt" } else { "ry" }.into());
        }
        _ => {}
    }
    if field.is_relative && field.is_variable && usage <= 0x0001_0031 {
        return known(&[(0x0001_0030, "dx"), (0x0001_0031, "dy")]);
    }
    let by_kind = match field.application {
        GAMEPAD => known(&ON_GAMEPAD),
        MOUSE => known(&ON_MOUSE),
        _ => None,
    };
    by_kind.or_else(|| known(&NAMES)).or_else(|| match page {
        0 => None,
        0x07 => key(id),
        _ if is_button(usage) && id > 0 => Some(format!("button{id}")),
        // Of the many that an array may select those with a name are enough.
        _ if page >= VENDORS || !field.is_variable => None,
        _ => Some(format!("usage_{page:x}_{id:x}")),
    })
}

/// Whether Z and Rz are triggers, because the right stick is Rx and Ry.
fn has_triggers(application: u32, axes: &BTreeSet<(u32, u32)>) -> bool {
    axes.contains(&(application, RX))
}

/// Triggers rest at their end, and a pointer's place is a place.
fn rested(element: &Element<'_>, axes: &BTreeSet<(u32, u32)>, spec: Spec) -> Spec {
    let (_, field) = element.field;
    let is_trigger = field.application == GAMEPAD
        && [Z, RZ].contains(&element.usage)
        && has_triggers(field.application, axes);
    let is_range = field.is_variable && !field.is_relative && field.max.abs_diff(field.min) > 1;
    let is_place = is_range
        && field.application == MOUSE
        && (0x0001_0030..=0x0001_0031).contains(&element.usage);
    Spec { rest: is_trigger.then_some(field.min), position: is_place, ..spec }
}

/// The name of a key in the keyboard's profile, which leaves out what a host acts on (docs/uinput.md).
fn key(id: u32) -> Option<String> {
    let id = usize::try_from(id).ok()?;
    let code = match id {
        4..0xe0 => KEYS.get(id - 4),
        _ => id.checked_sub(0xe0).and_then(|id| MODIFIERS.get(id)),
    };
    let code = EventCode { kind: EventType::Key, code: *code? };
    let name = code.name()?.strip_prefix("KEY_")?;
    (!["SYSRQ", "POWER"].contains(&name)).then(|| name.to_lowercase())
}

#[cfg(test)]
mod tests;
