//! What its callers want of a session: which slot, and that the journal has it before they hear of it.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::Actor;
use crate::session::callers::counted;
use crate::session::error::Error;
use crate::session::handle::Reply;
use crate::session::journal::{Journal, JournalError};
use crate::session::plan::{ClientId, Number};
use crate::session::plug::{self, Spec};
use crate::session::state::LAST_SLOT;
use crate::session::unplug;
use crate::session::view::Device;

impl Actor {
    /// A device that is wanted now, in this slot or the lowest free one.
    pub(super) fn plug(&mut self, slot: Option<u8>, spec: Spec, reply: Reply<Device>) {
        let chosen = match (self.plan.is_open(), self.choose_slot(slot)) {
            (_, Err(error)) => Err(error),
            (false, _) => Err(Error::NoContainer { session: self.name.clone() }),
            (true, Ok(slot)) => Ok(slot),
        };
        match chosen {
            Ok(slot) => {
                let number = self.plan.want(slot, spec, None);
                self.callers.plug(slot, number, reply);
            }
            Err(error) => {
                plug::tell_failed(&self.engine, &self.name, spec.profile.name().to_owned(), &error);
                let _ = reply.send(counted("plug", Err(error)));
            }
        }
    }

    /// What a slot is to have. The journal has it when this returns, so that it outlives us.
    pub(super) async fn declare(
        &mut self,
        slot: u8,
        spec: Spec,
        client: Option<ClientId>,
    ) -> Result<Number, Error> {
        in_range(slot)?;
        let before = self.plan.declaration(slot).filter(|(same, _)| **same == spec);
        // As the plan sees it: what was declared for good does not go with a client that says the same.
        let of_client = client.is_some() && before.is_none_or(|(_, of_client)| of_client);
        let is_noted = before.is_some_and(|(_, was_of_client)| was_of_client == of_client);
        if !is_noted || !self.declared.contains(&slot) {
            let known = spec.known();
            let note = move |journal: &Journal, session: &str| {
                journal.declared(session, slot, known, of_client)
            };
            self.note(note).await.map_err(Error::Journal)?;
            self.declared.insert(slot);
        }
        Ok(self.plan.want(slot, spec, client))
    }

    /// A slot is to be empty. A journal that cannot be written does not keep a device plugged.
    pub(super) async fn withdrawn(&mut self, slot: u8) {
        self.declared.remove(&slot);
        unplug::note(self.note(move |journal, session| journal.withdrawn(session, slot)).await);
    }

    /// Writes to the journal, which waits for the disk.
    pub(super) async fn note(
        &mut self,
        note: impl FnOnce(&Journal, &str) -> Result<(), JournalError> + Send + 'static,
    ) -> Result<(), JournalError> {
        let (engine, session) = (Arc::clone(&self.engine), self.name.clone());
        let noted = spawn_blocking(move || note(&engine.journal, &session)).await;
        // A panic there is a bug, and no reason to end the session.
        noted.unwrap_or(Ok(()))
    }

    /// The slot asked for, or the lowest free one.
    pub(super) fn choose_slot(&self, asked: Option<u8>) -> Result<u8, Error> {
        match asked {
            Some(slot) => {
                in_range(slot)?;
                match self.plan.wants(slot) {
                    Some(spec) => {
                        let profile = spec.profile.name().to_owned();
                        Err(Error::SlotTaken { slot, profile })
                    }
                    None => Ok(slot),
                }
            }
            None => (0..=LAST_SLOT)
                .find(|&slot| self.plan.wants(slot).is_none())
                .ok_or_else(|| Error::NoFreeSlot { session: self.name.clone() }),
        }
    }
}

fn in_range(slot: u8) -> Result<(), Error> {
    if slot > LAST_SLOT {
        return Err(Error::NoSuchSlot { slot, last: LAST_SLOT });
    }
    Ok(())
}
