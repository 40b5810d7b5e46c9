//! Errors about tokens.

use axum::http::StatusCode;

use super::Problem;
use crate::engine::chain;
use crate::remote::TokenError;

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let (status, code, hint) = match &error {
            TokenError::NotFound { .. } => {
                (StatusCode::NOT_FOUND, "token-not-found", "`hotseat tokens` lists them")
            }
            TokenError::TooMany { .. } => (
                StatusCode::INSUFFICIENT_STORAGE,
                "too-many-tokens",
                "revoke one with `hotseat tokens revoke`; one token serves any number of clients",
            ),
            TokenError::NotListening => (
                StatusCode::CONFLICT,
                "not-listening",
                "set `listen` in the table `[remote]` of the configuration and restart the daemon; `hotseat doctor` \
                 says why it does not listen",
            ),
            TokenError::Write(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "tokens",
                "is the journal's disk full or read-only?",
            ),
            TokenError::Random | TokenError::Lost => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the daemon's log has the cause: please report it",
            ),
        };
        Self::new(status, code, chain(&error), hint)
    }
}
