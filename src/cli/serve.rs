//! `hotseat serve`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::log_lines::LogLines;
use super::{logging, notify};
use crate::api::{self, Socket};
use crate::config::{Config, DEFAULT_SOCKET, OnStop};
use crate::engine::{Engine, chain};
use crate::metrics;
use crate::recovery;
use crate::reload::{Origin, Reloader, socket_mode};
use crate::remote::Listener;
use crate::session::Sessions;
use crate::sys::passed_by_systemd;

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
    // A socket named on the command line wins over the file's, and one that systemd has opened over both.
    let named = (socket != Path::new(DEFAULT_SOCKET)).then(|| socket.to_owned());
    let origin = Origin { file: args.config.clone(), socket: named, inherited: false };
    let config = origin.read()?;
    let log = logging::start(config.log)?;
    let passed = passed_by_systemd().context("could not take what systemd has passed")?;
    raise_descriptor_limit();
    // Files and directories have the modes that are written here.
    umask(Mode::from_raw_mode(0o022));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the async runtime")?;
    let outcome = runtime.block_on(run(origin, config, passed, &log));
    // What still hangs in a container's own file system is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(2));
    match (outcome, log.drain()) {
        (Ok(()), _) => Ok(ExitCode::SUCCESS),
        (Err(error), true) => Err(error),
        // To print it would wait for ever.
        (Err(_), false) => Ok(ExitCode::FAILURE),
    }
}

/// A session holds about a dozen descriptors and a device one or two more; the usual soft limit of 1024 is there
/// for programs that use select(2) (systemd.exec(5), "LimitNOFILE="). Best effort.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The name of the API's socket among the descriptors from systemd (`FileDescriptorName=` of hotseat.socket).
const API: &str = "api";

async fn run(
    mut origin: Origin,
    mut config: Config,
    mut passed: Vec<(String, OwnedFd)>,
    log: &LogLines,
) -> Result<()> {
    // The socket first: it is what keeps a second daemon from taking over the staging file system.
    let socket = match passed.iter().position(|(name, _)| name == API) {
        Some(index) => Socket::inherit(passed.swap_remove(index).1)?,
        None => Socket::bind(&config.socket, socket_mode(&config))?,
    };
    if socket.is_inherited() {
        origin.inherited = true;
        origin.socket = Some(socket.path().to_owned());
        config.socket = socket.path().to_owned();
    }
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let hang_up = signal(SignalKind::hangup()).context("could not listen for SIGHUP")?;

    let metrics = metrics::install().context("could not collect figures")?;
    let path = config.socket.clone();
    let engine = Arc::new(tokio::task::spawn_blocking(|| Engine::start(config, passed)).await??);
    let sessions = Arc::new(Sessions::new(engine));
    let clients = recovery::recover(&sessions).await;
    // Of sessions that are not back.
    sessions.forget_tokens().await;
    let remote = Listener::start(&sessions).await;
    let reloader = Arc::new(Reloader::start(origin, Arc::clone(&sessions)));
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
    // From now on they can come back.
    drop(clients);
    let router = api::router(Arc::clone(&sessions), Arc::clone(&reloader), metrics);
    tokio::select! {
        () = socket.serve(router, sessions.engine(), stop) => {}
        () = notify::watchdog() => {}
        () = reload_when_told(hang_up, &reloader) => {}
        () = overdue => warn!("connections that do not end are closed"),
    }
    if let Some(remote) = remote {
        remote.stop().await;
    }
    // No container is attached any more.
    reloader.stop().await;
    let engine = sessions.engine();
    let kept = if engine.keep.is_there() { OnStop::Keep } else { OnStop::Unplug };
    match engine.config().on_stop.unwrap_or(kept) {
        OnStop::Unplug => remove(&sessions).await,
        OnStop::Keep => leave(&sessions, log).await,
    }
}

/// Nothing is left.
async fn remove(sessions: &Sessions) -> Result<()> {
    if tokio::time::timeout(LAST_SESSIONS, sessions.remove_all()).await.is_err() {
        // What its container keeps from ending has its devices.
        let keep = Arc::clone(&sessions.engine().keep);
        let _ = tokio::task::spawn_blocking(move || keep.empty()).await;
        bail!("a session could not be removed in time; its devices end with this process");
    }
    sessions.engine().keep.store_grants(None);
    sessions.engine().staging.unmount().context("could not unmount the staging file system")
}

/// Everything is left as it is, for the next daemon.
async fn leave(sessions: &Sessions, log: &LogLines) -> Result<()> {
    let Ok(left) = tokio::time::timeout(LAST_SESSIONS, sessions.leave_all()).await else {
        tracing::error!("a session did not come to an end in time; it is left as it is");
        log.drain();
        // At once, as if killed: what would be dropped on the way out is to stay.
        #[expect(
            clippy::exit,
            reason = "what is dropped on the way out would be taken from its programs"
        )]
        std::process::exit(1);
    };
    info!(sessions = left, "sessions are kept for the next daemon");
    Ok(())
}

/// Reads the configuration again at each SIGHUP (sd_notify(3), "RELOADING=1"). Never ends.
async fn reload_when_told(mut hang_up: Signal, reloader: &Reloader) {
    while hang_up.recv().await.is_some() {
        notify::reloading();
        if let Err(error) = reloader.reload().await {
            let error = chain(&error);
            warn!(
                error,
                "the configuration was not taken over; the daemon goes on with what it had"
            );
        }
        notify::tell(&[NotifyState::Ready]);
    }
    std::future::pending().await
}

/// How long open connections may go on after the daemon is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// How long the removal of all sessions may take. A container can make the look into it hang.
const LAST_SESSIONS: Duration = Duration::from_secs(20);
