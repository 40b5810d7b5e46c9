//! Gamepads and joysticks.

use evdev::{AbsoluteAxisCode, EventSummary, KeyCode};
use hotseat_wire::{Axes, Change, button};

use crate::cli::connect::abilities::{Abilities, NINTENDO, SONY};
use crate::cli::connect::axis::Axis;

/// A pad: sticks, triggers, buttons and the directional pad.
#[derive(Debug)]
pub(super) struct Pad {
    /// Left stick, right stick, left and right trigger: where each is, and its range.
    sticks: [Option<(AbsoluteAxisCode, Axis)>; 4],
    triggers: [Option<(AbsoluteAxisCode, Axis)>; 2],
    /// Whether X and Y have each other's codes.
    is_xpad: bool,
    axes: Axes,
    last: Axes,
}

/// What one place of a pad says.
enum Said {
    Stick(usize),
    Trigger(usize),
}

impl Pad {
    pub(super) fn new(abilities: &Abilities) -> Self {
        let axis = |code: AbsoluteAxisCode| Some((code, *abilities.absolute.get(&code.0)?));
        let z = [axis(AbsoluteAxisCode::ABS_Z), axis(AbsoluteAxisCode::ABS_RZ)];
        let r = [axis(AbsoluteAxisCode::ABS_RX), axis(AbsoluteAxisCode::ABS_RY)];
        // Many a HID pad without a driver of its own has its right stick on Z and RZ.
        let (right, triggers) = if r == [None; 2] {
            (z, [axis(AbsoluteAxisCode::ABS_BRAKE), axis(AbsoluteAxisCode::ABS_GAS)])
        } else {
            (r, z)
        };
        let left = [axis(AbsoluteAxisCode::ABS_X), axis(AbsoluteAxisCode::ABS_Y)];
        Self {
            sticks: [left[0], left[1], right[0], right[1]],
            triggers,
            is_xpad: !matches!(abilities.vendor, SONY | NINTENDO),
            axes: Axes::default(),
            last: Axes::default(),
        }
    }

