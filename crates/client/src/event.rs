//! What a client is told.

use std::sync::Arc;

use hotseat_wire::Feedback;
use tokio::sync::broadcast;

use crate::Error;

/// Something that a client is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A program sends something back to a device. Rumble ends by itself: that the motors stop is told, too.
    Feedback {
        /// The device.
        slot: u8,
        /// What it is.
        feedback: Feedback,
    },
    /// The server took a device away, or could not give it back after a reconnect.
    Unplugged {
        /// Where it was.
        slot: u8,
        /// Why, if the server said so.
        error: Option<Arc<Error>>,
    },
    /// The connection was lost. It is tried to come back; what devices are told meanwhile is said then.
    Lost(Arc<Error>),
    /// The client is back.
    Connected,
    /// The client has ended and does not come back. Nothing is told after this.
    Ended(Arc<Error>),
}

/// How many events wait for whoever reads them.
pub(crate) const BACKLOG: usize = 256;

/// The events of a client from a time on. Whoever reads too slowly misses the oldest.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` after the client has ended. Nothing is lost if nobody waits any more.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
