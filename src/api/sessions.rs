//! `/v1/sessions`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::body::{Json, Path};
use crate::problem::Problem;
use crate::session::Error;
use crate::session::view::Session;

/// A session to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// 1 to 32 lower-case letters, digits and `-`.
    pub name: String,
    /// Its container: `docker:NAME`, `podman:NAME`, `podman:USER/NAME`, `cri:ID`, `machine:NAME`, `lxc:NAME`,
    /// `pid:NUMBER` or `sandbox:SESSION`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub container: Option<String>,
}

/// A container to attach to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContainer {
    /// `docker:NAME`, `podman:NAME`, `podman:USER/NAME`, `cri:ID`, `machine:NAME`, `lxc:NAME`,
    /// `pid:NUMBER` or `sandbox:SESSION`.
    pub container: String,
}

/// Carries a request to its end even if the caller goes away, which drops the handler.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or(Err(Error::Lost))
}

/// All sessions.
#[utoipa::path(get, path = "/v1/sessions", responses((status = 200, body = Vec<Session>)))]
pub(super) async fn list(State(sessions): State<Shared>) -> axum::Json<Vec<Session>> {
    axum::Json(sessions.list())
}

/// Makes a session, attached to a container if one is given.
#[utoipa::path(
    post, path = "/v1/sessions", request_body = NewSession,
    responses((status = 201, body = Session), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(sessions): State<Shared>,
    Json(new): Json<NewSession>,
) -> Result<(StatusCode, axum::Json<Session>), Problem> {
    let add = async move { sessions.add(&new.name, new.container.as_deref()).await };
    let session = to_the_end(add).await?;
    Ok((StatusCode::CREATED, axum::Json(session)))
}

/// One session.
#[utoipa::path(
    get, path = "/v1/sessions/{session}", params(("session" = String, Path)),
    responses((status = 200, body = Session), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(sessions): State<Shared>,
    Path(name): Path<String>,
) -> Result<axum::Json<Session>, Problem> {
    Ok(axum::Json(sessions.show(&name)?))
}

/// Removes a session with all its devices.
#[utoipa::path(
    delete, path = "/v1/sessions/{session}", params(("session" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn remove(
    State(sessions): State<Shared>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { sessions.remove(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Attaches a session that has no container to one.
#[utoipa::path(
    put, path = "/v1/sessions/{session}/container", request_body = NewContainer,
    params(("session" = String, Path)),
    responses((status = 200, body = Session), (status = "default", body = Problem))
)]
pub(super) async fn attach(
    State(sessions): State<Shared>,
    Path(name): Path<String>,
    Json(new): Json<NewContainer>,
) -> Result<axum::Json<Session>, Problem> {
    Ok(axum::Json(sessions.attach(&name, &new.container).await?))
}
