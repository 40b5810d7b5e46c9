//! `cargo xtask test`: the gate.

mod machines;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::report::Report;
use crate::{fuzz, place, tools, vm};

use self::machines::Job;

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out what runs in the test machine.
    #[arg(long, conflicts_with_all = ["native", "filter"])]
    fast: bool,
    /// Run the tests of the test machine on this machine (as root, with uinput).
    #[arg(long)]
    native: bool,
    #[command(flatten)]
    machine: vm::Settings,
    /// Run nothing but those tests of the test machine whose names contain one of these, and whole binaries
    /// of such a name: e2e, kernel, differential.
    filter: Vec<String>,
}

/// Not a member of the workspace, so that the fuzzer has its own flags.
const FUZZ: &str = "fuzz/Cargo.toml";

/// Tests that need root, uinput, container runtimes or systemd-udevd, as nextest filtersets; and where they
/// are, because nextest rejects a filterset that matches nothing.
const IN_MACHINE_ONLY: &[(&str, &str)] = &[
    ("binary(adopt)", "crates/vinput/tests/adopt"),
    ("binary(capture)", "crates/vinput/tests/capture.rs"),
    ("binary(consumers)", "crates/vinput/tests/consumers"),
    ("binary(differential)", "tests/differential"),
    ("binary(docker)", "crates/device-gate/tests/docker.rs"),
    ("binary(e2e)", "tests/e2e"),
    ("binary(hid)", "crates/vinput/tests/hid"),
    ("binary(kernel)", "crates/vinput/tests/kernel.rs"),
    ("binary(receivers)", "crates/udev-forge/tests/receivers"),
    ("binary(uhid)", "crates/vinput/tests/uhid"),
];

/// Tests that run on any machine, but skip without root.
const IN_MACHINE_TOO: &[(&str, &str)] = &[
    ("package(device-gate)", "crates/device-gate"),
    ("package(udev-forge)", "crates/udev-forge"),
    ("package(udev-forge-cli)", "crates/udev-forge-cli"),
];

/// Tests that run in both machines: what they compare with, or the runtimes that they start, are others in each.
const IN_BOTH_MACHINES: &[(&str, &str)] =
    &[("binary(differential)", "tests/differential"), ("binary(e2e)", "tests/e2e")];

/// Which of those.
const OF_BOTH_MACHINES: &[&str] = &["differential", "matrix::"];

/// The ways to grant devices: each of these machines has others, and runs the tests whose names contain one of these
/// words.
const MACHINES_OF_GRANTS: &[(vm::Release, vm::Cgroups, &[&str])] = &[
    (vm::Release::Linux510, vm::Cgroups::V2, &[DOCKER, "grants::tests", "grants::inline_wrap"]),
    (vm::Release::Bookworm, vm::Cgroups::Hybrid, &[DOCKER, "grants::tests"]),
    (vm::Release::Bookworm, vm::Cgroups::V1, &[DOCKER, "grants::tests", PRODUCT, SURVIVES]),
];

const DOCKER: &str = "a_docker_container_opens_exactly_what_it_is_granted";
const PRODUCT: &str = "isolation::a_container_opens_its_own_devices_and_no_others";
const SURVIVES: &str = "isolation::a_grant_survives_the_runtime_and_systemd";

