//! `cargo xtask bench`: measurements of the product.
//!
//! `plug` compares Hotseat with the way that Wolf goes: from the request for a pad to the instant at which a
//! program in the container, told by libudev, has opened its node. Both ways make the same kernel device with
//! the same code, each for a container of its own, in turns; in both containers the same program listens.
//!
//! `udev` compares udev-forge with systemd-udevd; `frames` compares writing frames with a bare loop; `grants` opening a
//! node with and without our program; `scale` a plug on a full host with one on an empty one; `input` a
//! far-away player's frames with plain UDP and TCP; `hostile` the same of a player alone and next to an attacker;
//! `host-devices` a dongle by rule with mdev and with a script that polls.

pub(crate) mod frames;
mod grants;
pub(crate) mod host_devices;
pub(crate) mod hostile;
pub(crate) mod input;
pub(crate) mod scale;
mod sides;
mod udev;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::sides::{Hotseat, Plug, Side, Wolf, need_docker};
use crate::demo::daemon::{self, Daemon, ms};
use crate::demo::program::Program;
use crate::tools;

pub(crate) use self::grants::run as grants;
pub(crate) use self::udev::run as udev;

/// How many times faster Hotseat has to be.
const GOAL: f64 = 40.0;

/// Each step of the preparation and each round must end within this; they take seconds, also when emulated.
const PATIENCE: Duration = Duration::from_secs(120);

const EXPLANATION: &str = "\
In turns, a pad is plugged into each of two containers, where the same program listens through libudev.
hotseat: a request to the daemon; the container was started without any options.
wolf:    the same kernel device made by the same code, then Wolf's exec in the container for each node:
         mkdir, mknod, chmod, fake-udev. The container may make and open any input device. Left out are
         the 500 ms for which Wolf sleeps between looking for devices to plug.
";

/// Measures `rounds` plugs on this machine, which has uinput and where we are root.
pub(crate) fn run_here(rounds: u32) -> Result<()> {
    ensure!(rounds > 0, "no rounds, no result");
    daemon::load_modules()?;
    need_docker(soon())?;
    let programs = tools::target()?.join("release");
    let mut daemon = Daemon::start(&programs.join("hotseat"), soon())?;
    let measured = measure(&daemon, &programs, rounds);
    let (hotseat, wolf) = daemon.explain(measured)?;
    report(&hotseat, &wolf)
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn measure(daemon: &Daemon, programs: &Path, rounds: u32) -> Result<(Vec<Plug>, Vec<Plug>)> {
    let mut hotseat = Hotseat::start(daemon, soon())?;
    let mut wolf = Wolf::start(programs, &daemon.folder().join("wolf"), soon())?;
    println!("{EXPLANATION}");
    let (mut of_hotseat, mut of_wolf) = (Vec::new(), Vec::new());
    for number in 0..=rounds {
        let a = round(&mut hotseat).context("Hotseat")?;
        let b = round(&mut wolf).context("Wolf")?;
        let times = format!("hotseat {:>8}, wolf {:>9}", ms(a.visible), ms(b.visible));
        if number == 0 {
            println!("warm-up:  {times} (not counted)");
        } else {
            println!("round {number:>2}: {times}");
            of_hotseat.push(a);
            of_wolf.push(b);
        }
    }
    Ok((of_hotseat, of_wolf))
}

/// One plug and unplug on a machine at rest.
fn round(side: &mut impl Side) -> Result<Plug> {
    let deadline = soon();
    let plug = side.plug(deadline).context("plugging")?;
    side.unplug(deadline).context("unplugging")?;
    // The host's own udevd has seen all that, too, and may still be busy with it. Where there is none, there
    // is nothing to wait for.
    let _ = Program::output("udevadm", &["settle", "--timeout=60"], deadline);
    Ok(plug)
}

fn report(hotseat: &[Plug], wolf: &[Plug]) -> Result<()> {
    println!();
    println!("{:<44} {:>10} {:>10} {:>10}", "from the request to", "median", "min", "max");
    let visible = |plugs: &[Plug]| plugs.iter().map(|plug| plug.visible).collect();
    let complete = |plugs: &[Plug]| plugs.iter().map(|plug| plug.complete).collect();
    let ours = show("hotseat: event node open in the container", visible(hotseat));
    let theirs = show("wolf:    event node open in the container", visible(wolf));
    show("hotseat: js node open too", complete(hotseat));
    show("wolf:    js node open too", complete(wolf));
    println!();
    println!("hotseat's steps, from the start of the plug, by the daemon's clock");
    for (index, (name, _)) in hotseat[0].steps.iter().enumerate() {
        let times = hotseat.iter().filter_map(|plug| Some(plug.steps.get(index)?.1));
        show(name, times.collect());
    }
    println!();
    if std::env::var_os("HOTSEAT_VM").is_some() {
        println!("This was emulated in software: hardware needs a small part of these times,");
        println!("and the ratio may be another there.");
    }
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("hotseat is {ratio:.1} times faster to visible (must be at least {GOAL})");
    ensure!(ratio >= GOAL, "hotseat is not fast enough");
    Ok(())
}

/// Prints a line of the result and returns the median.
fn show(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    let last = times.len().saturating_sub(1);
    // The mean of the two in the middle when there are two.
    let median = (at(last / 2) + at(times.len() / 2)) / 2;
    println!("  {what:<42} {:>10} {:>10} {:>10}", ms(median), ms(at(0)), ms(at(last)));
    median
}
