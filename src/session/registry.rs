//! The sessions, by name.

mod add;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device_gate::Container;
use futures_util::future::join_all;

use super::callers::counted;
use super::client::Client;
use super::error::Error;
use super::handle::{Handle, Request};
use super::plug::Spec;
use super::view::{Declared, Device, Session};
use crate::engine::Engine;
use crate::host::Rule;
use crate::host::view::RuleView;
use crate::runtime::{ContainerRef, ResolveError};
use crate::sandbox;

/// A container that its runtime is about to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its id, as its cgroup is named after.
    pub id: String,
    /// Its first process, as numbered on the host.
    pub pid: u32,
    /// What will be its root directory, as its mount namespace has it.
    pub root: PathBuf,
}

/// A session to be made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its container, as a reference.
    pub container: Option<&'a str>,
    /// How long a device outlives the client that declared it; as configured if not given.
    pub grace: Option<Duration>,
}

/// A session of an earlier daemon that is to come back.
#[derive(Debug)]
pub(crate) struct Returning {
    /// Its name.
    pub(crate) name: String,
    /// Its container, if that still runs.
    pub(crate) container: Option<(ContainerRef, Container)>,
    /// What its slots are to have, and whether that was a client's.
    pub(crate) devices: BTreeMap<u8, (Spec, bool)>,
    /// Its own rules about the host's devices.
    pub(crate) rules: BTreeMap<u32, Rule>,
    /// How long devices outlive their client; as configured if nothing was said.
    pub(crate) grace: Option<Duration>,
}

/// All sessions of the daemon.
#[derive(Debug)]
pub struct Sessions {
    engine: Arc<Engine>,
    handles: Mutex<BTreeMap<String, Handle>>,
    /// Held while a session is made, which takes mounts and namespaces.
    starting: tokio::sync::Mutex<()>,
}

