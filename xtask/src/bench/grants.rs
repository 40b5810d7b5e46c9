//! `cargo xtask bench grants`: what grants cost; all of it is in xtask/bench/grants.rs.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{tools, vm};

/// Builds the program and runs it: here for root, otherwise in the test machine.
pub(crate) fn run(machine: &vm::Settings, in_machine: bool, rounds: u32) -> Result<ExitCode> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "-p", "xtask", "--bin", "bench-grants"]);
    tools::run(build.current_dir(tools::workspace()?))?;
    let program = tools::target()?.join("release/bench-grants");
    if tools::is_root() && !in_machine {
        let status = Command::new(program).arg(rounds.to_string()).status();
        let is_good = status.context("starting the bench")?.success();
        return Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    machine.run(&[vm::guest_path(&program)?.into_os_string(), rounds.to_string().into()])
}
