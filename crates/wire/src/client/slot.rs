//! One device.

use std::time::Duration;

use super::log::Log;
use crate::change::{Battery, Change, Pen};
use crate::feedback::Feedback;
use crate::input::{Body, Edge, Finger, Kind};
use crate::list::List;
use crate::names::pen;
use crate::serial::{is_newer_u8, is_newer_u16, is_newer_u32};
use crate::{Contact, HEARTBEAT, MAX_CONTACTS, State};

/// After a change, a frame is repeated in each of so many datagrams. Then it waits for the heartbeat.
const REPEATS: u8 = 4;

#[derive(Debug)]
pub(super) struct Slot {
    /// `None` while the server has not said it.
    epoch: Option<u8>,
    /// The epoch of the plug. Feedback of an older one was for another device.
    born: u8,
    /// What the device takes.
    kinds: u32,
    state: State,
    sums: [i32; 4],
    logs: [Log; KINDS],
    fingers: Vec<Tracked>,
    /// The number of the finger that came down last.
    newest: u16,
    parts: [Part; KINDS],
    heard: [Option<u16>; Feedback::KINDS],
    rumble_end: Option<Duration>,
    /// Whether motors stopped that the server has running.
    is_silenced: bool,
}

const KINDS: usize = Kind::ALL.len();

/// How far what is said of a part has come.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Whether the device has it at all.
    is_used: bool,
    /// The first datagram that said how it is now.
    since: Option<u32>,
    is_acknowledged: bool,
    repeated: u8,
    sent: Duration,
}

/// A finger as the server knows it.
#[derive(Clone, Copy, Debug)]
struct Tracked {
    /// The number that it has here, which may come again.
    id: u16,
    finger: Finger,
    /// The first datagram that said that it went up.
    ended_in: Option<u32>,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            epoch: None,
            born: 0,
            kinds: 0,
            state: State::default(),
            sums: [0; 4],
            logs: Default::default(),
            fingers: Vec::new(),
            newest: 0,
            parts: [Part::default(); KINDS],
            heard: [None; Feedback::KINDS],
            rumble_end: None,
            is_silenced: false,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn epoch(&self) -> u8 {
        self.epoch.unwrap_or_default()
    }

    /// There is another connection; the server says later which time is now.
    pub(super) fn wait(&mut self) {
        self.epoch = None;
    }

    /// The server's device is new or at rest, and counts from the beginning.
    pub(super) fn plugged(&mut self, epoch: u8, kinds: u32) {
        self.kinds = kinds;
        self.epoch = Some(epoch);
        self.born = epoch;
        self.sums = [0; 4];
        for kind in Kind::ALL {
            self.logs[kind.index()] = Log::new(self.state.held(kind));
        }
        self.fingers.retain(|tracked| !tracked.finger.ended);
        self.newest = 0;
        for tracked in &mut self.fingers {
            self.newest += 1;
            tracked.finger.contact.id = self.newest;
        }
        self.heard = [None; Feedback::KINDS];
        self.say_all();
    }

    pub(super) fn handle_epoch(&mut self, epoch: u8) {
        if self.epoch.is_some_and(|now| is_newer_u8(epoch, now)) {
            self.epoch = Some(epoch);
            self.say_all();
        }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        let change = valid(change);
        let kind = change.kind();
        let edge = match change {
            Change::Button { button: number, down }
            | Change::Key { key: number, down }
            | Change::MouseButton { button: number, down }
            | Change::PenButton { button: number, down }
            | Change::JoystickButton { button: number, down } => Some(Edge { number, down }),
            _ => None,
        };
        if self.kinds & kind.bit() == 0
            || edge.is_some_and(|edge| u16::from(edge.number) >= kind.numbers())
            || !self.state.apply(&change)
        {
            return;
        }
        match change {
            Change::Move { dx, dy } => self.add([dx, dy, 0, 0]),
            Change::Wheel { vertical, horizontal } => self.add([0, 0, vertical, horizontal]),
            Change::Touch(contact) => self.touch(contact),
            Change::Lift { id } => self.lift(id),
            _ => {}
        }
        if let Some(edge) = edge {
            self.logs[kind.index()].push(edge);
        }
        self.say(kind);
    }

    fn add(&mut self, counts: [i32; 4]) {
        for (sum, count) in self.sums.iter_mut().zip(counts) {
            *sum = sum.wrapping_add(count);
        }
    }

    fn touch(&mut self, contact: Contact) {
        let is_it = |tracked: &&mut Tracked| tracked.id == contact.id && !tracked.finger.ended;
        if let Some(tracked) = self.fingers.iter_mut().find(is_it) {
            let id = tracked.finger.contact.id;
            tracked.finger.contact = Contact { id, ..contact };
            return;
        }
        if self.fingers.len() == MAX_CONTACTS {
            // Not all are down, or the state would have had no room.
            let oldest = self.fingers.iter().position(|tracked| tracked.finger.ended);
            oldest.map(|oldest| self.fingers.remove(oldest));
        }
        self.newest = self.newest.wrapping_add(1);
        let finger = Finger { contact: Contact { id: self.newest, ..contact }, ended: false };
        self.fingers.push(Tracked { id: contact.id, finger, ended_in: None });
    }

    fn lift(&mut self, id: u16) {
        let is_it = |tracked: &&mut Tracked| tracked.id == id && !tracked.finger.ended;
        if let Some(tracked) = self.fingers.iter_mut().find(is_it) {
            tracked.finger.ended = true;
        }
    }

