//! `/v1/tokens`: who may come from afar (docs/remote.md).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::body::{Json, Path};
use crate::problem::Problem;
use crate::remote::{self, Scope, Token, TokenError};

/// A token to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedToken {
    /// The session that it is for.
    pub session: String,
    /// For how many seconds clients may attach with it; without end if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_seconds: Option<u64>,
    /// The profiles that may be plugged with it; all if absent or empty.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub profiles: Vec<String>,
    /// Whether keys count that a player has no use for and a host may obey, such as SysRq and Power.
    #[serde(default)]
    pub all_keys: bool,
}

/// A token that was made. It is shown only now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    /// The token.
    pub token: String,
    /// What is known of it.
    #[serde(flatten)]
    pub about: Token,
    /// Where the daemon listens for clients, as it is configured: `0.0.0.0` and `[::]` are all its addresses.
    pub listen: String,
    /// SHA-256 of the server's certificate: whom clients are to believe there.
    pub fingerprint: String,
}

/// All tokens, without what they are.
#[utoipa::path(get, path = "/v1/tokens", responses((status = 200, body = Vec<Token>)))]
pub(super) async fn list(State(sessions): State<Shared>) -> axum::Json<Vec<Token>> {
    axum::Json(sessions.engine().tokens.list())
}

/// Makes a token with which clients from afar may attach to a session.
#[utoipa::path(
    post, path = "/v1/tokens", request_body = WantedToken,
    responses((status = 201, body = MadeToken), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(sessions): State<Shared>,
    Json(wanted): Json<WantedToken>,
) -> Result<(StatusCode, axum::Json<MadeToken>), Problem> {
    let WantedToken { session, expires_seconds, profiles, all_keys } = wanted;
    let lifetime = expires_seconds.map(Duration::from_secs);
    let scope = Scope { lifetime, profiles, all_keys };
    let made = remote::add_token(&sessions, &session, scope).await?;
    let made = MadeToken {
        token: made.secret,
        about: made.token,
        listen: made.address.to_string(),
        fingerprint: made.fingerprint.to_string(),
    };
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Revokes a token. Its clients are disconnected.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn revoke(
    State(sessions): State<Shared>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let engine = Arc::clone(sessions.engine());
    let revoked = tokio::task::spawn_blocking(move || engine.tokens.revoke(&id)).await;
    revoked.map_err(|_| TokenError::Lost)??;
    Ok(StatusCode::NO_CONTENT)
}
