//! The way of input to a session's devices. It leads past the actor, so that no frame waits for a step of another slot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ::metrics::Counter;
use hotseat_wire::Change;
use tokio::sync::watch;

use super::device::Device;
use super::error::Error;
use super::feedback::Told;
use super::plan::ClientId;
use super::state::Plugged;
use crate::events::Feedback;
use crate::metrics;

/// A device, and what programs have told it.
#[derive(Debug)]
struct Entry {
    device: Arc<Device>,
    told: Arc<Told>,
    /// Who has sent the last frame, if that was a client. Held while one is sent: what the device holds is theirs.
    sender: Mutex<Option<ClientId>>,
    /// Of all devices together.
    frames: Counter,
}

/// The devices that take input now, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs {
    devices: Arc<RwLock<BTreeMap<u8, Entry>>>,
    /// Rung when a program has told one of them something.
    told: watch::Sender<()>,
}

impl Inputs {
    /// A device works.
    pub(super) fn add(&self, plugged: &Plugged) {
        let told = Arc::clone(plugged.answering.told());
        let device = Arc::clone(&plugged.device);
        let entry = Entry { device, told, sender: Mutex::default(), frames: metrics::frames() };
        self.devices.write().unwrap_or_else(PoisonError::into_inner).insert(plugged.slot, entry);
    }

    /// A device is about to go. Nothing is written to it any more when this returns.
    pub(super) fn remove(&self, slot: u8) {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).remove(&slot);
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
        self.with(session, slot, |entry| {
            let mut sender = entry.sender.lock().unwrap_or_else(PoisonError::into_inner);
            entry.device.send(inputs)?;
            *sender = client;
            entry.frames.increment(1);
            Ok(())
        })
    }

    /// Makes changes that programs are to see at once.
    pub(super) fn change(
        &self,
        session: &str,
        slot: u8,
        changes: &[Change],
        client: ClientId,
    ) -> Result<(), Error> {
        self.with(session, slot, |entry| {
            let mut sender = entry.sender.lock().unwrap_or_else(PoisonError::into_inner);
            entry.device.change(changes)?;
            *sender = Some(client);
            entry.frames.increment(1);
            Ok(())
        })
    }

    /// Bits of the kinds of frame that a device takes.
    pub(super) fn kinds(&self, session: &str, slot: u8) -> Result<u32, Error> {
        self.with(session, slot, |entry| Ok(entry.device.kinds()))
    }

    fn with<T>(
        &self,
        session: &str,
        slot: u8,
        work: impl FnOnce(&Entry) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let empty = || Error::SlotEmpty { session: session.to_owned(), slot };
        work(devices.get(&slot).ok_or_else(empty)?)
    }

    /// Rung when a program has told one of the devices something.
    pub(super) fn told(&self) -> &watch::Sender<()> {
        &self.told
    }

    /// What programs have told a device, and what holds of it.
    pub(super) fn told_of(
        &self,
        session: &str,
        slot: u8,
    ) -> Result<BTreeMap<String, Feedback>, Error> {
        self.with(session, slot, |entry| Ok(entry.told.now()))
    }

    /// Tells watchers again what programs have told a device: somebody new is there for it.
    pub(super) fn tell_again(&self, slot: u8) {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = devices.get(&slot) {
            entry.told.again();
        }
    }

    /// Lets go of everything that devices hold whose last frame was this client's. What somebody else has sent to one
    /// since then is not the client's to end.
    pub(super) fn release(&self, session: &str, client: ClientId) {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
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
