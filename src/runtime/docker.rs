//! Docker, through its API socket.

use std::path::Path;

use bollard::Docker;
use bollard::errors::Error;

use super::{ContainerRef, ResolveError};

/// Seconds; the daemon answers in milliseconds unless it is stuck.
const TIMEOUT: u64 = 10;

/// What is needed of a running container.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) pid: u32,
}

pub(super) async fn inspect(
    reference: &ContainerRef,
    name: &str,
    socket: &Path,
) -> Result<Found, ResolveError> {
    let docker_error = |source| match source {
        Error::DockerResponseServerError { status_code: 404, .. } => {
            ResolveError::NotFound { reference: reference.clone() }
        }
        source => ResolveError::Docker { reference: reference.clone(), source },
    };
    // The library's own version is newer than most daemons: always negotiate.
    let docker =
        Docker::connect_with_unix(&socket.to_string_lossy(), TIMEOUT, bollard::API_DEFAULT_VERSION)
            .map_err(docker_error)?
            .negotiate_version()
            .await
            .map_err(docker_error)?;
    let container = docker.inspect_container(name, None).await.map_err(docker_error)?;

    let state = container.state.unwrap_or_default();
    let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0);
    match (container.id, pid, state.running) {
        (Some(id), Some(pid), Some(true)) => Ok(Found { id, pid }),
        _ => {
            let status =
                state.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
            Err(ResolveError::NotRunning { reference: reference.clone(), status })
        }
    }
}
