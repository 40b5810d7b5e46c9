//! Controls by the names that profiles give them (docs/profiles.md), as changes of the protocol.

use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};
use hotseat_wire::{Axes, Change, Contact, Kind, Motion, Pen, Place, State, button, joystick, pen};
use vinput::EventCode;

/// `CONTROL=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set {
    name: String,
    value: f32,
}

/// Of which parts of a device there is a control of this name, the most likely one first. Where a device has several, it has
/// them in this order.
fn kinds(name: &str) -> Vec<Kind> {
    let is_finger = finger(name).is_some();
    let of = |kind, is_there: bool| is_there.then_some(kind);
    [
        of(Kind::Gamepad, button::number(name).is_some() || AXES.contains(&name)),
        of(Kind::Joystick, joystick::number(name).is_some() || joystick::AXES.contains(&name)),
        of(Kind::Mouse, mouse_button(name).is_some() || MOUSE.contains(&name)),
        of(Kind::Keyboard, key(name).is_some()),
        of(Kind::Pen, pen_button(name).is_some() || PEN.contains(&name)),
        of(Kind::Pointer, matches!(name, "x" | "y")),
        of(Kind::Touch, is_finger),
        of(Kind::Motion, MOTION.contains(&name)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const AXES: [&str; 8] = ["lx", "ly", "rx", "ry", "lt", "rt", "dpad_x", "dpad_y"];
const MOUSE: [&str; 4] = ["dx", "dy", "wheel", "hwheel"];
const PEN: [&str; 6] = ["x", "y", "pressure", "distance", "tilt_x", "tilt_y"];
const MOTION: [&str; 6] = ["gyro_x", "gyro_y", "gyro_z", "accel_x", "accel_y", "accel_z"];

impl FromStr for Set {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').context("a control is set by CONTROL=VALUE")?;
        let value = value.parse().ok().filter(|value: &f32| value.is_finite());
        let value = value.with_context(|| format!("`{text}` has no number"))?;
        if kinds(name).is_empty() {
            bail!("there is no control `{name}`");
        }
        Ok(Self { name: name.to_owned(), value })
    }
}

/// What setting controls at once changes of a device that takes these kinds and is in this state.
pub(super) fn changes(
    takes: impl Fn(Kind) -> bool,
    state: &State,
    sets: &[Set],
) -> Result<Vec<Change>> {
    let mut state = *state;
    let mut changes = Vec::new();
    for Set { name, value } in sets {
        let kind = kinds(name).into_iter().find(|kind| takes(*kind));
        let kind = kind.with_context(|| format!("the device has no control `{name}`"))?;
        for change in of(kind, name, *value, &state) {
            state.apply(&change);
            changes.push(change);
        }
    }
    Ok(changes)
}

fn of(kind: Kind, name: &str, value: f32, state: &State) -> Vec<Change> {
    let down = value != 0.0;
    match kind {
        Kind::Gamepad => pad(name, value, &state.axes),
        Kind::Keyboard => key(name).map(|key| Change::Key { key, down }).into_iter().collect(),
        Kind::Mouse => vec![match (name, mouse_button(name)) {
            (_, Some(button)) => Change::MouseButton { button, down },
            ("dx", _) => Change::Move { dx: whole(value), dy: 0 },
            ("dy", _) => Change::Move { dx: 0, dy: whole(value) },
            ("wheel", _) => Change::Wheel { vertical: whole(value * 120.0), horizontal: 0 },
            _ => Change::Wheel { vertical: 0, horizontal: whole(value * 120.0) },
        }],
        Kind::Pointer => {
            let mut place = state.place;
            *if name == "x" { &mut place.x } else { &mut place.y } = part(value);
            vec![Change::Place(place)]
        }
        Kind::Touch => touch(name, value, state),
        Kind::Pen => pen_changes(name, value, &state.pen),
        Kind::Motion => vec![Change::Motion(motion(name, value, state.motion))],
        Kind::Battery => Vec::new(),
        Kind::Joystick => vec![joystick_change(name, value, state.joystick_axes)],
    }
}

fn pad(name: &str, value: f32, axes: &Axes) -> Vec<Change> {
    if let Some(button) = button::number(name) {
        return vec![Change::Button { button, down: value != 0.0 }];
    }
    let hat = |less: &str, more: &str| {
        let button = |name, down| Some(Change::Button { button: button::number(name)?, down });
        [button(less, value < 0.0), button(more, value > 0.0)].into_iter().flatten().collect()
    };
    let mut axes = *axes;
    match name {
        "lx" => axes.left_stick[0] = stick(value),
        "ly" => axes.left_stick[1] = stick(value),
        "rx" => axes.right_stick[0] = stick(value),
        "ry" => axes.right_stick[1] = stick(value),
        "lt" => axes.left_trigger = part(value),
        "rt" => axes.right_trigger = part(value),
        "dpad_x" => return hat("left", "right"),
        _ => return hat("up", "down"),
    }
    vec![Change::Axes(axes)]
}

fn joystick_change(name: &str, value: f32, mut axes: [i16; 8]) -> Change {
    if let Some(button) = joystick::number(name) {
        return Change::JoystickButton { button, down: value != 0.0 };
    }
    let names = joystick::AXES.iter().zip(&mut axes);
    names.filter(|(known, _)| **known == name).for_each(|(_, axis)| *axis = stick(value));
    Change::JoystickAxes(axes)
}

/// `touch0` to `touch15`, and `_x`, `_y`, `_pressure` of each.
fn finger(name: &str) -> Option<(u16, &str)> {
    let rest = name.strip_prefix("touch")?;
    let (number, of) = rest.split_once('_').unwrap_or((rest, ""));
    let number = number.parse().ok().filter(|number| *number < 16)?;
    matches!(of, "" | "x" | "y" | "pressure").then_some((number, of))
}

fn touch(name: &str, value: f32, state: &State) -> Vec<Change> {
    let Some((id, of)) = finger(name) else { return Vec::new() };
    let known = state.contacts.iter().find(|contact| contact.id == id).copied();
    if of.is_empty() && value == 0.0 {
        return vec![Change::Lift { id }];
    }
    // A finger comes down in the middle, unless something else is said at the same time.
    let middle = Contact { id, place: Place { x: 0x8000, y: 0x8000 }, pressure: 0 };
    let mut contact = match (known, of) {
        (None, "") => middle,
        (None, _) => return Vec::new(),
        (Some(known), _) => known,
    };
    match of {
        "x" => contact.place.x = part(value),
        "y" => contact.place.y = part(value),
        "pressure" => contact.pressure = part(value),
        _ => {}
    }
    vec![Change::Touch(contact)]
}

fn pen_button(name: &str) -> Option<u8> {
    match name {
        "tip" => Some(pen::TIP),
        "stylus" => Some(pen::BUTTON1),
        "stylus2" => Some(pen::BUTTON2),
        "stylus3" => Some(pen::BUTTON3),
        _ => pen::TOOLS.contains(&name).then_some(pen::NEAR),
    }
}

fn pen_changes(name: &str, value: f32, pen: &Pen) -> Vec<Change> {
    let mut pen = *pen;
    let mut changes = Vec::new();
    if let Some(button) = pen_button(name) {
        if let Some(tool) = pen::TOOLS.iter().position(|tool| *tool == name) {
            pen.tool = u8::try_from(tool).unwrap_or_default();
            changes.push(Change::Pen(pen));
        }
        changes.push(Change::PenButton { button, down: value != 0.0 });
        return changes;
    }
    match name {
        "x" => pen.place.x = part(value),
        "y" => pen.place.y = part(value),
        "pressure" => pen.pressure = part(value),
        "distance" => pen.distance = part(value),
        "tilt_x" => pen.tilt[0] = degrees(value),
        _ => pen.tilt[1] = degrees(value),
    }
    vec![Change::Pen(pen)]
}

fn motion(name: &str, value: f32, mut motion: Motion) -> Motion {
    let axis = match name.as_bytes().last() {
        Some(b'x') => 0,
        Some(b'y') => 1,
        _ => 2,
    };
    let part = if name.starts_with("gyro") { &mut motion.gyro } else { &mut motion.accel };
    part[axis] = value;
    motion
}

fn mouse_button(name: &str) -> Option<u8> {
    let names = ["left", "right", "middle", "side", "extra"];
    let place = names.iter().position(|known| *known == name)?;
    u8::try_from(place).ok()
}

/// As in the profile `keyboard`: the name of the code without `KEY_`, in lower case.
fn key(name: &str) -> Option<u8> {
    let code = EventCode::from_name(&format!("KEY_{}", name.to_ascii_uppercase()))?;
    u8::try_from(code.code).ok().filter(|key| *key > 0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it is clamped, and a cast of a float saturates"
)]
fn stick(value: f32) -> i16 {
    (value.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped, and a cast of a float saturates"
)]
fn part(value: f32) -> u16 {
    (value.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16
}

/// -1 to 1 is 90 degrees each way.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is clamped, and a cast of a float saturates"
)]
fn degrees(value: f32) -> i8 {
    (value.clamp(-1.0, 1.0) * 90.0).round() as i8
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn whole(value: f32) -> i32 {
    value.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(kinds: &[Kind], state: &State, sets: &[&str]) -> Result<Vec<Change>> {
        let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
        changes(|kind| kinds.contains(&kind), state, &sets)
    }

    #[test]
    fn a_name_is_the_devices_own() {
        let left = |kind| set(&[kind], &State::default(), &["left=1"]).unwrap();
        let button = button::number("left").unwrap();
        assert_eq!(left(Kind::Gamepad), [Change::Button { button, down: true }]);
        assert_eq!(left(Kind::Mouse), [Change::MouseButton { button: 0, down: true }]);
        let error = set(&[Kind::Keyboard], &State::default(), &["lx=1"]).unwrap_err();
        assert_eq!(error.to_string(), "the device has no control `lx`");
        let a = [Change::Key { key: 30, down: true }];
        assert_eq!(set(&[Kind::Keyboard], &State::default(), &["a=1"]).unwrap(), a);
    }

    #[test]
    fn axes_keep_what_is_not_said() {
        let before = Axes { right_stick: [5, 6], ..Axes::default() };
        let state = State { axes: before, ..State::default() };
        let changes = set(&[Kind::Gamepad], &state, &["lx=-1", "rt=0.5"]).unwrap();
        let last = Axes { left_stick: [-32767, 0], right_trigger: 32768, ..before };
        assert_eq!(changes.last(), Some(&Change::Axes(last)));
    }

    #[test]
    fn fingers_come_down_move_and_go_up() {
        let set = |state: &State, sets: &[&str]| set(&[Kind::Touch], state, sets).unwrap();
        let mut state = State::default();
        for change in set(&state, &["touch3=1", "touch3_x=0", "touch3_y=1"]) {
            state.apply(&change);
        }
        let finger = Contact { id: 3, place: Place { x: 0, y: 65535 }, pressure: 0 };
        assert!(state.contacts.iter().eq([&finger]));
        assert_eq!(set(&state, &["touch3=0"]), [Change::Lift { id: 3 }]);
        assert_eq!(set(&state, &["touch4_x=1"]), [], "it is not down");
    }

    #[test]
    fn a_wheel_has_gears_and_a_clutch_besides_a_pads_words() {
        let kinds = [Kind::Gamepad, Kind::Joystick];
        let sets = ["lx=-1", "gear2=1", "clutch=1", "throttle=0.5"];
        let changes = set(&kinds, &State::default(), &sets).unwrap();
        let button = joystick::number("gear2").unwrap();
        assert!(changes.contains(&Change::JoystickButton { button, down: true }));
        let axes = Change::JoystickAxes([32767, 0, 0, 16384, 0, 0, 0, 0]);
        assert_eq!(changes.last(), Some(&axes));
        assert!(set(&[Kind::Gamepad], &State::default(), &["clutch=1"]).is_err());
    }

    #[test]
    fn wheels_turn_by_detents_and_pens_have_tools() {
        let wheel = [Change::Wheel { vertical: -60, horizontal: 0 }];
        assert_eq!(set(&[Kind::Mouse], &State::default(), &["wheel=-0.5"]).unwrap(), wheel);
        let changes = set(&[Kind::Pen], &State::default(), &["eraser=1", "tilt_x=0.5"]).unwrap();
        let pen = Pen { tool: pen::ERASER, tilt: [45, 0], ..Pen::default() };
        assert_eq!(changes.last(), Some(&Change::Pen(pen)));
        assert!(changes.contains(&Change::PenButton { button: pen::NEAR, down: true }));
    }
}
