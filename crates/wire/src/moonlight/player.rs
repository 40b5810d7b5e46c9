//! From packets to events.

use super::keys::{self, key};
use super::pad::Pad;
use super::pen::Stroke;
use super::pointers::Pointers;
use super::{Device, Event, MAX_PADS, Model, Packet};
use crate::{Change, DecodeError, Place, State};

/// A Moonlight client: what it holds, and which pads it has.
#[derive(Debug, Default)]
pub struct Player {
    /// Keyboard, mouse and pen.
    state: State,
    pointers: Pointers,
    pads: [Option<Pad>; MAX_PADS as usize],
    events: Vec<Event>,
}

impl Player {
    /// A client that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the payload of an `INPUT_DATA` message. Returns what the client does, in this order. What changes
    /// nothing is left out.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], as [`Packet::take`]. Then nothing of the payload has happened.
    pub fn handle(&mut self, payload: &[u8]) -> Result<&[Event], DecodeError> {
        self.events.clear();
        let mut rest = payload;
        while Packet::take(&mut rest)?.is_some() {}
        let mut rest = payload;
        while let Some(packet) = Packet::take(&mut rest)? {
            self.apply(packet);
        }
        Ok(&self.events)
    }

    fn apply(&mut self, packet: Packet) {
        match packet {
            Packet::MouseMove { dx, dy } => {
                self.change(Device::Mouse, Change::Move { dx: dx.into(), dy: dy.into() });
            }
            Packet::MousePlace { x, y, width, height } => {
                let place = Place { x: part(x, width), y: part(y, height) };
                self.change(Device::Pointer, Change::Place(place));
            }
            Packet::MouseButton { button, down } => {
                // left, middle, right, side, extra
                if let Some(button) = [0, 2, 1, 3, 4].get(usize::from(button).wrapping_sub(1)) {
                    let button = *button;
                    self.change(Device::Mouse, Change::MouseButton { button, down });
                }
            }
            Packet::Scroll(amount) => {
                let turn = Change::Wheel { vertical: amount.into(), horizontal: 0 };
                self.change(Device::Mouse, turn);
            }
            Packet::HorizontalScroll(amount) => {
                let turn = Change::Wheel { vertical: 0, horizontal: amount.into() };
                self.change(Device::Mouse, turn);
            }
            Packet::Key { code, modifiers, down } => {
                if let Some(key) = key(code) {
                    self.key(key, modifiers, down);
                }
            }
            Packet::Text(text) => self.events.push(Event::Text(text)),
            Packet::Touch { event, pointer, place, pressure } => {
                let Self { pointers, state, events, .. } = self;
                pointers.handle(event, pointer, place, pressure, |change| {
                    if state.apply(&change) {
                        events.push(Event::Change { device: Device::Touchscreen, change });
                    }
                });
            }
            Packet::Pen { event, tool, buttons, place, pressure, rotation, tilt } => {
                let stroke = Stroke { event, tool, buttons, place, pressure, rotation, tilt };
                let events = &mut self.events;
                stroke.apply(&mut self.state, |change| {
                    events.push(Event::Change { device: Device::Tablet, change });
                });
            }
            Packet::PadArrived { pad, model } => self.arrive(pad, model),
            Packet::Pad { pad, present, .. } => {
                if present & 1 << pad == 0 {
                    self.leave(pad);
                    return;
                }
                // Older clients say nothing of a pad before it is used.
                self.arrive(pad, Model::default());
                self.pad(pad, &packet);
            }
            Packet::PadTouch { pad, .. }
            | Packet::PadAcceleration { pad, .. }
            | Packet::PadTurning { pad, .. }
            | Packet::PadBattery { pad, .. } => self.pad(pad, &packet),
            Packet::Haptics { .. } => {}
        }
    }

    fn change(&mut self, device: Device, change: Change) {
        if self.state.apply(&change) {
            self.events.push(Event::Change { device, change });
        }
    }

    /// A key with what the client takes for held. On-screen keyboards press no shift for a capital letter, they
    /// only say it: then it is pressed for this key.
    fn key(&mut self, key: u8, modifiers: u8, down: bool) {
        // A client says again that a key is held; then it takes no modifiers.
        if self.state.keys.contains(key) == down {
            return;
        }
        let mut added = Vec::new();
        for (bit, [left, right]) in keys::MODIFIERS {
            let is_held = self.state.keys.contains(left) || self.state.keys.contains(right);
            let is_itself = key == left || key == right;
            if down && modifiers & bit != 0 && !is_held && !is_itself {
                added.push(left);
            }
        }
        for modifier in &added {
            self.change(Device::Keyboard, Change::Key { key: *modifier, down: true });
        }
        self.change(Device::Keyboard, Change::Key { key, down });
        for modifier in added.iter().rev() {
            self.change(Device::Keyboard, Change::Key { key: *modifier, down: false });
        }
    }

    fn arrive(&mut self, pad: u8, model: Model) {
        let place = &mut self.pads[usize::from(pad)];
        if place.is_none() {
            *place = Some(Pad::new(model));
            self.events.push(Event::Arrived { pad, model });
        }
    }

    fn leave(&mut self, pad: u8) {
        if self.pads[usize::from(pad)].take().is_some() {
            self.events.push(Event::Left { pad });
        }
    }

    fn pad(&mut self, number: u8, packet: &Packet) {
        let events = &mut self.events;
        if let Some(pad) = &mut self.pads[usize::from(number)] {
            let device = Device::Pad(number);
            pad.handle(packet, |change| events.push(Event::Change { device, change }));
        }
    }
}

/// `place` of `size` as 0 to 65535; what is outside is at the edge.
fn part(place: i16, size: i16) -> u16 {
    let size = i32::from(size).max(1);
    let place = i32::from(place).clamp(0, size);
    // No larger than 32767 times 65535.
    u16::try_from(place * i32::from(u16::MAX) / size).unwrap_or(u16::MAX)
}
