//! The server's side: from datagrams to changes of devices.

mod slot;

use std::time::Duration;

use crate::control::Message;
use crate::feedback::{self, Feedback, Receipt};
use crate::input::{self, Kind};
use crate::serial::is_newer_u32;
use crate::{Change, DEAD_MAN, DecodeError, MAX_DATAGRAM, MAX_SLOTS, State};

use self::slot::{Report, Slot};

/// What is to be done with a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// A change is to be made.
    Change {
        /// Of which device.
        slot: u8,
        /// What changes.
        change: Change,
    },
    /// Programs are to see all changes since the last of these at once (`SYN_REPORT`).
    Sync {
        /// Of which device.
        slot: u8,
    },
}

/// At most one datagram in this time acknowledges what the client said.
const ACK_INTERVAL: Duration = Duration::from_millis(16);

/// One client's connection, and what its devices were told.
///
/// Times are since any instant that stays the same. It never asks for one by itself: hand it datagrams with
/// [`handle`](Self::handle), call [`handle_timeout`](Self::handle_timeout) at
/// [`next_timeout`](Self::next_timeout), and send what [`poll_transmit`](Self::poll_transmit) has after each of these.
#[derive(Debug)]
pub struct ServerCore {
    /// A slot's place is its number.
    slots: Vec<Option<Box<Slot>>>,
    /// Outlive the devices, so that nothing old is taken for new.
    epochs: [u8; MAX_SLOTS as usize],
    sequences: [[u16; Feedback::KINDS]; MAX_SLOTS as usize],
    actions: Vec<Action>,
    receipt: Receipt,
    /// When the datagram of the receipt came.
    received: Duration,
    rtt: Duration,
    next_ack: Duration,
}

