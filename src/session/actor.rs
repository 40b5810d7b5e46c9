//! A session's actor: it drives what the session has towards what it should have.
//!
//! What a slot should have is declared to the [plan](super::plan), which says what to do next. One step is under way at a
//! time, on a blocking thread, and takes the session's state along; meanwhile the actor goes on listening, so that a plug
//! that is withdrawn before its turn never happens. What changes the session's container waits for the step under way.

mod container;
mod host;
mod wants;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tracing::{info, warn};
use vinput::Closing;

use self::host::HostSide;
use super::callers::{Callers, Failures, counted};
use super::error::Error;
use super::handle::Request;
use super::plan::{Action, ClientId, Outcome, Plan};
use super::plug::{self, Spec};
use super::state::State;
use super::view::Session;
use super::{door, span, unplug};
use crate::engine::{Engine, chain};
use crate::host::Wanted;
use crate::metrics;

/// What a step under way has done when it ends.
#[derive(Debug)]
enum Stepped {
    Plugged(u8, Result<(), Error>),
    Unplugged(u8, Result<Closing, Error>),
    HostIn(Wanted, Result<(), Error>),
    HostOut(String, Result<(), Error>),
}

type Step = JoinHandle<(State, Stepped)>;

pub(super) struct Actor {
    engine: Arc<Engine>,
    name: String,
    grace: Duration,
    /// Away while a step runs on a blocking thread.
    state: Option<State>,
    step: Option<Step>,
    plan: Plan<Spec>,
    /// Slots of which the journal has what they should have, whatever becomes of a plug.
    declared: BTreeSet<u8>,
    callers: Callers,
    failures: Failures,
    /// Devices that the kernel is closing, by their last slot.
    closings: BTreeMap<u8, Closing>,
    requests: mpsc::Receiver<Request>,
    losses: mpsc::UnboundedReceiver<ClientId>,
    publish: watch::Sender<Session>,
    /// Readable when the container's first process ends.
    container_end: Option<AsyncFd<OwnedFd>>,
    /// Whether the next attach is to the container of an earlier daemon. No other gets devices that outlived that one.
    resumes: bool,
    host: HostSide,
}

impl Actor {
    pub(super) fn new(
        engine: Arc<Engine>,
        state: State,
        requests: mpsc::Receiver<Request>,
        losses: mpsc::UnboundedReceiver<ClientId>,
    ) -> (Self, watch::Receiver<Session>) {
        let plan = Plan::new();
        let (publish, view) = watch::channel(Session::of(&state, &plan, &Failures::new()));
        let mut actor = Self {
            host: HostSide::new(&engine),
            engine,
            name: state.name.clone(),
            grace: state.grace,
            state: Some(state),
            step: None,
            plan,
            declared: BTreeSet::new(),
            callers: Callers::default(),
            failures: Failures::new(),
            closings: BTreeMap::new(),
            requests,
            losses,
            publish,
            container_end: None,
            resumes: false,
        };
        actor.look_at_host();
        (actor, view)
    }

