//! The way of input to a session's devices. It leads past the actor, so that no frame waits for a step of another slot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::device::Device;
use super::error::Error;
use super::feedback::Told;
use super::plan::ClientId;
use super::state::Plugged;
use crate::metrics;

/// A device, and what programs have told it.
#[derive(Debug)]
struct Entry {
    device: Arc<Device>,
    told: Arc<Told>,
    /// Who has sent the last frame, if that was a client. Held while one is sent: what the device holds is theirs.
    sender: Mutex<Option<ClientId>>,
}

/// The devices that take input now, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs(Arc<RwLock<BTreeMap<u8, Entry>>>);

impl Inputs {
    /// A device works.
    pub(super) fn add(&self, plugged: &Plugged) {
        let told = Arc::clone(plugged.answering.told());
        let device = Arc::clone(&plugged.device);
        let entry = Entry { device, told, sender: Mutex::default() };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(plugged.slot, entry);
    }

    /// A device is about to go. Nothing is written to it any more when this returns.
    pub(super) fn remove(&self, slot: u8) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&slot);
    }

    /// Sends one frame such as `["south=1", "lx=-0.5"]`. Some words to look up and one short write, microseconds: not
    /// worth another thread. The device is not taken along: whoever has it last closes it, which takes long.
    pub(super) fn send(
        &self,
        session: &str,
        slot: u8,
        inputs: &[String],
        client: Option<ClientId>,
    ) -> Result<(), Error> {
        let devices = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let empty = || Error::SlotEmpty { session: session.to_owned(), slot };
        let entry = devices.get(&slot).ok_or_else(empty)?;
        let mut sender = entry.sender.lock().unwrap_or_else(PoisonError::into_inner);
        entry.device.send(inputs)?;
        *sender = client;
        metrics::frame();
        Ok(())
    }

    /// Tells watchers again what programs have told a device: somebody new is there for it.
    pub(super) fn tell_again(&self, slot: u8) {
        let devices = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = devices.get(&slot) {
            entry.told.again();
        }
    }

    /// Lets go of everything that devices hold whose last frame was this client's. What somebody else has sent to one
    /// since then is not the client's to end.
    pub(super) fn release(&self, session: &str, client: ClientId) {
        let devices = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for (slot, entry) in devices.iter() {
            let mut sender = entry.sender.lock().unwrap_or_else(PoisonError::into_inner);
            if *sender != Some(client) {
                continue;
            }
            *sender = None;
            if let Err(error) = entry.device.release() {
                tracing::warn!(session, slot, %error, "what the client held could not be released");
            }
        }
    }
}
