//! A session's actor: requests in order, each to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use device_gate::Container;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};
use vinput::Closing;

use super::error::Error;
use super::plug::{self, PlugRequest};
use super::state::State;
use super::view::{Device, Session};
use super::{door, hand_off, unplug};
use crate::engine::{Engine, chain};
use crate::events::What;
use crate::runtime::ContainerRef;
use crate::sys::watch;
use crate::{metrics, problem};

/// Requests that may wait for a session; a caller beyond waits to be heard.
const MAILBOX: usize = 32;

/// What a session can be asked. Each carries the way its answer goes back.
#[derive(Debug)]
pub(super) enum Request {
    /// While there is no other container. Answered with whether it was not attached already.
    Attach { reference: ContainerRef, container: Container, reply: Reply<(Session, bool)> },
    /// Any time.
    Move { reference: ContainerRef, container: Container, reply: Reply<Session> },
    /// While the container runs.
    Plug { plug: PlugRequest, reply: Reply<Device> },
    /// While the slot has a device, or one waits for it.
    Unplug { slot: u8, reply: Reply<Option<Closing>> },
    /// While the slot has a device.
    Input { slot: u8, inputs: Vec<String>, reply: Reply<()> },
    /// Any time; the last request.
    Remove(Reply<()>),
    /// Any time; the last request where the session has no container and no devices, which it says.
    RemoveUnused(Reply<bool>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// The way to a session's actor.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    name: String,
    mailbox: mpsc::Sender<Request>,
    view: watch::Receiver<Session>,
}

impl Handle {
    /// Starts the actor.
    pub(super) fn spawn(engine: Arc<Engine>, state: State) -> Self {
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        let name = state.name.clone();
        let (publish, view) = watch::channel(Session::of(&state));
        let actor = Actor {
            engine,
            name: name.clone(),
            state: Some(state),
            requests,
            publish,
            container_end: None,
        };
        tokio::spawn(actor.run());
        Self { name, mailbox, view }
    }

    /// The session as of its last request; never waits for one that is under way.
    pub(super) fn view(&self) -> Session {
        self.view.borrow().clone()
    }

    /// Whether both lead to the same actor.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.mailbox.same_channel(&other.mailbox)
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Error> {
        let removed = || Error::Removed { name: self.name.clone() };
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(request(reply)).await.map_err(|_| removed())?;
        answer.await.map_err(|_| removed())?
    }
}

struct Actor {
    engine: Arc<Engine>,
    name: String,
    /// Away while a step runs on a blocking thread.
    state: Option<State>,
    requests: mpsc::Receiver<Request>,
    publish: watch::Sender<Session>,
    /// Readable when the container's first process ends.
    container_end: Option<AsyncFd<OwnedFd>>,
}

impl Actor {
    async fn run(mut self) {
        loop {
            let request = tokio::select! {
                request = self.requests.recv() => request,
                () = ended(self.container_end.as_ref()) => {
                    self.container_ended().await;
                    continue;
                }
            };
            let Some(request) = request else {
                // Nobody knows the session any more.
                let _ = self.blocking(|engine, state| door::close(engine, state).1).await;
                break;
            };
            let last = matches!(request, Request::Remove(_));
            self.serve(request).await;
            if last || self.state.is_none() {
                break;
            }
        }
    }