/// `cargo xtask test`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    tools::need_nextest()?;
    let mut gate = Gate::default();
    let passed = steps(&mut gate, arguments);
    eprintln!();
    for line in &gate.summary {
        eprintln!("{line}");
    }
    match passed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn steps(gate: &mut Gate, arguments: &Arguments) -> Result<()> {
    let in_machine = any_of(&[IN_MACHINE_ONLY, IN_MACHINE_TOO].concat())?;
    let in_machines = !arguments.fast && !arguments.native;
    let jobs = if in_machines {
        jobs(&arguments.machine, &in_machine, &arguments.filter)?
    } else {
        Vec::new()
    };
    // While this machine compiles and tests: installing Debian mostly waits.
    vm::build_ahead(jobs.iter().map(|job| job.machine.release).collect())?;
    let mut here = Report::default();
    if arguments.filter.is_empty() {
        gate.step("formatting", || {
            cargo(&["fmt", "--all", "--check"])?;
            cargo(&["fmt", "--manifest-path", FUZZ, "--check"])
        })?;
        gate.step("clippy", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
            let folder = tools::target()?.join("fuzz").to_string_lossy().into_owned();
            let fuzz = ["clippy", "--manifest-path", FUZZ, "--target-dir", &folder];
            cargo(&[&fuzz[..], &["--", "-D", "warnings"]].concat())
        })?;
        gate.step("tests on this machine", || {
            here = nextest_here(&format!("not ({})", any_of(IN_MACHINE_ONLY)?), &[])?;
            Ok(here.summary())
        })?;
        gate.step("examples in the documentation", || cargo(&["test", "--doc", "--workspace"]))?;
        gate.step("fuzzing", fuzz::gate)?;
    }

    if arguments.fast {
        gate.left_out(
            "tests in the test machine: --fast; the gate is `cargo xtask test` without it",
        );
        return no_skips(&here, |binary| IN_MACHINE_TOO.iter().any(|(set, _)| is_in(binary, set)));
    }
    let mut there = Report::default();
    if arguments.native {
        gate.step("tests of the test machine, on this machine", || {
            there = native(&narrowed(&in_machine, &arguments.filter))?;
            Ok(there.summary())
        })?;
    } else {
        there = machines::run(gate, jobs)?;
    }
    no_skips(&there, |_| false)?;
    for (test, reason) in here.skipped().filter(|(test, _)| !there.covers(test)) {
        skipped(&format!("{} {}", test.binary, test.name), reason)?;
    }
    Ok(())
}

/// What runs in test machines: a chosen machine, or all that the gate has.
fn jobs(machine: &vm::Settings, in_machine: &str, words: &[String]) -> Result<Vec<Job>> {
    let job = |machine: vm::Settings, binaries: &str, words: &[String]| Job {
        machine,
        binaries: binaries.to_owned(),
        words: words.to_vec(),
        slice: None,
    };
    if !words.is_empty() || machine.release != vm::Release::Trixie {
        return Ok(vec![job(machine.clone(), in_machine, words)]);
    }
    let mut jobs = Vec::new();
    // In two machines at once, so that one computes while the other waits.
    for slice in ["slice:1/2", "slice:2/2"] {
        jobs.push(Job { slice: Some(slice), ..job(machine.clone(), in_machine, &[]) });
    }
    let older = vm::Settings { release: vm::Release::Bookworm, ..machine.clone() };
    let words: Vec<String> = OF_BOTH_MACHINES.iter().map(|&word| word.to_owned()).collect();
    jobs.push(job(older, &any_of(IN_BOTH_MACHINES)?, &words));
    let of_grants =
        any_of(&[("package(device-gate)", "crates/device-gate"), ("binary(e2e)", "tests/e2e")])?;
    for &(release, cgroup, words) in MACHINES_OF_GRANTS {
        let machine = vm::Settings { release, cgroup, ..machine.clone() };
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        jobs.push(job(machine, &of_grants, &words));
    }
    Ok(jobs)
}

/// The steps that were taken.
#[derive(Default)]
struct Gate {
    summary: Vec<String>,
}

impl Gate {
    fn step(&mut self, name: &str, action: impl FnOnce() -> Result<String>) -> Result<()> {
        eprintln!("xtask: {name}");
        let started = Instant::now();
        let result = action();
        self.done(name, started.elapsed(), result)
    }

    /// Notes a step that was taken elsewhere.
    fn done(&mut self, name: &str, took: Duration, result: Result<String>) -> Result<()> {
        let seconds = took.as_secs();
        self.summary.push(match &result {
            Ok(note) if note.is_empty() => format!("  ok     {seconds:>4} s  {name}"),
            Ok(note) => format!("  ok     {seconds:>4} s  {name}: {note}"),
            Err(error) => format!("  FAILED {seconds:>4} s  {name}: {error:#}"),
        });
        result.map(drop).with_context(|| name.to_owned())
    }

    fn left_out(&mut self, what: &str) {
        self.summary.push(format!("  LEFT OUT       {what}"));
    }
}

/// Whether the tests of nextest's `binary` belong to the filterset `package(NAME)`.
fn is_in(binary: &str, filterset: &str) -> bool {
    let package = binary.split_once("::").map_or(binary, |(package, _)| package);
    filterset == format!("package({package})")
}

fn any_of(filtersets: &[(&str, &str)]) -> Result<String> {
    let workspace = tools::workspace()?;
    let there = filtersets.iter().filter(|(_, source)| workspace.join(source).exists());
    Ok(there.map(|(filterset, _)| *filterset).collect::<Vec<_>>().join(" | "))
}