    pub(super) fn follow(&mut self, event: &EventSummary, changes: &mut Vec<Change>) {
        match *event {
            EventSummary::Key(_, key, value @ (0 | 1)) => self.press(key, value == 1, changes),
            EventSummary::AbsoluteAxis(_, code, value) => self.set(code, value, changes),
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        if self.axes != self.last {
            self.last = self.axes;
            changes.push(Change::Axes(self.axes));
        }
    }

    fn press(&mut self, key: KeyCode, down: bool, changes: &mut Vec<Change>) {
        let Some(name) = self.name(key) else { return };
        // Triggers that are buttons are all the way down, or not at all.
        let end = if down { u16::MAX } else { 0 };
        match name {
            "l2" if self.triggers[0].is_none() => self.axes.left_trigger = end,
            "r2" if self.triggers[1].is_none() => self.axes.right_trigger = end,
            _ => {}
        }
        changes.extend(button::number(name).map(|button| Change::Button { button, down }));
    }

    fn set(&mut self, code: AbsoluteAxisCode, value: i32, changes: &mut Vec<Change>) {
        let mut hat = |less: &str, more: &str| {
            for (name, down) in [(less, value < 0), (more, value > 0)] {
                changes.extend(button::number(name).map(|button| Change::Button { button, down }));
            }
        };
        match code {
            AbsoluteAxisCode::ABS_HAT0X => hat("left", "right"),
            AbsoluteAxisCode::ABS_HAT0Y => hat("up", "down"),
            code => match self.said(code) {
                Some((Said::Stick(number), axis)) => {
                    let stick = match number {
                        0 | 1 => &mut self.axes.left_stick,
                        _ => &mut self.axes.right_stick,
                    };
                    stick[number % 2] = axis.stick(value);
                }
                Some((Said::Trigger(0), axis)) => self.axes.left_trigger = axis.part(value),
                Some((Said::Trigger(_), axis)) => self.axes.right_trigger = axis.part(value),
                None => {}
            },
        }
    }

    fn said(&self, code: AbsoluteAxisCode) -> Option<(Said, Axis)> {
        let find = |places: &[Option<(AbsoluteAxisCode, Axis)>]| {
            places.iter().enumerate().find_map(|(number, place)| {
                place.filter(|(other, _)| *other == code).map(|(_, axis)| (number, axis))
            })
        };
        let stick = find(&self.sticks).map(|(number, axis)| (Said::Stick(number), axis));
        stick.or_else(|| find(&self.triggers).map(|(number, axis)| (Said::Trigger(number), axis)))
    }

    /// The button by its place on the pad (Documentation/input/gamepad.rst).
    fn name(&self, key: KeyCode) -> Option<&'static str> {
        Some(match key {
            KeyCode::BTN_SOUTH => "south",
            KeyCode::BTN_EAST => "east",
            // xpad reports X, which is in the west, as BTN_X, and that is BTN_NORTH's number; Y likewise.
            KeyCode::BTN_NORTH if self.is_xpad => "west",
            KeyCode::BTN_WEST if self.is_xpad => "north",
            KeyCode::BTN_NORTH => "north",
            KeyCode::BTN_WEST => "west",
            KeyCode::BTN_DPAD_UP => "up",
            KeyCode::BTN_DPAD_DOWN => "down",
            KeyCode::BTN_DPAD_LEFT => "left",
            KeyCode::BTN_DPAD_RIGHT => "right",
            KeyCode::BTN_TL => "lb",
            KeyCode::BTN_TR => "rb",
            KeyCode::BTN_TL2 => "l2",
            KeyCode::BTN_TR2 => "r2",
            KeyCode::BTN_SELECT => "back",
            KeyCode::BTN_START => "start",
            KeyCode::BTN_MODE => "guide",
            KeyCode::BTN_THUMBL => "ls",
            KeyCode::BTN_THUMBR => "rs",
            // hid-nintendo's capture button, and the share button of xpad.
            KeyCode::BTN_Z | KeyCode::KEY_RECORD => "capture",
            // xpad's paddles up to Linux 6.16, and those after it.
            KeyCode::BTN_TRIGGER_HAPPY5 => "paddle_upper_right",
            KeyCode::BTN_TRIGGER_HAPPY6 => "paddle_lower_right",
            KeyCode::BTN_TRIGGER_HAPPY7 => "paddle_upper_left",
            KeyCode::BTN_TRIGGER_HAPPY8 => "paddle_lower_left",
            KeyCode(GRIPR) => "paddle_upper_right",
            KeyCode(GRIPR2) => "paddle_lower_right",
            KeyCode(GRIPL) => "paddle_upper_left",
            KeyCode(GRIPL2) => "paddle_lower_left",
            // A joystick has these instead, in this order.
            KeyCode::BTN_TRIGGER => "south",
            KeyCode::BTN_THUMB => "east",
            KeyCode::BTN_THUMB2 => "west",
            KeyCode::BTN_TOP => "north",
            KeyCode::BTN_TOP2 => "lb",
            KeyCode::BTN_PINKIE => "rb",
            KeyCode::BTN_BASE => "l2",
            KeyCode::BTN_BASE2 => "r2",
            KeyCode::BTN_BASE3 => "back",
            KeyCode::BTN_BASE4 => "start",
            KeyCode::BTN_BASE5 => "ls",
            KeyCode::BTN_BASE6 => "rs",
            _ => return None,
        })
    }
}

// BTN_GRIPL, BTN_GRIPR, BTN_GRIPL2, BTN_GRIPR2 of include/uapi/linux/input-event-codes.h, since Linux 6.17.
const GRIPL: u16 = 0x224;
const GRIPR: u16 = 0x225;
const GRIPL2: u16 = 0x226;
const GRIPR2: u16 = 0x227;