    /// A caller that no longer waits for its answer is no reason not to act.
    async fn serve(&mut self, request: Request) {
        match request {
            Request::Attach { reference, container, reply } => {
                let attached = self
                    .blocking(move |engine, state| {
                        let is_new = door::open(engine, state, reference, container)?;
                        Ok((Session::of(state), is_new))
                    })
                    .await;
                if attached.is_ok() {
                    self.watch_container();
                }
                let _ = reply.send(counted("attach", attached));
            }
            Request::Move { reference, container, reply } => {
                let moved = self
                    .blocking(move |engine, state| {
                        let to = reference.to_string();
                        hand_off::hand_off(engine, state, reference, container)?;
                        info!(session = state.name, to, "moved");
                        Ok(Session::of(state))
                    })
                    .await;
                // It may have gone to and fro.
                self.watch_container();
                let _ = reply.send(counted("move", moved));
            }
            Request::Plug { plug, reply } => {
                let plugged = self
                    .blocking(move |engine, state| {
                        let slot = plug::plug(engine, state, plug)?;
                        let device = Device::of(state.slot(slot)?);
                        let (profile, verified) = (&device.profile, device.verified);
                        info!(session = state.name, slot, profile, verified, "plugged");
                        Ok(device)
                    })
                    .await;
                let _ = reply.send(counted("plug", plugged));
            }
            Request::Unplug { slot, reply } => {
                let unplugged = self
                    .blocking(move |engine, state| {
                        if state.waiting.remove(&slot).is_some() {
                            unplug::note(engine.journal.forget(&state.name, slot));
                            info!(session = state.name, slot, "no longer waits for a container");
                            return Ok(None);
                        }
                        let start = Instant::now();
                        let closing = unplug::unplug(engine, state, slot)?;
                        metrics::unplugged(start.elapsed());
                        info!(session = state.name, slot, "unplugged");
                        Ok(Some(closing))
                    })
                    .await;
                let _ = reply.send(counted("unplug", unplugged));
            }
            Request::Input { slot, inputs, reply } => {
                // Some words to look up and one short write, microseconds: not worth another thread.
                let sent = self.with(|state| state.slot(slot)?.device.send(&inputs));
                if sent.is_ok() {
                    metrics::frame();
                }
                let _ = reply.send(counted("input", sent));
            }
            Request::Remove(reply) => {
                let removed = self.remove().await;
                let _ = reply.send(counted("remove", removed));
            }
            Request::RemoveUnused(reply) => {
                let is_unused = self.state.as_ref().is_some_and(|state| {
                    state.door.is_none() && state.slots.is_empty() && state.waiting.is_empty()
                });
                let removed = if is_unused { self.remove().await } else { Ok(()) };
                let _ = reply.send(removed.map(|()| is_unused));
            }
        }
    }

    /// Takes everything away. There is no state after that, which ends the actor.
    async fn remove(&mut self) -> Result<(), Error> {
        let closed = self.blocking(door::remove).await;
        let deleted = match self.state.take() {
            Some(State { dir, shown, name, .. }) => {
                let engine = Arc::clone(&self.engine);
                let delete = move || {
                    drop(shown);
                    let deleted = dir.delete().map_err(Error::Stage);
                    door::removed(&engine, &name);
                    deleted
                };
                tokio::task::spawn_blocking(delete).await.unwrap_or(Err(Error::Lost))
            }
            None => Ok(()),
        };
        self.engine.events.publish(&self.name, What::SessionRemoved);
        closed.and(deleted)
    }

    fn with<T>(&self, look: impl FnOnce(&State) -> Result<T, Error>) -> Result<T, Error> {
        match &self.state {
            Some(state) => look(state),
            None => Err(Error::Lost),
        }
    }

    /// Runs a step on a blocking thread. The step takes the state along, so nothing else can touch it.
    async fn blocking<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&Engine, &mut State) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let engine = Arc::clone(&self.engine);
        let mut state = self.state.take().ok_or(Error::Lost)?;
        let worked = tokio::task::spawn_blocking(move || {
            let step = AssertUnwindSafe(|| step(&engine, &mut state));
            let result = catch_unwind(step).unwrap_or_else(|_| {
                // A bug. What the step was about is not known; closing the door takes away what there may be.
                tracing::error!(session = state.name, "a step panicked; the session is closed");
                let (_, _) = door::close(&engine, &mut state);
                unplug::note(engine.journal.lost(&state.name));
                let _ = state.dir.clear();
                Err(Error::Lost)
            });
            (state, result)
        });
        let (state, result) = worked.await.map_err(|_| Error::Lost)?;
        self.publish.send_replace(Session::of(&state));
        self.state = Some(state);
        result
    }

    fn watch_container(&mut self) {
        let pidfd = self.state.as_ref().and_then(|state| state.door.as_ref()).map(|door| {
            let pidfd = door.container.pidfd().try_clone_to_owned()?;
            watch(pidfd)
        });
        self.container_end = match pidfd.transpose() {
            Ok(pidfd) => pidfd,
            Err(error) => {
                warn!(%error, "the end of the container will only be noticed at the next request");
                None
            }
        };
    }

    async fn container_ended(&mut self) {
        self.container_end = None;
        let closed = self
            .blocking(|engine, state| {
                door::leave(engine, state).1?;
                info!(session = state.name, "the container ended; its devices were unplugged");
                Ok(())
            })
            .await;
        if let Err(error) = closed {
            warn!(error = chain(&error), "could not clean up after the container");
        }
    }
}

/// Counts a failure.
fn counted<T>(operation: &'static str, result: Result<T, Error>) -> Result<T, Error> {
    if let Err(error) = &result {
        metrics::failed(operation, problem::code(error));
    }
    result
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
