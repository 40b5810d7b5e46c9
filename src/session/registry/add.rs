//! Sessions are made: asked for, by a container that wants one, or because an earlier daemon had them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use udev_forge::database::Database;

use super::{New, Sessions, attach_opened};
use crate::cdi::{self, Hook};
use crate::engine::Engine;
use crate::events::What;
use crate::fault;
use crate::host::Rule;
use crate::limits::LimitError;
use crate::runtime::ContainerRef;
use crate::sandbox;
use crate::session::client::Client;
use crate::session::error::Error;
use crate::session::handle::{Handle, Request};
use crate::session::inputs::Inputs;
use crate::session::journal::{End, Intent, Operation};
use crate::session::plug::Spec;
use crate::session::state::State;
use crate::session::unplug;
use crate::session::view::Session;

impl Sessions {
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
    pub(super) async fn end_adding(&self, name: &str, handle: &Handle, is_added: bool) {
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
    pub(super) async fn start(&self, name: &str, grace: Option<Duration>) -> Result<Handle, Error> {
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
        rules: BTreeMap<u32, Rule>,
        grace: Option<Duration>,
        resumes: bool,
    ) -> Result<Client, Error> {
        let make = move |engine: &Engine, name| make(engine, name, grace);
        // It was there when the limit was lowered.
        let client = Client::new(self.start_with(name, usize::MAX, make).await?);
        client.bring_back(devices, rules, resumes).await?;
        Ok(client)
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
        self.forget(name, handle).await;
        true
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
                hosted: BTreeMap::new(),
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