    pub(super) async fn run(mut self) {
        loop {
            self.expire().await;
            // No step is begun on what was true before the last one. Who waits may have all there is by now.
            if self.host.has_news() {
                self.look_at_host();
                self.answer().await;
            }
            self.begin();
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => break,
                },
                Some(client) = self.losses.recv() => {
                    info!(session = self.name, grace = ?self.grace, "a client is gone");
                    self.plan.client_lost(client, Instant::now() + self.grace);
                }
                () = ended(self.container_end.as_ref()) => self.container_ended().await,
                stepped = end_of(&mut self.step) => self.stepped(stepped),
                () = self.host.changed() => self.look_at_host(),
                () = until(self.plan.timeout()) => {}
            }
            if self.state.is_none() && self.step.is_none() {
                return;
            }
            self.answer().await;
        }
        // Nobody knows the session any more.
        self.finish().await;
        let _ = self.blocking(|engine, state| door::close(engine, state).1).await;
    }

    /// Withdraws what no client has come back for.
    async fn expire(&mut self) {
        for slot in self.plan.expire(Instant::now()) {
            info!(session = self.name, slot, "no client came back in time");
            self.withdrawn(slot).await;
        }
    }

    /// Begins the next step, if there is one and none is under way.
    fn begin(&mut self) {
        if self.step.is_some() {
            return;
        }
        // What the host has lost comes first: its numbers may be others' by now.
        self.step = self.begin_host_out();
        if self.step.is_none() {
            self.begin_planned();
        }
        if self.step.is_none() {
            self.step = self.begin_host_in();
        }
    }

    fn begin_planned(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        let engine = Arc::clone(&self.engine);
        self.step = match self.plan.next(Instant::now()) {
            Some(Action::Plug { slot, wanted, .. }) => {
                let closing = self.closings.remove(&slot);
                Some(spawn_blocking(move || {
                    // Two pads of one address cannot be.
                    if let Some(closing) = closing {
                        closing.wait();
                    }
                    let plugged = guarded(&engine, &mut state, |engine, state| {
                        plug::plug(engine, state, slot, wanted, None)
                    });
                    (state, Stepped::Plugged(slot, plugged))
                }))
            }
            Some(Action::Unplug { slot }) => Some(spawn_blocking(move || {
                let start = Instant::now();
                let unplugged = guarded(&engine, &mut state, |engine, state| {
                    unplug::unplug(engine, state, slot)
                });
                metrics::unplugged(start.elapsed());
                (state, Stepped::Unplugged(slot, unplugged))
            })),
            None => {
                self.state = Some(state);
                None
            }
        };
    }

    /// Waits for the step under way.
    async fn finish(&mut self) {
        if self.step.is_some() {
            let stepped = end_of(&mut self.step).await;
            self.stepped(stepped);
        }
    }

    /// The step under way has ended.
    fn stepped(&mut self, stepped: Result<(State, Stepped), JoinError>) {
        // Without the state the session is lost, and the actor ends.
        let Ok((state, stepped)) = stepped else { return };
        let session = self.name.clone();
        match stepped {
            Stepped::Plugged(slot, Ok(())) => {
                self.failures.remove(&slot);
                self.plan.plugged(Outcome::Plugged, Instant::now());
                if let Some(plugged) = state.slots.get(&slot) {
                    let (profile, verified) = (plugged.profile.name(), plugged.verified);
                    info!(session, slot, profile, verified, "plugged");
                }
            }
            Stepped::Plugged(slot, Err(error)) => {
                let outcome = if error.is_passing() { Outcome::Passing } else { Outcome::Final };
                self.plan.plugged(outcome, Instant::now());
                warn!(session, slot, ?outcome, error = chain(&error), "could not be plugged");
                self.failures.insert(slot, Arc::new(error));
            }
            Stepped::Unplugged(slot, outcome) => {
                self.plan.unplugged();
                match &outcome {
                    Ok(_) => info!(session, slot, "unplugged"),
                    Err(error) => {
                        warn!(session, slot, error = chain(error), "not all could be unplugged");
                    }
                }
                if let Some(Ok(closing)) = self.callers.unplugged(slot, outcome) {
                    self.closings.insert(slot, closing);
                }
            }
            Stepped::HostIn(wanted, brought) => self.host_in(&state, wanted, brought),
            Stepped::HostOut(devpath, out) => self.host_out(&devpath, &out),
        }
        // A step that panicked has closed the door.
        if state.door.is_none() {
            self.plan.closed();
        }
        self.state = Some(state);
    }

    /// Shows what the session is now, and answers who waited for that.
    async fn answer(&mut self) {
        self.failures.retain(|&slot, _| self.plan.wants(slot).is_some());
        self.show();
        let view = self.publish.borrow().clone();
        let is_settled = self.plan.is_settled() && self.has_host_devices();
        let (plan, failures) = (&mut self.plan, &mut self.failures);
        let withdrawn = self.callers.answer(plan, &self.declared, failures, &view, is_settled);
        if !withdrawn.is_empty() {
            self.show();
        }
        for slot in withdrawn {
            // The plug itself may have been noted as done: it was, and then the container ended.
            self.withdrawn(slot).await;
        }
    }

    fn show(&self) {
        if let Some(state) = &self.state {
            self.publish.send_replace(self.view_of(state));
        }
    }

    /// A caller that no longer waits for its answer is no reason not to act.
    async fn serve(&mut self, request: Request) {
        match request {
            Request::Attach { reference, container, reply } => {
                let attached = self.attach(reference, container).await;
                match counted("attach", attached) {
                    Ok(is_new) => {
                        self.answer().await;
                        let _ = reply.send(Ok((self.publish.borrow().clone(), is_new)));
                    }
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                }
            }
            Request::Settled(reply) => self.callers.settled(reply),
            Request::Move { reference, container, reply } => {
                let moved = self.hand_off(reference, container).await;
                self.answer().await;
                let view = self.publish.borrow().clone();
                let _ = reply.send(counted("move", moved.map(|()| view)));
            }
            Request::Plug { slot, spec, reply } => self.plug(slot, spec, reply),
            Request::Declare { slot, spec, client, reply } => {
                let declared = self.declare(slot, spec, client).await;
                // The word that the client is gone may have come before.
                if let Some(client) = client.filter(|_| reply.is_closed()) {
                    self.plan.client_lost(client, Instant::now() + self.grace);
                }
                match declared {
                    Ok(number) => self.callers.declare(slot, number, reply),
                    Err(error) => {
                        let _ = reply.send(counted("plug", Err(error)));
                    }
                }
            }
            Request::BringBack { devices, rules, client, resumes, reply } => {
                self.bring_rules_back(rules);
                self.declared.extend(devices.keys());
                for (slot, (spec, of_client)) in devices {
                    self.plan.want(slot, spec, of_client.then_some(client));
                }
                self.resumes = resumes;
                let _ = reply.send(Ok(()));
            }
            Request::Unplug { slot, reply } => {
                if self.plan.unwant(slot) {
                    self.withdrawn(slot).await;
                    self.callers.unplug(slot, reply);
                } else {
                    let empty = Error::SlotEmpty { session: self.name.clone(), slot };
                    let _ = reply.send(counted("unplug", Err(empty)));
                }
            }
            Request::AddRule { rule, reply } => {
                let added = self.add_rule(*rule).await;
                let _ = reply.send(counted("rule", added));
            }
            Request::RemoveRule { id, reply } => {
                let removed = self.remove_rule(&id).await;
                let _ = reply.send(counted("rule", removed));
            }
            Request::Remove(reply) => {
                let removed = self.remove().await;
                let _ = reply.send(counted("remove", removed));
            }
            Request::Leave(reply) => {
                self.finish().await;
                for plugged in self.state.iter().flat_map(|state| state.slots.values()) {
                    // Nobody may come for a while.
                    let _ = plugged.device.release();
                    plugged.remember();
                }
                // Not dropped: its mounts are to stay, and its devices are the process's, to end with it or to be kept.
                mem::forget(self.state.take());
                let _ = reply.send(Ok(()));
            }
            Request::RemoveUnused(reply) => {
                self.finish().await;
                let is_unused = self.state.as_ref().is_some_and(|state| state.door.is_none())
                    && self.plan.wanted().next().is_none()
                    && !self.has_rules();
                let removed = if is_unused { self.remove().await } else { Ok(()) };
                let _ = reply.send(removed.map(|()| is_unused));
            }
        }
    }

    /// Runs what changes the session's container on a blocking thread, and waits for it: requests wait too.
    async fn blocking<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&Engine, &mut State) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let engine = Arc::clone(&self.engine);
        let mut state = self.state.take().ok_or(Error::Lost)?;
        let worked = spawn_blocking(move || {
            let result = guarded(&engine, &mut state, step);
            (state, result)
        });
        let (state, result) = worked.await.map_err(|_| Error::Lost)?;
        self.state = Some(state);
        result
    }
}

