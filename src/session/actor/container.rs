//! The session's container comes, goes, or becomes another one.

use std::mem;
use std::sync::Arc;

use device_gate::Container;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Actor;
use crate::engine::{Engine, chain};
use crate::events::What;
use crate::runtime::ContainerRef;
use crate::session::error::Error;
use crate::session::plan::Condition;
use crate::session::state::State;
use crate::session::{door, hand_off, resume, unplug};
use crate::sys::watch;

impl Actor {
    /// Says whether the session was not attached to that container already.
    pub(super) async fn attach(
        &mut self,
        reference: ContainerRef,
        container: Container,
    ) -> Result<bool, Error> {
        self.finish().await;
        let resumes = mem::take(&mut self.resumes);
        let attached = self
            .blocking(move |engine, state| door::open(engine, state, reference, container))
            .await;
        let is_open = self.state.as_ref().is_some_and(|state| state.door.is_some());
        if !is_open {
            self.plan.closed();
        } else if matches!(attached, Ok(true)) {
            // It may have closed the door of a container whose end was not noticed yet.
            self.plan.closed();
            self.plan.opened();
            self.watch_container();
            if resumes {
                self.resume().await;
                // A step that panicked has closed the door.
                if self.state.as_ref().is_some_and(|state| state.door.is_none()) {
                    self.plan.closed();
                }
            }
        }
        if !self.engine.slots_of_survivors(&self.name).is_empty() {
            let forget = |engine: &Engine, state: &mut State| {
                engine.forget_survivors_of(&state.name);
                Ok(())
            };
            let _ = self.blocking(forget).await;
        }
        attached
    }

    /// Puts the devices into their slots that have outlived an earlier daemon. One that cannot be is plugged anew.
    pub(super) async fn resume(&mut self) {
        for (slot, survivor) in self.engine.survivors_of(&self.name) {
            let step = move |engine: &Engine, state: &mut State| {
                resume::resume(engine, state, slot, survivor)
            };
            let resumed = self.blocking(step).await;
            let wanted = self.plan.wanted().find(|&(wanted, ..)| wanted == slot);
            match (resumed, wanted.map(|(_, number, _)| number)) {
                (Ok(()), Some(number)) => self.plan.found(slot, number),
                (Ok(()), None) => {
                    let unplugged =
                        self.blocking(move |engine, state| unplug::unplug(engine, state, slot));
                    let _ = unplugged.await;
                }
                (Err(error), _) => {
                    let (session, error) = (&self.name, chain(&error));
                    warn!(session, slot, error, "a device of the earlier daemon is unplugged");
                }
            }
        }
    }

    pub(super) async fn hand_off(
        &mut self,
        reference: ContainerRef,
        container: Container,
    ) -> Result<(), Error> {
        self.finish().await;
        let has_failed = |slot| self.plan.condition(slot) == Condition::Failed;
        let wanted: Vec<_> = self.plan.wanted().filter(|&(slot, ..)| !has_failed(slot)).collect();
        let numbers: Vec<_> = wanted.iter().map(|&(slot, number, _)| (slot, number)).collect();
        let devices: Vec<_> = wanted.iter().map(|&(slot, _, spec)| (slot, spec.clone())).collect();
        let to = reference.to_string();
        let moved = self
            .blocking(move |engine, state| {
                hand_off::hand_off(engine, state, reference, container, &devices)
            })
            .await;
        let has_door = self.state.as_ref().is_some_and(|state| state.door.is_some());
        let is_as_before = !matches!(moved, Ok(()) | Err(Error::NotMoved { .. }));
        if is_as_before && has_door == self.plan.is_open() {
            return moved;
        }
        if moved.is_ok() {
            info!(session = self.name, to, "moved");
        }
        // It may have gone to and fro.
        self.watch_container();
        self.plan.closed();
        if let Some(State { door: Some(_), slots, .. }) = &self.state {
            self.plan.opened();
            for (slot, number) in numbers.into_iter().filter(|(slot, _)| slots.contains_key(slot)) {
                self.plan.found(slot, number);
            }
        }
        moved
    }

    /// Takes everything away. There is no state after that, which ends the actor.
    pub(super) async fn remove(&mut self) -> Result<(), Error> {
        self.finish().await;
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
                spawn_blocking(delete).await.unwrap_or(Err(Error::Lost))
            }
            None => Ok(()),
        };
        self.engine.events.publish(&self.name, What::SessionRemoved);
        closed.and(deleted)
    }

    pub(super) async fn container_ended(&mut self) {
        self.container_end = None;
        self.finish().await;
        let closed = self.blocking(|engine, state| door::leave(engine, state).1).await;
        self.plan.closed();
        match closed {
            Ok(()) => {
                info!(session = self.name, "the container ended; its devices were unplugged");
            }
            Err(error) => warn!(error = chain(&error), "could not clean up after the container"),
        }
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
}
