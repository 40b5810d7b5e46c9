//! `hotseat setup`: what the host needs once. The files are compiled in; nothing else is written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file that belongs on the host.
#[derive(Debug, Clone, Copy)]
pub struct HostFile {
    /// Where.
    pub path: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// What is in it.
    pub content: &'static str,
}

/// The rules that keep our devices away from the host's own desktop.
pub const SEAT_RULES: HostFile = HostFile {
    path: "/etc/udev/rules.d/72-hotseat.rules",
    purpose: "keeps virtual devices away from the host's own desktop",
    content: include_str!("../assets/udev/72-hotseat.rules"),
};

/// The kernel modules to load at boot.
pub const MODULES: HostFile = HostFile {
    path: "/etc/modules-load.d/hotseat.conf",
    purpose: "loads uinput, uhid, joydev and the drivers of whole pads at boot",
    content: include_str!("../assets/modules-load.d/hotseat.conf"),
};

/// A setup step failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file could not be written.
    #[error("could not write `{path}` (run as root)")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A command could not be run.
    #[error("could not run `{command}`")]
    Run {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed: {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// What it said.
        stderr: String,
    },
}

impl HostFile {
    /// Whether it is there, as this version has it.
    pub fn is_current(&self) -> bool {
        fs::read_to_string(self.path).is_ok_and(|content| content == self.content)
    }
}

/// Installs the files and makes them take effect now. Reports each step to `say`.
///
/// # Errors
///
/// [`SetupError`]; steps done before stay done, and the whole can be run again.
pub fn run(mut say: impl FnMut(&str)) -> Result<(), SetupError> {
    for file in [SEAT_RULES, MODULES] {
        if file.is_current() {
            say(&format!("{} is there ({})", file.path, file.purpose));
            continue;
        }
        let path = Path::new(file.path);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, file.content)
        };
        write().map_err(|source| SetupError::Write { path: path.to_owned(), source })?;
        say(&format!("wrote {} ({})", file.path, file.purpose));
    }
    for (command, needed) in [
        (&["modprobe", "-a", "uinput", "joydev"][..], true),
        // Without these there are no whole pads; `doctor` says what that means.
        (&["modprobe", "-a", "uhid", "hid-playstation", "hid-nintendo"][..], false),
        // A host without udevd has no desktop to protect.
        (&["udevadm", "control", "--reload"][..], false),
    ] {
        match call(command) {
            Ok(()) => say(&format!("ran {}", command.join(" "))),
            Err(error) if needed => return Err(error),
            Err(error) => say(&format!("skipped: {error}")),
        }
    }
    Ok(())
}

fn call(command: &[&str]) -> Result<(), SetupError> {
    let line = command.join(" ");
    let output = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| SetupError::Run { command: line.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SetupError::Failed { command: line, stderr })
}
