//! The configuration is read again while the daemon runs: `hotseat reload`, `POST /v1/reload`, SIGHUP
//! (docs/configuration.md).

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::config::{Applies, Change, Config, ConfigError};
use crate::follow;
use crate::session::Sessions;

/// The configuration could not be taken over; the daemon goes on with what it had.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file could not be used.
    #[error(transparent)]
    Config(ConfigError),
    /// The socket's mode, which says whether others than root may call, could not be set.
    #[error("could not let the users of `allow_uids`, and no others, reach `{socket}`")]
    SocketMode {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading it panicked: a bug.
    #[error("the configuration was not read, for an internal error")]
    Lost,
}

/// Where the configuration came from when the daemon was started.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The file; the usual one, if there is one, when not given.
    pub file: Option<PathBuf>,
    /// The socket, where it was not for the file to say.
    pub socket: Option<PathBuf>,
    /// Whether the socket is made and kept by systemd, with the mode that its unit has.
    pub inherited: bool,
}

impl Origin {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn read(&self) -> Result<Config, ConfigError> {
        let config = Config::load(self.file.as_deref())?;
        Ok(match &self.socket {
            Some(socket) => Config { socket: socket.clone(), ..config },
            None => config,
        })
    }
}

/// Reads the configuration again, and makes what depends on it follow.
#[derive(Debug)]
pub struct Reloader {
    origin: Origin,
    sessions: Arc<Sessions>,
    /// Who follows labelled containers. Held while the configuration is read: one at a time.
    followers: Mutex<JoinSet<()>>,
    /// Closed when no attach of theirs is under way, and they have ended.
    attaches: watch::Sender<()>,
}

/// How long what followers have begun may take until the daemon ends. A container can make an attach hang.
const LAST_ATTACHES: Duration = Duration::from_secs(5);

impl Reloader {
    /// Starts what the configuration wants to run beside the sessions.
    pub fn start(origin: Origin, sessions: Arc<Sessions>) -> Self {
        let (attaches, under_way) = watch::channel(());
        let followers = Mutex::new(follow::start(&sessions, &under_way));
        Self { origin, sessions, followers, attaches }
    }

    /// Ends what runs beside the sessions, and waits until it has attached what it was about to.
    pub async fn stop(&self) {
        self.followers.lock().await.shutdown().await;
        if tokio::time::timeout(LAST_ATTACHES, self.attaches.closed()).await.is_err() {
            tracing::warn!("a labelled container could not be attached in time");
        }
    }

    /// Reads the configuration again and takes over what can be changed while the daemon runs. Answers with the keys that
    /// differ.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]; nothing is changed then.
    pub async fn reload(&self) -> Result<Vec<Change>, ReloadError> {
        let mut followers = self.followers.lock().await;
        let engine = self.sessions.engine();
        let origin = self.origin.clone();
        let read = tokio::task::spawn_blocking(move || origin.read()).await;
        let new = read.map_err(|_| ReloadError::Lost)?.map_err(ReloadError::Config)?;

        let old = engine.config();
        let changes = old.changes(&new);
        let new = new.onto(&old);
        if !self.origin.inherited {
            let mode = Permissions::from_mode(socket_mode(&new));
            fs::set_permissions(&new.socket, mode)
                .map_err(|source| ReloadError::SocketMode { socket: new.socket.clone(), source })?;
        }
        engine.set_config(new);
        let is_followed = |change: &Change| FOLLOWED.contains(&change.key.as_str());
        if changes.iter().any(is_followed) {
            // The old ones end first: what they say of their connections would be taken for the new ones'.
            followers.shutdown().await;
            engine.following.forget();
            *followers = follow::start(&self.sessions, &self.attaches.subscribe());
        }
        for Change { key, applies } in &changes {
            if *applies == Applies::Restart {
                tracing::warn!(key, "the configuration has a new value, which needs a restart");
            } else {
                tracing::info!(key, %applies, "the configuration has a new value");
            }
        }
        tracing::info!(changes = changes.len(), "the configuration was read again");
        Ok(changes)
    }
}

/// The keys that say which runtimes are followed.
const FOLLOWED: [&str; 4] = ["follow", "follow_podman_users", "docker_socket", "podman_socket"];

/// The mode of a socket of our own: only root can connect to it, unless others may call; then peer credentials decide
/// who.
pub(crate) fn socket_mode(config: &Config) -> u32 {
    if config.allow_uids.is_empty() { 0o600 } else { 0o666 }
}
