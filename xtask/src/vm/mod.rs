//! The test machine: a Debian virtual machine, always emulated (QEMU's TCG), with the workspace at `/work`.

mod exit_marker;
mod image;
mod recipe;
mod run;
mod scratch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

pub(crate) use image::build_ahead;
pub(crate) use recipe::Release;
pub(crate) use scratch::Scratch;

use crate::tools;

/// Arguments of `cargo xtask vm`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Open a root shell on the machine's serial console; leave it with `exit` or Ctrl-A X.
    #[arg(long, group = "what")]
    shell: bool,
    /// Only build the image.
    #[arg(long, group = "what")]
    build: bool,
    /// Run this as root in /work; its exit status becomes ours (124: out of time, 125: no machine).
    #[arg(last = true, group = "what")]
    command: Vec<OsString>,
}

/// The control groups of a machine (systemd(1), "Kernel Command Line"). systemd 257 of Debian 13 knows only `V2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cgroups {
    /// Version 2 alone.
    V2,
    /// The controllers in version 1, and version 2 beside them for systemd itself.
    Hybrid,
    /// Version 1 alone.
    V1,
}

impl Cgroups {
    /// The words of the kernel's command line that ask for it.
    fn command_line(self) -> &'static str {
        match self {
            Self::V2 => "",
            Self::Hybrid => " systemd.unified_cgroup_hierarchy=0",
            Self::V1 => {
                " systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
            }
        }
    }

    /// How its name ends, where it is not what everybody expects.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::V2 => "",
            Self::Hybrid => ", cgroup v1 and v2",
            Self::V1 => ", cgroup v1",
        }
    }
}

/// Which machine to boot, and how.
#[derive(clap::Args, Clone)]
pub(crate) struct Settings {
    /// The machine's Debian release.
    #[arg(long, value_enum, default_value_t = Release::Trixie)]
    pub(crate) release: Release,
    /// Which control groups its systemd sets up.
    #[arg(long, value_enum, default_value_t = Cgroups::V2)]
    pub(crate) cgroup: Cgroups,
    /// Let RCU grace periods take as long as they do on an ordinary machine.
    #[arg(long)]
    pub(crate) no_rcu_expedited: bool,
    /// Build the image even if there is one.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// The machine's memory in MB.
    #[arg(long, value_name = "MB", default_value_t = 3000)]
    pub(crate) memory: u32,
    /// How many processors it has.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) processors: u32,
    /// Which processor, as QEMU calls it (`qemu-system-x86_64 -cpu help`); `max` has all that can be emulated.
    #[arg(long, value_name = "MODEL", default_value = PLAIN)]
    pub(crate) cpu: String,
    /// End the machine after this many seconds.
    #[arg(long, value_name = "SECS", default_value_t = 4500)]
    pub(crate) timeout: u64,
    /// Where the command's output goes.
    #[arg(skip)]
    pub(crate) output: Output,
}

/// Where a command's output goes.
#[derive(Clone, Default)]
pub(crate) enum Output {
    /// To our standard output, as it comes.
    #[default]
    Ours,
    /// There too, in whole lines that begin with this: more than one machine runs.
    Lines {
        /// What a line begins with.
        begin: String,
        /// The beginning of a line.
        line: Vec<u8>,
    },
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self::Lines { begin, line } = self else { return io::stdout().write(bytes) };
        for &byte in bytes {
            line.push(byte);
            if byte == b'\n' {
                let mut out = io::stdout().lock();
                out.write_all(begin.as_bytes())?;
                out.write_all(line)?;
                line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            release: Release::Trixie,
            cgroup: Cgroups::V2,
            no_rcu_expedited: false,
            fresh: false,
            memory: 3000,
            processors: 2,
            cpu: PLAIN.to_owned(),
            timeout: 4500,
            output: Output::Ours,
        }
    }
}

/// A processor of 2010. With `Nehalem`, of 2008, containers started in a sixth less time than with all that the emulation can do;
/// but it has no AES, and a packet of QUIC took three milliseconds.
const PLAIN: &str = "Westmere";

/// How many machines run at once; or one, and something else beside it.
pub(crate) const AT_ONCE: usize = 2;

impl Settings {
    /// The processors of a machine that has another one beside it. All of them together have no more than there are: where an
    /// emulated processor waits for another that has no real one just now, it burns the time of that. Two machines with
    /// two processors on two took a third longer.
    pub(crate) fn beside_another(self) -> Self {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = u32::try_from(all / AT_ONCE).unwrap_or(u32::MAX);
        Self { processors: self.processors.min(share.max(1)), ..self }
    }

    /// Boots a fresh machine, runs `command` in it and returns the command's exit status.
    pub(crate) fn run(&self, command: &[OsString]) -> Result<ExitCode> {
        let image = image::ensure(self)?;
        match run::command(&image, self, run::Disk::ThrowAway, command)? {
            run::Outcome::Exited(status) => Ok(ExitCode::from(status)),
            run::Outcome::TimedOut => {
                eprintln!("vm: not done after {} s; the machine was ended", self.timeout);
                Ok(ExitCode::from(124))
            }
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// `cargo xtask vm`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let settings = &arguments.settings;
    if arguments.build || arguments.shell {
        let image = image::ensure(settings)?;
        if arguments.shell {
            run::shell(&image, settings)?;
        } else {
            println!("{}", image.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    settings.run(&arguments.command)
}

/// Where the machine sees a file of the workspace or of cargo's target folder.
pub(crate) fn guest_path(path: &Path) -> Result<PathBuf> {
    if let Ok(inside) = path.strip_prefix(tools::workspace()?) {
        return Ok(Path::new("/work").join(inside));
    }
    match path.strip_prefix(tools::target()?) {
        Ok(inside) => Ok(Path::new("/target").join(inside)),
        Err(_) => bail!("{} is not visible in the test machine", path.display()),
    }
}

/// Where images and the folders of runs live: always in the workspace, whatever CARGO_TARGET_DIR says, so
/// that they survive a change of it and the machine sees them.
fn folder() -> Result<PathBuf> {
    let folder = tools::workspace()?.join("target/vm");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}
