//! The workspace, and the programs of this machine that the tasks call.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

/// Something that a task needs on this machine.
pub(crate) struct Need {
    /// A program to be found on PATH, or the absolute path of a file.
    pub(crate) what: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
    /// What the task does with it.
    pub(crate) why: &'static str,
}

/// Makes sure that everything in `needs` is there: installs it as root, says how to otherwise.
/// Never asks a question.
pub(crate) fn need(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !is_there(need.what)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("xtask: this machine lacks");
    for need in &missing {
        eprintln!("  {} (package {}): {}", need.what, need.package, need.why);
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if find("apt-get").is_none() {
        bail!("no apt-get here; install what is missing with your own package manager");
    }
    if !is_root() {
        bail!("install what is missing:\n  sudo {install}");
    }
    eprintln!("xtask: {install}");
    let attempt = || {
        run_quietly(
            Command::new("apt-get")
                .args(["install", "-y", "--no-install-recommends"])
                .args(&packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if attempt().is_err() {
        eprintln!("xtask: once more with fresh package lists: apt-get update");
        run_quietly(Command::new("apt-get").arg("update"))?;
        attempt()?;
    }
    match missing.iter().find(|need| !is_there(need.what)) {
        None => Ok(()),
        Some(need) => bail!("{} is missing even with package {}", need.what, need.package),
    }
}

/// Makes sure that cargo-nextest is there and returns its path.
pub(crate) fn need_nextest() -> Result<PathBuf> {
    if let Some(path) = find("cargo-nextest") {
        return Ok(path);
    }
    eprintln!(
        "xtask: cargo-nextest (runs each test in its own process) is missing; installing it:"
    );
    eprintln!("xtask: cargo install --locked cargo-nextest");
    run(Command::new("cargo").args(["install", "--locked", "cargo-nextest"]))?;
    find("cargo-nextest").context("cargo-nextest was installed, but is not on PATH")
}

fn is_there(what: &str) -> bool {
    if what.starts_with('/') { Path::new(what).exists() } else { find(what).is_some() }
}

/// Where `program` is; also looks where PATH does not lead an ordinary user or a bare `cargo`.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo = env::home_dir().map(|home| home.join(".cargo/bin"));
    env::split_paths(&path)
        .chain(cargo)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs `command` to its end; anything but success is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", name(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// As [`run`]; what the command prints is shown if it fails.
fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {}", name(command)))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("{} ended with {}", name(command), output.status);
    }
    Ok(())
}

/// A command that is ended with `signal` when the thread that started it is gone, however that came about.
pub(crate) fn bound_to_us(signal: &str, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal, "--"]);
    command.arg(find(program).unwrap_or_else(|| program.into()));
    command
}

/// The program and its first arguments, for messages.
pub(crate) fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy()).take_while(|word| !word.contains('\n'));
    words.take(5).collect::<Vec<_>>().join(" ")
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether this is continuous integration, where a skipped test is a failure.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// The top of the workspace: the nearest folder upwards that has an `xtask`.
pub(crate) fn workspace() -> Result<PathBuf> {
    let here = env::current_dir().context("finding the current folder")?;
    let found = here.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
    found.map(Path::to_path_buf).context("not inside the Hotseat workspace")
}

/// Cargo's target folder: the one that this very program was built in.
pub(crate) fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("finding xtask")?;
    let folder = program.ancestors().nth(2).context("xtask is not in a target folder")?;
    Ok(folder.to_path_buf())
}
