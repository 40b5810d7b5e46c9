//! Fingers: multi-touch protocol B (Documentation/input/multi-touch-protocol.rst), and screens that know one finger.

use evdev::{AbsoluteAxisCode, EventSummary, KeyCode};
use hotseat_wire::{Change, Contact};

use super::mouse_button;
use crate::cli::connect::abilities::Abilities;
use crate::cli::connect::axis::Axis;

/// More slots than any device has. What is beyond is not followed.
const SLOTS: usize = 64;

#[derive(Debug)]
pub(super) struct Touch {
    has_slots: bool,
    x: Axis,
    y: Axis,
    pressure: Option<Axis>,
    slot: usize,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// The finger in it now.
    finger: Option<Contact>,
    /// The finger that was told of last.
    told: Option<Contact>,
    /// Where the last finger in it was: the kernel does not say again what has not changed.
    last: Contact,
}

impl Touch {
    pub(super) fn new(abilities: &Abilities) -> Self {
        let has_slots = abilities.has_fingers();
        let axis = |code: AbsoluteAxisCode| abilities.absolute.get(&code.0).copied();
        let (x, y, pressure) = if has_slots {
            (
                AbsoluteAxisCode::ABS_MT_POSITION_X,
                AbsoluteAxisCode::ABS_MT_POSITION_Y,
                AbsoluteAxisCode::ABS_MT_PRESSURE,
            )
        } else {
            (AbsoluteAxisCode::ABS_X, AbsoluteAxisCode::ABS_Y, AbsoluteAxisCode::ABS_PRESSURE)
        };
        Self {
            has_slots,
            x: axis(x).unwrap_or_default(),
            y: axis(y).unwrap_or_default(),
            pressure: axis(pressure),
            slot: 0,
            slots: Vec::new(),
        }
    }

    pub(super) fn follow(&mut self, event: &EventSummary, changes: &mut Vec<Change>) {
        match *event {
            EventSummary::AbsoluteAxis(_, code, value) if self.has_slots => self.set(code, value),
            EventSummary::AbsoluteAxis(_, code, value) => match code {
                AbsoluteAxisCode::ABS_X => self.set(AbsoluteAxisCode::ABS_MT_POSITION_X, value),
                AbsoluteAxisCode::ABS_Y => self.set(AbsoluteAxisCode::ABS_MT_POSITION_Y, value),
                AbsoluteAxisCode::ABS_PRESSURE => {
                    self.set(AbsoluteAxisCode::ABS_MT_PRESSURE, value);
                }
                _ => {}
            },
            EventSummary::Key(_, KeyCode::BTN_TOUCH, value) if !self.has_slots => {
                self.set(AbsoluteAxisCode::ABS_MT_TRACKING_ID, if value == 0 { -1 } else { 0 });
            }
            // The button under a touchpad.
            EventSummary::Key(_, key, value @ (0 | 1)) => {
                changes.extend(mouse_button(key, value == 1));
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        for slot in &mut self.slots {
            let told = std::mem::replace(&mut slot.told, slot.finger);
            if let Some(told) = told
                && slot.finger.is_none_or(|finger| finger.id != told.id)
            {
                changes.push(Change::Lift { id: told.id });
            }
            if let Some(finger) = slot.finger.filter(|finger| told != Some(*finger)) {
                changes.push(Change::Touch(finger));
            }
        }
    }

    fn set(&mut self, code: AbsoluteAxisCode, value: i32) {
        if code == AbsoluteAxisCode::ABS_MT_SLOT {
            self.slot = usize::try_from(value).unwrap_or(SLOTS);
            return;
        }
        if self.slot >= SLOTS {
            return;
        }
        if self.slots.len() <= self.slot {
            self.slots.resize(self.slot + 1, Slot::default());
        }
        let slot = &mut self.slots[self.slot];
        match code {
            AbsoluteAxisCode::ABS_MT_TRACKING_ID => {
                // The kernel's numbers have 16 bit (TRKID_MAX of include/linux/input/mt.h).
                let id = u16::try_from(value).ok();
                slot.finger = id.map(|id| Contact { id, ..slot.last });
            }
            AbsoluteAxisCode::ABS_MT_POSITION_X => slot.last.place.x = self.x.part(value),
            AbsoluteAxisCode::ABS_MT_POSITION_Y => slot.last.place.y = self.y.part(value),
            AbsoluteAxisCode::ABS_MT_PRESSURE => {
                slot.last.pressure = self.pressure.map_or(0, |axis| axis.part(value));
            }
            _ => return,
        }
        if let Some(finger) = &mut slot.finger {
            *finger = Contact { id: finger.id, ..slot.last };
        }
    }
}