/// Takes a step. One that panics closes the door: what it was about is not known, and that takes away what there may be.
fn guarded<T>(
    engine: &Engine,
    state: &mut State,
    step: impl FnOnce(&Engine, &mut State) -> Result<T, Error>,
) -> Result<T, Error> {
    let _span = span::session(&state.name).entered();
    catch_unwind(AssertUnwindSafe(|| step(engine, state))).unwrap_or_else(|_| {
        // A bug.
        tracing::error!(session = state.name, "a step panicked; the session is closed");
        let (_, _) = door::close(engine, state);
        unplug::note(engine.journal.lost(&state.name));
        let _ = state.dir.clear();
        Err(Error::Lost)
    })
}

/// Resolves when the step under way ends, which it is then no more; never without one.
async fn end_of(step: &mut Option<Step>) -> Result<(State, Stepped), JoinError> {
    match step {
        Some(under_way) => {
            let ended = under_way.await;
            *step = None;
            ended
        }
        None => std::future::pending().await,
    }
}

/// Resolves at this time; never without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the process behind the pidfd ends; never without one.
async fn ended(pidfd: Option<&AsyncFd<OwnedFd>>) {
    let readable = match pidfd {
        Some(pidfd) => pidfd.readable().await.map(drop),
        None => std::future::pending::<io::Result<()>>().await,
    };
    if let Err(error) = readable {
        warn!(%error, "could not wait for the end of the container");
        std::future::pending::<()>().await;
    }
}
