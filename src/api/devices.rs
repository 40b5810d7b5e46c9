//! `/v1/sessions/{session}/devices`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vinput::DeviceName;

use super::Shared;
use super::body::{Json, Path};
use crate::problem::Problem;
use crate::profiles;
use crate::session::holders::{self, Holder};
use crate::session::view::{Declared, Device, Waiting};
use crate::session::{Error, Spec};

/// A device to be plugged.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// Its profile; `GET /v1/profiles` lists them.
    pub profile: String,
    /// Its slot, 0 to 31; the lowest free one if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slot: Option<u8>,
    /// Its name, at most 79 bytes; the profile's if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}

/// What a slot is to have.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedDevice {
    /// Its profile; `GET /v1/profiles` lists them.
    pub profile: String,
    /// Its name, at most 79 bytes; the profile's if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}

/// Events of one frame: they reach programs together.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInput {
    /// `CONTROL=VALUE`, such as `south=1` or `lx=-0.5`.
    pub events: Vec<String>,
}

/// The devices of a session.
#[utoipa::path(
    get, path = "/v1/sessions/{session}/devices", params(("session" = String, Path)),
    responses((status = 200, body = Vec<Device>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(sessions): State<Shared>,
    Path(name): Path<String>,
) -> Result<axum::Json<Vec<Device>>, Problem> {
    Ok(axum::Json(sessions.show(&name)?.devices))
}

/// Plugs a device. When this answers, it works from inside the container.
#[utoipa::path(
    post, path = "/v1/sessions/{session}/devices", request_body = NewDevice,
    params(("session" = String, Path)),
    responses((status = 201, body = Device), (status = "default", body = Problem))
)]
pub(super) async fn plug(
    State(sessions): State<Shared>,
    Path(session): Path<String>,
    Json(new): Json<NewDevice>,
) -> Result<(StatusCode, axum::Json<Device>), Problem> {
    let spec = spec(&sessions, new.profile, new.name).await?;
    let device = sessions.plug(&session, new.slot, spec).await?;
    Ok((StatusCode::CREATED, axum::Json(device)))
}

/// The profile of that name, with this name for the device.
pub(super) async fn spec(
    sessions: &Shared,
    profile: String,
    name: Option<String>,
) -> Result<Spec, Error> {
    let directory = sessions.engine().config().profiles.clone();
    let found = tokio::task::spawn_blocking(move || profiles::find(&directory, &profile));
    let profile = found.await.map_err(|_| Error::Lost)?.map_err(Error::Profile)?;
    let name = name.map(DeviceName::new).transpose().map_err(Error::DeviceName)?;
    Ok(Spec { profile, name })
}

/// Declares what a slot has: plugs it if it is not there, and does nothing if it is. Another device in the slot makes
/// place for it. Without a container it waits for the session's next one (202).
#[utoipa::path(
    put, path = "/v1/sessions/{session}/devices/{slot}", request_body = WantedDevice,
    params(("session" = String, Path), ("slot" = u8, Path)),
    responses(
        (status = 200, body = Device), (status = 202, body = Waiting),
        (status = "default", body = Problem)
    )
)]
pub(super) async fn declare(
    State(sessions): State<Shared>,
    Path((session, slot)): Path<(String, u8)>,
    Json(wanted): Json<WantedDevice>,
) -> Result<(StatusCode, axum::Json<Declared>), Problem> {
    let spec = spec(&sessions, wanted.profile, wanted.name).await?;
    let declared = sessions.declare(&session, slot, spec).await?;
    let status = match declared {
        Declared::Plugged(_) => StatusCode::OK,
        Declared::Waiting(_) => StatusCode::ACCEPTED,
    };
    Ok((status, axum::Json(declared)))
}

/// Unplugs a device. When this answers, the kernel device is gone.
#[utoipa::path(
    delete, path = "/v1/sessions/{session}/devices/{slot}",
    params(("session" = String, Path), ("slot" = u8, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn unplug(
    State(sessions): State<Shared>,
    Path((session, slot)): Path<(String, u8)>,
) -> Result<StatusCode, Problem> {
    sessions.unplug(&session, slot).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends one frame of events to a device.
#[utoipa::path(
    post, path = "/v1/sessions/{session}/devices/{slot}/input", request_body = NewInput,
    params(("session" = String, Path), ("slot" = u8, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn input(
    State(sessions): State<Shared>,
    Path((session, slot)): Path<(String, u8)>,
    Json(new): Json<NewInput>,
) -> Result<StatusCode, Problem> {
    sessions.input(&session, slot, &new.events)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who has a device open, in its container or on the host.
#[utoipa::path(
    get, path = "/v1/sessions/{session}/devices/{slot}/holders",
    params(("session" = String, Path), ("slot" = u8, Path)),
    responses((status = 200, body = Vec<Holder>), (status = "default", body = Problem))
)]
pub(super) async fn holders(
    State(sessions): State<Shared>,
    Path((session, slot)): Path<(String, u8)>,
) -> Result<axum::Json<Vec<Holder>>, Problem> {
    let device = sessions.show(&session)?.devices.into_iter().find(|device| device.slot == slot);
    let device = device.ok_or(Error::SlotEmpty { session, slot })?;
    let found = tokio::task::spawn_blocking(move || holders::holders(&device));
    Ok(axum::Json(found.await.map_err(|_| Error::Lost)?.map_err(Error::Holders)?))
}
