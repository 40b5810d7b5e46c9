//! The Unix socket: one daemon per path, no stale socket in the way, none left behind.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use axum::Router;
use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

use super::connections;
use crate::engine::Engine;

/// The daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon has the socket.
    #[error("another daemon listens on `{path}`: stop it, or choose another socket with --socket")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The lock beside the socket could not be taken.
    #[error("could not lock `{path}`")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket could not be made.
    #[error("could not listen on `{path}`")]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What systemd has opened for us cannot be used.
    #[error("could not use the socket that systemd has opened (`ListenStream=` with a path)")]
    Inherit(#[source] io::Error),
}

/// A listening socket. The lock beside it is held for the daemon's life, so that a socket file whose lock is
/// free belongs to nobody and can be replaced.
#[derive(Debug)]
pub struct Socket {
    /// Ours to remove.
    file: Option<SocketFile>,
    path: PathBuf,
    listener: UnixListener,
    _lock: File,
}

impl Socket {
    /// Makes the socket and its directory, with these permission bits.
    ///
    /// # Errors
    ///
    /// [`ListenError`], in particular when another daemon has it.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let lock = lock(path)?;
        let bind = |path: &Path| {
            match fs::symlink_metadata(path) {
                // Left by a daemon that crashed: nobody holds the lock.
                Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path)?,
                // Binding says that something else is in the way.
                _ => {}
            }
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            Ok(listener)
        };
        let listener =
            bind(path).map_err(|source| ListenError::Bind { path: path.to_owned(), source })?;
        let file = Some(SocketFile(path.to_owned()));
        Ok(Self { file, path: path.to_owned(), listener, _lock: lock })
    }

    /// Takes a socket that systemd has opened (hotseat.socket). It is neither made nor removed here: whoever calls while
    /// there is no daemon starts one.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    pub fn inherit(socket: OwnedFd) -> Result<Self, ListenError> {
        let listener = net::UnixListener::from(socket);
        listener.set_nonblocking(true).map_err(ListenError::Inherit)?;
        let address = listener.local_addr().map_err(ListenError::Inherit)?;
        let unnamed = || ListenError::Inherit(io::ErrorKind::AddrNotAvailable.into());
        let path = address.as_pathname().ok_or_else(unnamed)?.to_owned();
        let lock = lock(&path)?;
        let listener = UnixListener::from_std(listener).map_err(ListenError::Inherit)?;
        Ok(Self { file: None, path, listener, _lock: lock })
    }

    /// Whether systemd has made it.
    pub fn is_inherited(&self) -> bool {
        self.file.is_none()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until `stop` resolves and the requests under way are answered, then removes the socket.
    pub async fn serve(self, router: Router, engine: &Engine, stop: impl Future<Output = ()>) {
        // Removed also when this future is dropped, while the lock is still ours.
        let _file = self.file;
        connections::serve(self.listener, router, engine, stop).await;
    }
}

/// Removes the socket's file. Best effort: the next daemon replaces it.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn lock(socket: &Path) -> Result<File, ListenError> {
    let path = socket.with_extension("lock");
    let error = |source| ListenError::Lock { path: path.clone(), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(error)?;
    }
    let file = File::create(&path).map_err(error)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ListenError::InUse { path: socket.to_owned() }),
        Err(errno) => Err(error(errno.into())),
    }
}
