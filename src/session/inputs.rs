//! The way of input to a session's devices. It leads past the actor, so that no frame waits for a step of another slot.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::device::Device;
use super::error::Error;
use super::feedback::Told;
use super::state::Plugged;
use crate::metrics;

/// A device, and what programs have told it.
#[derive(Debug)]
struct Entry {
    device: Arc<Device>,
    told: Arc<Told>,
}

/// The devices that take input now, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs(Arc<RwLock<BTreeMap<u8, Entry>>>);

impl Inputs {
    /// A device works.
    pub(super) fn add(&self, plugged: &Plugged) {
        let told = Arc::clone(plugged.answering.told());
        let entry = Entry { device: Arc::clone(&plugged.device), told };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(plugged.slot, entry);
    }

    /// A device is about to go. Nothing is written to it any more when this returns.
    pub(super) fn remove(&self, slot: u8) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&slot);
    }

    /// Sends one frame such as `["south=1", "lx=-0.5"]`. Some words to look up and one short write, microseconds: not
    /// worth another thread. The device is not taken along: whoever has it last closes it, which takes long.
    pub(super) fn send(&self, session: &str, slot: u8, inputs: &[String]) -> Result<(), Error> {
        let devices = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let empty = || Error::SlotEmpty { session: session.to_owned(), slot };
        devices.get(&slot).ok_or_else(empty)?.device.send(inputs)?;
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

    /// Lets go of everything that a device holds; nothing where there is none.
    pub(super) fn release(&self, slot: u8) -> Result<(), Error> {
        let devices = self.0.read().unwrap_or_else(PoisonError::into_inner);
        devices.get(&slot).map_or(Ok(()), |entry| entry.device.release())
    }
}
