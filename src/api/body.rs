//! Request bodies and paths, with problem documents for what is wrong with them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use http_body_util::Limited;
use serde::de::DeserializeOwned;

use super::Shared;
use crate::problem::Problem;

/// A JSON request body. It has to arrive in the time that a connection may do nothing.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, sessions: &Shared) -> Result<Self, Problem> {
        let limits = &sessions.engine().config().limits;
        let (length, seconds) = (limits.body_bytes, limits.idle_seconds.get());
        let request = request.map(|body| Body::new(Limited::new(body, length)));
        let body = axum::Json::<T>::from_request(request, sessions);
        match tokio::time::timeout(Duration::from_secs(seconds), body).await {
            Ok(Ok(axum::Json(body))) => Ok(Self(body)),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body-too-large",
                    format!("the request body is longer than {length} bytes"),
                    "split the request; a frame of events takes a few hundred bytes",
                ))
            }
            Ok(Err(rejection)) => Err(rejection.into()),
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                format!("the request body did not arrive within {seconds} seconds"),
                "send the body with its request; `limits.idle_seconds` of the configuration is the time",
            )),
        }
    }
}

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
