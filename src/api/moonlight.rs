//! `/v1/sessions/{session}/moonlight`: a Moonlight client, whose packets its host hands on.

mod devices;
mod feedback;
mod packets;
mod seat;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use hotseat_wire::moonlight::MAX_PADS;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use self::packets::Packets;
use self::seat::Seat;
use super::body::Path;
use super::peer::{self, Peer};
use super::{Shared, rate};
use crate::events::{Event, Next, Watcher, What};
use crate::limits::{LimitError, Taken};
use crate::problem::Problem;
use crate::session::Error;

/// Messages of our own that may wait for a host that does not read. There are two for each pad that arrives.
const WAITING: usize = 64;

/// A Moonlight client of the session, for as long as the request's body lasts: the payloads of its `INPUT_DATA` messages
/// (0x0206), decrypted, one after the other as they come. Its pads are plugged into slots 0 to 15 as they arrive; keyboard,
/// mouse, pointer, touchscreen and pen into 16 to 20 when they are used first. The answer begins at once and lasts as long: the
/// control messages for the client, each with its type and length. When the body ends, or the connection, everything that
/// is held is released, and what was plugged is unplugged after the session's grace time.
#[utoipa::path(
    post, path = "/v1/sessions/{session}/moonlight", params(("session" = String, Path)),
    request_body(description = "Payloads of `INPUT_DATA`", content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Control messages", content_type = "application/octet-stream"),
        (status = "default", body = Problem)
    )
)]
pub(super) async fn moonlight(
    State(sessions): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(session): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let client = sessions.client(&session)?;
    let engine = sessions.engine();
    let limit = engine.config().limits.watchers;
    let taken = engine.watchers.take(limit).ok_or(LimitError::Watchers { limit });
    let taken = taken.map_err(Error::Limit)?;
    // Before the first device: what it is told first is for the client, too.
    let watcher = engine.events.watch(None);

    let (messages, waiting) = mpsc::channel(WAITING);
    let seat = Seat::new(Arc::clone(&sessions), client, messages.clone());
    let pads = seat.pads();
    let name = session.clone();
    let playing = tokio::spawn(async move {
        let ended = tokio::select! {
            ended = play(&sessions, &name, seat, body) => ended,
            () = peer::disallowed(Arc::clone(&sessions), peer) => Err(peer.not_allowed()),
        };
        if let Err(Problem { code, detail, .. }) = ended {
            tracing::warn!(session = name, code, detail, "a Moonlight client was sent away");
            // An answer that is cut off: its status was said long ago.
            let _ = messages.send(Err(io::Error::other(detail))).await;
        }
    });
    let playing = Playing(playing.abort_handle());
    let answer = Answer { watcher, waiting, session, pads, _playing: playing, _taken: taken };
    let answer = unfold(answer, |mut answer| async move { Some((answer.next().await?, answer)) });
    let content_type = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((content_type, Body::from_stream(answer)).into_response())
}

/// Takes packets until the body ends, or the connection.
async fn play(sessions: &Shared, session: &str, mut seat: Seat, body: Body) -> Result<(), Problem> {
    let mut packets = Packets::default();
    let mut body = body.into_data_stream();
    loop {
        while seat.has_room()
            && let Some(packet) = packets.next()?
        {
            rate::wait(sessions.engine(), session).await;
            seat.take(packet);
        }
        tokio::select! {
            data = body.next(), if packets.has_room() => match data {
                Some(Ok(data)) => packets.push(&data),
                Some(Err(_)) | None => return Ok(()),
            },
            () = seat.work() => {}
        }
    }
}

/// Plays until this is dropped.
struct Playing(AbortHandle);

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What goes back to the client.
struct Answer {
    watcher: Watcher,
    waiting: mpsc::Receiver<io::Result<Bytes>>,
    session: String,
    /// Which pads there are, as bits.
    pads: Arc<AtomicU16>,
    _playing: Playing,
    _taken: Taken,
}

impl Answer {
    /// The next message; `None` when the client is gone, or the daemon goes.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            tokio::select! {
                message = self.waiting.recv() => return message,
                event = self.watcher.next() => if let Next::Event(event, _) = event?
                    && let Some(message) = self.message(&event)
                {
                    return Some(Ok(message));
                },
            }
        }
    }

    /// What an event is for the client, if that is something.
    fn message(&self, event: &Event) -> Option<Bytes> {
        let What::Feedback { slot, feedback } = &event.what else { return None };
        let pads = self.pads.load(Ordering::Relaxed);
        let is_ours = event.session == self.session && *slot < MAX_PADS && pads & 1 << slot != 0;
        let output = feedback::output(feedback).filter(|_| is_ours)?;
        Some(Bytes::copy_from_slice(&output.message(*slot)))
    }
}
