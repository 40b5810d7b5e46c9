//! `/v1/sessions/{session}/rules` and `/v1/host-devices`: the host's own devices.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::Shared;
use super::body::{Json, Path};
use super::sessions::to_the_end;
use crate::host::view::{HostDeviceView, MatchView, RuleView};
use crate::host::{HostDevice, Rule, View};
use crate::problem::Problem;
use crate::session::view::Session;
use crate::session::{Error, Sessions};

/// The rules of a session, those of the configuration too, in the order in which they count.
#[utoipa::path(
    get, path = "/v1/sessions/{session}/rules", params(("session" = String, Path)),
    responses((status = 200, body = Vec<RuleView>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(sessions): State<Shared>,
    Path(session): Path<String>,
) -> Result<axum::Json<Vec<RuleView>>, Problem> {
    Ok(axum::Json(sessions.show(&session)?.rules))
}

/// Adds a rule to those of a session. The devices that it means are in the session's container when this is answered, if it
/// has one; those that come later follow.
#[utoipa::path(
    post, path = "/v1/sessions/{session}/rules", request_body = Rule, params(("session" = String, Path)),
    responses((status = 201, body = RuleView), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(sessions): State<Shared>,
    Path(session): Path<String>,
    Json(rule): Json<Rule>,
) -> Result<(StatusCode, axum::Json<RuleView>), Problem> {
    let added = to_the_end(async move { sessions.add_rule(&session, rule).await }).await?;
    Ok((StatusCode::CREATED, axum::Json(added)))
}

/// Removes a rule of a session's own, and takes the devices away that it had by it.
#[utoipa::path(
    delete, path = "/v1/sessions/{session}/rules/{id}",
    params(("session" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn remove(
    State(sessions): State<Shared>,
    Path((session, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { sessions.remove_rule(&session, id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The devices of the host that have a node, and what the rules of all sessions make of them.
#[utoipa::path(
    get, path = "/v1/host-devices",
    responses((status = 200, body = Vec<HostDeviceView>), (status = "default", body = Problem))
)]
pub(super) async fn devices(
    State(sessions): State<Shared>,
) -> Result<axum::Json<Vec<HostDeviceView>>, Problem> {
    let view = look(&sessions).await?;
    let all = sessions.list();
    let shown = view.devices.values();
    let shown = shown.filter_map(|device| HostDeviceView::of(device, matches(&all, device)));
    Ok(axum::Json(shown.collect()))
}

/// What a rule would make of each device of the host. Nothing is added.
#[utoipa::path(
    post, path = "/v1/host-devices/try", request_body = Rule,
    responses((status = 200, body = Vec<HostDeviceView>), (status = "default", body = Problem))
)]
pub(super) async fn try_rule(
    State(sessions): State<Shared>,
    Json(rule): Json<Rule>,
) -> Result<axum::Json<Vec<HostDeviceView>>, Problem> {
    rule.check_own().map_err(Error::Rule)?;
    let view = look(&sessions).await?;
    let tried = view.devices.values();
    let tried =
        tried.filter_map(|device| HostDeviceView::of(device, vec![MatchView::of(&rule, device)]));
    Ok(axum::Json(tried.collect()))
}

/// The host's devices as they are now.
async fn look(sessions: &Sessions) -> Result<Arc<View>, Error> {
    let host = &sessions.engine().host;
    host.watch();
    let mut view = host.subscribe();
    let complete = view.wait_for(|view| view.is_complete).await;
    let view = complete.map(|view| Arc::clone(&view)).map_err(|_| Error::Lost)?;
    match &view.failure {
        Some(why) => Err(Error::WatchHost { why: why.clone() }),
        None => Ok(view),
    }
}

/// What the rules of the sessions make of a device.
fn matches(sessions: &[Session], device: &HostDevice) -> Vec<MatchView> {
    let each =
        sessions.iter().flat_map(|session| session.rules.iter().map(move |rule| (session, rule)));
    let of_rule = |(session, RuleView { id, rule, devices }): (&Session, &RuleView)| MatchView {
        session: Some(session.name.clone()),
        id: Some(id.clone()),
        plugged: devices.contains(&device.path()),
        ..MatchView::of(rule, device)
    };
    each.map(of_rule).collect()
}
