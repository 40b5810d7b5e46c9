//! A player's devices: what is wished of them, what becomes of them, what programs say to them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hotseat_wire::control::Message;
use hotseat_wire::{Feedback, Kind};

use super::Player;
use crate::metrics;
use crate::remote::control::Writer;
use crate::remote::error::Refusal;
use crate::remote::feedback::news;
use crate::remote::seat::Slot;
use crate::remote::tokens::Slots;
use crate::remote::wishes::{self, Done, Wish};
use crate::session::view::{Declared, Device, Session};

impl Player<'_> {
    /// Begins with the next wish, if none is being carried out.
    pub(super) fn begin(&mut self, writer: &mut Writer) -> Result<(), Refusal> {
        if self.wish.is_some() {
            return Ok(());
        }
        let Some(wish) = self.wishes.pop_front() else { return Ok(()) };
        match &wish {
            Wish::Plug { slot, profile } => {
                let slot = *slot;
                match self.play.slots.get(&slot) {
                    // The client may not know yet.
                    Some(it) if it.profile == *profile && it.is_announced => {
                        return self.confirm(slot, writer);
                    }
                    Some(it) if it.profile == *profile => {}
                    // Another device takes its place.
                    _ => {
                        self.let_go(slot);
                        self.forget(slot);
                    }
                }
                self.changing = Some((slot, Some(profile.clone())));
            }
            Wish::Unplug { slot } if self.play.slots.contains_key(slot) => {
                self.changing = Some((*slot, None));
            }
            Wish::Unplug { slot } => {
                let refusal = Refusal::SlotEmpty { slot: *slot };
                return writer.say(&refusal.into_message(Some(*slot)));
            }
        }
        let slots: Slots =
            self.play.slots.iter().map(|(&slot, it)| (slot, it.profile.clone())).collect();
        let (server, seat) = (Arc::clone(self.server), Arc::clone(self.seat));
        let client = Arc::clone(&self.client);
        self.wish = Some(wishes::carry_out(server, seat, client, slots, wish).boxed());
        Ok(())
    }

    /// A wish was carried out.
    pub(super) fn done(&mut self, done: Done, writer: &mut Writer) -> Result<(), Refusal> {
        self.wish = None;
        self.changing = None;
        match done {
            Done::Plugged { slot, profile, outcome: Ok(declared) } => {
                self.play.slots.entry(slot).or_insert_with(|| Slot::new(profile));
                if let Declared::Plugged(device) = declared {
                    self.appeared(slot, device, writer)?;
                }
                // It may have changed meanwhile.
                let view = self.client.watch().borrow().clone();
                self.follow(&view, writer)?;
            }
            Done::Plugged { slot, outcome: Err(refusal), .. } => {
                self.forget(slot);
                metrics::remote_refused(refusal.code());
                writer.say(&refusal.into_message(Some(slot)))?;
            }
            Done::Unplugged { slot } => self.forget(slot),
        }
        Ok(())
    }

    fn forget(&mut self, slot: u8) {
        self.play.core.unplug(slot);
        self.play.slots.remove(&slot);
    }

    /// Follows what became of the player's devices.
    pub(super) fn follow(&mut self, view: &Session, writer: &mut Writer) -> Result<(), Refusal> {
        let changing = self.changing.as_ref().map(|(slot, _)| *slot);
        let slots = self.play.slots.keys().copied();
        let slots: Vec<_> = slots.filter(|slot| changing != Some(*slot)).collect();
        for slot in slots {
            let device = view.devices.iter().find(|device| device.slot == slot);
            let waits = view.waiting.iter().any(|waiting| waiting.slot == slot);
            match device {
                Some(device) => self.appeared(slot, device.clone(), writer)?,
                None if waits => self.disappeared(slot),
                None => {
                    // Somebody has unplugged it.
                    self.server.seats.give_up(self.seat, slot);
                    self.forget(slot);
                    writer.say(&Message::Unplug { slot })?;
                }
            }
        }
        Ok(())
    }

    /// Says once more what device is in a slot.
    fn confirm(&self, slot: u8, writer: &mut Writer) -> Result<(), Refusal> {
        let known = self.play.core.plugged().find(|(known, _)| *known == slot);
        match (known, self.client.kinds(slot)) {
            (Some((_, epoch)), Ok(kinds)) => writer.say(&Message::PlugOk { slot, epoch, kinds }),
            // It is gone again; there is another word of that to come.
            _ => Ok(()),
        }
    }

    /// A device is there: the one that was, or another one.
    fn appeared(&mut self, slot: u8, device: Device, writer: &mut Writer) -> Result<(), Refusal> {
        let now = self.server.now();
        let Some(it) = self.play.slots.get_mut(&slot) else { return Ok(()) };
        let is_same = it.device.as_ref() == Some(&device);
        if is_same && it.is_announced {
            return Ok(());
        }
        // If it is gone again, there is another word of that to come.
        let Ok(kinds) = self.client.kinds(slot) else { return Ok(()) };
        it.device = Some(device);
        if !is_same {
            it.told.clear();
        }
        if it.is_announced {
            self.play.core.replaced(slot);
        } else {
            it.is_announced = true;
            let known = self.play.core.plugged().find(|(known, _)| *known == slot);
            let epoch = match known.filter(|_| is_same) {
                Some((_, epoch)) => epoch,
                None => match self.play.core.plug(slot, kinds) {
                    Some(epoch) => epoch,
                    None => return Ok(()),
                },
            };
            writer.say(&Message::PlugOk { slot, epoch, kinds })?;
            // Also what was said while nobody was there.
            for message in self.news(slot, now).into_iter().chain(self.play.core.resume(now, slot))
            {
                writer.say(&message)?;
            }
        }
        self.tell(slot, now, writer)?;
        self.transmit(now);
        Ok(())
    }

    /// A device waits for a container. Its motors stop.
    fn disappeared(&mut self, slot: u8) {
        let now = self.server.now();
        let Some(it) = self.play.slots.get_mut(&slot) else { return };
        if it.device.take().is_some() {
            it.told.clear();
            let _ = self.play.core.feedback(now, slot, Feedback::STILL);
            self.transmit(now);
        }
    }

    /// Tells the player what is new of a device.
    pub(super) fn tell(
        &mut self,
        slot: u8,
        now: Duration,
        writer: &mut Writer,
    ) -> Result<(), Refusal> {
        self.news(slot, now).iter().try_for_each(|message| writer.say(message))
    }

    /// What programs have said of a device, for the control stream.
    fn news(&mut self, slot: u8, now: Duration) -> Vec<Message> {
        let Some(it) = self.play.slots.get_mut(&slot).filter(|it| it.is_announced) else {
            return Vec::new();
        };
        let Ok(told) = self.client.told(slot) else { return Vec::new() };
        let news = news(&it.told, &told);
        it.told = told;
        let core = &mut self.play.core;
        news.into_iter().filter_map(|feedback| core.feedback(now, slot, feedback)).collect()
    }

    /// Slots that are another player's now.
    pub(super) fn give_up(&mut self, writer: &mut Writer) -> Result<(), Refusal> {
        let slots = self.play.slots.keys().copied();
        let is_lost = |slot: &u8| !self.server.seats.is_of(self.seat, *slot);
        let slots: Vec<_> = slots.filter(is_lost).collect();
        for slot in slots {
            self.let_go(slot);
            self.forget(slot);
            writer.say(&Message::Unplug { slot })?;
        }
        Ok(())
    }

    /// The other player finds the device at rest.
    fn let_go(&mut self, slot: u8) {
        let Some(mut state) = self.play.core.state(slot).copied() else { return };
        for kind in Kind::ALL {
            state.release(kind, |change| self.changes.push(change));
        }
        // It may be gone.
        let _ = self.client.change(slot, &self.changes);
        self.changes.clear();
    }
}
