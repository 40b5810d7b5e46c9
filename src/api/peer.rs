//! Who may call: decided by the socket's peer credentials (unix(7), SO_PEERCRED). Where nobody but root may, the
//! socket's mode says so already.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::net::UnixStream;

use super::Shared;
use crate::problem::Problem;

/// The calling process's user; `None` when the kernel would not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) uid: Option<u32>,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        Self { uid: stream.peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// Lets root, the daemon's own user and the configured users through.
pub(super) async fn check(
    State(sessions): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let own = rustix::process::geteuid().as_raw();
    let config = sessions.engine().config();
    match peer.uid {
        Some(uid) if uid == 0 || uid == own || config.allow_uids.contains(&uid) => {
            next.run(request).await
        }
        uid => {
            let who = uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("user {uid}"));
            Problem::new(
                StatusCode::FORBIDDEN,
                "not-allowed",
                format!("{who} may not call this daemon"),
                "call it as root, or add the user to `allow_uids` in /etc/hotseat/hotseat.toml",
            )
            .into_response()
        }
    }
}
