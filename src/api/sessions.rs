//! `/v1/sessions`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::body::{Json, Path};
use crate::engine::chain;
use crate::problem::Problem;
use crate::session::view::Session;
use crate::session::{Error, New, Start};

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
    /// How long a device outlives the client that declared it, in seconds; as configured if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grace_seconds: Option<u32>,
}

/// A container to attach to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContainer {
    /// `docker:NAME`, `podman:NAME`, `podman:USER/NAME`, `cri:ID`, `machine:NAME`, `lxc:NAME`,
    /// `pid:NUMBER` or `sandbox:SESSION`.
    pub container: String,
}

/// A container that its runtime is about to start, at the OCI hook `createRuntime`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartingContainer {
    /// Its id, as in the OCI state.
    pub id: String,
    /// Its first process, as in the OCI state.
    pub pid: u32,
    /// What will be its root directory: `root.path` of its config.json, absolute.
    pub root: String,
}

/// Carries a request to its end even if the caller goes away, which drops the handler.
pub(super) async fn to_the_end<T: Send + 'static>(
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
    let add = async move {
        let grace = new.grace_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        sessions.add(New { name: &new.name, container: new.container.as_deref(), grace }).await
    };
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

/// Moves a session with its devices to another container. When that fails, `detail` says where it is now.
#[utoipa::path(
    post, path = "/v1/sessions/{session}/move", request_body = NewContainer,
    params(("session" = String, Path)),
    responses((status = 200, body = Session), (status = "default", body = Problem))
)]
pub(super) async fn hand_off(
    State(sessions): State<Shared>,
    Path(name): Path<String>,
    Json(new): Json<NewContainer>,
) -> Result<axum::Json<Session>, Problem> {
    let moved = async move { sessions.hand_off(&name, &new.container).await };
    Ok(axum::Json(to_the_end(moved).await?))
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

/// Attaches a session to a container that its runtime is about to start, which waits for the answer. The session is added
/// if there is none.
#[utoipa::path(
    put, path = "/v1/sessions/{session}/starting", request_body = StartingContainer,
    params(("session" = String, Path)),
    responses((status = 200, body = Session), (status = "default", body = Problem))
)]
pub(super) async fn starting(
    State(sessions): State<Shared>,
    Path(name): Path<String>,
    Json(StartingContainer { id, pid, root }): Json<StartingContainer>,
) -> Result<axum::Json<Session>, Problem> {
    let start = Start { id, pid, root: root.into() };
    let attached = to_the_end(async move {
        let attached = sessions.start_container(&name, start).await;
        match &attached {
            Ok(_) => tracing::info!(session = name, pid, "a starting container was attached"),
            // The runtime goes on all the same, and may not show what its hook prints.
            Err(error) => {
                tracing::warn!(
                    session = name,
                    pid,
                    error = chain(error),
                    "a container starts without its devices"
                );
            }
        }
        attached
    });
    Ok(axum::Json(attached.await?))
}
