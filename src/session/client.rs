//! A client of a session: who sends input, for as long as the connection lasts.

use std::collections::BTreeSet;

use super::error::Error;
use super::handle::{Handle, Request};
use super::plan::ClientId;
use super::plug::Spec;
use super::view::Declared;

/// A client of a session. When it is dropped, everything that it holds is released at once; the devices that it declared
/// stay for the session's grace time, in which the next client that declares the same finds them as they are.
#[derive(Debug)]
pub struct Client {
    handle: Handle,
    id: ClientId,
    /// Slots that it has sent input to.
    touched: BTreeSet<u8>,
}

impl Client {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, id: ClientId::new(), touched: BTreeSet::new() }
    }

    /// Declares what a slot should have, as long as this client is there. What programs told a device that is there
    /// already (rumble, lights) is told to watchers again.
    ///
    /// # Errors
    ///
    /// [`Error`]; the device stays declared where it was tried and failed.
    pub async fn declare(&mut self, slot: u8, spec: Spec) -> Result<Declared, Error> {
        let client = Some(self.id);
        let declare = |reply| Request::Declare { slot, spec, client, reply };
        let declared = self.handle.ask(declare).await?;
        self.handle.inputs().tell_again(slot);
        Ok(declared)
    }

    /// Unplugs a device. Does not wait for the kernel, which is slow to let go of it.
    ///
    /// # Errors
    ///
    /// [`Error`]; the device is unplugged in any case, unless its slot is empty.
    pub async fn unplug(&mut self, slot: u8) -> Result<(), Error> {
        self.touched.remove(&slot);
        self.handle.ask(|reply| Request::Unplug { slot, reply }).await.map(drop)
    }

    /// Sends one frame of events, such as `["south=1", "lx=-0.5"]`, to a device.
    ///
    /// # Errors
    ///
    /// [`Error::SlotEmpty`], or [`Error::Input`] when an event is not one of this device; nothing is sent then.
    pub fn input(&mut self, slot: u8, events: &[String]) -> Result<(), Error> {
        self.touched.insert(slot);
        self.handle.inputs().send(self.handle.name(), slot, events)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for &slot in &self.touched {
            if let Err(error) = self.handle.inputs().release(slot) {
                let session = self.handle.name();
                tracing::warn!(session, slot, %error, "what the client held could not be released");
            }
        }
        self.handle.client_lost(self.id);
    }
}
