//! The devices of the host that the session is to have: what its rules mean, of what the host has now.
//!
//! Compared with what it has, as a whole and anew whenever either changes, so nothing depends on which event came, or in
//! which order.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{Actor, Step, Stepped, guarded};
use crate::config::Config;
use crate::engine::{Engine, chain};
use crate::host::view::{HostedView, RuleView};
use crate::host::{Host, Rule, View, Wanted, wanted};
use crate::problem;
use crate::session::error::Error;
use crate::session::journal::JournalError;
use crate::session::state::State;
use crate::session::view::{Failure, Session};
use crate::session::{hosted, unplug};

/// What rules mean which devices.
#[derive(Debug)]
pub(super) struct HostSide {
    view: watch::Receiver<Arc<View>>,
    config: watch::Receiver<Arc<Config>>,
    /// The session's own rules, by their numbers.
    own: BTreeMap<u32, Arc<Rule>>,
    /// What the session is to have, by devpath.
    wanted: BTreeMap<String, Wanted>,
    failed: BTreeMap<String, Failed>,
    has_rules: bool,
}

/// A device that could not be brought in. It is tried again in another container, or when the device or its rule is another.
#[derive(Debug)]
struct Failed {
    wanted: Wanted,
    pid: Option<u32>,
    error: Error,
}

impl HostSide {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            view: engine.host.subscribe(),
            config: engine.watch_config(),
            own: BTreeMap::new(),
            wanted: BTreeMap::new(),
            failed: BTreeMap::new(),
            has_rules: false,
        }
    }

    /// Resolves when the host's devices or the configuration have changed.
    pub(super) async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.view.changed() => changed,
            changed = self.config.changed() => changed,
        };
        if changed.is_err() {
            // The daemon is about to end.
            pending::<()>().await;
        }
    }

    /// Whether something has changed since the last look.
    pub(super) fn has_news(&self) -> bool {
        self.view.has_changed().unwrap_or(false) || self.config.has_changed().unwrap_or(false)
    }

    /// The session's rules, with their names: its own first.
    fn rules(&self, session: &str) -> Vec<(String, Arc<Rule>)> {
        let own = self.own.iter().map(|(number, rule)| (number.to_string(), Arc::clone(rule)));
        let config = self.config.borrow();
        let configured = config.rule.iter().enumerate();
        let configured = configured.filter(|(_, rule)| rule.is_of(session));
        let configured =
            configured.map(|(at, rule)| (format!("config{at}"), Arc::new(rule.clone())));
        own.chain(configured).collect()
    }

    /// Finds out anew what the session is to have.
    pub(super) fn look(&mut self, host: &Host, session: &str) {
        let rules: Vec<_> = self.rules(session).into_iter().map(|(_, rule)| rule).collect();
        self.has_rules = !rules.is_empty();
        if self.has_rules {
            host.watch();
        }
        self.wanted = wanted(&rules, &self.view.borrow_and_update());
        self.config.mark_unchanged();
        // What another session had may be free now.
        let may_work = |Failed { wanted, error, .. }: &Failed| {
            matches!(error, Error::HostTaken { .. })
                && host.is_free(&wanted.device, wanted.is_exclusive())
        };
        let wanted = &self.wanted;
        self.failed.retain(|devpath, failed| {
            wanted.get(devpath) == Some(&failed.wanted) && !may_work(failed)
        });
    }

    /// A device that the session has and is not to have, or not as it is: the last one first.
    fn next_out(&self, state: &State) -> Option<String> {
        let stays = |hosted: &hosted::Hosted| {
            self.wanted.get(&hosted.device.devpath).is_some_and(|wanted| {
                wanted.device.is(&hosted.device) && wanted.rule == hosted.rule
            })
        };
        let gone = state.hosted.iter().rev().find(|(_, hosted)| !stays(hosted));
        gone.map(|(devpath, _)| devpath.clone())
    }

    /// A device that the session is to have and has not.
    fn next_in(&self, state: &State) -> Option<Wanted> {
        let pid = state.door().ok()?.container.pid();
        let is_due = |(devpath, wanted): &(&String, &Wanted)| {
            let failed = self.failed.get(*devpath);
            !state.hosted.contains_key(*devpath)
                && !failed
                    .is_some_and(|failed| failed.pid == Some(pid) && failed.wanted == **wanted)
        };
        self.wanted.iter().find(is_due).map(|(_, wanted)| wanted.clone())
    }

    /// Whether the session has what it is to have, as far as that can be.
    fn is_settled(&self, state: &State) -> bool {
        !self.has_rules && state.hosted.is_empty()
            || state.door().is_err()
            || (self.view.borrow().is_complete
                && self.view.has_changed().is_ok_and(|changed| !changed)
                && self.next_out(state).is_none()
                && self.next_in(state).is_none())
    }

    /// Puts into the view what only this side knows.
    fn add_to(&self, session: &mut Session) {
        for failed in self.failed.values() {
            let failure = Failure {
                code: problem::code(&failed.error).to_owned(),
                detail: chain(&failed.error),
            };
            let view = HostedView::of(&failed.wanted.device);
            session.host_devices.push(HostedView { failure: Some(failure), ..view });
        }
        let has = |devpath: &str| {
            let mut devices = session.host_devices.iter();
            devices.any(|device| device.devpath == devpath && device.failure.is_none())
        };
        let rules = self.rules(&session.name).into_iter().map(|(id, rule)| {
            let by_it = self.wanted.values().filter(|wanted| wanted.rule == rule);
            let there = by_it.filter(|wanted| has(&wanted.device.devpath));
            let devices = there.map(|wanted| wanted.device.path()).collect();
            RuleView { id, rule: Rule::clone(&rule), devices }
        });
        session.rules = rules.collect();
    }
}