    fn say(&mut self, kind: Kind) {
        let sent = self.parts[kind.index()].sent;
        self.parts[kind.index()] = Part { is_used: true, sent, ..Part::default() };
    }

    fn say_all(&mut self) {
        for kind in Kind::ALL {
            if self.parts[kind.index()].is_used {
                self.say(kind);
            }
        }
        self.fingers.iter_mut().for_each(|tracked| tracked.ended_in = None);
    }

    /// When a part is to be said next.
    pub(super) fn next(&self, kind: Kind, interval: Duration) -> Option<Duration> {
        let part = &self.parts[kind.index()];
        if !part.is_used || self.epoch.is_none() || self.kinds & kind.bit() == 0 {
            return None;
        }
        if part.since.is_none() {
            return Some(Duration::ZERO);
        }
        if !part.is_acknowledged && part.repeated < REPEATS {
            return Some(part.sent + interval);
        }
        let is_needed = !part.is_acknowledged || !self.state.is_at_rest(kind);
        is_needed.then(|| part.sent + HEARTBEAT)
    }

    /// How a part is, for a datagram.
    pub(super) fn body(&mut self, kind: Kind, tick: u32) -> Body {
        let (held, log) = self.logs[kind.index()].window();
        // The numbers of a part are no more than its bits.
        let [bits, ..] = held.words();
        #[expect(clippy::cast_possible_truncation, reason = "the numbers are below 32 and 8")]
        let (bits32, bits8) = (bits as u32, bits as u8);
        match kind {
            Kind::Gamepad => Body::Gamepad { held: bits32, axes: self.state.axes, log },
            Kind::Keyboard => Body::Keyboard { held, log },
            Kind::Mouse => Body::Mouse { held: bits8, sums: self.sums, log },
            Kind::Pointer => Body::Pointer(self.state.place),
            Kind::Touch => {
                let mut fingers = List::new();
                for tracked in &mut self.fingers {
                    if tracked.finger.ended {
                        tracked.ended_in.get_or_insert(tick);
                    }
                    fingers.push(tracked.finger);
                }
                Body::Touch(fingers)
            }
            Kind::Pen => Body::Pen { held: bits8, pen: self.state.pen, log },
            Kind::Motion => Body::Motion(self.state.motion),
            Kind::Battery => Body::Battery(self.state.battery),
            Kind::Joystick => Body::Joystick { held: bits32, axes: self.state.joystick_axes, log },
        }
    }

    /// A datagram says how a part is.
    pub(super) fn sent(&mut self, kind: Kind, tick: u32, now: Duration) {
        let part = &mut self.parts[kind.index()];
        part.repeated = part.repeated.saturating_add(part.since.is_some().into());
        part.since.get_or_insert(tick);
        part.sent = now;
    }

    pub(super) fn handle_ack(&mut self, epoch: u8, kind: Kind, tick: u32, last: u16) {
        if self.epoch != Some(epoch) {
            return;
        }
        let log = &mut self.logs[kind.index()];
        let more = kind.numbers() > 0 && log.acknowledge(last);
        let part = &mut self.parts[kind.index()];
        if part.since.is_some_and(|since| !is_newer_u32(since, tick)) {
            part.is_acknowledged = true;
        }
        if more {
            self.say(kind);
        }
        if kind == Kind::Touch {
            self.fingers.retain(|tracked| {
                tracked.ended_in.is_none_or(|ended_in| is_newer_u32(ended_in, tick))
            });
        }
    }

    /// Whether feedback is news.
    pub(super) fn hears(
        &mut self,
        now: Duration,
        epoch: u8,
        sequence: u16,
        feedback: &Feedback,
    ) -> bool {
        if is_newer_u8(self.born, epoch) {
            return false;
        }
        let heard = &mut self.heard[feedback.index()];
        if heard.is_some_and(|heard| sequence != heard && !is_newer_u16(sequence, heard)) {
            return false;
        }
        let is_news = heard.replace(sequence) != Some(sequence);
        let Feedback::Rumble { ttl_ms, .. } = feedback else { return is_news };
        // Said again, it lasts longer.
        let end = now + Duration::from_millis((*ttl_ms).into());
        self.rumble_end = feedback.is_on().then_some(end);
        std::mem::take(&mut self.is_silenced) || is_news
    }

    pub(super) fn rumble_end(&self) -> Option<Duration> {
        self.rumble_end
    }

    pub(super) fn rumble_ends(&self, now: Duration) -> bool {
        self.rumble_end.is_some_and(|end| end <= now)
    }

    /// The motors stop, as nothing newer was said.
    pub(super) fn silence(&mut self) {
        self.rumble_end = None;
        self.is_silenced = true;
    }
}

/// A change with its numbers in range, as the server wants them.
fn valid(change: &Change) -> Change {
    match *change {
        Change::Motion(motion) => Change::Motion(motion.clamped()),
        Change::Battery(battery) => {
            Change::Battery(Battery { percent: battery.percent.min(100), ..battery })
        }
        Change::Pen(pen) => Change::Pen(Pen {
            tool: if usize::from(pen.tool) < pen::TOOLS.len() { pen.tool } else { 0 },
            tilt: pen.tilt.map(|tilt| tilt.clamp(-90, 90)),
            ..pen
        }),
        other => other,
    }
}
