//! What can go wrong with the staging file system.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::access::Device;
use crate::probe::ProbeError;

/// A staging step failed.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The file system could not be mounted.
    #[error("could not mount the staging file system at `{path}` (this needs root)")]
    Mount {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file system could not be locked read-only for containers.
    #[error(
        "could not lock the staging file system at `{path}` read-only for containers (are user namespaces \
         disabled? see `sysctl user.max_user_namespaces`)"
    )]
    Lock {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A session's directory could not be shown to runtimes.
    #[error(
        "could not mount the session's directory at `{path}` for containers to be started with"
    )]
    Show {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("another daemon uses the staging file system at `{path}`")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// A directory or file of the staging file system could not be made, opened or read.
    #[error("could not prepare `{path}`")]
    Prepare {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The session's name cannot be a directory's name.
    #[error("`{name}` cannot name a staging directory")]
    Name {
        /// The name.
        name: String,
    },
    /// A node has a place that is not staged.
    #[error("`/dev/{path}` is no place for a staged node")]
    Place {
        /// The node's path below /dev.
        path: String,
    },
    /// A node of that name is there already.
    #[error("`/dev/{path}` is there already")]
    Exists {
        /// The node's path below /dev.
        path: String,
    },
    /// A node could not be made or linked into place.
    #[error("could not place `/dev/{path}` ({device})")]
    Node {
        /// The node's path below /dev.
        path: String,
        /// Its device.
        device: Device,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another name of a node could not be made.
    #[error("could not place `/dev/{path}`")]
    Alias {
        /// The name, below /dev.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A process in the cgroup could not try a node.
    #[error("could not try a node from inside the cgroup")]
    Probe(#[source] ProbeError),
    /// A node or directory could not be removed.
    #[error("could not remove `{path}`")]
    Remove {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StagingError {
    /// Whether it failed because the file system is read-only or full, which only a container can have made of it
    /// (fspick(2)).
    pub(super) fn is_broken_file_system(&self) -> bool {
        let (Self::Mount { source, .. }
        | Self::Lock { source, .. }
        | Self::Prepare { source, .. }
        | Self::Remove { source, .. }) = self
        else {
            return false;
        };
        [Errno::ROFS, Errno::NOSPC]
            .iter()
            .any(|it| source.raw_os_error() == Some(it.raw_os_error()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_container_can_have_broken_counts_as_broken() {
        let error = |errno: Errno| StagingError::Remove { path: "s".into(), source: errno.into() };
        assert!(error(Errno::ROFS).is_broken_file_system());
        assert!(!error(Errno::IO).is_broken_file_system());
        assert!(!error(Errno::MFILE).is_broken_file_system());
        assert!(!StagingError::InUse { path: "s".into() }.is_broken_file_system());
    }
}
