//! What can go wrong inside a container.

use std::io;

/// The staged directories could not be attached to the container, or detached from it.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The staged directories could not be given to the container's root.
    #[error("could not give the session's directories to the container's root")]
    Own(#[source] io::Error),
    /// The staged directory could not be made into a mount.
    #[error("could not clone the staged `{path}` as a read-only mount")]
    Clone {
        /// Where it was to show.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started, or could not enter the container's mount namespace.
    #[error("could not enter the container's mount namespace")]
    Enter(#[source] io::Error),
    /// The container's file systems did not answer; what may still come of it is undone.
    #[error("the container's own file systems do not answer")]
    Hangs,
    /// What is mounted in the container could not be looked at.
    #[error("could not read the container's table of mounts")]
    Table(#[source] io::Error),
    /// The container's /dev is that of the host, where nothing is ours to change.
    #[error("`/dev` in the container is the host's own")]
    HostDev,
    /// A symbolic link stands where a directory was to be.
    #[error("`{path}` in the container is a symbolic link; it is not followed")]
    Symlink {
        /// The path inside.
        path: String,
    },
    /// Something else than a directory stands there.
    #[error("`{path}` in the container is not a directory")]
    NotADirectory {
        /// The path inside.
        path: String,
    },
    /// The directory has entries that the mount would hide.
    #[error(
        "`{path}` in the container already holds `{entry}`, which the session's mount would hide"
    )]
    Occupied {
        /// The path inside.
        path: &'static str,
        /// The first entry found.
        entry: String,
    },
    /// The mount point is missing and could not be made.
    #[error("`{path}` is missing in the container and could not be made")]
    Create {
        /// The path inside.
        path: String,
        /// Why; `EROFS` in a read-only container.
        #[source]
        source: io::Error,
    },
    /// The path could not be walked or looked at.
    #[error("could not open `{path}` in the container")]
    Walk {
        /// The path inside.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The container has put something else at the path while the mount went there.
    #[error(
        "`{path}` in the container was exchanged while the session's directory was mounted there"
    )]
    Exchanged {
        /// The path inside.
        path: &'static str,
    },
    /// The mount could not be put there.
    #[error("could not mount over `{path}` in the container")]
    Mount {
        /// The path inside.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else has the name of a node in the container's /dev.
    #[error("`/dev/{name}` is there already in the container")]
    Taken {
        /// The name.
        name: String,
    },
    /// A link to a node could not be made.
    #[error("could not make the link `/dev/{name}` in the container")]
    Link {
        /// The name.
        name: String,
        /// Why; `ENOSPC` when the container's /dev is full, `EROFS` when it is read-only.
        #[source]
        source: io::Error,
    },
    /// A link to a node could not be removed.
    #[error("could not remove the link `/dev/{name}` in the container")]
    Unlink {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mount could not be taken away.
    #[error("could not unmount `{path}` in the container")]
    Unmount {
        /// The path inside.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}
