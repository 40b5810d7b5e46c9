//! Tests in test machines, two machines at a time.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{env, fs, thread};

use anyhow::{Context as _, Result, anyhow};

use super::{Gate, NextestRun, in_ci, narrowed, no_skips};
use crate::report::Report;
use crate::{tools, vm};

/// Tests for one machine.
pub(super) struct Job {
    pub(super) machine: vm::Settings,
    /// The binaries that are taken there, as a filterset.
    pub(super) binaries: String,
    /// Those of their tests whose names contain one of these, and binaries of such a name; all if there are none.
    pub(super) words: Vec<String>,
    /// Which part of them, as nextest's `--partition` takes it.
    pub(super) slice: Option<&'static str>,
}

impl Job {
    fn name(&self) -> String {
        let (release, cgroups) = (self.machine.release.name(), self.machine.cgroup.suffix());
        let slice = self.slice.map(|slice| format!(", {slice}")).unwrap_or_default();
        format!("tests in the test machine ({release}{cgroups}{slice})")
    }
}

/// Runs the jobs, and returns what ran. Of more than one, each line of output begins with the job's number.
pub(super) fn run(gate: &mut Gate, jobs: Vec<Job>) -> Result<Report> {
    let is_single = jobs.len() == 1;
    let queue = Mutex::new(jobs.into_iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    // A function, so that the lock is not held while the job runs.
    let next = || lock(&queue).pop_front();
    let work = || {
        while let Some((number, mut job)) = next() {
            eprintln!("xtask: {}: {}", number + 1, job.name());
            if !is_single {
                job.machine = job.machine.beside_another();
                let begin = format!("{} | ", number + 1);
                job.machine.output = vm::Output::Lines { begin, line: Vec::new() };
            }
            let started = Instant::now();
            let result = in_vm(&job);
            lock(&done).push((number, job.name(), started.elapsed(), result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..vm::AT_ONCE {
            scope.spawn(work);
        }
    });

    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, ..)| *number);
    let mut all = Report::default();
    let mut outcome = Ok(());
    for (_, name, took, result) in done {
        let note = result.map(|report| {
            let summary = report.summary();
            all = std::mem::take(&mut all).and(report);
            summary
        });
        outcome = outcome.and(gate.done(&name, took, note));
    }
    outcome?;
    no_skips(&all, |_| false)?;
    Ok(all)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the tests of a job into its machine and runs them.
fn in_vm(job: &Job) -> Result<Report> {
    let Job { machine, binaries, words, slice } = job;
    let run = NextestRun::new(vm::guest_path)?;
    let archive = run.folder.join("tests.tar.zst");
    let mut command = Command::new("cargo");
    command.args(["nextest", "archive", "--workspace", "-E", binaries, "--archive-file"]);
    tools::run(command.arg(&archive).current_dir(tools::workspace()?))?;
    let nextest = run.folder.join("cargo-nextest");
    fs::copy(tools::need_nextest()?, &nextest).context("copying cargo-nextest")?;

    let color = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
    let mut command = vec![vm::guest_path(&nextest)?.into_os_string()];
    command.extend(["nextest", "run", "--archive-file"].map(OsString::from));
    command.push(vm::guest_path(&archive)?.into_os_string());
    // Not in /tmp, which is memory there.
    command.extend(["--extract-to", "/var/tmp", "--extract-overwrite"].map(OsString::from));
    command.extend(["--workspace-remap", "/work", "--tool-config-file"].map(OsString::from));
    command.push(run.config(vm::guest_path)?);
    command.extend(["--color", if color { "always" } else { "never" }].map(OsString::from));
    if env::var_os("HOTSEAT_SOAK").is_some() {
        command.extend(["--profile", "soak"].map(OsString::from));
    }
    command.extend(["--show-progress", "none", "--test-threads", "1", "-E"].map(OsString::from));
    command.push(narrowed(binaries, words).into());
    command.extend(in_ci().iter().map(OsString::from));
    if let Some(slice) = slice {
        command.extend(["--partition", slice].map(OsString::from));
    }
    run.report(match machine.run(&command)? {
        ExitCode::SUCCESS => Ok(()),
        _ => Err(anyhow!("nextest in the test machine failed")),
    })
}
