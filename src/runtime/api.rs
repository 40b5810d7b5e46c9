//! Docker and Podman, through their API sockets; Podman's speaks Docker's language too.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerSummary, EventMessage};
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use futures_util::Stream;
use tokio::net::UnixStream;

use super::{ContainerRef, ResolveError};
use crate::config::Config;

/// Seconds; the runtime answers in milliseconds unless it is stuck.
const TIMEOUT: u64 = 10;

/// A container runtime with Docker's API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runtime {
    /// The Docker daemon.
    Docker,
    /// Podman of the host's root.
    Podman,
    /// Podman of a user, rootless.
    PodmanOf(String),
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker => f.write_str("docker"),
            Self::Podman => f.write_str("podman"),
            Self::PodmanOf(user) => write!(f, "podman:{user}"),
        }
    }
}

/// What is needed of a running container.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) pid: u32,
}

impl Runtime {
    /// The reference to one of its containers; `None` for what cannot be a container's name.
    pub(crate) fn reference(&self, name: &str) -> Option<ContainerRef> {
        let text = match self {
            Self::Docker => format!("docker:{name}"),
            Self::Podman => format!("podman:{name}"),
            Self::PodmanOf(user) => format!("podman:{user}/{name}"),
        };
        text.parse().ok()
    }

    /// Its socket; `None` when there is no such user.
    pub(crate) async fn socket(&self, config: &Config) -> io::Result<Option<PathBuf>> {
        Ok(match self {
            Self::Docker => Some(config.docker_socket.clone()),
            Self::Podman => Some(config.podman_socket.clone()),
            // XDG_RUNTIME_DIR as pam_systemd(8) makes it.
            Self::PodmanOf(user) => {
                uid_of(user).await?.map(|uid| format!("/run/user/{uid}/podman/podman.sock").into())
            }
        })
    }

    /// Asks about a container by name or id.
    pub(super) async fn inspect(
        &self,
        reference: &ContainerRef,
        name: &str,
        config: &Config,
    ) -> Result<Found, ResolveError> {
        let socket = match (self, self.socket(config).await) {
            (_, Ok(Some(socket))) => socket,
            (_, Err(source)) => {
                return Err(ResolveError::LookUpUser { reference: reference.clone(), source });
            }
            (runtime, Ok(None)) => {
                let user = match runtime {
                    Self::PodmanOf(user) => user.clone(),
                    _ => String::new(),
                };
                return Err(ResolveError::NoUser { reference: reference.clone(), user });
            }
        };
        // For an error that says what is wrong with the socket; the library's says "client error".
        if let Err(source) = UnixStream::connect(&socket).await {
            return Err(ResolveError::Socket { reference: reference.clone(), socket, source });
        }
        let api_error = |source| match source {
            Error::DockerResponseServerError { status_code: 404, .. } => {
                ResolveError::NotFound { reference: reference.clone() }
            }
            source => ResolveError::Api {
                reference: reference.clone(),
                socket: socket.clone(),
                source: Box::new(source),
            },
        };
        let docker = connect(&socket).await.map_err(api_error)?;
        let container = docker.inspect_container(name, None).await.map_err(api_error)?;

        let runtime = container.host_config.and_then(|config| config.runtime).unwrap_or_default();
        if has_own_kernel(&runtime) {
            return Err(ResolveError::OwnKernel { reference: reference.clone(), runtime });
        }
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
}

/// The user's number; a number is one already.
pub(super) async fn uid_of(user: &str) -> io::Result<Option<u32>> {
    if let Ok(uid) = user.parse() {
        return Ok(Some(uid));
    }
    let user = user.to_owned();
    // The host's users may be in a directory far away.
    let found = tokio::task::spawn_blocking(move || nix::unistd::User::from_name(&user));
    let found = found.await.map_err(io::Error::other)?.map_err(io::Error::from)?;
    Ok(found.map(|user| user.uid.as_raw()))
}

/// Opens the API. The library's own version is newer than most daemons: always negotiate.
pub(crate) async fn connect(socket: &std::path::Path) -> Result<Docker, Error> {
    Docker::connect_with_unix(&socket.to_string_lossy(), TIMEOUT, bollard::API_DEFAULT_VERSION)?
        .negotiate_version()
        .await
}

/// The containers that run now and have a label.
pub(crate) async fn labelled(docker: &Docker, label: &str) -> Result<Vec<ContainerSummary>, Error> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().filters(&filters).build();
    docker.list_containers(Some(options)).await
}

/// The event of a container whose limits were changed.
pub(crate) const UPDATE: &str = "update";

/// The starts and updates of containers since a time (seconds of the epoch), and then as they come.
pub(crate) fn events(
    docker: &Docker,
    since: u64,
) -> impl Stream<Item = Result<EventMessage, Error>> + use<'_> {
    // Not the label: Podman's filter wants its value too (generateEventFilter in libpod/events/filters.go).
    let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["start", UPDATE])]);
    let options = EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters).build();
    docker.events(Some(options))
}

/// Whether an OCI runtime's name says that it runs its containers on another kernel: Kata Containers (`kata`,
/// `kata-runtime`, `io.containerd.kata.v2`), gVisor (`runsc`, `io.containerd.runsc.v1`).
fn has_own_kernel(runtime: &str) -> bool {
    runtime.split(['.', '-', '/']).any(|word| matches!(word, "kata" | "runsc" | "gvisor"))
}

#[cfg(test)]
mod tests {
    use super::has_own_kernel;

    #[test]
    fn runtimes_with_another_kernel_are_known_by_name() {
        for name in ["runsc", "kata-runtime", "io.containerd.kata.v2", "io.containerd.runsc.v1"] {
            assert!(has_own_kernel(name), "{name}");
        }
        for name in ["", "runc", "crun", "oci", "io.containerd.runc.v2", "nvidia", "youki"] {
            assert!(!has_own_kernel(name), "{name}");
        }
    }
}
