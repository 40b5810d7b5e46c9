//! Errors about the configuration, when it is read again.

use axum::http::StatusCode;

use super::Problem;
use crate::engine::chain;
use crate::reload::ReloadError;

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        let (status, code, hint) = match &error {
            ReloadError::Config(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "configuration",
                "mend the file and reload again; the daemon goes on with what it had",
            ),
            ReloadError::SocketMode { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "socket-mode",
                "was the socket removed? restart the daemon",
            ),
            ReloadError::Lost => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the daemon's log has the cause: please report it",
            ),
        };
        Self::new(status, code, chain(&error), hint)
    }
}
