//! `hotseat serve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{logging, notify};
use crate::api::{self, Socket};
use crate::config::{Config, DEFAULT_SOCKET};
use crate::engine::Engine;
use crate::follow;
use crate::metrics;
use crate::recovery;
use crate::session::Sessions;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration file; /etc/hotseat/hotseat.toml, if there is one, when not given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn serve(args: &ServeArgs, socket: &Path) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("the daemon makes devices and enters containers: run `hotseat serve` as root");
    }
    let mut config = Config::load(args.config.as_deref())?;
    // A socket named on the command line wins over the file's.
    if socket != Path::new(DEFAULT_SOCKET) {
        config.socket = socket.to_owned();
    }
    logging::start(config.log)?;
    raise_descriptor_limit();
    // Files and directories have the modes that are written here.
    umask(Mode::from_raw_mode(0o022));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the async runtime")?;
    let outcome = runtime.block_on(run(config));
    // What still hangs in a container's own file system is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome.map(|()| ExitCode::SUCCESS)
}

/// A session holds about a dozen descriptors and a device one or two more; the usual soft limit of 1024 is there
/// for programs that use select(2) (systemd.exec(5), "LimitNOFILE="). Best effort.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn run(config: Config) -> Result<()> {
    // The socket first: it is what keeps a second daemon from taking over the staging file system.
    let socket = Socket::bind(&config.socket, !config.allow_uids.is_empty())?;
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;

    let metrics = metrics::install().context("could not collect figures")?;
    let path = config.socket.clone();
    let engine = Arc::new(tokio::task::spawn_blocking(|| Engine::start(config)).await??);
    let sessions = Arc::new(Sessions::new(engine));
    recovery::recover(&sessions).await;
    let followers = follow::start(&sessions);
    notify::tell(&[NotifyState::Ready]);
    info!(socket = %path.display(), "ready");
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let events = Arc::clone(&sessions.engine().events);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify::tell(&[NotifyState::Stopping]);
        info!("stopping");
        // Streams of events would go on for ever.
        events.end();
        let _ = stopping.send(());
    };
    let overdue = async move {
        let _ = stopped.await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        served = socket.serve(api::router(Arc::clone(&sessions), metrics), stop) => served?,
        () = notify::watchdog() => {}
        () = overdue => warn!("connections that do not end are closed"),
    }
    drop(followers);
    if tokio::time::timeout(LAST_SESSIONS, sessions.remove_all()).await.is_err() {
        bail!("a session could not be removed in time; its devices end with this process");
    }
    sessions.engine().staging.unmount().context("could not unmount the staging file system")
}

/// How long open connections may go on after the daemon is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// How long the removal of all sessions may take. A container can make the look into it hang.
const LAST_SESSIONS: Duration = Duration::from_secs(20);
