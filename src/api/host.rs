//! `/v1/profiles` and `/v1/doctor`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::body::Params;
use crate::config::Change;
use crate::doctor::{self, Check};
use crate::problem::Problem;
use crate::profiles::{Backend, Profile};
use crate::reload::{ReloadError, Reloader};
use crate::session::Error;

/// A profile.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProfileView {
    /// Its name, as `plug` takes it.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it is made by.
    pub backend: Backend,
    /// The names of its controls, as `send` takes them.
    pub controls: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoctorQuery {
    /// Also look at this container: `docker:NAME`, `podman:NAME`, `podman:USER/NAME`, `cri:ID`, `machine:NAME`, `lxc:NAME`,
    /// `pid:NUMBER` or `sandbox:SESSION`.
    container: Option<String>,
}

/// The profiles that can be plugged, the user's own ones too. Files that cannot be used are left out;
/// `doctor` has them.
#[utoipa::path(
    get, path = "/v1/profiles",
    responses((status = 200, body = Vec<ProfileView>), (status = "default", body = Problem))
)]
pub(super) async fn profiles(
    State(sessions): State<Shared>,
) -> Result<axum::Json<Vec<ProfileView>>, Problem> {
    let directory = sessions.engine().config().profiles.clone();
    let listed = tokio::task::spawn_blocking(move || crate::profiles::list(&directory));
    let (profiles, _) = listed.await.map_err(|_| Error::Lost)?.map_err(Error::Profile)?;
    let view = |profile: &Profile| ProfileView {
        name: profile.name().to_owned(),
        title: profile.title().to_owned(),
        backend: profile.backend(),
        controls: profile.controls(),
    };
    Ok(axum::Json(profiles.iter().map(view).collect()))
}

/// The API's description, as committed.
pub(super) async fn openapi() -> ([(header::HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "application/json")], super::description())
}

/// Figures for Prometheus, in its text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(
    State(sessions): State<Shared>,
    Extension(handle): Extension<PrometheusHandle>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = crate::metrics::render(&handle, sessions.engine(), &sessions.list());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// Reads the configuration again, and answers with the keys that were changed. When the file is not valid, the daemon goes
/// on with what it had.
#[utoipa::path(
    post, path = "/v1/reload",
    responses((status = 200, body = Vec<Change>), (status = "default", body = Problem))
)]
pub(super) async fn reload(
    Extension(reloader): Extension<Arc<Reloader>>,
) -> Result<axum::Json<Vec<Change>>, Problem> {
    // To the end, also when the caller is gone: halfway, nobody follows the runtimes.
    let reloaded = tokio::spawn(async move { reloader.reload().await }).await;
    Ok(axum::Json(reloaded.map_err(|_| ReloadError::Lost)??))
}

/// What of the host, and of a container, is ready, what is missing, and how to mend it.
#[utoipa::path(
    get, path = "/v1/doctor", params(("container" = Option<String>, Query, description = "Also look at this container")),
    responses((status = 200, body = Vec<Check>), (status = "default", body = Problem))
)]
pub(super) async fn doctor(
    State(sessions): State<Shared>,
    Params(query): Params<DoctorQuery>,
) -> Result<axum::Json<Vec<Check>>, Problem> {
    let mut checks = doctor::host(sessions.engine()).await;
    checks.extend(doctor::host_devices(sessions.engine(), &sessions.list()));
    if let Some(container) = query.container {
        let reference = container.parse().map_err(Error::Reference)?;
        checks.extend(doctor::container(sessions.engine(), &reference).await);
    }
    Ok(axum::Json(checks))
}
