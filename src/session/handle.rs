//! The way to a session's actor.

use std::collections::BTreeMap;
use std::sync::Arc;

use device_gate::Container;
use tokio::sync::{mpsc, oneshot, watch};
use vinput::Closing;

use super::actor::Actor;
use super::error::Error;
use super::inputs::Inputs;
use super::plan::ClientId;
use super::plug::Spec;
use super::state::State;
use super::view::{Declared, Device, Session};
use crate::engine::Engine;
use crate::host::Rule;
use crate::runtime::ContainerRef;

/// Requests that may wait for a session; a caller beyond waits to be heard.
const MAILBOX: usize = 32;

/// What a session can be asked. Each carries the way its answer goes back.
#[derive(Debug)]
pub(super) enum Request {
    /// While there is no other container. Answered with whether it was not attached already.
    Attach { reference: ContainerRef, container: Container, reply: Reply<(Session, bool)> },
    /// Any time. Answered when all that the session should have is plugged, or cannot be.
    Settled(Reply<Session>),
    /// Any time.
    Move { reference: ContainerRef, container: Container, reply: Reply<Session> },
    /// While the container runs. Nothing is left of a device that cannot be plugged now.
    Plug { slot: Option<u8>, spec: Spec, reply: Reply<Device> },
    /// Any time: what cannot be plugged now may be later.
    Declare { slot: u8, spec: Spec, client: Option<ClientId>, reply: Reply<Declared> },
    /// At first: what an earlier daemon has promised, and whether to a client, which this one stands for.
    BringBack {
        devices: BTreeMap<u8, (Spec, bool)>,
        /// Its rules about the host's devices.
        rules: BTreeMap<u32, Rule>,
        client: ClientId,
        /// Whether the container comes back too, to be attached next.
        resumes: bool,
        reply: Reply<()>,
    },
    /// While the slot has a device, or is to have one.
    Unplug { slot: u8, reply: Reply<Option<Closing>> },
    /// Any time. Answered with what the rule is called.
    AddRule { rule: Box<Rule>, reply: Reply<String> },
    /// Any time.
    RemoveRule { id: String, reply: Reply<()> },
    /// Any time; the last request.
    Remove(Reply<()>),
    /// Any time; the last request. Nothing is taken away.
    Leave(Reply<()>),
    /// Any time; the last request where the session has no container and no devices, which it says.
    RemoveUnused(Reply<bool>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// The way to a session's actor.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    name: String,
    mailbox: mpsc::Sender<Request>,
    lost: mpsc::UnboundedSender<ClientId>,
    view: watch::Receiver<Session>,
    inputs: Inputs,
}

impl Handle {
    /// Starts the actor.
    pub(super) fn spawn(engine: Arc<Engine>, state: State) -> Self {
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        let (lost, losses) = mpsc::unbounded_channel();
        let (name, inputs) = (state.name.clone(), state.inputs.clone());
        let (actor, view) = Actor::new(engine, state, requests, losses);
        tokio::spawn(actor.run());
        Self { name, mailbox, lost, view, inputs }
    }

    /// The session's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The session as of its last step; never waits for one that is under way.
    pub(super) fn view(&self) -> Session {
        self.view.borrow().clone()
    }

    /// The session as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Session> {
        self.view.clone()
    }

    /// The way of input.
    pub(super) fn inputs(&self) -> &Inputs {
        &self.inputs
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

    /// Says that a client is gone. Never waits.
    pub(super) fn client_lost(&self, client: ClientId) {
        // An error means that the session is gone too.
        let _ = self.lost.send(client);
    }
}
