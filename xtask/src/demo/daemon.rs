//! A daemon of our own: with its own socket, staging file system and journal, gone when we are done.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::http;
use super::program::Program;

/// How long a command may take that should take no time.
const QUICK: Duration = Duration::from_secs(30);

/// A running `hotseat serve`, and the folder that everything of it is in.
pub(crate) struct Daemon {
    // Dropped first: the daemon unmounts its staging file system from the folder.
    program: Program,
    hotseat: String,
    folder: Folder,
}

impl Daemon {
    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(hotseat: &Path, deadline: Instant) -> Result<Self> {
        Self::start_with(hotseat, |_| String::new(), deadline)
    }

    /// The same with more configuration, made of the folder's path.
    pub(crate) fn start_with(
        hotseat: &Path,
        more: impl FnOnce(&Path) -> String,
        deadline: Instant,
    ) -> Result<Self> {
        if !hotseat.is_file() {
            bail!("{} is missing: `cargo xtask` builds it", hotseat.display());
        }
        let hotseat = hotseat.to_str().context("a path that is not UTF-8")?.to_owned();
        let folder = Folder::make()?;
        let config = folder.config(&more(&folder.0))?;
        let mut program = Program::start("the daemon", &hotseat, &["serve", "--config", &config])?;
        program
            .wait_for("\"ready\"", deadline, |line| line.text.contains("ready").then_some(()))?;
        Ok(Self { program, hotseat, folder })
    }

    /// Starts `hotseat ARGUMENTS...`, which talks to this daemon.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Result<Program> {
        let socket = self.socket().to_string_lossy().into_owned();
        Program::start(name, &self.hotseat, &[&["--socket", &socket], arguments].concat())
    }

    /// Asks the daemon's API, as a streaming host would.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let answer = http::request(&self.socket(), method, path, body)?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).with_context(|| format!("the answer to {method} {path}"))
    }

    /// Passes on how the work with the daemon ended; after a failure, what the daemon has to say about it
    /// is shown.
    pub(crate) fn explain<T>(&mut self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|_| eprintln!("xtask: the daemon's last lines:{}", self.program.tail()))
    }

    /// The folder that everything of this daemon is in, and that goes with it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The daemon's process, as a number.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    fn socket(&self) -> PathBuf {
        self.folder.0.join("socket")
    }
}

/// The steps of a plug and when each was done, from the daemon's answer.
pub(crate) fn steps(device: &Value) -> Result<Vec<(String, Duration)>> {
    let steps = device["steps"].as_array().context("an answer without steps")?;
    let step = |step: &Value| {
        let time = Duration::from_micros(step["us"].as_u64()?);
        Some((step["step"].as_str()?.to_owned(), time))
    };
    steps.iter().map(|value| step(value).context("a step without name or time")).collect()
}

/// Milliseconds, in tenths.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// The kernel modules that make the nodes. joydev would come by itself, but late for the first pad.
pub(crate) fn load_modules() -> Result<()> {
    let modules = ["-a", "uinput", "joydev"];
    Program::output("modprobe", &modules, Instant::now() + QUICK).map(drop)
}

/// The daemon's folder, on a disk as its journal is in real life, and where nobody but root makes any.
struct Folder(PathBuf);

/// Where the folders are, each named after a process.
const FOLDERS: &str = "/var/lib";
const PREFIX: &str = "hotseat-xtask-";

impl Folder {
    fn make() -> Result<Self> {
        remove_left_over()?;
        let path = Path::new(FOLDERS).join(format!("{PREFIX}{}", process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    fn config(&self, more: &str) -> Result<String> {
        let path = |name| self.0.join(name);
        let text = format!(
            "socket = {:?}\nstage = {:?}\njournal = {:?}\n{more}",
            path("socket"),
            path("stage"),
            path("journal")
        );
        fs::write(path("config.toml"), text).context("writing the configuration")?;
        Ok(path("config.toml").to_string_lossy().into_owned())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_ok() {
            return;
        }
        // A daemon that was killed has left its staging file system mounted.
        let stage = self.0.join("stage");
        let unmount = ["--lazy", &stage.to_string_lossy()];
        let unmounted = Program::output("umount", &unmount, Instant::now() + QUICK);
        let gone = unmounted.and_then(|_| Ok(fs::remove_dir_all(&self.0)?));
        if let Err(error) = gone {
            eprintln!("xtask: {} could not be removed: {error:#}", self.0.display());
        }
    }
}

/// Removes the folders of runs that were killed.
fn remove_left_over() -> Result<()> {
    for entry in fs::read_dir(FOLDERS).with_context(|| format!("reading {FOLDERS}"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.strip_prefix(PREFIX).is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            drop(Folder(path));
        }
    }
    Ok(())
}