impl Sessions {
    /// None yet.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, handles: Mutex::default(), starting: tokio::sync::Mutex::default() }
    }

    /// What all sessions share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Attaches a session that an earlier daemon had to its container of then.
    ///
    /// # Errors
    ///
    /// [`Error`]; the session has no container then.
    pub(crate) async fn attach_again(
        &self,
        name: &str,
        reference: ContainerRef,
        container: Container,
    ) -> Result<(), Error> {
        let handle = self.handle(name)?;
        attach_opened(&handle, reference, container).await?;
        handle.ask(Request::Settled).await.map(drop)
    }

    /// Attaches a session to a running container.
    ///
    /// # Errors
    ///
    /// [`Error`]; the session is as it was then.
    pub async fn attach(&self, name: &str, container: &str) -> Result<Session, Error> {
        let handle = self.handle(name)?;
        let reference = container.parse().map_err(Error::Reference)?;
        self.attach_to(&handle, reference).await
    }

    /// Attaches a session to a container that its runtime is about to start. The session is added if there is none: the
    /// daemon may have been restarted since it was, and the container's wish stands.
    ///
    /// # Errors
    ///
    /// [`Error`]; the session is as it was then, or there is none.
    pub async fn start_container(&self, name: &str, start: Start) -> Result<Session, Error> {
        let (handle, added) = match self.handle(name) {
            Ok(handle) => (handle, false),
            Err(_) if !sandbox::is_name(name) => {
                return Err(Error::SessionName { name: name.to_owned() });
            }
            Err(_) => (self.start(name, None).await?, true),
        };
        let reference = ContainerRef::Pid(start.pid);
        let open = move || device_gate::open_starting(&start.id, start.pid, &start.root);
        let opened = tokio::task::spawn_blocking(open).await.map_err(|_| Error::Lost)?;
        let attached = match opened {
            Ok(container) => {
                // The runtime waits for the answer; what is to be plugged follows.
                attach_opened(&handle, reference, container).await.map(|(session, _)| session)
            }
            Err(source) => Err(Error::Resolve(ResolveError::Container { reference, source })),
        };
        if added {
            self.end_adding(name, &handle, attached.is_ok()).await;
        }
        attached
    }

    async fn attach_to(&self, handle: &Handle, reference: ContainerRef) -> Result<Session, Error> {
        let container = reference.open(&self.engine.config()).await.map_err(Error::Resolve)?;
        attach_opened(handle, reference, container).await?;
        handle.ask(Request::Settled).await
    }

    /// Attaches a session to a container that asks for it by its label; makes the session if it is not there. Says
    /// whether the container was not attached already.
    ///
    /// # Errors
    ///
    /// [`Error`]; the session is as it was then, and none was made.
    pub(crate) async fn adopt(&self, name: &str, reference: ContainerRef) -> Result<bool, Error> {
        if !sandbox::is_name(name) {
            return Err(Error::SessionName { name: name.to_owned() });
        }
        // First: a label that leads nowhere makes no session.
        let container = reference.open(&self.engine.config()).await.map_err(Error::Resolve)?;
        let (handle, made) = match self.start(name, None).await {
            Ok(handle) => (handle, true),
            Err(Error::SessionExists { .. }) => (self.handle(name)?, false),
            Err(error) => return Err(error),
        };
        let attached = attach_opened(&handle, reference, container).await;
        if made {
            self.end_adding(name, &handle, attached.is_ok()).await;
        }
        let (_, is_new) = attached?;
        handle.ask(Request::Settled).await?;
        Ok(is_new)
    }

    /// Moves a session, with its devices, to another running container. Its kernel devices are made anew, so that
    /// what programs in the old container have open is dead.
    ///
    /// # Errors
    ///
    /// [`Error`]; for [`Error::NotMoved`] see there, otherwise the session is as it was.
    pub async fn hand_off(&self, name: &str, container: &str) -> Result<Session, Error> {
        let handle = self.handle(name)?;
        let reference: ContainerRef = container.parse().map_err(Error::Reference)?;
        let container = reference.open(&self.engine.config()).await.map_err(Error::Resolve)?;
        handle.ask(|reply| Request::Move { reference, container, reply }).await
    }

    /// All sessions, by name.
    pub fn list(&self) -> Vec<Session> {
        self.handles().values().map(Handle::view).collect()
    }

    /// One session.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`].
    pub fn show(&self, name: &str) -> Result<Session, Error> {
        Ok(self.handle(name)?.view())
    }

    /// Unplugs what a session has, takes its mounts away and forgets it.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`], or the first thing that could not be taken away; the session is gone in
    /// any case.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let handle = self.handle(name)?;
        let removed = handle.ask(Request::Remove).await;
        self.forget(name, &handle).await;
        removed
    }

    /// A session is gone. Another request may have removed it, and a third added one of the same name.
    async fn forget(&self, name: &str, handle: &Handle) {
        let is_gone = |handles: &mut BTreeMap<String, Handle>| {
            let is_this = handles.get(name).is_some_and(|current| current.is(handle));
            is_this && handles.remove(name).is_some()
        };
        if is_gone(&mut self.handles()) {
            self.forget_tokens().await;
        }
    }

    /// Takes back the tokens of sessions that are not there. A session of the same name is another one.
    pub(crate) async fn forget_tokens(&self) {
        let there: BTreeSet<_> = self.handles().keys().cloned().collect();
        let engine = Arc::clone(&self.engine);
        let forget = move || engine.tokens.retain(|session| there.contains(session));
        // A panic has been logged.
        let _ = tokio::task::spawn_blocking(forget).await;
    }

    /// Removes every session; for the end of the daemon.
    pub async fn remove_all(&self) {
        let names: Vec<_> = self.handles().keys().cloned().collect();
        let remove = async |name: String| {
            if let Err(error) = self.remove(&name).await {
                tracing::warn!(session = name, %error, "could not remove all of the session");
            }
        };
        // At once: the container of one may hang.
        join_all(names.into_iter().map(remove)).await;
    }

    /// Ends every session's actor and leaves what it has as it is, for the next daemon. Answers with how many there were.
    pub async fn leave_all(&self) -> usize {
        let handles: Vec<_> = self.handles().values().cloned().collect();
        // At once: the container of one may hang. One that is being removed is not to be left.
        join_all(handles.iter().map(|handle| handle.ask(Request::Leave))).await;
        handles.len()
    }

    /// Plugs a device.
    ///
    /// # Errors
    ///
    /// [`Error`]; nothing is left then.
    pub async fn plug(&self, name: &str, slot: Option<u8>, spec: Spec) -> Result<Device, Error> {
        self.handle(name)?.ask(|reply| Request::Plug { slot, spec, reply }).await
    }

    /// Declares what a slot should have until it is unplugged. What it has already stays as it is, anything else is
    /// replaced; without a container it waits for the next one.
    ///
    /// # Errors
    ///
    /// [`Error`]; the device stays declared where it was tried and failed, and is tried again in the next container.
    pub async fn declare(&self, name: &str, slot: u8, spec: Spec) -> Result<Declared, Error> {
        let client = None;
        self.handle(name)?.ask(|reply| Request::Declare { slot, spec, client, reply }).await
    }

    /// A new client of a session.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`].
    pub fn client(&self, name: &str) -> Result<Client, Error> {
        self.handle(name).map(Client::new)
    }

    /// Unplugs a device, and waits until the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// [`Error`]; the device is unplugged in any case, unless its slot is empty.
    pub async fn unplug(&self, name: &str, slot: u8) -> Result<(), Error> {
        let closing = self.handle(name)?.ask(|reply| Request::Unplug { slot, reply }).await?;
        let Some(closing) = closing else { return Ok(()) };
        // The session goes on meanwhile.
        tokio::task::spawn_blocking(move || closing.wait()).await.map_err(|_| Error::Lost)
    }

    /// Adds a rule about the host's devices to those of a session; answers when those that it means are there, as far as
    /// there is a container for them.
    ///
    /// # Errors
    ///
    /// [`Error`]; the rule is not added then.
    pub async fn add_rule(&self, name: &str, rule: Rule) -> Result<RuleView, Error> {
        let handle = self.handle(name)?;
        let rule = Box::new(rule);
        let id = handle.ask(|reply| Request::AddRule { rule, reply }).await?;
        let session = handle.ask(Request::Settled).await?;
        let added = session.rules.into_iter().find(|rule| rule.id == id);
        added.ok_or(Error::RuleNotFound { session: name.to_owned(), id })
    }

    /// Removes a rule of a session's own; answers when the devices are gone that it had by it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn remove_rule(&self, name: &str, id: String) -> Result<(), Error> {
        let handle = self.handle(name)?;
        handle.ask(|reply| Request::RemoveRule { id, reply }).await?;
        handle.ask(Request::Settled).await.map(drop)
    }

    /// Sends one frame of events, such as `["south=1", "lx=-0.5"]`, to a device.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when an event is not one of this device; nothing is sent then.
    pub fn input(&self, name: &str, slot: u8, events: &[String]) -> Result<(), Error> {
        let handle = self.handle(name)?;
        counted("input", handle.inputs().send(name, slot, events, None))
    }

    fn handle(&self, name: &str) -> Result<Handle, Error> {
        self.handles()
            .get(name)
            .cloned()
            .ok_or_else(|| Error::SessionNotFound { name: name.to_owned() })
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<String, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attaches a session to a container that was found; says whether it was not attached already.
async fn attach_opened(
    handle: &Handle,
    reference: ContainerRef,
    container: Container,
) -> Result<(Session, bool), Error> {
    handle.ask(|reply| Request::Attach { reference, container, reply }).await
}
