//! What the lines of a journal amount to.

use std::collections::{BTreeMap, BTreeSet};

use device_gate::Identity;
use serde::{Deserialize, Serialize};

use crate::host::Rule;

use super::change::{Attached, Change, End, Intent, Known, Operation};

/// What is known of all sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// The boot that it is about.
    pub(super) boot: Option<String>,
    pub(crate) sessions: BTreeMap<String, Kept>,
}

/// What is known of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// Which container it is to have.
    container: Option<Attached>,
    /// What its slots are to have.
    slots: BTreeMap<u8, Known>,
    /// Those that are to have it only as long as their client is there.
    clients: BTreeSet<u8>,
    /// How long devices outlive their client, in milliseconds; as configured if nothing was said.
    grace_ms: Option<u64>,
    /// Its own rules about the host's devices.
    rules: BTreeMap<u32, Rule>,
    /// The containers in which something of it may be.
    touched: Vec<Attached>,
    /// The one that is being left.
    left: Option<Attached>,
    /// What was begun and has not ended, the outermost first.
    under_way: Vec<Intent>,
    /// How it was before the move that is under way.
    before: Option<Goal>,
}

/// What a session is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) container: Option<Attached>,
    pub(crate) slots: BTreeMap<u8, Known>,
    pub(crate) clients: BTreeSet<u8>,
    pub(crate) grace_ms: Option<u64>,
    #[serde(default)]
    pub(crate) rules: BTreeMap<u32, Rule>,
}

/// More containers than these are not remembered: each but one could not be cleaned when it was left.
const TOUCHED: usize = 8;

impl Book {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Boot(boot) => self.boot = Some(boot),
            Change::Session { name, kept } => drop(self.sessions.insert(name, *kept)),
            Change::Intent { session, intent } => {
                if matches!(intent, Intent::Add { .. }) {
                    self.sessions.remove(&session);
                }
                self.sessions.entry(session).or_default().begin(intent);
            }
            Change::End { session, operation: Operation::Remove, .. } => {
                self.sessions.remove(&session);
            }
            Change::End { session, operation, end } => {
                if let Some(kept) = self.sessions.get_mut(&session) {
                    kept.end(operation, end);
                }
            }
            Change::Declared { session, slot, known, client } => {
                if let Some(kept) = self.sessions.get_mut(&session) {
                    kept.slots.insert(slot, known);
                    kept.clients.remove(&slot);
                    kept.clients.extend(client.then_some(slot));
                }
            }
            Change::Withdrawn { session, slot } => {
                if let Some(kept) = self.sessions.get_mut(&session) {
                    kept.slots.remove(&slot);
                    kept.clients.remove(&slot);
                    // Its plug may be under way, and is not to count when it ends.
                    let is_its_plug =
                        |intent: &Intent| matches!(intent, Intent::Plug(its, _) if *its == slot);
                    kept.under_way.retain(|intent| !is_its_plug(intent));
                }
            }
            Change::Rules { session, rules } => {
                if let Some(kept) = self.sessions.get_mut(&session) {
                    kept.rules = rules;
                }
            }
            Change::Lost { session } => {
                if let Some(kept) = self.sessions.get_mut(&session) {
                    kept.under_way.clear();
                    kept.before = None;
                }
            }
        }
    }

    /// The shortest lines that amount to the same.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> {
        let boot = self.boot.iter().map(|boot| Change::Boot(boot.clone()));
        let sessions = self.sessions.iter();
        boot.chain(sessions.map(|(name, kept)| Change::Session {
            name: name.clone(),
            kept: Box::new(kept.clone()),
        }))
    }

    /// What a reboot leaves of it: sessions and what they are to have, but no container.
    pub(super) fn reboot(&mut self) {
        self.sessions.retain(|_, kept| kept.goal().is_some());
        for kept in self.sessions.values_mut() {
            let goal = kept.goal().unwrap_or_default();
            *kept = Kept::settled(Goal { container: None, ..goal });
        }
    }
}

