//! Docker and Podman, through their API sockets; Podman's speaks Docker's language too.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::net::UnixStream;

use super::http::{self, HttpError, Lines};
use super::{ContainerRef, ResolveError};
use crate::config::Config;

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
            HttpError::Status { status: StatusCode::NOT_FOUND, .. } => {
                ResolveError::NotFound { reference: reference.clone() }
            }
            source => {
                ResolveError::Api { reference: reference.clone(), socket: socket.clone(), source }
            }
        };
        let path = format!("/containers/{name}/json");
        let container: Inspected = http::get(&socket, &path).await.map_err(api_error)?;

        let runtime = container.host_config.runtime;
        if has_own_kernel(&runtime) {
            return Err(ResolveError::OwnKernel { reference: reference.clone(), runtime });
        }
        let State { pid, running, status } = container.state;
        match u32::try_from(pid) {
            Ok(pid) if pid > 0 && running => Ok(Found { id: container.id, pid }),
            _ => Err(ResolveError::NotRunning { reference: reference.clone(), status }),
        }
    }
}

/// What is read of a container (Docker Engine API, ContainerInspect).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    state: State,
    #[serde(default)]
    host_config: HostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    pid: i64,
    running: bool,
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    runtime: String,
}

/// A container in a list (ContainerList).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    names: Vec<String>,
    labels: HashMap<String, String>,
}

/// What has happened to a container (SystemEvents).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Event {
    /// Its kind: `start`, `update`.
    pub(crate) action: String,
    actor: Actor,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    /// A container's labels, and its name.
    attributes: Option<HashMap<String, String>>,
}

impl Event {
    /// The container's name, and its value of a label.
    pub(crate) fn labelled(self, label: &str) -> Option<(String, String)> {
        let mut attributes = self.actor.attributes?;
        Some((attributes.remove("name")?, attributes.remove(label)?))
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

/// The containers that run now and have a label: their names, and its values.
pub(crate) async fn labelled(
    socket: &Path,
    label: &str,
) -> Result<Vec<(String, String)>, HttpError> {
    let filters = http::encoded(&json!({ "label": [label] }).to_string());
    let path = format!("/containers/json?filters={filters}");
    let listed: Vec<Listed> = http::get(socket, &path).await?;
    let of = |mut container: Listed| {
        Some((container.names.into_iter().next()?, container.labels.remove(label)?))
    };
    Ok(listed.into_iter().filter_map(of).collect())
}

/// The event of a container whose limits were changed.
pub(crate) const UPDATE: &str = "update";

/// The starts and updates of containers since a time (seconds of the epoch), and then as they come: each an [`Event`].
pub(crate) async fn events(socket: &Path, since: u64) -> Result<Lines, HttpError> {
    // Not the label: Podman's filter wants its value too (generateEventFilter in libpod/events/filters.go).
    let filters = json!({ "type": ["container"], "event": ["start", UPDATE] }).to_string();
    let path = format!("/events?since={since}&filters={}", http::encoded(&filters));
    Lines::get(socket, &path).await
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
