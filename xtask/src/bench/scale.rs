//! A full host: 400 pads in 100 sessions of one daemon, which is as many as may be (`limits.devices`), and one more.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::soon;
use crate::demo::daemon::{self, Daemon, ms};
use crate::demo::program::Program;
use crate::tools;

const SESSIONS: usize = 100;

/// Pads in each of them.
const PADS: usize = 4;

/// How much longer a plug may take next to all the others.
const SLOWER: f64 = 1.5;

/// How much memory of the daemon a device may take.
const KIB_PER_DEVICE: f64 = 64.0;

/// Measures on this machine, which has uinput and where we are root.
pub(crate) fn run_here(rounds: u32) -> Result<()> {
    ensure!(rounds > 0, "no rounds, no result");
    daemon::load_modules()?;
    let programs = tools::target()?.join("release");
    let mut daemon = Daemon::start(&programs.join("hotseat"), soon())?;
    let measured = measure(&daemon, rounds);
    daemon.explain(measured)
}

fn measure(daemon: &Daemon, rounds: u32) -> Result<()> {
    let mut sandboxes = Vec::new();
    for number in 0..SESSIONS {
        let name = session(number);
        let command =
            ["run", "--session", &name, "--", "sh", "-c", "echo inside; exec sleep infinity"];
        let mut sandbox = daemon.command("a sandbox", &command)?;
        sandbox.wait_for("`inside`", soon(), |line| line.text.contains("inside").then_some(()))?;
        sandboxes.push(sandbox);
    }
    println!("{SESSIONS} sessions, each with its sandbox");
    // What is opened once and kept, and what the allocator keeps.
    median(daemon, rounds)?;
    let alone = median(daemon, rounds)?;
    let empty = daemon.resident_kib()?;
    for pad in 0..SESSIONS * PADS - 1 {
        plug(daemon, pad % SESSIONS)?;
    }
    let full = daemon.resident_kib()?;
    let among = median(daemon, rounds)?;
    plug(daemon, SESSIONS - 1)?;
    let error = one_too_many(daemon)?;
    everything_lives(daemon)?;
    clear(daemon)?;
    let again = median(daemon, rounds)?;
    drop::<Vec<Program>>(sandboxes);

    let pads = SESSIONS * PADS;
    let slower = among.as_secs_f64() / ((alone + again).as_secs_f64() / 2.0);
    let of_each = (full - empty) as f64 / (pads - 1) as f64;
    println!(
        "a plug, median of {rounds}: {} with no other pad, {} after all had gone",
        ms(alone),
        ms(again)
    );
    println!(
        "with {} others: {}, {slower:.2} times as long (at most {SLOWER})",
        pads - 1,
        ms(among)
    );
    println!("memory of the daemon per pad: {of_each:.1} KiB (at most {KIB_PER_DEVICE})");
    println!("one more: {error}");
    ensure!(slower <= SLOWER, "a plug takes {slower:.2} times as long on a full host");
    ensure!(of_each <= KIB_PER_DEVICE, "a pad takes {of_each:.1} KiB");
    Ok(())
}

fn session(number: usize) -> String {
    format!("s{number}")
}

/// Plugs a pad into a session and returns its slot.
fn plug(daemon: &Daemon, number: usize) -> Result<u64> {
    let path = format!("/v1/sessions/{}/devices", session(number));
    let device = daemon.ask("POST", &path, r#"{"profile":"xbox-one"}"#)?;
    device["slot"].as_u64().context("an answer without a slot")
}

fn unplug(daemon: &Daemon, number: usize, slot: u64) -> Result<()> {
    let path = format!("/v1/sessions/{}/devices/{slot}", session(number));
    daemon.ask("DELETE", &path, "").map(drop)
}

/// How long the plug of a pad takes, from the request to its answer.
fn median(daemon: &Daemon, rounds: u32) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let slot = plug(daemon, 0)?;
        times.push(start.elapsed());
        unplug(daemon, 0, slot)?;
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Asks for one more pad than there may be, and returns what is said then.
fn one_too_many(daemon: &Daemon) -> Result<String> {
    let Err(error) = plug(daemon, 0) else { bail!("a pad more than there may be") };
    let error = format!("{error:#}");
    ensure!(error.contains("too-many-devices"), "not the error that is expected: {error}");
    Ok(error)
}

/// Every pad takes input.
fn everything_lives(daemon: &Daemon) -> Result<()> {
    for number in 0..SESSIONS {
        for slot in 0..PADS {
            let path = format!("/v1/sessions/{}/devices/{slot}/input", session(number));
            daemon.ask("POST", &path, r#"{"events":["south=1"]}"#)?;
        }
    }
    Ok(())
}

fn clear(daemon: &Daemon) -> Result<()> {
    for number in 0..SESSIONS {
        for slot in 0..PADS {
            unplug(daemon, number, slot as u64)?;
        }
    }
    Ok(())
}

impl Daemon {
    /// The memory that the daemon has for itself, in KiB (`RssAnon`, proc_pid_status(5)).
    fn resident_kib(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.context("no RssAnon")?.trim().trim_end_matches(" kB");
        kib.parse().context("a size that is no number")
    }
}
