//! One device.

use std::time::Duration;

use super::{Action, PerKind};
use crate::feedback::{self, Feedback};
use crate::input::{Body, Finger, Frame, Kind, Log};
use crate::list::List;
use crate::serial::{is_newer_u16, is_newer_u32};
use crate::set::Set;
use crate::{Change, MAX_CONTACTS, State, state};

/// What is known of one part of a device.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Of the newest frame that was applied.
    tick: Option<u32>,
    /// The number of the last edge that was applied, or of the newest finger.
    last: u16,
    ack_is_due: bool,
    /// Whether something of it is held.
    is_active: bool,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// What the device takes.
    kinds: u32,
    epoch: u8,
    epoch_is_due: bool,
    state: State,
    /// Of the mouse, as the client counts them.
    sums: [i32; 4],
    parts: PerKind<Part>,
    /// When the last frame was applied.
    heard: Duration,
    feedback: [Option<Sending>; Feedback::KINDS],
    /// What was last said of each kind, for a client that is back.
    said: [Option<(u16, Feedback)>; Feedback::KINDS],
}

/// Feedback that is to be sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    sequence: u16,
    feedback: Feedback,
    /// When it is sent next.
    next: Duration,
    /// How often it is sent yet; `None` without end.
    left: Option<u8>,
}

/// How often that motors stop is said, because it is said in datagrams only.
const STOPS: u8 = 4;

/// Changes of one device, in reports.
pub(super) struct Report<'a> {
    actions: &'a mut Vec<Action>,
    slot: u8,
    is_open: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(actions: &'a mut Vec<Action>, slot: u8) -> Self {
        Self { actions, slot, is_open: false }
    }

    fn push(&mut self, change: Change) {
        self.actions.push(Action::Change { slot: self.slot, change });
        self.is_open = true;
    }

    fn close(&mut self) {
        if self.is_open {
            self.actions.push(Action::Sync { slot: self.slot });
            self.is_open = false;
        }
    }
}

impl Slot {
    pub(super) fn new(epoch: u8, kinds: u32) -> Self {
        Self {
            kinds,
            epoch,
            epoch_is_due: false,
            state: State::default(),
            sums: [0; 4],
            parts: PerKind::default(),
            heard: Duration::ZERO,
            feedback: [None; Feedback::KINDS],
            said: [None; Feedback::KINDS],
        }
    }

    pub(super) fn epoch(&self) -> u8 {
        self.epoch
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Applies a frame, if it is of now and newer than what was applied before.
    pub(super) fn take(
        &mut self,
        now: Duration,
        tick: u32,
        frame: &Frame,
        report: &mut Report<'_>,
    ) {
        if frame.epoch != self.epoch {
            self.epoch_is_due = true;
            return;
        }
        let kind = frame.body.kind();
        if self.kinds & kind.bit() == 0 {
            return;
        }
        let part = &mut self.parts[kind.index()];
        part.ack_is_due = true;
        if part.tick.is_some_and(|newest| !is_newer_u32(tick, newest)) {
            return;
        }
        part.tick = Some(tick);
        self.heard = now;
        // What was in the way of a button is there before it is pressed: axes first, edges after that.
        match frame.body {
            Body::Gamepad { held, axes, ref log } => {
                self.change(Change::Axes(axes), report);
                self.follow(kind, Set::from(held), log, report);
            }
            Body::Keyboard { held, ref log } => self.follow(kind, held, log, report),
            Body::Mouse { held, sums, ref log } => {
                self.add(sums, report);
                self.follow(kind, Set::from(u32::from(held)), log, report);
            }
            Body::Pointer(place) => self.change(Change::Place(place), report),
            Body::Touch(ref fingers) => self.touch(fingers, report),
            Body::Pen { held, pen, ref log } => {
                self.change(Change::Pen(pen), report);
                self.follow(kind, Set::from(u32::from(held)), log, report);
            }
            Body::Motion(motion) => self.change(Change::Motion(motion), report),
            Body::Battery(battery) => self.change(Change::Battery(battery), report),
            Body::Joystick { held, axes, ref log } => {
                self.change(Change::JoystickAxes(axes), report);
                self.follow(kind, Set::from(held), log, report);
            }
        }
        report.close();
        self.parts[kind.index()].is_active = !self.state.is_at_rest(kind);
    }

    fn change(&mut self, change: Change, report: &mut Report<'_>) {
        if self.state.apply(&change) {
            report.push(change);
        }
    }

    /// Makes the edges that are new, each in a report of its own, and then what else is different.
    fn follow(&mut self, kind: Kind, held: Set, log: &Log, report: &mut Report<'_>) {
        let known = &mut self.parts[kind.index()].last;
        // The log says the number of its last edge.
        let backwards = (0..).map(|back| log.last.wrapping_sub(back)).take(log.edges.len());
        let new = backwards.take_while(|number| is_newer_u16(*number, *known)).count();
        if is_newer_u16(log.last, *known) {
            *known = log.last;
        }
        let mut has_edge = false;
        for edge in log.edges.iter().skip(log.edges.len() - new) {
            let change = state::edge(kind, edge.number, edge.down);
            if !self.state.apply(&change) {
                continue;
            }
            if has_edge {
                report.close();
            }
            report.push(change);
            has_edge = true;
        }
        // Nothing, unless edges are missing or all was let go in between.
        let differences = self.state.held(kind).differences(&held);
        if has_edge && !differences.is_empty() {
            report.close();
        }
        for number in differences.iter() {
            self.change(state::edge(kind, number, held.contains(number)), report);
        }
    }

    fn add(&mut self, sums: [i32; 4], report: &mut Report<'_>) {
        let [dx, dy, vertical, horizontal] =
            std::array::from_fn(|index| sums[index].wrapping_sub(self.sums[index]));
        self.sums = sums;
        self.change(Change::Move { dx, dy }, report);
        self.change(Change::Wheel { vertical, horizontal }, report);
    }

    fn touch(&mut self, fingers: &List<Finger, MAX_CONTACTS>, report: &mut Report<'_>) {
        let contacts = self.state.contacts;
        for contact in contacts.iter() {
            if !fingers.iter().any(|finger| finger.contact.id == contact.id) {
                self.change(Change::Lift { id: contact.id }, report);
            }
        }
        for Finger { contact, ended } in fingers.iter() {
            let id = contact.id;
            let is_down = contacts.iter().any(|other| other.id == id);
            let newest = &mut self.parts[Kind::Touch.index()].last;
            let is_new = is_newer_u16(id, *newest);
            if is_new {
                *newest = id;
            }
            if *ended && !is_down && !is_new {
                continue;
            }
            self.change(Change::Touch(*contact), report);
            if *ended {
                // It is seen where it was last.
                report.close();
                self.change(Change::Lift { id }, report);
            }
        }
    }

    /// When all is let go if nothing is heard.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Duration> {
        self.parts.iter().any(|part| part.is_active).then(|| self.heard + patience)
    }

