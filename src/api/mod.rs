//! The API: HTTP/1.1 and JSON on a Unix socket, under `/v1`. The description is committed at
//! docs/openapi/v1.json, so that a change of the API shows in review.

mod body;
mod client;
mod connections;
mod devices;
mod events;
mod host;
mod listen;
mod moonlight;
mod peer;
mod rate;
mod rules;
mod sessions;
mod tokens;

/// The documents that requests carry.
pub mod types {
    pub use super::client::ClientLine;
    pub use super::devices::{NewDevice, NewInput, WantedDevice};
    pub use super::host::ProfileView;
    pub use super::sessions::{NewContainer, NewSession, StartingContainer};
    pub use super::tokens::{MadeToken, WantedToken};
}

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa::OpenApi;

pub use listen::{ListenError, Socket};

use crate::problem::{self, Problem};
use crate::reload::Reloader;
use crate::session::Sessions;

/// What every handler sees.
type Shared = Arc<Sessions>;

/// The API's description.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Hotseat",
        description = "Sessions, their containers and their devices. Errors are RFC 9457 problem documents.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    paths(
        sessions::list,
        sessions::add,
        sessions::show,
        sessions::remove,
        sessions::attach,
        sessions::starting,
        sessions::hand_off,
        devices::list,
        devices::plug,
        devices::declare,
        devices::unplug,
        devices::input,
        devices::holders,
        client::client,
        moonlight::moonlight,
        tokens::list,
        tokens::add,
        tokens::revoke,
        events::events,
        rules::list,
        rules::add,
        rules::remove,
        rules::devices,
        rules::try_rule,
        host::profiles,
        host::doctor,
        host::metrics,
        host::reload,
    ),
    components(schemas(Problem))
)]
pub struct Api;

/// The description as committed: pretty JSON with a final newline.
pub fn description() -> String {
    // Serialising our own static description cannot fail; an empty text would fail its test.
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// All routes.
pub fn router(
    sessions: Arc<Sessions>,
    reloader: Arc<Reloader>,
    metrics: PrometheusHandle,
) -> Router {
    Router::new()
        .route("/v1/sessions", get(sessions::list).post(sessions::add))
        .route("/v1/sessions/{session}", get(sessions::show).delete(sessions::remove))
        .route("/v1/sessions/{session}/container", put(sessions::attach))
        .route("/v1/sessions/{session}/starting", put(sessions::starting))
        .route("/v1/sessions/{session}/move", post(sessions::hand_off))
        .route("/v1/sessions/{session}/devices", get(devices::list).post(devices::plug))
        .route(
            "/v1/sessions/{session}/devices/{slot}",
            put(devices::declare).delete(devices::unplug),
        )
        .route("/v1/sessions/{session}/devices/{slot}/input", post(devices::input))
        .route("/v1/sessions/{session}/devices/{slot}/holders", get(devices::holders))
        .route("/v1/sessions/{session}/client", post(client::client))
        .route("/v1/sessions/{session}/moonlight", post(moonlight::moonlight))
        .route("/v1/tokens", get(tokens::list).post(tokens::add))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/v1/sessions/{session}/rules", get(rules::list).post(rules::add))
        .route("/v1/sessions/{session}/rules/{id}", delete(rules::remove))
        .route("/v1/host-devices", get(rules::devices))
        .route("/v1/host-devices/try", post(rules::try_rule))
        .route("/v1/events", get(events::events))
        .route("/v1/profiles", get(host::profiles))
        .route("/v1/doctor", get(host::doctor))
        .route("/v1/openapi.json", get(host::openapi))
        .route("/metrics", get(host::metrics))
        .route("/v1/reload", post(host::reload))
        .layer(Extension(metrics))
        .layer(Extension(reloader))
        .route_layer(from_fn_with_state(Arc::clone(&sessions), rate::of_session))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        // Ours is with the documents, as it can change while the daemon runs; a client's lines have no end.
        .layer(DefaultBodyLimit::disable())
        // The last one is asked first.
        .layer(from_fn_with_state(Arc::clone(&sessions), rate::of_user))
        .layer(from_fn_with_state(Arc::clone(&sessions), peer::check))
        .with_state(sessions)
}

#[cfg(test)]
mod tests {
    /// After a change of the API: `cargo run --bin hotseat -- openapi > docs/openapi/v1.json`.
    #[test]
    fn the_committed_description_is_current() {
        let committed = include_str!("../../docs/openapi/v1.json");
        assert_eq!(super::description(), committed);
    }
}
