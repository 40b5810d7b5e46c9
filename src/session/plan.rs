//! What a session should have, what it has, and what to do next.
//!
//! This decides and does nothing: it makes no system call, waits for nothing and has no clock, so that a test can
//! take it through any history. The actor asks it for an action, carries it out, and says how that ended; one action
//! at a time. Whatever was declared meanwhile counts for the next one, so that a plug and an unplug of the same slot
//! that nobody has begun yet cancel each other out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often a plug is tried whose failures are all passing ones.
const TRIES: u32 = 4;

/// The wait after the first failure; each next one is four times as long (100 ms, 400 ms, 1.6 s).
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// A declaration, by which it is known: later ones have greater numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

/// Who comes and goes: a connection that declares devices for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientId(pub(super) u64);

impl ClientId {
    /// One that nobody has had.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// For how long a declaration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Until it is withdrawn.
    Nobody,
    /// As long as the client is there, and then for a grace time.
    Client(ClientId),
    /// Its client is gone: until then, unless one comes back for it.
    Grace(Instant),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action<W> {
    /// Plug this into the slot, which is empty.
    Plug {
        /// The slot.
        slot: u8,
        /// What was declared.
        wanted: W,
        /// As what.
        number: Number,
    },
    /// Unplug what the slot has.
    Unplug {
        /// The slot.
        slot: u8,
    },
}

/// How a plug ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The device works.
    Plugged,
    /// Nothing of it is left; it may work the next time.
    Passing,
    /// Nothing of it is left, and trying again will not help.
    Final,
}

/// What a slot is like, for those who look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing is wanted and nothing is there.
    Empty,
    /// It has what is wanted.
    Plugged,
    /// There is no container to plug into.
    Waiting,
    /// It is about to be plugged, unplugged or tried again.
    Changing,
    /// It was tried, and will not be tried again for this container.
    Failed,
}

#[derive(Debug)]
struct Slot<W> {
    wanted: Option<Wanted<W>>,
    /// Which declaration the device is, that the slot has.
    has: Option<Number>,
}

#[derive(Debug)]
struct Wanted<W> {
    what: W,
    number: Number,
    owner: Owner,
    failures: u32,
    /// Not to be tried before.
    wait: Option<Instant>,
    failed: bool,
}

impl<W> Default for Slot<W> {
    fn default() -> Self {
        Self { wanted: None, has: None }
    }
}

/// The plan of one session.
#[derive(Debug)]
pub(super) struct Plan<W> {
    slots: BTreeMap<u8, Slot<W>>,
    /// Whether there is a container to plug into.
    is_open: bool,
    /// The action that is being carried out: its slot, and what is plugged.
    under_way: Option<(u8, Option<Number>)>,
    last: u64,
}

impl<W: Clone + PartialEq> Plan<W> {
    /// Nothing is wanted, and there is no container.
    pub(super) fn new() -> Self {
        Self { slots: BTreeMap::new(), is_open: false, under_way: None, last: 0 }
    }

    /// Declares what a slot should have, for a client or for good. What it should have already changes nothing, unless
    /// it failed: then it is tried again. Returns the declaration that this is now.
    pub(super) fn want(&mut self, slot: u8, what: W, client: Option<ClientId>) -> Number {
        let entry = self.slots.entry(slot).or_default();
        let same = entry.wanted.as_mut().filter(|wanted| wanted.what == what);
        let owner = match &same {
            // What was declared for good does not go with a client that says the same.
            Some(Wanted { owner: Owner::Nobody, .. }) => Owner::Nobody,
            _ => client.map_or(Owner::Nobody, Owner::Client),
        };
        if let Some(wanted) = same.filter(|wanted| !wanted.failed) {
            wanted.owner = owner;
            return wanted.number;
        }
        self.last += 1;
        let number = Number(self.last);
        entry.wanted = Some(Wanted { what, number, owner, failures: 0, wait: None, failed: false });
        number
    }

    /// A client is gone: what it has declared stands until then.
    pub(super) fn client_lost(&mut self, client: ClientId, until: Instant) {
        let wanted = self.slots.values_mut().filter_map(|slot| slot.wanted.as_mut());
        for wanted in wanted.filter(|wanted| wanted.owner == Owner::Client(client)) {
            wanted.owner = Owner::Grace(until);
        }
    }

