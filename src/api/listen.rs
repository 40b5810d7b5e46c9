//! The Unix socket: one daemon per path, no stale socket in the way, none left behind.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use axum::Router;
use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

use super::peer::Peer;

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
    /// Serving ended with an error.
    #[error("the API stopped")]
    Serve(#[source] io::Error),
}

/// A listening socket. The lock beside it is held for the daemon's life, so that a socket file whose lock is
/// free belongs to nobody and can be replaced.
#[derive(Debug)]
pub struct Socket {
    file: SocketFile,
    listener: UnixListener,
    _lock: File,
}

impl Socket {
    /// Makes the socket and its directory. Only root can connect to it, unless it is `for_everybody`: then
    /// peer credentials decide who may call.
    ///
    /// # Errors
    ///
    /// [`ListenError`], in particular when another daemon has it.
    pub fn bind(path: &Path, for_everybody: bool) -> Result<Self, ListenError> {
        let lock = lock(path)?;
        let bind = |path: &Path| {
            match fs::symlink_metadata(path) {
                // Left by a daemon that crashed: nobody holds the lock.
                Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path)?,
                // Binding says that something else is in the way.
                _ => {}
            }
            let listener = UnixListener::bind(path)?;
            let mode = if for_everybody { 0o666 } else { 0o600 };
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            Ok(listener)
        };
        let listener =
            bind(path).map_err(|source| ListenError::Bind { path: path.to_owned(), source })?;
        Ok(Self { file: SocketFile(path.to_owned()), listener, _lock: lock })
    }

    /// Serves until `stop` resolves and the requests under way are answered, then removes the socket.
    ///
    /// # Errors
    ///
    /// [`ListenError::Serve`].
    pub async fn serve(
        self,
        router: Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ListenError> {
        let service = router.into_make_service_with_connect_info::<Peer>();
        // Removed also when this future is dropped, while the lock is still ours.
        let _file = self.file;
        let served = axum::serve(self.listener, service).with_graceful_shutdown(stop).await;
        served.map_err(ListenError::Serve)
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
