//! The client's side: from what a player does to datagrams.

mod log;
mod slot;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::feedback::{self, Feedback, Receipt};
use crate::input::{self, Frame, Kind};
use crate::serial::is_newer_u32;
use crate::{Change, DecodeError, MAX_DATAGRAM, MAX_SLOTS, State};

use self::slot::Slot;

/// Devices of a player, and what the server knows of them.
///
/// Times are since any instant that stays the same. It never asks for one by itself: tell it changes with
/// [`apply`](Self::apply), hand it datagrams with [`handle`](Self::handle), and after each of these, and at
/// [`next_timeout`](Self::next_timeout), send what [`poll_transmit`](Self::poll_transmit) has and take what
/// [`poll_feedback`](Self::poll_feedback) has.
#[derive(Debug)]
pub struct ClientCore {
    slots: BTreeMap<u8, Slot>,
    interval: Duration,
    /// Of the last datagram.
    tick: u32,
    /// When the next datagram may be sent, at the rate: the [`earliest`](Self::earliest) may be before.
    next: Duration,
    feedback: VecDeque<(u8, Feedback)>,
    receipt: Receipt,
    rtt: Option<Duration>,
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// How long a round trip takes, smoothed; `None` before the first one.
    pub rtt: Option<Duration>,
    /// How many datagrams were sent, up to the newest one that arrived.
    pub sent: u32,
    /// How many of these arrived.
    pub arrived: u32,
}

