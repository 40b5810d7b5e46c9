//! The sessions, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device_gate::Container;
use udev_forge::database::Database;

use super::callers::counted;
use super::client::Client;
use super::error::Error;
use super::handle::{Handle, Request};
use super::inputs::Inputs;
use super::journal::{End, Intent, Operation};
use super::plug::Spec;
use super::state::State;
use super::unplug;
use super::view::{Declared, Device, Session};
use crate::cdi::{self, Hook};
use crate::engine::Engine;
use crate::events::What;
use crate::fault;
use crate::limits::LimitError;
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

    /// Makes a session, and attaches it to a container if one is given.
    ///
    /// # Errors
    ///
    /// [`Error`]; there is no session then.
    pub async fn add(&self, new: New<'_>) -> Result<Session, Error> {
        let New { name, container, grace } = new;
        if !sandbox::is_name(name) {
            return Err(Error::SessionName { name: name.to_owned() });
        }
        let reference = container.map(str::parse::<ContainerRef>).transpose();
        let reference = reference.map_err(Error::Reference)?;
        let handle = self.start(name, grace).await?;
        let added = async {
            self.write_cdi(name).await?;
            fault::point("add.cdi");
            match reference {
                Some(reference) => {
                    let container = reference.open(&self.engine.config()).await;
                    let container = container.map_err(Error::Resolve)?;
                    attach_opened(&handle, reference, container).await.map(drop)
                }
                None => Ok(()),
            }
        };
        let added = added.await;
        self.end_adding(name, &handle, added.is_ok()).await;
        added?;
        handle.ask(Request::Settled).await
    }

    /// A session is there with its container, or is no session; unless somebody else has used it meanwhile.
    async fn end_adding(&self, name: &str, handle: &Handle, is_added: bool) {
        if is_added || !self.remove_unused(name, handle).await {
            self.note_added(name).await;
        }
    }

    /// Makes the session a device of the CDI specification, where that is configured. The device stays when the session
    /// is gone: its container may be started again.
    async fn write_cdi(&self, name: &str) -> Result<(), Error> {
        let config = self.engine.config();
        let Some(directory) = &config.cdi_dir else { return Ok(()) };
        let (path, socket) = (directory.join(cdi::FILE), config.socket.clone());
        let sessions = [name.to_owned()].into();
        let write = move || {
            let hook = Hook::find(None, &socket, None)?;
            cdi::write(&path, &hook, &sessions, true).map(drop)
        };
        tokio::task::spawn_blocking(write).await.map_err(|_| Error::Lost)?.map_err(Error::Cdi)
    }

    /// Notes in the journal that a session is there, with the container that it was to have.
    async fn note_added(&self, name: &str) {
        let (engine, name) = (Arc::clone(&self.engine), name.to_owned());
        let note = move || {
            unplug::note(engine.journal.end(&name, Operation::Add, End::Done));
            fault::point("add.ended");
        };
        let _ = tokio::task::spawn_blocking(note).await;
    }

    /// Makes a session.
    async fn start(&self, name: &str, grace: Option<Duration>) -> Result<Handle, Error> {
        let grace_ms = grace.and_then(|grace| u64::try_from(grace.as_millis()).ok());
        let limit = self.engine.config().limits.sessions;
        self.start_with(name, limit, move |engine, name| {
            engine.journal.intend(&name, Intent::Add { grace_ms }).map_err(Error::Journal)?;
            fault::point("add.intended");
            let made = make(engine, name.clone(), grace);
            match &made {
                Ok(_) => fault::point("add.made"),
                Err(_) => unplug::note(engine.journal.end(&name, Operation::Remove, End::Done)),
            }
            made
        })
        .await
    }

    /// Makes a session that an earlier daemon had, with what it should have. The answer stands for its clients of then:
    /// the grace time begins when it is dropped.
    ///
    /// # Errors
    ///
    /// [`Error`]; there is no session then.
    pub(crate) async fn bring_back(
        &self,
        name: &str,
        devices: BTreeMap<u8, (Spec, bool)>,
        grace: Option<Duration>,
        resumes: bool,
    ) -> Result<Client, Error> {
        let make = move |engine: &Engine, name| make(engine, name, grace);
        // It was there when the limit was lowered.
        let client = Client::new(self.start_with(name, usize::MAX, make).await?);
        client.bring_back(devices, resumes).await?;
        Ok(client)
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

    /// Starts the session that `make` makes, if there are fewer than `limit`. One at a time: what is asked of other sessions
    /// meanwhile does not wait for it.
    async fn start_with(
        &self,
        name: &str,
        limit: usize,
        make: impl FnOnce(&Engine, String) -> Result<State, Error> + Send + 'static,
    ) -> Result<Handle, Error> {
        let _one_at_a_time = self.starting.lock().await;
        if self.handles().contains_key(name) {
            return Err(Error::SessionExists { name: name.to_owned() });
        }
        if self.handles().len() >= limit {
            return Err(Error::Limit(LimitError::Sessions { limit }));
        }
        let (engine, owned) = (Arc::clone(&self.engine), name.to_owned());
        let made = tokio::task::spawn_blocking(move || make(&engine, owned)).await;
        let state = made.map_err(|_| Error::Lost)??;
        let handle = Handle::spawn(Arc::clone(&self.engine), state);
        self.engine.events.publish(name, What::SessionAdded);
        self.handles().insert(name.to_owned(), handle.clone());
        Ok(handle)
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
        let mut handles = self.handles();
        // Another request may have removed it, and a third added one of the same name.
        if handles.get(name).is_some_and(|current| current.is(&handle)) {
            handles.remove(name);
        }
        removed
    }

    /// Removes a session that was made for a container that could not be attached, if nobody else has used it since,
    /// which it says.
    async fn remove_unused(&self, name: &str, handle: &Handle) -> bool {
        match handle.ask(Request::RemoveUnused).await {
            Ok(false) => return false,
            Ok(true) => {}
            // It is gone all the same.
            Err(error) => {
                tracing::warn!(session = name, %error, "could not remove all of the session");
            }
        }
        let mut handles = self.handles();
        if handles.get(name).is_some_and(|current| current.is(handle)) {
            handles.remove(name);
        }
        true
    }

    /// Removes every session; for the end of the daemon.
    pub async fn remove_all(&self) {
        let names: Vec<_> = self.handles().keys().cloned().collect();
        for name in names {
            if let Err(error) = self.remove(&name).await {
                tracing::warn!(session = name, %error, "could not remove all of the session");
            }
        }
    }

    /// Ends every session's actor and leaves what it has as it is, for the next daemon. Answers with how many there were.
    pub async fn leave_all(&self) -> usize {
        let handles: Vec<_> = self.handles().values().cloned().collect();
        for handle in &handles {
            // One that is being removed is not to be left.
            let _ = handle.ask(Request::Leave).await;
        }
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

/// The directories of a new session. Nothing is left when that fails.
fn make(engine: &Engine, name: String, grace: Option<Duration>) -> Result<State, Error> {
    let dir = engine.staging.session(&name).map_err(Error::Stage)?;
    fault::point("add.staged");
    let shown = Database::open(&dir.udev_path())
        .map_err(Error::Database)
        .and_then(|database| Ok((database, dir.show().map_err(Error::Stage)?)));
    match shown {
        Ok((database, shown)) => {
            fault::point("add.shown");
            let (slots, inputs) = (BTreeMap::new(), Inputs::default());
            let grace = grace.unwrap_or(Duration::from_secs(engine.config().grace_seconds.into()));
            Ok(State {
                name,
                shown,
                dir,
                must_renew: false,
                database,
                door: None,
                slots,
                inputs,
                grace,
            })
        }
        Err(error) => {
            // The first error is the one to report.
            let _ = dir.delete();
            Err(error)
        }
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
