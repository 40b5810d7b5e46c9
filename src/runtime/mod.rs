//! Who is this container? A reference becomes the process that its namespaces belong to.

mod docker;

use std::fmt;
use std::str::FromStr;

use device_gate::{Container, ContainerError};

use crate::config::Config;
use crate::sandbox;

/// How a user names a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerRef {
    /// A container of the Docker daemon, by name or id.
    Docker(String),
    /// Any container, by a process in it, as numbered on the host.
    Pid(u32),
    /// The built-in sandbox of `hotseat run`, by session name.
    Sandbox(String),
}

/// A text that names no container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a container: write docker:NAME, pid:NUMBER or sandbox:SESSION")]
pub struct RefError(String);

impl FromStr for ContainerRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let error = || RefError(text.to_owned());
        match text.split_once(':') {
            Some(("docker", name)) if is_docker_name(name) => Ok(Self::Docker(name.to_owned())),
            Some(("pid", number)) => match number.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Pid(pid)),
                _ => Err(error()),
            },
            Some(("sandbox", name)) if sandbox::is_name(name) => Ok(Self::Sandbox(name.to_owned())),
            _ => Err(error()),
        }
    }
}

/// The names that Docker itself allows (`RestrictedNameChars` in moby's daemon/names), so that none can
/// reach into another path of its API.
fn is_docker_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

impl fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker(name) => write!(f, "docker:{name}"),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Sandbox(name) => write!(f, "sandbox:{name}"),
        }
    }
}

/// A reference could not be followed to a running container.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such container.
    #[error("there is no container `{reference}`")]
    NotFound {
        /// As the user wrote it.
        reference: ContainerRef,
    },
    /// It exists but does not run.
    #[error("container `{reference}` is not running (it is {status})")]
    NotRunning {
        /// As the user wrote it.
        reference: ContainerRef,
        /// The runtime's word for its state.
        status: String,
    },
    /// The runtime could not be asked.
    #[error("could not ask Docker about `{reference}`")]
    Docker {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Why.
        #[source]
        source: bollard::errors::Error,
    },
    /// The runtime's process number means another process here.
    #[error(
        "Docker's process {pid} is not the container `{reference}` on this host: the Docker daemon runs \
         in another process namespace"
    )]
    Elsewhere {
        /// As the user wrote it.
        reference: ContainerRef,
        /// The number Docker gave.
        pid: u32,
    },
    /// The process is not one whose container can be served.
    #[error("container `{reference}` cannot be used")]
    Container {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Why.
        #[source]
        source: ContainerError,
    },
}

impl ContainerRef {
    /// What comes before the colon.
    pub(crate) fn runtime(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Pid(_) => "pid",
            Self::Sandbox(_) => "sandbox",
        }
    }

    /// Finds and opens the container.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn open(&self, config: &Config) -> Result<Container, ResolveError> {
        match self {
            Self::Docker(name) => {
                let found = docker::inspect(self, name, &config.docker_socket).await?;
                let mut container = self.open_pid(found.pid)?;
                // Every cgroup driver puts the container's id into the cgroup's name.
                match container.widen_cgroup(&found.id) {
                    Ok(true) => Ok(container),
                    Ok(false) => {
                        Err(ResolveError::Elsewhere { reference: self.clone(), pid: found.pid })
                    }
                    Err(source) => Err(ResolveError::Container { reference: self.clone(), source }),
                }
            }
            Self::Pid(pid) => self.open_pid(*pid),
            Self::Sandbox(name) => match sandbox::find(name) {
                Some(pid) => self.open_pid(pid),
                None => Err(ResolveError::NotFound { reference: self.clone() }),
            },
        }
    }

    fn open_pid(&self, pid: u32) -> Result<Container, ResolveError> {
        let reference = self.clone();
        Container::open(pid).map_err(|source| match source {
            ContainerError::NotRunning { .. } if matches!(self, Self::Pid(_)) => {
                ResolveError::NotFound { reference }
            }
            source => ResolveError::Container { reference, source },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        for text in ["docker:game-1", "pid:4711", "sandbox:alice"] {
            assert_eq!(text.parse::<ContainerRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_forms_that_work() {
        for text in [
            "",
            "game",
            "docker:",
            "docker:../info",
            "docker:a/b",
            "pid:0",
            "pid:-1",
            "pid:x",
            "cri:a",
        ] {
            let error = text.parse::<ContainerRef>().unwrap_err();
            assert!(error.to_string().contains("docker:NAME"), "{text}");
        }
    }
}
