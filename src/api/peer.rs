//! Who may call: decided by the socket's peer credentials (unix(7), SO_PEERCRED). Where nobody but root may, the
//! socket's mode says so already.

use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::problem::Problem;

/// The calling process's user; `None` when the kernel would not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// Lets root, the daemon's own user and the configured users through.
pub(super) async fn check(
    State(allowed): State<Arc<Vec<u32>>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let own = rustix::process::geteuid().as_raw();
    match peer.uid {
        Some(uid) if uid == 0 || uid == own || allowed.contains(&uid) => next.run(request).await,
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
