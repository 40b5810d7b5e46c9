//! Who may call: decided by the socket's peer credentials (unix(7), SO_PEERCRED). Where nobody but root may, the
//! socket's mode says so already.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::net::UnixStream;

use super::Shared;
use crate::config::Config;
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

impl Peer {
    /// Root, the daemon's own user and the configured users may call.
    pub(super) fn may_call(self, config: &Config) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.uid.is_some_and(|uid| uid == 0 || uid == own || config.allow_uids.contains(&uid))
    }

    /// What those are told who may not.
    pub(super) fn not_allowed(self) -> Problem {
        let who =
            self.uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("user {uid}"));
        Problem::new(
            StatusCode::FORBIDDEN,
            "not-allowed",
            format!("{who} may not call this daemon"),
            "call it as root, or add the user to `allow_uids` in /etc/hotseat/hotseat.toml",
        )
    }
}

/// Lets those through who may call: on a connection that is open, that may have changed.
pub(super) async fn check(
    State(sessions): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if peer.may_call(&sessions.engine().config()) {
        next.run(request).await
    } else {
        peer.not_allowed().into_response()
    }
}

/// Resolves when the peer may not call any more: what goes on without end ends then.
pub(super) async fn disallowed(sessions: Shared, peer: Peer) {
    let mut config = sessions.engine().watch_config();
    if config.wait_for(|config| !peer.may_call(config)).await.is_err() {
        // Nobody is left to change it.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_daemons_user_and_the_configured_ones_may_call() {
        let own = rustix::process::geteuid().as_raw();
        let config = Config { allow_uids: vec![own + 1000], ..Config::default() };
        let may_call = |uid| Peer { uid }.may_call(&config);
        assert!(may_call(Some(0)) && may_call(Some(own)) && may_call(Some(own + 1000)));
        assert!(!may_call(Some(own + 1001)) && !may_call(None));
    }
}
