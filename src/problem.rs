//! Errors as RFC 9457 problem documents: a stable `code`, a `detail` in plain words, a `hint`.

mod classify;
mod container;
mod device;
mod reload;
mod token;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine::chain;
use crate::session::Error;

pub(crate) use classify::{cdi, code};
pub(crate) use container::attach_hint;

/// A problem document (RFC 9457) with two members of our own, `code` and `hint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The HTTP status again.
    pub status: u16,
    /// The HTTP status in words.
    pub title: String,
    /// What kind of problem; stable, for programs.
    pub code: String,
    /// What happened and why, for people.
    pub detail: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
            hint: hint.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, content_type, axum::Json(self)).into_response()
    }
}

pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("there is nothing at `{}`", uri.path());
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-path",
        detail,
        "GET /v1/openapi.json lists every path",
    )
}

pub(crate) async fn no_such_method(uri: Uri) -> Problem {
    let detail = format!("`{}` does not take this method", uri.path());
    let hint = "GET /v1/openapi.json lists every path and its methods";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", detail, hint)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code, hint) = classify::classify(&error);
        Self::new(status, code, chain(&error), hint)
    }
}
