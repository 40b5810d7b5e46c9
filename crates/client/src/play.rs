//! What the client's task and the devices share: the state, and the way out for datagrams.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hotseat_wire::{Change, ClientCore, Feedback, MAX_DATAGRAM};
use quinn::Connection;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How a client's connections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Whether there is a connection now.
    pub is_connected: bool,
    /// How many there were, that of now included.
    pub connections: u32,
    /// How long a round trip takes, smoothed; `None` before the first one.
    pub round_trip: Option<Duration>,
    /// How many datagrams were sent.
    pub sent: u64,
    /// Of how many of them the fate is known.
    pub judged: u64,
    /// How many of those arrived.
    pub arrived: u64,
}

impl Statistics {
    /// Which part of the datagrams was lost since, 0 to 1; `None` where nothing is known.
    #[must_use]
    pub fn loss_since(&self, earlier: &Self) -> Option<f64> {
        let judged = self.judged.checked_sub(earlier.judged).filter(|judged| *judged > 0)?;
        // What comes twice counts twice.
        let lost = judged.saturating_sub(self.arrived.saturating_sub(earlier.arrived));
        #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 datagrams")]
        let part = lost as f64 / judged as f64;
        Some(part)
    }
}

/// Shared by the client's task and whoever changes a device.
#[derive(Debug)]
pub(crate) struct Shared {
    play: Mutex<Play>,
    /// The task is to look again when it is due.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { play: Mutex::new(Play::new(interval)), wake: Notify::new() }
    }

    /// Held for microseconds: nothing waits while it is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a device, and sends it from here: a way through the task would cost two of its turns.
    pub(crate) fn change(&self, slot: u8, changes: &[Change]) {
        let mut play = self.lock();
        changes.iter().for_each(|change| play.core.apply(slot, change));
        self.go_on(play);
    }

    /// Lets go of a device.
    pub(crate) fn release(&self, slot: u8) {
        let mut play = self.lock();
        play.core.release(slot);
        self.go_on(play);
    }

    fn go_on(&self, mut play: MutexGuard<'_, Play>) {
        play.transmit();
        let next = play.core.next_timeout();
        let is_asleep =
            next.is_some_and(|next| play.wakes_at.is_none_or(|wakes_at| next < wakes_at));
        drop(play);
        if is_asleep {
            self.wake.notify_one();
        }
    }
}

/// The state of all devices, and the connection that is told of it.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) core: ClientCore,
    connection: Option<Connection>,
    start: Instant,
    buffer: Box<[u8; MAX_DATAGRAM]>,
    /// Of this connection only `sent` is in it.
    earlier: Statistics,
    /// When the task looks by itself.
    wakes_at: Option<Duration>,
}

impl Play {
    fn new(interval: Duration) -> Self {
        Self {
            core: ClientCore::new(interval),
            connection: None,
            start: Instant::now(),
            buffer: Box::new([0; MAX_DATAGRAM]),
            earlier: Statistics::default(),
            wakes_at: None,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn connected(&mut self, connection: Connection) {
        self.core.connected();
        self.connection = Some(connection);
        self.earlier.connections += 1;
    }

    pub(crate) fn disconnected(&mut self) {
        self.earlier = Statistics { is_connected: false, ..self.statistics() };
        self.connection = None;
        // Nothing is sent from here to the next connection, not even to this one.
        self.core.connected();
    }

    /// Sends what there is to say now.
    pub(crate) fn transmit(&mut self) {
        let now = self.now();
        let Some(connection) = &self.connection else { return };
        while let Some(datagram) = self.core.poll_transmit(now, &mut self.buffer) {
            // What is not sent is lost: it is said again. The task hears of a connection that is gone.
            let _lost = connection.send_datagram(datagram.to_vec().into());
            self.earlier.sent += 1;
        }
    }

    /// What is due now: gives feedback to `each`, sends, and returns when to look again.
    pub(crate) fn turn(&mut self, mut each: impl FnMut(u8, Feedback)) -> Option<Instant> {
        let now = self.now();
        while let Some((slot, feedback)) = self.core.poll_feedback(now) {
            each(slot, feedback);
        }
        self.transmit();
        self.wakes_at = self.core.next_timeout();
        self.wakes_at.map(|at| self.start + at)
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let now = self.core.statistics();
        let round_trip =
            self.connection.as_ref().map(|connection| now.rtt.unwrap_or(connection.rtt()));
        Statistics {
            is_connected: self.connection.is_some(),
            round_trip,
            judged: self.earlier.judged + u64::from(now.sent),
            arrived: self.earlier.arrived + u64::from(now.arrived),
            ..self.earlier
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_what_of_the_judged_did_not_arrive() {
        let earlier = Statistics { judged: 100, arrived: 100, ..Statistics::default() };
        let now = Statistics { judged: 200, arrived: 190, ..Statistics::default() };
        assert_eq!(now.loss_since(&earlier), Some(0.1));
        assert_eq!(now.loss_since(&now), None);
        let doubled = Statistics { judged: 101, arrived: 103, ..Statistics::default() };
        assert_eq!(doubled.loss_since(&earlier), Some(0.0));
    }
}
