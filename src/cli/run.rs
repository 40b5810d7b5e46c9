//! `hotseat run`.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::{Client, ClientError};
use super::output;
use crate::sandbox::init;
use crate::sandbox::launch::Sandbox;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The session's name; made up if not given.
    #[arg(long)]
    session: Option<String>,
    /// Plug this profile before the command starts; may be given several times.
    #[arg(long = "plug", value_name = "PROFILE")]
    plugs: Vec<String>,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command in a sandbox, as a session: one that is there and has no container, or one that is added and
/// ends with the command. The exit status is the command's.
pub(super) fn run(args: &RunArgs, client: Client) -> Result<ExitCode> {
    super::runtime()?.block_on(async {
        let signals = Signals::listen().context("could not listen for signals")?;
        let session = args.session.clone().unwrap_or_else(|| format!("run-{}", std::process::id()));
        let added = add_if_missing(&client, &session).await?;
        let mut plugged = Vec::new();
        let outcome = run_in_session(args, &client, &session, signals, &mut plugged).await;
        // Whatever came before: nothing stays of what was added for the command. Its devices would wait for the next.
        let removed = if added {
            client.remove_session(&session).await
        } else {
            for slot in plugged {
                let _ = client.unplug(&session, slot).await;
            }
            Ok(())
        };
        let code = outcome?;
        removed?;
        Ok(code)
    })
}

async fn add_if_missing(client: &Client, session: &str) -> Result<bool, ClientError> {
    match client.session(session).await {
        Ok(_) => Ok(false),
        Err(ClientError::Problem(problem)) if problem.code == "session-not-found" => {
            client.add_session(session, None, None).await.map(|_| true)
        }
        Err(error) => Err(error),
    }
}

async fn run_in_session(
    args: &RunArgs,
    client: &Client,
    session: &str,
    mut signals: Signals,
    plugged: &mut Vec<u8>,
) -> Result<ExitCode> {
    let mut sandbox = Sandbox::prepare(session, &args.command)?;
    client.attach(session, format!("sandbox:{session}")).await?;
    for profile in &args.plugs {
        plugged.push(client.plug(session, profile, None, None).await?.slot);
    }
    sandbox.go().context("the sandbox ended before the command could run")?;

    let lifeline = sandbox.lifeline().context("could not watch the sandbox")?;
    let mut ended = tokio::task::spawn_blocking(move || sandbox.wait());
    let status = loop {
        tokio::select! {
            status = &mut ended => break status.context("could not wait for the sandbox")?,
            _ = signals.interrupt.recv() => {}
            _ = signals.terminate.recv() => {
                output::warning("ending the sandbox");
                // Closing it ends the sandbox, and so the wait.
                let _ = lifeline.shutdown(std::net::Shutdown::Both);
            }
        }
    };
    let code = status.context("could not wait for the sandbox")?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Signals that must not end us before what we have started.
struct Signals {
    /// A terminal's Ctrl-C, which reaches the command by itself.
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

/// The hidden command that a sandbox's first process is.
pub(super) fn sandbox_init(lifeline: i32, cgroup: &Path, command: &[OsString]) -> Result<ExitCode> {
    let lifeline: UnixStream = crate::sandbox::inherited(lifeline)
        .context("`sandbox-init` is not to be called by hand: use `hotseat run`")?;
    init::run(lifeline, cgroup, command)
}
