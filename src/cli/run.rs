//! `hotseat run`.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::client::Client;
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

/// Adds a session, runs the command in a sandbox attached to it, and removes the session. The exit status is
/// the command's.
pub(super) fn run(args: &RunArgs, client: Client) -> Result<ExitCode> {
    super::runtime()?.block_on(async {
        let session = args.session.clone().unwrap_or_else(|| format!("run-{}", std::process::id()));
        client.add_session(&session, None).await?;
        let outcome = run_in_session(args, &client, &session).await;
        // Whatever came before: nothing of the session stays.
        let removed = client.remove_session(&session).await;
        let code = outcome?;
        removed?;
        Ok(code)
    })
}

async fn run_in_session(args: &RunArgs, client: &Client, session: &str) -> Result<ExitCode> {
    let mut sandbox = Sandbox::prepare(session, &args.command)?;
    client.attach(session, format!("sandbox:{session}")).await?;
    for profile in &args.plugs {
        client.plug(session, profile, None, None).await?;
    }
    // A terminal's Ctrl-C reaches the command by itself; here it must only not end us before the command.
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    sandbox.go().context("the sandbox ended before the command could run")?;

    let lifeline = sandbox.lifeline().context("could not watch the sandbox")?;
    let mut ended = tokio::task::spawn_blocking(move || sandbox.wait());
    let status = loop {
        tokio::select! {
            status = &mut ended => break status.context("could not wait for the sandbox")?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                output::warning("ending the sandbox");
                // Closing it ends the sandbox, and so the wait.
                let _ = lifeline.shutdown(std::net::Shutdown::Both);
            }
        }
    };
    let code = status.context("could not wait for the sandbox")?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// The hidden command that a sandbox's first process is.
pub(super) fn sandbox_init(lifeline: i32, cgroup: &Path, command: &[OsString]) -> Result<ExitCode> {
    let lifeline: UnixStream = crate::sandbox::inherited(lifeline)
        .context("`sandbox-init` is not to be called by hand: use `hotseat run`")?;
    init::run(lifeline, cgroup, command)
}
