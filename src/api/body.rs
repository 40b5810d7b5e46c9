//! Request bodies and paths, with problem documents for what is wrong with them.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::StatusCode;

use crate::problem::Problem;

/// The largest request body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// A JSON request body.
#[derive(Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(super) struct Json<T>(pub(super) T);

/// The parameters of a path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub(super) T);

/// The parameters after the question mark.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Params<T>(pub(super) T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let (code, hint) = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                return Self::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body-too-large",
                    format!("the request body is larger than {MAX_BODY} bytes"),
                    "split the request; a frame of events takes a few hundred bytes",
                );
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("not-json", "send the header `Content-Type: application/json`")
            }
            _ => ("malformed-body", "GET /v1/openapi.json describes every request body"),
        };
        Self::new(rejection.status(), code, rejection.body_text(), hint)
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        let hint = "paths look like /v1/sessions/NAME/devices/SLOT, where SLOT is a number";
        Self::new(rejection.status(), "malformed-path", rejection.body_text(), hint)
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let hint = "GET /v1/openapi.json describes every parameter";
        Self::new(rejection.status(), "malformed-query", rejection.body_text(), hint)
    }
}
