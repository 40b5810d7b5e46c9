//! The client's task: it drives the connection, the state and their timers, and makes the next connection.

use std::sync::Arc;
use std::time::Duration;

use hotseat_wire::control::Message;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::Error;
use crate::event::Event;
use crate::link::{Connector, Link};
use crate::play::Shared;
use crate::slots::{Arrival, Slots, Waiting};

/// The pause before the first attempt to come back; each later one is twice as long, up to [`LONGEST_PAUSE`].
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the client's task is asked for.
#[derive(Debug)]
pub(crate) enum Command {
    Plug { slot: u8, profile: String, waiting: Waiting },
    Unplug { slot: u8 },
    Rebind { waiting: oneshot::Sender<Result<(), Error>> },
    Leave { waiting: oneshot::Sender<()> },
}

/// The client's task.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) connector: Arc<Connector>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) slots: Slots,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Before the next attempt to come back.
    pub(crate) pause: Duration,
}

/// Why nothing is played any more.
enum End {
    /// Somebody wants to leave, or nobody has the client any more.
    Leave(Option<oneshot::Sender<()>>),
    /// Something went wrong.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Driver {
    /// Plays until the client is closed or there is no way back.
    pub(crate) async fn run(mut self, mut link: Link) {
        loop {
            let connected = Instant::now();
            let end = self.play(&mut link).await;
            // One that is lost at once may be lost at once again.
            if connected.elapsed() >= LONGEST_PAUSE {
                self.pause = FIRST_PAUSE;
            }
            self.shared.lock().disconnected();
            self.slots.disconnected();
            let error = match end {
                End::Leave(waiting) => {
                    // Who only lets the client go has not said that the devices are not wanted any more.
                    if waiting.is_some() {
                        link.leave().await;
                    }
                    return self.left(waiting);
                }
                End::Failed(error) => error,
            };
            if !error.may_pass() {
                return self.ended(error);
            }
            self.tell(Event::Lost(Arc::new(error)));
            let resume = std::mem::take(&mut link.resume);
            drop(link);
            link = match self.come_back(resume).await {
                Ok(link) => link,
                Err(End::Leave(waiting)) => return self.left(waiting),
                Err(End::Failed(error)) => return self.ended(error),
            };
            self.tell(Event::Connected);
        }
    }

    fn left(self, waiting: Option<oneshot::Sender<()>>) {
        self.ended(Error::Closed);
        let _not_waited_for = waiting.map(|waiting| waiting.send(()));
    }

    fn ended(&self, error: Error) {
        self.tell(Event::Ended(Arc::new(error)));
    }

    fn tell(&self, event: Event) {
        let _nobody_listens = self.events.send(event);
    }

