//! `cargo xtask fuzz`: random input for everything in `udev-forge` that reads or builds, for profiles, and for what
//! comes over the network.
//!
//! The targets (`fuzz/fuzz_targets`) are those of cargo-fuzz. Its program and the nightly compiler, which it
//! needs for the address sanitizer, are left out: this is safe Rust, where a mistake is a panic, and what the
//! fuzzer needs to find its way is an LLVM pass that the stable compiler has too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};

use crate::tools::{self, Need};

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs. What it finds out is kept in target/fuzz/corpus for the next time.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Nothing but these targets.
    targets: Vec<String>,
}

/// How many inputs each target gets in the gate, and for how many seconds at most. All but two are done with theirs in
/// three; a descriptor with hundreds of controls takes milliseconds, most of them the fuzzer's own.
const RUNS_IN_GATE: u32 = 50_000;
const SECONDS_IN_GATE: u32 = 30;

/// What cargo-fuzz gives the compiler (its src/project.rs): counters for edges, and the values that are compared.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const NEEDS: [Need; 1] = [Need {
    what: "c++",
    package: "g++",
    why: "compiles the fuzzer (libFuzzer) for cargo xtask fuzz",
}];

/// `cargo xtask fuzz`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let fuzzer = Fuzzer::build()?;
    let all = targets()?;
    for name in &arguments.targets {
        ensure!(all.contains(name), "there is no target {name}, only {}", all.join(", "));
    }
    let chosen = if arguments.targets.is_empty() { &all } else { &arguments.targets };
    for target in chosen {
        let corpus = fuzzer.folder.join("corpus").join(target);
        let mut command = fuzzer.command(target, &corpus)?;
        command.arg(format!("-max_total_time={}", arguments.seconds));
        eprintln!("xtask: fuzzing {target}");
        if !command.status().with_context(|| format!("starting {target}"))?.success() {
            eprintln!("xtask: {}", fuzzer.found(target));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The bounded run of the gate: from the committed seeds, with a fixed random seed. What it comes to still differs now and then.
pub(crate) fn gate() -> Result<String> {
    let fuzzer = Fuzzer::build()?;
    let targets = targets()?;
    for target in &targets {
        let corpus = fuzzer.folder.join("gate").join(target);
        if corpus.exists() {
            fs::remove_dir_all(&corpus).context("removing the last run's corpus")?;
        }
        let mut command = fuzzer.command(target, &corpus)?;
        command.arg(format!("-runs={RUNS_IN_GATE}")).arg("-seed=1");
        let output = command.arg(format!("-max_total_time={SECONDS_IN_GATE}")).output();
        let output = output.with_context(|| format!("starting {target}"))?;
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            bail!(fuzzer.found(target));
        }
    }
    let count = targets.len();
    Ok(format!("{count} targets, {RUNS_IN_GATE} runs or {SECONDS_IN_GATE} s each"))
}

/// The names of the targets.
fn targets() -> Result<Vec<String>> {
    let folder = tools::workspace()?.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.context("reading the fuzz targets")?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    Ok(names)
}

/// The targets, compiled.
struct Fuzzer {
    /// `target/fuzz`: all that the fuzzer makes.
    folder: PathBuf,
    programs: PathBuf,
}

impl Fuzzer {
    fn build() -> Result<Self> {
        tools::need(&NEEDS)?;
        let folder = tools::target()?.join("fuzz");
        // With a target given, the flags are not for build scripts, in which the fuzzer is not linked.
        let host = host()?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
        cargo.arg("--target-dir").arg(&folder).env("RUSTFLAGS", INSTRUMENTATION);
        tools::run(cargo.current_dir(tools::workspace()?))?;
        let programs = folder.join(host).join("release");
        Ok(Self { folder, programs })
    }

    /// A target that starts from its seeds and from what is in `corpus`, where it puts what it finds out.
    fn command(&self, target: &str, corpus: &Path) -> Result<Command> {
        let artifacts = self.artifacts(target);
        for folder in [corpus, &artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let mut command = Command::new(self.programs.join(target));
        command.args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"]);
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(corpus).arg(tools::workspace()?.join("fuzz/seeds").join(target));
        if Path::new("/dev/shm").is_dir() {
            // A target that makes files makes them in memory.
            command.env("TMPDIR", "/dev/shm");
        }
        Ok(command)
    }

    /// What to say of a target that ended with an error.
    fn found(&self, target: &str) -> String {
        format!(
            "{target} failed; the input is in {}, and `{} INPUT` runs it again",
            self.artifacts(target).display(),
            self.programs.join(target).display()
        )
    }

    fn artifacts(&self, target: &str) -> PathBuf {
        self.folder.join("artifacts").join(target)
    }
}

/// The compiler's name for this machine.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("starting rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not name this machine")
}
