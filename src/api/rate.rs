//! How fast requests may come: of one user, and about one session.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::peer::Peer;
use crate::engine::Engine;
use crate::limits::Whose;
use crate::problem::Problem;

/// For every request, of those who may call.
pub(super) async fn of_user(
    State(sessions): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let limits = &sessions.engine().config().limits;
    if let Some(uid) = peer.uid {
        let rate = limits.requests_per_user;
        if let Err(wait) = take(sessions.engine(), Whose::User(uid), rate) {
            return too_many(&format!("user {uid} sends"), rate, wait);
        }
    }
    next.run(request).await
}

/// For requests whose path has a session. As the path means it: `%61lice` is alice too.
pub(super) async fn of_session(
    State(sessions): State<Shared>,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let session = parameters.iter().find(|(name, _)| *name == "session");
    if let Some((_, session)) = session {
        let rate = sessions.engine().config().limits.requests_per_session;
        if let Err(wait) = take(sessions.engine(), Whose::Session(session.to_owned()), rate) {
            return too_many(&format!("session `{session}` gets"), rate, wait);
        }
    }
    next.run(request).await
}

/// Lets a line of a client be carried out in its turn: lines are requests about the session, and wait instead of being
/// refused.
pub(super) async fn wait(engine: &Engine, session: &str) {
    let rate = engine.config().limits.requests_per_session;
    while let Err(wait) = take(engine, Whose::Session(session.to_owned()), rate) {
        tokio::time::sleep(wait).await;
    }
}

fn take(engine: &Engine, whose: Whose, rate: NonZeroU32) -> Result<(), Duration> {
    engine.rates.take(whose, rate, engine.started.elapsed())
}

fn too_many(who: &str, rate: NonZeroU32, wait: Duration) -> Response {
    let problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        format!("{who} more than {rate} requests in a second"),
        "send what changes together in one frame, and wait as long as `Retry-After` says",
    );
    // In whole seconds (RFC 9110, section 10.2.3); it is never longer than one.
    let seconds = wait.as_secs_f64().ceil();
    ([(header::RETRY_AFTER, format!("{seconds}"))], problem).into_response()
}
