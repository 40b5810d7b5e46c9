//! The command `udev-forge`; see the README for how to use it.
//!
//! It is a library only so that the fuzzer reaches what it reads.

pub mod fake_udev;
mod forge;
mod hint;
mod monitor;
mod netns;
mod output;
mod send;
mod show;

use std::env;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Error, Result};
use clap::error::ErrorKind as Usage;
use clap::{CommandFactory as _, Parser, Subcommand};

/// Sends, shows and checks udev messages as systemd-udevd makes them.
#[derive(Debug, Parser)]
#[command(
    name = "udev-forge",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    fake_udev: fake_udev::Options,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
The options above are those of Wolf's fake-udev: with them, or called by the name fake-udev, this is a \
replacement for it.

Exit status: 0 done, 1 failed, 2 usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a message to the udev monitors of a network namespace.
    Send(send::Options),
    /// Print the messages that udev monitors receive, and whether every libudev would take them.
    Monitor(monitor::Options),
    /// Show what would be forged for a device, or what a database record says.
    Show(show::Options),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Send(options)) => send::run(&options),
        Some(Command::Monitor(options)) => monitor::run(&options),
        Some(Command::Show(options)) => show::run(&options),
        None if env::args_os().len() > 1 || is_called_fake_udev() => fake_udev::run(&cli.fake_udev),
        None => usage(Usage::MissingSubcommand, "name a command: send, monitor or show"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, hint::of(&error));
            ExitCode::FAILURE
        }
    }
}

fn is_called_fake_udev() -> bool {
    let name = env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name() == Some(OsStr::new("fake-udev"))
}

/// Ends the process with exit status 2, as for arguments that cannot be read.
fn usage<T>(kind: Usage, message: &str) -> Result<T> {
    Cli::command().error(kind, message).exit()
}

fn is_broken_pipe(error: &Error) -> bool {
    let of_output = error.downcast_ref::<io::Error>();
    of_output.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
