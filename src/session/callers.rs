//! Who waits for the session to become what it was asked to be, and what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vinput::Closing;

use super::error::Error;
use super::handle::Reply;
use super::plan::{Number, Plan, Verdict};
use super::plug::Spec;
use super::view::{Declared, Device, Session};
use crate::{metrics, problem};

/// Why the last try to plug into a slot failed.
pub(super) type Failures = BTreeMap<u8, Arc<Error>>;

/// Callers whose answer depends on what comes.
#[derive(Debug, Default)]
pub(super) struct Callers {
    plugs: Vec<(u8, Number, Reply<Device>)>,
    declarations: Vec<(u8, Number, Reply<Declared>)>,
    unplugs: Vec<(u8, Reply<Option<Closing>>)>,
    settled: Vec<Reply<Session>>,
}

impl Callers {
    /// Waits for a device that is to be plugged now or not at all.
    pub(super) fn plug(&mut self, slot: u8, number: Number, reply: Reply<Device>) {
        self.plugs.push((slot, number, reply));
    }

    /// Waits for a device that may also be plugged later.
    pub(super) fn declare(&mut self, slot: u8, number: Number, reply: Reply<Declared>) {
        self.declarations.push((slot, number, reply));
    }

    /// Waits for the end of a device.
    pub(super) fn unplug(&mut self, slot: u8, reply: Reply<Option<Closing>>) {
        self.unplugs.push((slot, reply));
    }

    /// Waits until nothing is left to do.
    pub(super) fn settled(&mut self, reply: Reply<Session>) {
        self.settled.push(reply);
    }

    /// Tells the caller who waits for the end of a slot's device how that went. Without one the outcome comes back.
    pub(super) fn unplugged(
        &mut self,
        slot: u8,
        outcome: Result<Closing, Error>,
    ) -> Option<Result<Closing, Error>> {
        match self.unplugs.iter().position(|(waiting, _)| *waiting == slot) {
            Some(first) => {
                let (_, reply) = self.unplugs.remove(first);
                let _ = reply.send(counted("unplug", outcome.map(Some)));
                None
            }
            None => Some(outcome),
        }
    }

    /// Answers everyone whose wish has come true, or will not. What failed for a caller who wanted it now is withdrawn
    /// from the plan, unless it is `declared` too. Returns the slots of those.
    pub(super) fn answer(
        &mut self,
        plan: &mut Plan<Spec>,
        declared: &BTreeSet<u8>,
        failures: &mut Failures,
        view: &Session,
        is_settled: bool,
    ) -> Vec<u8> {
        let mut withdrawn = Vec::new();
        let no_container = || Error::NoContainer { session: view.name.clone() };
        for (slot, number, reply) in std::mem::take(&mut self.plugs) {
            let result = match plan.verdict(slot, number) {
                Some(Verdict::Plugged) => view.device(slot),
                Some(Verdict::Withdrawn) => Err(Error::Withdrawn { slot }),
                Some(Verdict::Failed) => Err(failure(failures, slot)),
                None if !plan.is_open() => Err(no_container()),
                None => {
                    self.plugs.push((slot, number, reply));
                    continue;
                }
            };
            if result.is_err() && plan.is_current(slot, number) && !declared.contains(&slot) {
                plan.unwant(slot);
                failures.remove(&slot);
                withdrawn.push(slot);
            }
            let _ = reply.send(counted("plug", result));
        }
        for (slot, number, reply) in std::mem::take(&mut self.declarations) {
            let result = match plan.verdict(slot, number) {
                Some(Verdict::Plugged) => view.device(slot).map(Declared::Plugged),
                Some(Verdict::Withdrawn) => Err(Error::Withdrawn { slot }),
                Some(Verdict::Failed) => Err(failure(failures, slot)),
                None if !plan.is_open() => view.waiting(slot).map(Declared::Waiting),
                None => {
                    self.declarations.push((slot, number, reply));
                    continue;
                }
            };
            let _ = reply.send(counted("plug", result));
        }
        for (slot, reply) in std::mem::take(&mut self.unplugs) {
            if plan.is_gone(slot) {
                let _ = reply.send(Ok(None));
            } else {
                self.unplugs.push((slot, reply));
            }
        }
        if is_settled {
            for reply in self.settled.drain(..) {
                let _ = reply.send(Ok(view.clone()));
            }
        }
        withdrawn
    }
}

fn failure(failures: &Failures, slot: u8) -> Error {
    failures.get(&slot).map_or(Error::Lost, |error| Error::Tried(Arc::clone(error)))
}

/// Counts a failure.
pub(super) fn counted<T>(operation: &'static str, result: Result<T, Error>) -> Result<T, Error> {
    if let Err(error) = &result {
        metrics::failed(operation, problem::code(error));
    }
    result
}
