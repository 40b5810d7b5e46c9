//! What is wanted in which slot, and what the server said of it.

use std::collections::BTreeMap;

use hotseat_wire::MAX_SLOTS;
use hotseat_wire::control::Message;
use tokio::sync::oneshot;

use crate::Error;

/// Whoever plugs waits here for the kinds of frames that the device takes.
pub(crate) type Waiting = oneshot::Sender<Result<u32, Error>>;

#[derive(Debug)]
struct Wanted {
    profile: String,
    /// Whether the server said, on this connection, that it is there.
    is_plugged: bool,
    /// Not wanted any more, but the server has not answered the plug yet.
    is_leaving: bool,
    waiting: Option<Waiting>,
}

/// What is wanted in which slot.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<u8, Wanted>);

/// What to do when the server says that a device is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is played with.
    Wanted,
    /// That was known.
    Known,
    /// Nobody wants it, or nobody does any more.
    Unwanted,
}

impl Slots {
    /// Somebody wants a device. Returns what to say, if there is a connection.
    pub(crate) fn plug(&mut self, slot: u8, profile: String, waiting: Waiting) -> Option<Message> {
        let refused = match self.0.contains_key(&slot) {
            _ if slot >= MAX_SLOTS => Some(Error::NoSuchSlot(slot)),
            true => Some(Error::SlotTaken(slot)),
            false => None,
        };
        if let Some(refused) = refused {
            let _not_waited_for = waiting.send(Err(refused));
            return None;
        }
        let message = Message::Plug { slot, profile: profile.clone() };
        let waiting = Some(waiting);
        self.0.insert(slot, Wanted { profile, is_plugged: false, is_leaving: false, waiting });
        Some(message)
    }

    /// Somebody does not want a device any more. Returns what to say.
    pub(crate) fn unplug(&mut self, slot: u8) -> Option<Message> {
        let wanted = self.0.get_mut(&slot)?;
        if !wanted.is_plugged {
            // It cannot be told which plug a PlugOk that is under way answers, so the next one waits.
            wanted.is_leaving = true;
            return None;
        }
        self.0.remove(&slot);
        Some(Message::Unplug { slot })
    }

    /// Somebody does not want a device any more, and there is no connection.
    pub(crate) fn forget(&mut self, slot: u8) {
        self.0.remove(&slot);
    }

    /// There is another connection. Returns what to say: all that is wanted, as nobody knows what the server still has.
    pub(crate) fn connected(&self) -> impl Iterator<Item = Message> {
        self.0
            .iter()
            .map(|(slot, wanted)| Message::Plug { slot: *slot, profile: wanted.profile.clone() })
    }

    /// The connection is lost: what the server said is not so any more.
    pub(crate) fn disconnected(&mut self) {
        self.0.retain(|_, wanted| !wanted.is_leaving);
        self.0.values_mut().for_each(|wanted| wanted.is_plugged = false);
    }

    /// The server says that a device is there.
    pub(crate) fn arrived(&mut self, slot: u8, kinds: u32) -> Arrival {
        let Some(wanted) = self.0.get_mut(&slot) else { return Arrival::Unwanted };
        if wanted.is_plugged {
            return Arrival::Known;
        }
        let is_heard = match wanted.waiting.take() {
            Some(waiting) => waiting.send(Ok(kinds)).is_ok(),
            None => true,
        };
        if wanted.is_leaving || !is_heard {
            self.0.remove(&slot);
            return Arrival::Unwanted;
        }
        wanted.is_plugged = true;
        Arrival::Wanted
    }

    /// The server says that there is no device, or that there cannot be one. Returns what is left to tell the client: the
    /// error, unless whoever plugged is told.
    pub(crate) fn gone(&mut self, slot: u8, error: Error) -> Option<Error> {
        let wanted = self.0.remove(&slot)?;
        match wanted.waiting {
            Some(waiting) => {
                let _not_waited_for = waiting.send(Err(error));
                None
            }
            None => (!wanted.is_leaving).then_some(error),
        }
    }

    /// Whether the device of a slot is there.
    pub(crate) fn is_plugged(&self, slot: u8) -> bool {
        self.0.get(&slot).is_some_and(|wanted| wanted.is_plugged)
    }
}
