//! From the first byte to the player's seat. Nothing that a client says before that reaches a session.

use std::sync::Arc;

use hotseat_wire::control::Message;
use tracing::debug;

use super::admission::Place;
use super::control::{Reader, Writer};
use super::error::Refusal;
use super::seat::Seat;
use super::tokens::{self, Slots};
use super::{End, Server};
use crate::limits::Taken;

/// A client that may play.
pub(super) struct Attached {
    pub(super) seat: Arc<Seat>,
    /// The client's name of itself, for people.
    pub(super) name: String,
    /// Its place among the connections of the session.
    pub(super) _place: [Taken; 2],
}

/// Finds out who it is, and that it is there now.
pub(super) async fn attach(
    server: &Server,
    place: Place,
    reader: &mut Reader,
    writer: &mut Writer,
) -> Result<Attached, End> {
    let Message::Hello { name, .. } = reader.next().await? else {
        return Err(Refusal::Unexpected.into());
    };
    let Message::Attach { session, token, resume } = reader.next().await? else {
        return Err(Refusal::Unexpected.into());
    };
    let engine = server.sessions.engine();
    let token = engine.tokens.find(&token, &session)?;
    let view = server.sessions.show(&session).map_err(Refusal::Session)?;
    // Before it is told that it is attached: a client that has heard that takes what comes then for a lost connection.
    let place = server.admission.attach(place, &session, &engine.config().remote);
    let _place = place.ok_or(Refusal::TooManyConnections)?;

    let found = server.seats.find(&tokens::hash(&resume), &token);
    let (seat, resume) = match found {
        Some(seat) => (seat, resume),
        None => {
            let resume = tokens::random::<32>().map_err(Refusal::Random)?;
            let seat = Seat::new(tokens::hash(&resume), token, Slots::new());
            (Arc::new(seat), resume.to_vec())
        }
    };
    let nonce = tokens::random().map_err(Refusal::Random)?;
    let grace_ms = u32::try_from(view.grace_seconds.saturating_mul(1000)).unwrap_or(u32::MAX);
    let hello = format!("hotseat {}", env!("CARGO_PKG_VERSION"));
    writer.say(&Message::Hello { features: 0, name: hello })?;
    writer.say(&Message::Attached { resume, nonce, grace_ms })?;
    while !writer.is_empty() {
        writer.write().await?;
    }
    debug!(session, name, "a client has said who it is");
    // What came until now may be a replay (RFC 9001, section 9.2). The nonce is new.
    match reader.next().await? {
        Message::Ready { nonce: answer } if answer == nonce => Ok(Attached { seat, name, _place }),
        Message::Ready { .. } => Err(Refusal::Nonce.into()),
        _ => Err(Refusal::Unexpected.into()),
    }
}