    /// Plays on a connection until it ends.
    async fn play(&mut self, link: &mut Link) -> End {
        self.shared.lock().connected(link.connection.clone());
        self.slots.connected().for_each(|plug| link.outbox.say(&plug));
        loop {
            let wakes_at = self.turn();
            let done = tokio::select! {
                message = link.inbox.next() => {
                    message.map_err(End::from).and_then(|message| self.handle(message, link))
                }
                written = link.outbox.write(), if !link.outbox.is_empty() => {
                    written.map_err(End::from)
                }
                datagram = link.connection.read_datagram() => {
                    datagram.map_err(|lost| Error::Lost(lost).into()).map(|datagram| {
                        let mut play = self.shared.lock();
                        let now = play.now();
                        // What is refused changed nothing, and the connection goes on (docs/protocol.md).
                        let _refused = play.core.handle(now, &datagram);
                    })
                }
                command = self.commands.recv() => self.obey(command, link),
                () = self.shared.wake.notified() => Ok(()),
                () = until(wakes_at) => Ok(()),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// What is due now. Returns when to look again.
    fn turn(&self) -> Option<Instant> {
        let tell = |slot, feedback| self.tell(Event::Feedback { slot, feedback });
        self.shared.lock().turn(tell)
    }

    fn handle(&mut self, message: Message, link: &mut Link) -> Result<(), End> {
        match message {
            Message::PlugOk { slot, epoch, kinds } => {
                // Whoever waits for the device changes it after it is there.
                let mut play = self.shared.lock();
                match self.slots.arrived(slot, kinds) {
                    Arrival::Wanted => play.core.plugged(slot, epoch, kinds),
                    Arrival::Known => {}
                    Arrival::Unwanted => link.outbox.say(&Message::Unplug { slot }),
                }
            }
            Message::Unplug { slot } => self.gone(slot, Error::Unplugged(slot)),
            Message::Feedback(frame) => {
                let mut play = self.shared.lock();
                let now = play.now();
                play.core.handle_frame(now, &frame);
            }
            Message::Error { fatal: true, code, text, .. } => {
                return Err(Error::Refused { code, text }.into());
            }
            // A server that still has the device may refuse to plug it again.
            Message::Error { slot: Some(slot), code, text, .. } if !self.slots.is_plugged(slot) => {
                self.gone(slot, Error::Refused { code, text });
            }
            Message::Bye => return Err(Error::ServerLeft.into()),
            _ => {}
        }
        Ok(())
    }

    fn gone(&mut self, slot: u8, error: Error) {
        self.shared.lock().core.unplugged(slot);
        if let Some(error) = self.slots.gone(slot, error) {
            let error = Some(error).filter(|error| !matches!(error, Error::Unplugged(_)));
            self.tell(Event::Unplugged { slot, error: error.map(Arc::new) });
        }
    }

    fn obey(&mut self, command: Option<Command>, link: &mut Link) -> Result<(), End> {
        let said = match command {
            None => return Err(End::Leave(None)),
            Some(Command::Leave { waiting }) => return Err(End::Leave(Some(waiting))),
            Some(Command::Plug { slot, profile, waiting }) => {
                self.slots.plug(slot, profile, waiting)
            }
            Some(Command::Unplug { slot }) => {
                self.shared.lock().core.unplugged(slot);
                self.slots.unplug(slot)
            }
            Some(Command::Rebind { waiting }) => {
                let _not_waited_for = waiting.send(link.rebind());
                None
            }
        };
        said.iter().for_each(|message| link.outbox.say(message));
        Ok(())
    }

    /// Tries to come back until there is a connection, no hope, or no patience.
    async fn come_back(&mut self, resume: Vec<u8>) -> Result<Link, End> {
        let connector = Arc::clone(&self.connector);
        let patient_until = Instant::now() + connector.options().patience;
        loop {
            let pause = self.pause;
            self.pause = (pause * 2).min(LONGEST_PAUSE);
            let attempt = async {
                tokio::time::sleep(pause).await;
                connector.connect(&resume).await
            };
            match self.meanwhile(attempt).await? {
                Ok(link) => return Ok(link),
                Err(error) if !error.may_pass() || Instant::now() >= patient_until => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
    }

    /// Does what can be done without a connection until an attempt has come to its end.
    async fn meanwhile<T>(&mut self, attempt: impl Future<Output = T>) -> Result<T, End> {
        let mut attempt = std::pin::pin!(attempt);
        loop {
            let wakes_at = self.turn();
            tokio::select! {
                outcome = &mut attempt => return Ok(outcome),
                command = self.commands.recv() => self.obey_alone(command)?,
                () = self.shared.wake.notified() => {}
                () = until(wakes_at) => {}
            }
        }
    }

    fn obey_alone(&mut self, command: Option<Command>) -> Result<(), End> {
        match command {
            None => return Err(End::Leave(None)),
            Some(Command::Leave { waiting }) => return Err(End::Leave(Some(waiting))),
            Some(Command::Plug { slot, profile, waiting }) => {
                let _said_later = self.slots.plug(slot, profile, waiting);
            }
            Some(Command::Unplug { slot }) => {
                self.shared.lock().core.unplugged(slot);
                self.slots.forget(slot);
            }
            Some(Command::Rebind { waiting }) => {
                // The next connection has a port of its own.
                let _not_waited_for = waiting.send(Ok(()));
            }
        }
        Ok(())
    }
}

/// Waits until then; for ever, if there is no then.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}
