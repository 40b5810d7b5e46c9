//! `cargo xtask bench udev`: udev-forge against systemd-udevd; all of it is in xtask/bench/udev.rs.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{place, tools, vm};

/// Builds the program and runs it, here or in the test machine.
pub(crate) fn run(machine: &vm::Settings, rounds: u32) -> Result<ExitCode> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "-p", "xtask", "--bin", "bench-udev"]);
    tools::run(build.current_dir(tools::workspace()?))?;
    let program = tools::target()?.join("release/bench-udev");
    let Some(reason) = place::why_not_here() else {
        tools::run(Command::new(program).arg(rounds.to_string()))?;
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!("xtask: {reason}, so this runs in the test machine");
    machine.run(&[vm::guest_path(&program)?.into_os_string(), rounds.to_string().into()])
}
