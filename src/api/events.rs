//! `/v1/events`: server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;

use super::Shared;
use super::body::Params;
use super::peer::{self, Peer};
use crate::events::{Event, Next, Position, Watcher};
use crate::limits::LimitError;
use crate::problem::Problem;
use crate::session::Error;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only of this session.
    session: Option<String>,
    /// The id of the last event seen. The header `Last-Event-ID`, which browsers send, wins.
    since: Option<String>,
}

/// How often an idle connection is written to, so that a watcher that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happens, as it happens: server-sent events whose type is the `event` member and whose data is the event as
/// JSON. With the id of the last event seen, the stream begins with what came after it; an event of type `missed`
/// says that some of that is no longer known. `feedback` has no id and is not repeated.
#[utoipa::path(
    get, path = "/v1/events",
    params(
        ("session" = Option<String>, Query, description = "Only events of this session"),
        ("since" = Option<String>, Query, description = "Begin after the event of this id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it"),
    ),
    responses(
        (status = 200, body = Event, content_type = "text/event-stream"),
        (status = "default", body = Problem)
    )
)]
pub(super) async fn events(
    State(sessions): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Params(query): Params<EventsQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = header.or(query.since.as_deref()).map(str::parse::<Position>);
    let since = since.transpose().map_err(Error::EventId)?;
    let engine = sessions.engine();
    let limit = engine.config().limits.watchers;
    let taken = engine.watchers.take(limit).ok_or(LimitError::Watchers { limit });
    let taken = taken.map_err(Error::Limit)?;
    let watcher = engine.events.watch(since);
    let start = (watcher, query.session, taken);
    let messages = unfold(start, |(mut watcher, session, taken)| async move {
        let message = message(&mut watcher, session.as_deref()).await?;
        Some((Ok(message), (watcher, session, taken)))
    });
    let messages = messages.take_until(Box::pin(peer::disallowed(sessions, peer)));
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The next message for somebody who wants to know of this session, or of all.
async fn message(watcher: &mut Watcher, session: Option<&str>) -> Option<Message> {
    loop {
        match watcher.next().await? {
            Next::Missed(here) => {
                let message = Message::default().event("missed").id(here.to_string());
                return Some(message.data("{}"));
            }
            Next::Event(event, position) if session.is_none_or(|name| name == event.session) => {
                return Some(describe(&event, position));
            }
            Next::Event(..) => {}
        }
    }
}

fn describe(event: &Arc<Event>, position: Option<Position>) -> Message {
    // JSON on one line, as our own types give it.
    let data = serde_json::to_string(&**event).unwrap_or_default();
    let message = Message::default().event(event.what.name()).data(data);
    match position {
        Some(position) => message.id(position.to_string()),
        None => message,
    }
}
