//! A client of a session: who sends input, for as long as the connection lasts.

use std::collections::BTreeMap;

use hotseat_wire::Change;
use tokio::sync::watch;

use super::error::Error;
use super::handle::{Handle, Request};
use super::plan::ClientId;
use super::plug::Spec;
use super::view::{Declared, Session};
use crate::events::Feedback;
use crate::host::Rule;

/// A client of a session. When it is dropped, everything that it holds is released at once; the devices that it declared
/// stay for the session's grace time, in which the next client that declares the same finds them as they are.
#[derive(Debug)]
pub struct Client {
    handle: Handle,
    id: ClientId,
}

impl Client {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, id: ClientId::new() }
    }

    /// Declares what an earlier daemon has promised, as its client where it was one's. `resumes` where the next attach is
    /// to the container of then, which has its devices still.
    pub(super) async fn bring_back(
        &self,
        devices: BTreeMap<u8, (Spec, bool)>,
        rules: BTreeMap<u32, Rule>,
        resumes: bool,
    ) -> Result<(), Error> {
        let client = self.id;
        let bring_back = |reply| Request::BringBack { devices, rules, client, resumes, reply };
        self.handle.ask(bring_back).await
    }

    /// Declares what a slot should have, as long as this client is there. What programs told a device that is there
    /// already (rumble, lights) is told to watchers again. When the answer is not waited for, the client is taken for gone.
    ///
    /// # Errors
    ///
    /// [`Error`]; the device stays declared where it was tried and failed.
    pub async fn declare(&self, slot: u8, spec: Spec) -> Result<Declared, Error> {
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
    pub async fn unplug(&self, slot: u8) -> Result<(), Error> {
        self.handle.ask(|reply| Request::Unplug { slot, reply }).await.map(drop)
    }

    /// Sends one frame of events, such as `["south=1", "lx=-0.5"]`, to a device.
    ///
    /// # Errors
    ///
    /// [`Error::SlotEmpty`], or [`Error::Input`] when an event is not one of this device; nothing is sent then.
    pub fn input(&self, slot: u8, events: &[String]) -> Result<(), Error> {
        self.handle.inputs().send(self.handle.name(), slot, events, Some(self.id))
    }

    /// Makes changes of a device that programs are to see at once. What the device does not have is ignored
    /// (docs/protocol.md). Some microseconds, and nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`Error::SlotEmpty`], or [`Error::Write`] and [`Error::WritePad`] when the kernel refuses.
    pub fn change(&self, slot: u8, changes: &[Change]) -> Result<(), Error> {
        self.handle.inputs().change(self.handle.name(), slot, changes, self.id)
    }

    /// The kinds of frame that a device takes: bits of [`hotseat_wire::Kind::bit`].
    ///
    /// # Errors
    ///
    /// [`Error::SlotEmpty`].
    pub fn kinds(&self, slot: u8) -> Result<u32, Error> {
        self.handle.inputs().kinds(self.handle.name(), slot)
    }

    /// The session as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Session> {
        self.handle.watch()
    }

    /// Changes when a program has told one of the session's devices something that holds.
    pub(crate) fn watch_told(&self) -> watch::Receiver<()> {
        self.handle.inputs().told().subscribe()
    }

    /// What programs have told a device, by what it is about.
    ///
    /// # Errors
    ///
    /// [`Error::SlotEmpty`].
    pub(crate) fn told(&self, slot: u8) -> Result<BTreeMap<String, Feedback>, Error> {
        self.handle.inputs().told_of(self.handle.name(), slot)
    }

    /// Releases everything that it holds: what its last frame left pressed, where nobody else has sent one since.
    pub fn release(&self) {
        self.handle.inputs().release(self.handle.name(), self.id);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.release();
        self.handle.client_lost(self.id);
    }
}
