//! Who is this container? A reference becomes the process that its namespaces belong to, and the cgroup that is its
//! own (docs/runtimes.md).

pub(crate) mod api;
mod by_cgroup;
mod error;
pub(crate) mod http;
mod machine;
mod reference;

use std::io;

use device_gate::{Container, ContainerError};

use crate::config::Config;
use crate::sandbox;

pub(crate) use api::Runtime;
pub use error::ResolveError;
pub use reference::{ContainerRef, RefError};

impl ContainerRef {
    /// What comes before the colon.
    pub(crate) fn runtime(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Podman { .. } => "podman",
            Self::Cri(_) => "cri",
            Self::Machine(_) => "machine",
            Self::Lxc(_) => "lxc",
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
            Self::Docker(name) => self.open_by_api(&Runtime::Docker, name, config).await,
            Self::Podman { user: None, name } => {
                self.open_by_api(&Runtime::Podman, name, config).await
            }
            Self::Podman { user: Some(user), name } => {
                let runtime = Runtime::PodmanOf(user.clone());
                let container = self.open_by_api(&runtime, name, config).await?;
                self.check_owner(container, user).await
            }
            _ => self.off_the_worker(Self::open_here).await,
        }
    }

    /// Asks the runtime. A Podman that nobody listens for is done without, where the name can be an id.
    async fn open_by_api(
        &self,
        runtime: &Runtime,
        name: &str,
        config: &Config,
    ) -> Result<Container, ResolveError> {
        match runtime.inspect(self, name, config).await {
            Ok(found) => {
                self.off_the_worker(move |reference| reference.open_found(found.pid, &found.id))
                    .await
            }
            Err(no_socket @ ResolveError::Socket { .. }) if *runtime != Runtime::Docker => {
                let id = name.to_owned();
                let found = self.off_the_worker(move |reference| by_cgroup::podman(reference, &id));
                match found.await {
                    Ok(found) => {
                        self.off_the_worker(move |reference| reference.open_cgroup(found)).await
                    }
                    Err(_) => Err(no_socket),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Opens what a runtime's API says. Every cgroup driver puts the container's id into the cgroup's name.
    fn open_found(&self, pid: u32, id: &str) -> Result<Container, ResolveError> {
        // A user's own Podman may say what it likes, such as a name that many cgroups have in theirs.
        if !by_cgroup::is_id(id) {
            return Err(ResolveError::Elsewhere { reference: self.clone(), pid });
        }
        let mut container = self.open_pid(pid)?;
        match container.widen_cgroup(id) {
            Ok(true) => Ok(container),
            Ok(false) => Err(ResolveError::Elsewhere { reference: self.clone(), pid }),
            Err(source) => Err(self.unusable(source)),
        }
    }

    /// A user's own Podman may say what the user likes: the container must be one that this user has made.
    async fn check_owner(
        &self,
        container: Container,
        user: &str,
    ) -> Result<Container, ResolveError> {
        let uid = api::uid_of(user).await.ok().flatten();
        self.off_the_worker(move |reference| match container.user_namespace_owner() {
            Ok(Some(owner)) if Some(owner) == uid => Ok(container),
            _ => Err(ResolveError::NotTheUsers {
                reference: reference.clone(),
                pid: container.pid(),
            }),
        })
        .await
    }

    /// The references that need no one to be asked over a socket.
    fn open_here(&self) -> Result<Container, ResolveError> {
        match self {
            Self::Cri(id) => self.open_cgroup(by_cgroup::cri(self, id)?),
            Self::Lxc(name) => self.open_cgroup(by_cgroup::lxc(self, name)?),
            Self::Machine(name) => self.open_and_find_cgroup(machine::leader(self, name)?),
            Self::Pid(pid) => self.open_and_find_cgroup(*pid),
            Self::Sandbox(name) => match sandbox::find(name) {
                Some(pid) => self.open_pid(pid),
                None => Err(ResolveError::NotFound { reference: self.clone() }),
            },
            Self::Docker(_) | Self::Podman { .. } => {
                Err(ResolveError::NotFound { reference: self.clone() })
            }
        }
    }

    fn open_cgroup(&self, found: by_cgroup::Found) -> Result<Container, ResolveError> {
        if let Some(runtime) = by_cgroup::own_kernel(found.pid) {
            return Err(ResolveError::OwnKernel { reference: self.clone(), runtime });
        }
        let mut container = self.open_pid(found.pid)?;
        container.take_cgroup(found.cgroup).map_err(|source| self.unusable(source))?;
        Ok(container)
    }

    fn open_and_find_cgroup(&self, pid: u32) -> Result<Container, ResolveError> {
        let mut container = self.open_pid(pid)?;
        container.find_own_cgroup().map_err(|source| self.unusable(source))?;
        Ok(container)
    }

    fn open_pid(&self, pid: u32) -> Result<Container, ResolveError> {
        Container::open(pid).map_err(|source| match source {
            ContainerError::NotRunning { .. } if matches!(self, Self::Pid(_)) => {
                ResolveError::NotFound { reference: self.clone() }
            }
            source => self.unusable(source),
        })
    }

    fn unusable(&self, source: ContainerError) -> ResolveError {
        ResolveError::Container { reference: self.clone(), source }
    }

    /// /proc and the cgroups of a busy host take their time, and a hostile container can make that longer.
    async fn off_the_worker<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ResolveError> + Send + 'static,
    ) -> Result<T, ResolveError> {
        let reference = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&reference));
        worked.await.unwrap_or_else(|_| Err(ResolveError::BrokenOff { reference: self.clone() }))
    }
}

/// Whether somebody listens at a runtime's socket.
///
/// # Errors
///
/// Why not.
pub(crate) async fn answers(socket: &std::path::Path) -> io::Result<()> {
    tokio::net::UnixStream::connect(socket).await.map(drop)
}