    /// Lets go of everything. What was said before belongs to another time.
    pub(super) fn release(&mut self, epoch: u8, report: &mut Report<'_>) {
        self.epoch = epoch;
        self.epoch_is_due = true;
        for kind in Kind::ALL {
            self.state.release(kind, |change| report.push(change));
            report.close();
            self.parts[kind.index()].is_active = false;
        }
    }

    /// The device is another one, at rest. What was said before belongs to another time.
    pub(super) fn replaced(&mut self, epoch: u8) {
        self.epoch = epoch;
        self.epoch_is_due = true;
        self.state = State::default();
        self.parts.iter_mut().for_each(|part| part.is_active = false);
    }

    /// A new connection counts anew, and learns the epoch otherwise.
    pub(super) fn forget(&mut self) {
        self.parts = PerKind::default();
        self.sums = [0; 4];
        self.epoch_is_due = false;
        self.feedback = [None; Feedback::KINDS];
    }

    pub(super) fn send(&mut self, now: Duration, sequence: u16, feedback: Feedback) {
        let left = match feedback {
            Feedback::Rumble { .. } if feedback.is_on() => None,
            Feedback::Rumble { .. } => Some(STOPS),
            _ => Some(1),
        };
        self.feedback[feedback.index()] = Some(Sending { sequence, feedback, next: now, left });
        self.said[feedback.index()] = Some((sequence, feedback));
    }

    /// Sends again what was last said of each kind, and returns it.
    pub(super) fn send_again(&mut self, now: Duration) -> impl Iterator<Item = (u16, Feedback)> {
        let said = self.said;
        for (sequence, feedback) in said.into_iter().flatten() {
            self.send(now, sequence, feedback);
        }
        said.into_iter().flatten()
    }

    pub(super) fn owes_ack(&self) -> bool {
        self.epoch_is_due || self.parts.iter().any(|part| part.ack_is_due)
    }

    pub(super) fn next_feedback(&self) -> Option<Duration> {
        self.feedback.iter().flatten().map(|sending| sending.next).min()
    }

    /// Writes what the client is to know. Returns whether all of it had room.
    pub(super) fn write(
        &mut self,
        now: Duration,
        slot: u8,
        datagram: &mut feedback::Builder<'_>,
    ) -> bool {
        let mut push = |epoch, body| datagram.push(&feedback::Frame { slot, epoch, body });
        if self.epoch_is_due {
            self.epoch_is_due = !push(self.epoch, feedback::Body::Epoch);
        }
        for kind in Kind::ALL {
            let part = &mut self.parts[kind.index()];
            let (true, Some(tick)) = (part.ack_is_due, part.tick) else { continue };
            part.ack_is_due =
                !push(self.epoch, feedback::Body::Ack { kind, tick, last: part.last });
        }
        for place in &mut self.feedback {
            let Some(sending) = place.as_mut().filter(|sending| sending.next <= now) else {
                continue;
            };
            let Sending { sequence, feedback, .. } = *sending;
            if !push(self.epoch, feedback::Body::Feedback { sequence, feedback }) {
                return false;
            }
            sending.next = now + repetition(&feedback);
            sending.left = sending.left.map(|left| left - 1);
            if sending.left == Some(0) {
                *place = None;
            }
        }
        !self.owes_ack()
    }
}

/// How long motors wait to hear again that they are to run: a lost datagram or two do not stop them.
fn repetition(feedback: &Feedback) -> Duration {
    let ttl = match feedback {
        Feedback::Rumble { ttl_ms, .. } => u64::from(*ttl_ms),
        _ => 0,
    };
    Duration::from_millis((ttl / 4).max(10))
}
