//! Contacts: multi-touch protocol B, and the one contact that older programs see.

use super::NOT_KNOWN;
use crate::event::Event;
use crate::profile::{
    ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_PRESSURE, ABS_MT_SLOT, ABS_MT_TRACKING_ID,
    ABS_PRESSURE, ABS_X, ABS_Y, BTN_TOOLS, BTN_TOUCH, Contacts, LAST_TRACKING_ID,
};
use crate::{EventCode, EventType};

/// The contacts of a device.
#[derive(Debug)]
pub(super) struct Touch {
    slots: Vec<Slot>,
    /// The axes' codes; what a slot has of them is in the same order.
    axes: Vec<u16>,
    /// A bit per slot that may have something new.
    dirty: u32,
    /// The slot that later events are about, for the kernel.
    current: usize,
    pub(super) next_id: i32,
    /// Counts contacts; the oldest one has the least.
    age: u64,
    tools: usize,
}

#[derive(Debug)]
struct Slot {
    down: bool,
    /// What programs know it by; −1 while it is up.
    id: i32,
    born: u64,
    values: Vec<i32>,
    reported: Vec<i32>,
}

impl Touch {
    pub(super) fn new(contacts: &Contacts) -> Self {
        let axes: Vec<_> = contacts.axes().iter().map(|axis| axis.code.code).collect();
        let rests: Vec<_> = contacts.axes().iter().map(|axis| axis.axis.rest).collect();
        // A slot that was never used has all its axes at 0 (input_mt_init_slots() in input-mt.c).
        let reported = vec![0; axes.len()];
        let slot = |_| Slot {
            down: false,
            id: -1,
            born: 0,
            values: rests.clone(),
            reported: reported.clone(),
        };
        let has_tools = contacts.emulated().iter().any(|(code, _)| code.code == BTN_TOOLS[0]);
        Self {
            slots: (0..contacts.count()).map(slot).collect(),
            axes,
            dirty: 0,
            current: 0,
            next_id: 0,
            age: 0,
            tools: if has_tools { BTN_TOOLS.len().min(usize::from(contacts.count())) } else { 0 },
        }
    }

    /// Takes it that all contacts are down and anywhere, so that the next report lifts them.
    pub(super) fn forget(&mut self) {
        self.current = usize::MAX;
        for (at, slot) in self.slots.iter_mut().enumerate() {
            slot.id = 0;
            slot.reported.fill(NOT_KNOWN);
            self.dirty |= 1 << at;
        }
    }

    /// How many events a report can have: per slot its number, its id and its axes.
    pub(super) fn most_events(&self) -> usize {
        self.slots.len() * (2 + self.axes.len())
    }

    /// Sets an axis of a contact, or puts it down (`ABS_MT_TRACKING_ID` 1) or up (0).
    pub(super) fn set(&mut self, slot: u8, code: u16, value: i32) {
        let Some(contact) = self.slots.get_mut(usize::from(slot)) else { return };
        if code == ABS_MT_TRACKING_ID {
            contact.down = value != 0;
        } else if let Some(axis) = self.axes.iter().position(|known| *known == code) {
            contact.values[axis] = value;
        }
        self.dirty |= 1 << slot;
    }

    /// Reports what is new; says whether anything may be. Where a contact is while it is up is reported
    /// when it comes down.
    pub(super) fn report(&mut self, mut push: impl FnMut(Event)) -> bool {
        let any = self.dirty != 0;
        while self.dirty != 0 {
            let at = self.dirty.trailing_zeros() as usize;
            self.dirty &= self.dirty - 1;
            let (current, slot) = (&mut self.current, &mut self.slots[at]);
            let mut push = |code, value| {
                if *current != at {
                    *current = at;
                    push(absolute(ABS_MT_SLOT, i32::try_from(at).unwrap_or(0)));
                }
                push(absolute(code, value));
            };
            if slot.down && slot.id < 0 {
                slot.id = self.next_id;
                self.next_id = if self.next_id == LAST_TRACKING_ID { 0 } else { self.next_id + 1 };
                slot.born = self.age;
                self.age += 1;
                push(ABS_MT_TRACKING_ID, slot.id);
            } else if !slot.down && slot.id >= 0 {
                slot.id = -1;
                push(ABS_MT_TRACKING_ID, -1);
            }
            if slot.down {
                for (axis, code) in self.axes.iter().enumerate() {
                    if slot.values[axis] != slot.reported[axis] {
                        slot.reported[axis] = slot.values[axis];
                        push(*code, slot.values[axis]);
                    }
                }
            }
        }
        any
    }

    /// What a device that knows one contact would report (`input_mt_report_pointer_emulation` in
    /// drivers/input/input-mt.c).
    pub(super) fn emulate(&self, mut set: impl FnMut(EventCode, i32)) {
        let mut key = |code, on| set(EventCode { kind: EventType::Key, code }, i32::from(on));
        let count = self.slots.iter().filter(|slot| slot.down).count();
        key(BTN_TOUCH, count > 0);
        for (index, tool) in BTN_TOOLS[..self.tools].iter().enumerate() {
            key(*tool, count == index + 1);
        }
        let oldest = self.slots.iter().filter(|slot| slot.down).min_by_key(|slot| slot.born);
        let value_of = |slot: &Slot, code| {
            let axis = self.axes.iter().position(|known| *known == code)?;
            Some(slot.values[axis])
        };
        let mut axis = |code, value: Option<i32>| {
            if let Some(value) = value {
                set(EventCode { kind: EventType::Abs, code }, value);
            }
        };
        match oldest {
            Some(slot) => {
                axis(ABS_X, value_of(slot, ABS_MT_POSITION_X));
                axis(ABS_Y, value_of(slot, ABS_MT_POSITION_Y));
                axis(ABS_PRESSURE, value_of(slot, ABS_MT_PRESSURE));
            }
            None => axis(ABS_PRESSURE, Some(0)),
        }
    }
}

fn absolute(code: u16, value: i32) -> Event {
    Event { kind: EventType::Abs as u16, code, value }
}
