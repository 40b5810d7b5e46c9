//! Fingers of a surface, whose numbers are any.

use super::packet::TouchEvent;
use crate::{Change, Contact, MAX_CONTACTS, Place};

/// The fingers that are down.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    /// Moonlight's number, and ours.
    down: Vec<(u32, u16)>,
    newest: u16,
}

impl Pointers {
    /// What a finger's event changes. Fingers that hover are not there.
    pub(super) fn handle(
        &mut self,
        event: TouchEvent,
        pointer: u32,
        place: [f32; 2],
        pressure: f32,
        mut each: impl FnMut(Change),
    ) {
        let known = self.down.iter().position(|(other, _)| *other == pointer);
        match event {
            TouchEvent::Down | TouchEvent::Move => {
                let id = match known {
                    Some(place) => self.down[place].1,
                    None if self.down.len() == MAX_CONTACTS => return,
                    None => {
                        self.newest = self.newest.wrapping_add(1);
                        self.down.push((pointer, self.newest));
                        self.newest
                    }
                };
                let pressure = unit(pressure);
                each(Change::Touch(Contact { id, place: self::place(place), pressure }));
            }
            TouchEvent::Up | TouchEvent::Cancel => {
                if let Some(place) = known {
                    each(Change::Lift { id: self.down.remove(place).1 });
                }
            }
            TouchEvent::CancelAll => {
                self.down.drain(..).for_each(|(_, id)| each(Change::Lift { id }));
            }
            TouchEvent::Hover | TouchEvent::HoverLeave | TouchEvent::ButtonOnly => {}
        }
    }
}

/// A place of 0 to 1; what is outside is at the edge.
pub(super) fn place([x, y]: [f32; 2]) -> Place {
    Place { x: unit(x), y: unit(y) }
}

/// 0 to 1 as 0 to 65535.
pub(super) fn unit(number: f32) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range, and makes 0 of what is not a number"
    )]
    let unit = (number.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16;
    unit
}