impl Actor {
    /// Takes a device out that the session is not to have.
    pub(super) fn begin_host_out(&mut self) -> Option<Step> {
        let devpath = self.host.next_out(self.state.as_ref()?)?;
        let (engine, mut state) = (Arc::clone(&self.engine), self.state.take()?);
        Some(spawn_blocking(move || {
            let out = guarded(&engine, &mut state, |engine, state| {
                hosted::take_out(engine, state, &devpath)
            });
            (state, Stepped::HostOut(devpath, out))
        }))
    }

    /// Brings a device in that the session is to have.
    pub(super) fn begin_host_in(&mut self) -> Option<Step> {
        let wanted = self.host.next_in(self.state.as_ref()?)?;
        let (engine, mut state) = (Arc::clone(&self.engine), self.state.take()?);
        Some(spawn_blocking(move || {
            let brought = guarded(&engine, &mut state, |engine, state| {
                hosted::bring_in(engine, state, &wanted)
            });
            (state, Stepped::HostIn(wanted, brought))
        }))
    }

    /// A device was brought in, or not.
    pub(super) fn host_in(&mut self, state: &State, wanted: Wanted, brought: Result<(), Error>) {
        let (session, path) = (&self.name, wanted.device.path());
        match brought {
            Ok(()) => {
                self.host.failed.remove(&wanted.device.devpath);
                info!(session, path, "a device of the host is there");
            }
            Err(error) => {
                warn!(session, path, error = chain(&error), "a device of the host is not there");
                let pid = state.door.as_ref().map(|door| door.container.pid());
                let devpath = wanted.device.devpath.clone();
                self.host.failed.insert(devpath, Failed { wanted, pid, error });
            }
        }
    }

    /// A device was taken out.
    pub(super) fn host_out(&self, devpath: &str, out: &Result<(), Error>) {
        let session = &self.name;
        match out {
            Ok(()) => info!(session, devpath, "a device of the host is gone"),
            Err(error) => {
                let error = chain(error);
                warn!(session, devpath, error, "not all of a device of the host is gone");
            }
        }
    }

    /// Finds out anew what the session is to have.
    pub(super) fn look_at_host(&mut self) {
        self.host.look(&self.engine.host, &self.name);
    }

    /// Whether the session has what it is to have of the host's devices.
    pub(super) fn has_host_devices(&self) -> bool {
        self.state.as_ref().is_some_and(|state| self.host.is_settled(state))
    }

    /// The session as it is now.
    pub(super) fn view_of(&self, state: &State) -> Session {
        let mut session = Session::of(state, &self.plan, &self.failures);
        self.host.add_to(&mut session);
        session
    }

    /// Whether the session has rules of its own.
    pub(super) fn has_rules(&self) -> bool {
        !self.host.own.is_empty()
    }

    /// The rules of an earlier daemon.
    pub(super) fn bring_rules_back(&mut self, rules: BTreeMap<u32, Rule>) {
        self.host.own = rules.into_iter().map(|(id, rule)| (id, Arc::new(rule))).collect();
        self.look_at_host();
    }

    /// Adds a rule. The journal has it when this returns.
    pub(super) async fn add_rule(&mut self, rule: Rule) -> Result<String, Error> {
        rule.check_own().map_err(Error::Rule)?;
        let id = self.host.own.keys().next_back().map_or(1, |last| last + 1);
        let mut own = self.host.own.clone();
        own.insert(id, Arc::new(rule));
        self.note_rules(&own, true).await.map_err(Error::Journal)?;
        self.host.own = own;
        self.look_at_host();
        Ok(id.to_string())
    }

    /// Removes a rule of the session's own. A journal that cannot be written does not keep it.
    pub(super) async fn remove_rule(&mut self, id: &str) -> Result<(), Error> {
        let number = id.parse().ok().filter(|number| self.host.own.contains_key(number));
        let not_found = || Error::RuleNotFound { session: self.name.clone(), id: id.to_owned() };
        let number: u32 = number.ok_or_else(not_found)?;
        let mut own = self.host.own.clone();
        own.remove(&number);
        unplug::note(self.note_rules(&own, false).await);
        self.host.own = own;
        self.look_at_host();
        Ok(())
    }

    async fn note_rules(
        &mut self,
        own: &BTreeMap<u32, Arc<Rule>>,
        adds: bool,
    ) -> Result<(), JournalError> {
        let rules = own.iter().map(|(&id, rule)| (id, Rule::clone(rule))).collect();
        self.note(move |journal, session| journal.rules(session, rules, adds)).await
    }
}