impl ClientCore {
    /// A player without devices, who sends a datagram once in `interval`, most of the time.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            slots: BTreeMap::new(),
            interval,
            tick: 0,
            next: Duration::ZERO,
            feedback: VecDeque::new(),
            receipt: Receipt::default(),
            rtt: None,
        }
    }

    /// A new connection: it counts its datagrams from the beginning. Devices wait for [`plugged`](Self::plugged), and
    /// are then said to be as they are.
    pub fn connected(&mut self) {
        self.tick = 0;
        self.next = Duration::ZERO;
        self.receipt = Receipt::default();
        self.rtt = None;
        self.slots.values_mut().for_each(Slot::wait);
    }

    /// The server says that there is a device, in this epoch, that takes frames of these kinds.
    pub fn plugged(&mut self, slot: u8, epoch: u8, kinds: u32) {
        if slot < MAX_SLOTS {
            self.slots.entry(slot).or_insert_with(Slot::new).plugged(epoch, kinds);
        }
    }

    /// The device is gone, or not wanted any more. Motors that run are to stop.
    pub fn unplugged(&mut self, slot: u8) {
        let gone = self.slots.remove(&slot);
        if gone.is_some_and(|gone| gone.rumble_end().is_some()) {
            self.feedback.push_back((slot, Feedback::STILL));
        }
    }

    /// What the device is like here; `None` where there is none.
    #[must_use]
    pub fn state(&self, slot: u8) -> Option<&State> {
        Some(self.slots.get(&slot)?.state())
    }

    /// Tells what a player does with a device. What the device does not take is ignored, as is a number that a [`Kind`]
    /// does not have, and what is said of a slot without a device.
    pub fn apply(&mut self, slot: u8, change: &Change) {
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.apply(change);
        }
    }

    /// Lets go of a device, for when it is unplugged here or the player looks elsewhere.
    pub fn release(&mut self, slot: u8) {
        let Some(slot) = self.slots.get_mut(&slot) else { return };
        for kind in Kind::ALL {
            let mut changes = Vec::new();
            slot.state().clone().release(kind, |change| changes.push(change));
            changes.iter().for_each(|change| slot.apply(change));
        }
    }

    /// Takes a datagram.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if anything in the datagram is not as docs/protocol.md has it. Then it changed nothing.
    pub fn handle(&mut self, now: Duration, datagram: &[u8]) -> Result<(), DecodeError> {
        let datagram = feedback::Datagram::parse(datagram)?;
        self.note(now, datagram.receipt);
        for frame in datagram.frames() {
            self.handle_frame(now, &frame);
        }
        Ok(())
    }

    /// Takes a frame, of a datagram or of the control stream.
    pub fn handle_frame(&mut self, now: Duration, frame: &feedback::Frame) {
        let Some(slot) = self.slots.get_mut(&frame.slot) else { return };
        slot.handle_epoch(frame.epoch);
        match frame.body {
            feedback::Body::Epoch => {}
            feedback::Body::Ack { kind, tick, last } => {
                slot.handle_ack(frame.epoch, kind, tick, last);
            }
            feedback::Body::Feedback { sequence, feedback } => {
                if slot.hears(now, frame.epoch, sequence, &feedback) {
                    self.feedback.push_back((frame.slot, feedback));
                }
            }
        }
    }

    /// The next feedback for a device here; ask until there is none.
    pub fn poll_feedback(&mut self, now: Duration) -> Option<(u8, Feedback)> {
        if let Some(feedback) = self.feedback.pop_front() {
            return Some(feedback);
        }
        let (number, slot) = self.slots.iter_mut().find(|(_, slot)| slot.rumble_ends(now))?;
        slot.silence();
        Some((*number, Feedback::STILL))
    }

    /// The next datagram to send now, if there is one; ask until there is none.
    pub fn poll_transmit<'a>(
        &mut self,
        now: Duration,
        buffer: &'a mut [u8; MAX_DATAGRAM],
    ) -> Option<&'a [u8]> {
        if now < self.earliest() {
            return None;
        }
        let tick = self.tick.wrapping_add(1);
        let mut datagram = input::Builder::new(buffer, tick, micros(now));
        let mut is_empty = true;
        let before = self.next;
        self.next = now.max(before) + self.interval;
        'full: for (number, slot) in &mut self.slots {
            for kind in Kind::ALL {
                if slot.next(kind, self.interval).is_none_or(|next| next > now) {
                    continue;
                }
                let frame =
                    Frame { slot: *number, epoch: slot.epoch(), body: slot.body(kind, tick) };
                if !datagram.push(&frame) {
                    // The rest follows at once.
                    self.next = now;
                    break 'full;
                }
                slot.sent(kind, tick, now);
                is_empty = false;
            }
        }
        if is_empty {
            self.next = before;
            return None;
        }
        self.tick = tick;
        Some(datagram.finish())
    }

    /// When [`poll_transmit`](Self::poll_transmit) or [`poll_feedback`](Self::poll_feedback) has something next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let slots = || self.slots.values();
        let parts = slots()
            .flat_map(|slot| Kind::ALL.iter().filter_map(|kind| slot.next(*kind, self.interval)));
        let next = parts.min().map(|next| next.max(self.earliest()));
        slots().filter_map(Slot::rumble_end).chain(next).min()
    }

    /// When a datagram may be sent. What is new may be ahead of the rate by some datagrams: it neither waits for
    /// repetitions nor for a timer that was late before.
    fn earliest(&self) -> Duration {
        let mut parts = self.slots.values().flat_map(|slot| Kind::ALL.map(|kind| (slot, kind)));
        let is_new =
            parts.any(|(slot, kind)| slot.next(kind, self.interval) == Some(Duration::ZERO));
        if is_new { self.next.saturating_sub(self.interval * AHEAD) } else { self.next }
    }

    /// How the connection is.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { rtt: self.rtt, sent: self.receipt.tick, arrived: self.receipt.count }
    }

    fn note(&mut self, now: Duration, receipt: Receipt) {
        let is_first = self.receipt.count == 0;
        if receipt.count == 0 || !(is_first || is_newer_u32(receipt.tick, self.receipt.tick)) {
            return;
        }
        self.receipt = receipt;
        let sample = micros(now).wrapping_sub(receipt.time).wrapping_sub(receipt.delay);
        let sample = Duration::from_micros(sample.into());
        if sample > LONGEST_ROUND_TRIP {
            return;
        }
        // RFC 6298, section 2.
        self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
    }
}

/// By how many datagrams what is new may be ahead of the rate.
const AHEAD: u32 = 4;

/// What is longer is no round trip: the server's word about it is wrong.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(60);

/// The time as datagrams carry it.
fn micros(time: Duration) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
    let micros = time.as_micros() as u32;
    micros
}
