//! Why a reference could not be followed.

use std::io;
use std::path::PathBuf;

use device_gate::{CgroupError, ContainerError};

use super::ContainerRef;
use super::http::HttpError;

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
    /// Several containers have an id that begins so.
    #[error("`{reference}` may be any of {}", .candidates.join(", "))]
    Ambiguous {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Their cgroups.
        candidates: Vec<String>,
    },
    /// The runtime's socket does not answer.
    #[error("could not reach the socket `{socket}` to ask about `{reference}`")]
    Socket {
        /// As the user wrote it.
        reference: ContainerRef,
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runtime could not be asked.
    #[error("could not ask at `{socket}` about `{reference}`")]
    Api {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Its socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// There is no user of that name.
    #[error("`{reference}`: this host has no user `{user}`")]
    NoUser {
        /// As the user wrote it.
        reference: ContainerRef,
        /// The name.
        user: String,
    },
    /// The users of the host could not be looked up.
    #[error("`{reference}`: could not look up its user")]
    LookUpUser {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A user's own Podman gave a process that is not in a container of that user's.
    #[error(
        "process {pid}, which Podman says is `{reference}`, is not in a container of that user's"
    )]
    NotTheUsers {
        /// As the user wrote it.
        reference: ContainerRef,
        /// The number Podman gave.
        pid: u32,
    },
    /// The runtime's process number means another process here.
    #[error(
        "process {pid}, which the runtime says is `{reference}`, is not in a cgroup of that container's: the runtime \
         numbers processes otherwise than this host, or gives its containers no cgroups"
    )]
    Elsewhere {
        /// As the user wrote it.
        reference: ContainerRef,
        /// The number the runtime gave.
        pid: u32,
    },
    /// The container has a kernel of its own, which has no devices of this host's.
    #[error(
        "container `{reference}` runs on a kernel of its own ({runtime}): the host's devices do not reach it"
    )]
    OwnKernel {
        /// As the user wrote it.
        reference: ContainerRef,
        /// What runs it.
        runtime: String,
    },
    /// The host's cgroups could not be searched.
    #[error("could not look for the cgroup of `{reference}`")]
    Cgroups {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Why.
        #[source]
        source: CgroupError,
    },
    /// `machinectl` could not be run.
    #[error("could not run `machinectl` to ask about `{reference}`")]
    Machinectl {
        /// As the user wrote it.
        reference: ContainerRef,
        /// Why.
        #[source]
        source: io::Error,
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
    /// The look at the container panicked, or the daemon is ending: a bug in the first case.
    #[error("the look for `{reference}` was broken off")]
    BrokenOff {
        /// As the user wrote it.
        reference: ContainerRef,
    },
}