/// `filterset`, but only those of its tests with one of these words in their names, and those of its binaries
/// that are called so.
fn narrowed(filterset: &str, words: &[String]) -> String {
    if words.is_empty() {
        return filterset.to_owned();
    }
    let chosen = words.iter().map(|word| match format!("binary({word})") {
        binary if filterset.contains(&binary) => binary,
        _ => format!("test(~{word})"),
    });
    format!("({filterset}) & ({})", chosen.collect::<Vec<_>>().join(" | "))
}

/// Says which tests skipped; in continuous integration that is a failure, but for `excused` binaries.
fn no_skips(report: &Report, excused: impl Fn(&str) -> bool) -> Result<()> {
    for (test, reason) in report.skipped() {
        let name = format!("{} {}", test.binary, test.name);
        if excused(&test.binary) {
            eprintln!("xtask: {name} skipped here ({reason}), runs in the test machine");
        } else {
            skipped(&name, reason)?;
        }
    }
    Ok(())
}

fn skipped(test: &str, reason: &str) -> Result<()> {
    eprintln!("xtask: {test} was SKIPPED: {reason}");
    if tools::is_ci() {
        bail!("{test} was skipped, and CI accepts no skipped test");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("cargo");
    tools::run(command.args(arguments).current_dir(tools::workspace()?))?;
    Ok(String::new())
}

/// A folder for one run of nextest: its configuration, its report, and what the machine needs for it.
struct NextestRun {
    folder: vm::Scratch,
}

impl NextestRun {
    /// `seen_as` says where the run will see a file of this machine.
    fn new(seen_as: impl Fn(&Path) -> Result<PathBuf>) -> Result<Self> {
        let folder = vm::Scratch::new("tests")?;
        let report = seen_as(&folder.join("report.xml"))?;
        // Lower in priority than the workspace's .config/nextest.toml, which has no business with reports.
        let config = format!(
            "[profile.default.junit]\npath = {report:?}\nstore-success-output = true\n\
             store-failure-output = true\n"
        );
        folder.write("nextest.toml", config.as_bytes())?;
        Ok(Self { folder })
    }

    /// nextest's argument for the configuration.
    fn config(&self, seen_as: impl Fn(&Path) -> Result<PathBuf>) -> Result<OsString> {
        let mut argument = OsString::from("xtask:");
        argument.push(seen_as(&self.folder.join("nextest.toml"))?);
        Ok(argument)
    }

    /// What has run, of a nextest that ended so; an error if tests failed.
    fn report(&self, ended: Result<()>) -> Result<Report> {
        let report = Report::read(&self.folder.join("report.xml"));
        if let Ok(report) = &report
            && tools::is_ci()
        {
            eprint!("{}the longest:\n{}", report.failures(), report.longest());
        }
        match (report, ended) {
            (report, Ok(())) => report,
            (Ok(report), Err(ended)) => Err(ended.context(report.summary())),
            // It never came to the tests.
            (Err(_), Err(ended)) => Err(ended),
        }
    }
}

/// In continuous integration, where machines are shared, a test that fails is run again, twice at most. If it passes then, the
/// gate names it at its end: it is to be mended, but what it found is not of the change that was to land. Nothing is printed
/// there but what is slow or fails, the output of that at the end of a run and in few lines ([`NextestRun::report`]): in a log
/// of an hour nobody would find it.
fn in_ci() -> &'static [&'static str] {
    if !tools::is_ci() {
        return &[];
    }
    let arguments = &[
        ["--retries", "2"],
        ["--failure-output", "never"],
        ["--status-level", "slow"],
        ["--final-status-level", "none"],
    ];
    arguments.as_flattened()
}

/// Runs the tests of `filterset` on this machine.
fn nextest_here(filterset: &str, extra: &[&str]) -> Result<Report> {
    let here = |path: &Path| Ok(path.to_path_buf());
    let run = NextestRun::new(here)?;
    let mut command = Command::new("cargo");
    command.args(["nextest", "run", "--workspace", "-E", filterset]);
    command.arg("--tool-config-file").arg(run.config(here)?).args(in_ci());
    run.report(tools::run(command.args(extra).current_dir(tools::workspace()?)))
}

fn native(filterset: &str) -> Result<Report> {
    if let Some(reason) = place::why_not_here() {
        bail!(
            "{reason}; as root `modprobe -a uinput uhid joydev` may help, or leave out --native: \
             then the tests run in a virtual machine"
        );
    }
    nextest_here(filterset, &["--test-threads", "1"])
}