    /// Withdraws what no client has come back for, and says which slots that was.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<u8> {
        let is_over = |slot: &Slot<W>| match &slot.wanted {
            Some(Wanted { owner: Owner::Grace(until), .. }) => *until <= now,
            _ => false,
        };
        let over: Vec<u8> =
            self.slots.iter().filter(|(_, slot)| is_over(slot)).map(|(&slot, _)| slot).collect();
        for &slot in &over {
            self.unwant(slot);
        }
        over
    }

    /// Declares that a slot should be empty. Says whether anything was wanted or there.
    pub(super) fn unwant(&mut self, slot: u8) -> bool {
        let is_changing = self.under_way.is_some_and(|(changing, _)| changing == slot);
        let Some(entry) = self.slots.get_mut(&slot) else { return is_changing };
        let was = entry.wanted.take().is_some() || entry.has.is_some();
        self.forget_empty();
        was
    }

    /// There is a container now.
    pub(super) fn opened(&mut self) {
        self.is_open = true;
    }

    /// A slot has what was declared as this, by other means than an action of the plan. Not while one is under way.
    pub(super) fn found(&mut self, slot: u8, number: Number) {
        self.slots.entry(slot).or_default().has = Some(number);
    }

    /// The container is gone, and with it every device; what is wanted stays wanted, and what failed may work in the
    /// next one. Not while an action is under way.
    pub(super) fn closed(&mut self) {
        self.is_open = false;
        for slot in self.slots.values_mut() {
            slot.has = None;
            if let Some(wanted) = &mut slot.wanted {
                (wanted.failures, wanted.wait, wanted.failed) = (0, None, false);
            }
        }
        self.forget_empty();
    }

    /// What to do now, which is under way from then on. `None` while an action is, or when there is nothing to do.
    pub(super) fn next(&mut self, now: Instant) -> Option<Action<W>> {
        if self.under_way.is_some() {
            return None;
        }
        // Unplugs first: what is to come may need the place.
        let surplus = self.slots.iter().find(|(_, slot)| slot.is_surplus());
        if let Some((&slot, _)) = surplus {
            self.under_way = Some((slot, None));
            return Some(Action::Unplug { slot });
        }
        // In the order of the declarations.
        let due = |wanted: &Wanted<W>| wanted.wait.is_none_or(|wait| wait <= now);
        let (&slot, wanted) = self
            .missing()
            .filter(|(_, wanted)| due(wanted))
            .min_by_key(|(_, wanted)| wanted.number)?;
        let action = Action::Plug { slot, wanted: wanted.what.clone(), number: wanted.number };
        self.under_way = Some((slot, Some(wanted.number)));
        Some(action)
    }

    /// When there will be something to do although nothing happens until then.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let wanted = self.slots.values().filter_map(|slot| slot.wanted.as_ref());
        let grace = wanted.filter_map(|wanted| match wanted.owner {
            Owner::Grace(until) => Some(until),
            _ => None,
        });
        // What is under way is not waited for by the clock.
        let is_idle = self.under_way.is_none();
        let waits = self.missing().filter_map(|(_, wanted)| wanted.wait).filter(|_| is_idle);
        grace.chain(waits).min()
    }

    /// The plug that was under way has ended like this.
    pub(super) fn plugged(&mut self, outcome: Outcome, now: Instant) {
        let Some((slot, Some(number))) = self.under_way.take() else { return };
        let entry = self.slots.entry(slot).or_default();
        if outcome == Outcome::Plugged {
            entry.has = Some(number);
        } else if let Some(wanted) = entry.wanted.as_mut().filter(|now| now.number == number) {
            wanted.failures += 1;
            wanted.failed = outcome == Outcome::Final || wanted.failures == TRIES;
            wanted.wait = Some(now + FIRST_WAIT * 4_u32.pow(wanted.failures - 1));
        }
        self.forget_empty();
    }

    /// The unplug that was under way has ended; whatever it left, there is nothing more to do about it.
    pub(super) fn unplugged(&mut self) {
        let Some((slot, None)) = self.under_way.take() else { return };
        if let Some(entry) = self.slots.get_mut(&slot) {
            entry.has = None;
        }
        self.forget_empty();
    }

    /// Whether a slot has what was declared as `number`, will not get it, or is not to have it any more; `None`: that is
    /// still open.
    pub(super) fn verdict(&self, slot: u8, number: Number) -> Option<Verdict> {
        let Some(entry) = self.slots.get(&slot) else { return Some(Verdict::Withdrawn) };
        match &entry.wanted {
            Some(wanted) if wanted.number == number && entry.has == Some(number) => {
                Some(Verdict::Plugged)
            }
            Some(wanted) if wanted.number == number => wanted.failed.then_some(Verdict::Failed),
            _ => Some(Verdict::Withdrawn),
        }
    }

    /// What a slot should have, and whether only as long as its client is there.
    pub(super) fn declaration(&self, slot: u8) -> Option<(&W, bool)> {
        let wanted = self.slots.get(&slot)?.wanted.as_ref()?;
        Some((&wanted.what, wanted.owner != Owner::Nobody))
    }

    /// Whether this is what the slot should have.
    pub(super) fn is_current(&self, slot: u8, number: Number) -> bool {
        let wanted = self.slots.get(&slot).and_then(|entry| entry.wanted.as_ref());
        wanted.is_some_and(|wanted| wanted.number == number)
    }

    /// Whether nothing is in the slot, nor being plugged into it.
    pub(super) fn is_gone(&self, slot: u8) -> bool {
        let is_changing = self.under_way.is_some_and(|(changing, _)| changing == slot);
        let has = self.slots.get(&slot).is_some_and(|entry| entry.has.is_some());
        !is_changing && !has
    }

    /// Whether there is a container to plug into.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// What a slot is like.
    pub(super) fn condition(&self, slot: u8) -> Condition {
        let Some(entry) = self.slots.get(&slot) else { return Condition::Empty };
        match &entry.wanted {
            None => Condition::Changing,
            Some(wanted) if entry.has == Some(wanted.number) => Condition::Plugged,
            Some(wanted) if wanted.failed => Condition::Failed,
            Some(_) if !self.is_open => Condition::Waiting,
            Some(_) => Condition::Changing,
        }
    }

    /// What is wanted, by slot, and as which declaration.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (u8, Number, &W)> {
        self.slots.iter().filter_map(|(&slot, entry)| {
            let wanted = entry.wanted.as_ref()?;
            Some((slot, wanted.number, &wanted.what))
        })
    }

    /// What a slot should have.
    pub(super) fn wants(&self, slot: u8) -> Option<&W> {
        Some(&self.slots.get(&slot)?.wanted.as_ref()?.what)
    }

    /// Whether there is nothing that could still change by itself.
    pub(super) fn is_settled(&self) -> bool {
        self.under_way.is_none()
            && !self.slots.values().any(Slot::is_surplus)
            && self.missing().next().is_none()
    }

    /// What could be plugged, now or after a wait.
    fn missing(&self) -> impl Iterator<Item = (&u8, &Wanted<W>)> {
        let is_missing = |slot: &Slot<W>| self.is_open && slot.has.is_none();
        self.slots
            .iter()
            .filter(move |(_, slot)| is_missing(slot))
            .filter_map(|(number, slot)| Some((number, slot.wanted.as_ref()?)))
            .filter(|(_, wanted)| !wanted.failed)
    }

    fn forget_empty(&mut self) {
        self.slots.retain(|_, slot| slot.wanted.is_some() || slot.has.is_some());
    }
}

impl<W> Slot<W> {
    /// Whether it has something that is not wanted.
    fn is_surplus(&self) -> bool {
        let wanted = self.wanted.as_ref().map(|wanted| wanted.number);
        self.has.is_some() && self.has != wanted
    }
}

/// What became of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its device works.
    Plugged,
    /// It was tried, and is not tried again.
    Failed,
    /// Another declaration took its place, or none.
    Withdrawn,
}

#[cfg(test)]
mod tests;
