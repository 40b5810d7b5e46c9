//! `hotseat cdi`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::client::Client;
use super::output;
use crate::cdi::{self, Hook};

#[derive(Debug, Args)]
pub(super) struct CdiArgs {
    /// A device for this session, which need not be there yet; may be given several times. All sessions of the daemon
    /// if not given.
    #[arg(long = "session", value_name = "SESSION", conflicts_with = "hooks_dir")]
    sessions: Vec<String>,
    /// The file; `-` prints it.
    #[arg(
        long,
        value_name = "FILE",
        default_value_os_t = Path::new(cdi::DIRECTORY).join(cdi::FILE),
        conflicts_with = "hooks_dir"
    )]
    output: PathBuf,
    /// Leave out devices that the file has and that were not asked for. A container that was made with one of them does
    /// not start again.
    #[arg(long)]
    prune: bool,
    /// Write a configuration for the annotation `hotseat.session` into this directory of OCI hooks instead.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "prune")]
    hooks_dir: Option<PathBuf>,
    /// How long a container's start may wait for the daemon, on a slow host; a second if not given.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(1..=60))]
    wait: Option<u8>,
    /// The hook; the one beside this program if not given.
    #[arg(long, value_name = "PATH")]
    hook: Option<PathBuf>,
}

/// Writes the files that make container engines run the hook.
pub(super) fn run(args: CdiArgs, client: &Client) -> Result<ExitCode> {
    let hook = Hook::find(args.hook, client.socket(), args.wait)?;
    if let Some(directory) = args.hooks_dir {
        let path = cdi::write_hook(&directory, &hook)?;
        output::line(&format!("wrote {}", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let sessions: BTreeSet<String> = if args.sessions.is_empty() {
        let sessions = super::runtime()?.block_on(client.sessions())?;
        sessions.into_iter().map(|session| session.name).collect()
    } else {
        args.sessions.into_iter().collect()
    };
    if args.output == Path::new("-") {
        output::text(&cdi::text(&hook, &sessions)?);
        return Ok(ExitCode::SUCCESS);
    }
    let devices = cdi::write(&args.output, &hook, &sessions, !args.prune)?;
    output::line(&format!("wrote {}; its devices:", args.output.display()));
    for device in devices {
        output::line(&format!("--device {}={device}", cdi::KIND));
    }
    Ok(ExitCode::SUCCESS)
}
