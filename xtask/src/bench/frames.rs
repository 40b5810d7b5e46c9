//! `frames`: what `vinput` costs over a bare loop that writes the same bytes to uinput.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::demo::daemon;
use crate::demo::program::Program;
use crate::tools;

/// Least rate, as a part of the bare loop's.
const GOAL: f64 = 0.95;

/// How often the program is started for a result. Where its code and data happen to be in memory is different each
/// time, and matters: under emulation by some hundredths of the rate.
const STARTS: u32 = 15;

/// Emulated, a round takes less than a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(600);

const EXPLANATION: &str = "\
The program is started 15 times; medians count. In turns, three pads of one profile get 200 frames each of five
changes. A frame is written, its event node becomes readable, and it is read, all by one thread.
bare:   an array of events is filled in, and written by write(2), as a C program does.
units:  the same bytes through vinput: controls are set on a frame in device units, the device writes what is new.
scaled: likewise, with values from -1 to 1, whose arithmetic a processor without floating point, such as an
        emulated one, takes long for.
";

/// What the program printed of one side.
struct Side {
    frames_per_second: f64,
    /// Of the bare loop's rate: the median of all rounds.
    ratio: f64,
    median_us: f64,
    p99_us: f64,
    allocations: u64,
}

/// Measures `rounds` turns on this machine, which has uinput and where we are root.
pub(crate) fn run_here(rounds: u32) -> Result<()> {
    ensure!(rounds > 0, "no rounds, no result");
    daemon::load_modules()?;
    let program = tools::target()?.join("release/bench-frames");
    let deadline = Instant::now() + PATIENCE;
    let rounds = rounds.div_ceil(STARTS).to_string();
    let mut outputs = Vec::new();
    for _ in 0..STARTS {
        outputs.push(Program::output(&program.to_string_lossy(), &[&rounds], deadline)?);
    }
    let median = |name| median(&outputs, name);
    let (bare, units, scaled) = (median("bare")?, median("units")?, median("scaled")?);

    println!("{EXPLANATION}");
    println!(
        "{:<8} {:>12} {:>8} {:>16} {:>16} {:>12}",
        "", "frames/s", "ratio", "readable, p50", "p99", "allocations"
    );
    for (name, side) in [("bare", &bare), ("units", &units), ("scaled", &scaled)] {
        let us = |us: f64| format!("{us:.1} us");
        println!(
            "{name:<8} {:>12.0} {:>8.3} {:>16} {:>16} {:>12}",
            side.frames_per_second,
            side.ratio,
            us(side.median_us),
            us(side.p99_us),
            side.allocations
        );
    }
    println!();
    if std::env::var_os("HOTSEAT_VM").is_some() {
        println!("This was emulated in software: hardware needs a small part of these times,");
        println!("and less of them for vinput's own work.");
    }
    let ratio = units.ratio;
    println!("vinput has {ratio:.3} of the bare loop's rate (must be at least {GOAL})");
    let allocations = units.allocations + scaled.allocations;
    ensure!(allocations == 0, "vinput allocated {allocations} times");
    ensure!(ratio >= GOAL, "vinput is not fast enough");
    Ok(())
}

/// The medians of all starts, each of its own; allocations are those of all.
fn median(outputs: &[String], name: &str) -> Result<Side> {
    let sides = outputs.iter().map(|it| side(it, name)).collect::<Result<Vec<_>>>()?;
    let middle = |field: fn(&Side) -> f64| {
        let mut values: Vec<_> = sides.iter().map(field).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    Ok(Side {
        frames_per_second: middle(|side| side.frames_per_second),
        ratio: middle(|side| side.ratio),
        median_us: middle(|side| side.median_us),
        p99_us: middle(|side| side.p99_us),
        allocations: sides.iter().map(|side| side.allocations).sum(),
    })
}

/// The line of a side: its name, frames per second, their part of the bare loop's, p50 and p99 in nanoseconds,
/// allocations.
fn side(output: &str, name: &str) -> Result<Side> {
    let line = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.with_context(|| format!("no line `{name}` in {output:?}"))?;
    let [rate, ratio, median, p99, allocations] = line.split(' ').collect::<Vec<_>>()[..] else {
        bail!("not a line of the program: {line:?}");
    };
    Ok(Side {
        frames_per_second: rate.parse()?,
        ratio: ratio.parse()?,
        median_us: median.parse::<f64>()? / 1000.0,
        p99_us: p99.parse::<f64>()? / 1000.0,
        allocations: allocations.parse()?,
    })
}