impl Kept {
    /// A session that is to have this, and of which nothing is anywhere but in its container.
    pub(crate) fn settled(goal: Goal) -> Self {
        let Goal { container, slots, clients, grace_ms, rules } = goal;
        let touched = container.iter().cloned().collect();
        Self { container, slots, clients, grace_ms, rules, touched, ..Self::default() }
    }

    /// What it is to have: what was promised, without what was only begun. `None` if it is not to be.
    pub(crate) fn goal(&self) -> Option<Goal> {
        let gone = |intent: &Intent| matches!(intent, Intent::Add { .. } | Intent::Remove);
        if self.under_way.iter().any(gone) {
            return None;
        }
        Some(self.before.clone().unwrap_or_else(|| self.goal_now()))
    }

    /// The containers in which something of it may be.
    pub(crate) fn touched(&self) -> &[Attached] {
        &self.touched
    }

    /// What was begun and has not ended.
    pub(crate) fn under_way(&self) -> &[Intent] {
        &self.under_way
    }

    /// Whether what is to be done has been promised before.
    pub(super) fn promises(&self, intent: &Intent) -> bool {
        match intent {
            Intent::Attach(attached) => {
                self.container.as_ref().is_some_and(|container| container.is(&attached.identity()))
            }
            Intent::Plug(slot, known) => self.slots.get(slot) == Some(known),
            _ => false,
        }
    }

    /// The directories that were made in a container.
    pub(super) fn made_in(&self, container: &Identity) -> Vec<String> {
        let touched = self.touched.iter().find(|touched| touched.is(container));
        touched.map(|touched| touched.made.clone()).unwrap_or_default()
    }

    fn goal_now(&self) -> Goal {
        Goal {
            container: self.container.clone(),
            slots: self.slots.clone(),
            clients: self.clients.clone(),
            grace_ms: self.grace_ms,
            rules: self.rules.clone(),
        }
    }

    fn begin(&mut self, intent: Intent) {
        // Only these two have others inside: what is still there else was never ended.
        self.under_way.retain(|outer| matches!(outer, Intent::Add { .. } | Intent::Move));
        match &intent {
            Intent::Add { grace_ms } => self.grace_ms = *grace_ms,
            Intent::Remove => {
                self.under_way.clear();
                self.before = None;
            }
            Intent::Move => self.before = Some(self.goal_now()),
            Intent::Attach(attached) => self.touch(attached.clone()),
            Intent::Leave => self.left = self.container.take(),
            // The one comes true with its end; the other was said before, and something else may have been since.
            Intent::Plug(..) | Intent::Unplug(_) => {}
        }
        self.under_way.push(intent);
    }

    fn end(&mut self, operation: Operation, end: End) {
        let is_it = |intent: &Intent| intent.operation() == operation;
        let Some(at) = self.under_way.iter().rposition(is_it) else { return };
        // The container may be plugged into before the session counts as added.
        let last = if operation == Operation::Add { at + 1 } else { self.under_way.len() };
        let Some(intent) = self.under_way.drain(at..last).next() else { return };
        match (intent, end) {
            (Intent::Attach(attached), End::Done) => self.container = Some(attached),
            (Intent::Attach(attached), _) => {
                self.container = None;
                self.touched.retain(|touched| !touched.is(&attached.identity()));
            }
            // Something else may have been declared meanwhile.
            (Intent::Plug(slot, known), End::Done) => {
                self.slots.entry(slot).or_insert(known);
            }
            (Intent::Leave, End::Done) => {
                let left = self.left.take();
                self.touched
                    .retain(|touched| !left.iter().any(|left| left.is(&touched.identity())));
            }
            (Intent::Move, _) => self.before = None,
            _ => {}
        }
    }

    fn touch(&mut self, attached: Attached) {
        match self.touched.iter_mut().find(|touched| touched.is(&attached.identity())) {
            Some(touched) => *touched = attached,
            None => self.touched.push(attached),
        }
        if self.touched.len() > TOUCHED {
            self.touched.remove(0);
        }
    }
}
