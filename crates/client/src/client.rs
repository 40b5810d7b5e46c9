//! The client and its devices.

use std::sync::Arc;

use hotseat_wire::{Change, Kind, State};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::driver::{Command, Driver, FIRST_PAUSE};
use crate::event::{BACKLOG, Event, Events};
use crate::link::Connector;
use crate::play::{Shared, Statistics};
use crate::slots::Slots;
use crate::{Error, Options};

/// How many commands may wait for the client's task.
const COMMANDS: usize = 64;

/// A player's place in a session of a server. Clones are the same client.
///
/// When the last clone and the last [`Device`] are dropped, the connection is closed, and the devices stay for the
/// session's grace time; [`close`](Self::close) takes them away at once.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    events: broadcast::WeakSender<Event>,
}

impl Client {
    /// Connects and attaches. From then on a task of the current tokio runtime holds the connection, and makes another
    /// one when it is lost.
    ///
    /// # Errors
    ///
    /// [`Error`], if the first connection cannot be made or the server refuses.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(options.interval()));
        let connector = Arc::new(Connector::new(options)?);
        let link = connector.connect(&[]).await?;
        let (commands, received) = mpsc::channel(COMMANDS);
        let (sender, _) = broadcast::channel(BACKLOG);
        let events = sender.downgrade();
        let driver = Driver {
            connector,
            shared: Arc::clone(&shared),
            slots: Slots::default(),
            commands: received,
            events: sender,
            pause: FIRST_PAUSE,
        };
        tokio::spawn(driver.run(link));
        Ok(Self { shared, commands, events })
    }

    /// Plugs a device of this profile, one of those that `hotseat profiles` lists on the server, into a slot, 0 to 63.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchSlot`], [`Error::SlotTaken`] if it has a device of this client, [`Error::Refused`] if the server
    /// does not want it, [`Error::Closed`].
    pub async fn plug(&self, slot: u8, profile: impl Into<String>) -> Result<Device, Error> {
        let (waiting, plugged) = oneshot::channel();
        self.ask(Command::Plug { slot, profile: profile.into(), waiting }).await?;
        let kinds = plugged.await.map_err(|_| Error::Closed)??;
        Ok(Device { client: self.clone(), slot, kinds })
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        let ended = || broadcast::channel(1).1;
        Events(self.events.upgrade().map_or_else(ended, |sender| sender.subscribe()))
    }

    /// How the connection is and was.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.lock().statistics()
    }

    /// Goes on from another local port, on the network that leads to the server now. What is held stays held.
    ///
    /// # Errors
    ///
    /// [`Error::Socket`], [`Error::Closed`].
    pub async fn rebind(&self) -> Result<(), Error> {
        let (waiting, bound) = oneshot::channel();
        self.ask(Command::Rebind { waiting }).await?;
        bound.await.map_err(|_| Error::Closed)?
    }

    /// Says goodbye: the devices go at once. Returns when they are gone, or the server has not said so for six seconds.
    /// Without a connection there is nobody to say it to, and they go after the grace time.
    pub async fn close(self) {
        let (waiting, left) = oneshot::channel();
        if self.ask(Command::Leave { waiting }).await.is_ok() {
            let _ended_meanwhile = left.await;
        }
    }

    async fn ask(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| Error::Closed)
    }
}

/// A device that is plugged. Clones are the same device, and it stays plugged when they are dropped.
#[derive(Clone, Debug)]
pub struct Device {
    client: Client,
    slot: u8,
    kinds: u32,
}

impl Device {
    /// Its slot.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// Whether it takes changes of a kind; others are ignored.
    #[must_use]
    pub fn takes(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// Changes it. This neither waits nor blocks, and can be called from anywhere: the change is sent at once, or shares
    /// the next datagram that the rate allows. Without a connection it is said after the next one is made.
    pub fn change(&self, change: Change) {
        self.client.shared.change(self.slot, &[change]);
    }

    /// Several changes at once: they share a datagram.
    pub fn changes(&self, changes: &[Change]) {
        self.client.shared.change(self.slot, changes);
    }

    /// Lets go of all that is held, for when the player looks elsewhere.
    pub fn release(&self) {
        self.client.shared.release(self.slot);
    }

    /// What it was told to be like; `None` after the server took it away.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.client.shared.lock().core.state(self.slot).copied()
    }

    /// Unplugs it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`].
    pub async fn unplug(self) -> Result<(), Error> {
        self.client.ask(Command::Unplug { slot: self.slot }).await
    }
}
