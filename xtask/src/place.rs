//! Where a task runs: on this machine when it can, otherwise in the test machine.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{tools, vm};

/// How the product is compiled for a task.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// `target/debug/hotseat`.
    Debug,
    /// `target/release/hotseat`.
    Release,
}

/// Builds the product, then runs `here` on this machine or `xtask TASK... --here` in the test machine.
pub(crate) fn here_or_in_vm(
    profile: Profile,
    task: &[&str],
    here: impl FnOnce() -> Result<()>,
) -> Result<ExitCode> {
    let mut build = Command::new("cargo");
    build.args(["build", "--bin", "hotseat"]).current_dir(tools::workspace()?);
    if matches!(profile, Profile::Release) {
        // And the programs of the bench.
        build.args(["--release", "-p", "hotseat", "-p", "xtask"]);
        for program in ["bench-wolf", "bench-fake-udev", "bench-frames", "bench-input"] {
            build.args(["--bin", program]);
        }
    }
    tools::run(&mut build)?;
    match why_not_here() {
        None => here().map(|()| ExitCode::SUCCESS),
        Some(reason) => {
            eprintln!("xtask: {reason}, so this runs in the test machine");
            let program = vm::guest_path(&std::env::current_exe().context("finding xtask")?)?;
            let mut command = vec![program.into_os_string()];
            command.extend(task.iter().map(OsString::from));
            command.push("--here".into());
            let mut settings = vm::Settings::default();
            if matches!(profile, Profile::Release) {
                // The documentation's figures are of this processor. On the plainer one of the tests a plug is 23 to 29 times
                // as fast as Wolf's, not 42 to 54 times (README, "How fast").
                "max".clone_into(&mut settings.cpu);
            }
            settings.run(&command)
        }
    }
}

/// The reason why virtual input devices cannot be made on this machine by this user, if there is one.
pub(crate) fn why_not_here() -> Option<String> {
    if !tools::is_root() {
        return Some("this needs root".to_owned());
    }
    let opened = OpenOptions::new().read(true).write(true).open("/dev/uinput");
    opened.err().map(|error| format!("/dev/uinput cannot be opened here ({error})"))
}