impl ServerCore {
    /// A session without devices.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: (0..MAX_SLOTS).map(|_| None).collect(),
            epochs: [0; MAX_SLOTS as usize],
            sequences: [[0; Feedback::KINDS]; MAX_SLOTS as usize],
            // An edge has two bytes, and makes a change and a report. There are only more where keys are missing.
            actions: Vec::with_capacity(MAX_DATAGRAM),
            receipt: Receipt::default(),
            received: Duration::ZERO,
            rtt: Duration::ZERO,
            next_ack: Duration::ZERO,
        }
    }

    /// A device is there, at rest, that takes frames of these kinds ([`Kind::bit`]); others are not heard. Returns
    /// the epoch to tell the client; `None` if there is no such slot.
    pub fn plug(&mut self, slot: u8, kinds: u32) -> Option<u8> {
        let place = self.slots.get_mut(usize::from(slot))?;
        let epoch = &mut self.epochs[usize::from(slot)];
        *epoch = epoch.wrapping_add(1);
        *place = Some(Box::new(Slot::new(*epoch, kinds)));
        Some(*epoch)
    }

    /// A device is gone; what is said of it from now on is not heard.
    pub fn unplug(&mut self, slot: u8) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = None;
        }
    }

    /// The device of a slot was made anew, and is at rest: the client is to say everything of it again, in the epoch that
    /// begins now. Both sides go on counting.
    pub fn replaced(&mut self, slot: u8) {
        if let Some(Some(place)) = self.slots.get_mut(usize::from(slot)) {
            let epoch = &mut self.epochs[usize::from(slot)];
            *epoch = epoch.wrapping_add(1);
            place.replaced(*epoch);
        }
    }

    /// The slots with devices, and the epoch of each.
    pub fn plugged(&self) -> impl Iterator<Item = (u8, u8)> {
        (0..).zip(&self.slots).filter_map(|(slot, place)| Some((slot, place.as_ref()?.epoch())))
    }

    /// What a device was told to be like; `None` where there is none.
    #[must_use]
    pub fn state(&self, slot: u8) -> Option<&State> {
        Some(self.slots.get(usize::from(slot))?.as_ref()?.state())
    }

    /// How long a round trip takes, as the connection measures it.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Takes a datagram. Returns what is to be done, in this order.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if anything in the datagram is not as docs/protocol.md has it. Then nothing is to be done.
    pub fn handle(&mut self, now: Duration, datagram: &[u8]) -> Result<&[Action], DecodeError> {
        self.actions.clear();
        let datagram = input::Datagram::parse(datagram)?;
        if self.receipt.count == 0 || is_newer_u32(datagram.tick, self.receipt.tick) {
            self.receipt.tick = datagram.tick;
            self.receipt.time = datagram.time;
            self.received = now;
        }
        // 0 says that there was none.
        self.receipt.count = self.receipt.count.checked_add(1).unwrap_or(1);
        for frame in datagram.frames() {
            let Some(Some(slot)) = self.slots.get_mut(usize::from(frame.slot)) else { continue };
            let mut report = Report::new(&mut self.actions, frame.slot);
            slot.take(now, datagram.tick, &frame, &mut report);
        }
        Ok(&self.actions)
    }

    /// Lets go of devices of which nothing was heard for too long. Returns what is to be done.
    pub fn handle_timeout(&mut self, now: Duration) -> &[Action] {
        self.actions.clear();
        let patience = DEAD_MAN.max(self.rtt * 4);
        for (number, place) in (0..).zip(&mut self.slots) {
            let Some(slot) = place else { continue };
            if slot.deadline(patience).is_some_and(|deadline| deadline <= now) {
                let epoch = &mut self.epochs[usize::from(number)];
                *epoch = epoch.wrapping_add(1);
                slot.release(*epoch, &mut Report::new(&mut self.actions, number));
            }
        }
        &self.actions
    }

    /// The connection is lost: lets go of everything. Returns what is to be done. The devices stay; when the client is
    /// back on another connection, tell it [`plugged`](Self::plugged), and call [`resume`](Self::resume) for each.
    pub fn disconnected(&mut self) -> &[Action] {
        self.actions.clear();
        for (number, place) in (0..).zip(&mut self.slots) {
            let Some(slot) = place else { continue };
            let epoch = &mut self.epochs[usize::from(number)];
            *epoch = epoch.wrapping_add(1);
            slot.release(*epoch, &mut Report::new(&mut self.actions, number));
            // The next connection counts from the beginning.
            slot.forget();
        }
        self.receipt = Receipt::default();
        &self.actions
    }

    /// Sends feedback. Returns what must be written to the control stream too, if it must: all but rumble, which the
    /// datagrams repeat.
    pub fn feedback(&mut self, now: Duration, slot: u8, feedback: Feedback) -> Option<Message> {
        let place = self.slots.get_mut(usize::from(slot))?.as_mut()?;
        let sequence = &mut self.sequences[usize::from(slot)][feedback.index()];
        *sequence = sequence.wrapping_add(1);
        place.send(now, *sequence, feedback);
        message(slot, place.epoch(), *sequence, feedback)
    }

    /// A client is back and was told of the device ([`plugged`](Self::plugged)): gives it the last feedback of each kind
    /// again, also what came while nobody was connected. Returns what must be written to the control stream after that.
    pub fn resume(&mut self, now: Duration, slot: u8) -> Vec<Message> {
        let Some(Some(place)) = self.slots.get_mut(usize::from(slot)) else { return Vec::new() };
        let epoch = place.epoch();
        let said = place.send_again(now);
        said.filter_map(|(sequence, feedback)| message(slot, epoch, sequence, feedback)).collect()
    }

    /// The next datagram to send now, if there is one; ask until there is none.
    pub fn poll_transmit<'a>(
        &mut self,
        now: Duration,
        buffer: &'a mut [u8; MAX_DATAGRAM],
    ) -> Option<&'a [u8]> {
        let acks = self.next_ack <= now && self.slots.iter().flatten().any(|slot| slot.owes_ack());
        let feedback = self.slots.iter().flatten().filter_map(|slot| slot.next_feedback());
        if !acks && feedback.min().is_none_or(|next| next > now) {
            return None;
        }
        let delay = now.saturating_sub(self.received).as_micros();
        let delay = u32::try_from(delay).unwrap_or(u32::MAX);
        let mut datagram = feedback::Builder::new(buffer, Receipt { delay, ..self.receipt });
        for (number, place) in (0..).zip(&mut self.slots) {
            let Some(slot) = place else { continue };
            if !slot.write(now, number, &mut datagram) {
                return Some(datagram.finish());
            }
        }
        self.next_ack = now + ACK_INTERVAL;
        Some(datagram.finish())
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) have something to do
    /// next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let patience = DEAD_MAN.max(self.rtt * 4);
        let slots = || self.slots.iter().flatten();
        let dead_man = slots().filter_map(|slot| slot.deadline(patience));
        let ack = slots().any(|slot| slot.owes_ack()).then_some(self.next_ack);
        dead_man.chain(slots().filter_map(|slot| slot.next_feedback())).chain(ack).min()
    }
}

impl Default for ServerCore {
    fn default() -> Self {
        Self::new()
    }
}

/// What is written to the control stream too: all but rumble.
fn message(slot: u8, epoch: u8, sequence: u16, feedback: Feedback) -> Option<Message> {
    if matches!(feedback, Feedback::Rumble { .. }) {
        return None;
    }
    let body = feedback::Body::Feedback { sequence, feedback };
    Some(Message::Feedback(feedback::Frame { slot, epoch, body }))
}

/// Parts of a device, each with a value.
type PerKind<T> = [T; Kind::ALL.len()];
