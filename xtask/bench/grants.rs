//! What a grant costs, and what having granted costs everybody who opens a device.
//!
//! `bench-grants ROUNDS` measures, `bench-grants opener` is the process that opens.

#![expect(clippy::unwrap_used, reason = "a measurement stops at the first surprise")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use device_gate::{Access, Cgroup, Danger, Device, Grants, Policy};

/// How much longer an open may take.
const GOAL: f64 = 1.15;

/// How many nodes are granted: one pad's event node, and as many as there can be of pads.
const NODES: [u32; 2] = [1, 400];

/// Opens in a row; short, so that what else the machine does hits a turn or misses it.
const OPENS: u32 = 1000;

/// An ordinary node: everybody may open it.
const ORDINARY: &str = "/dev/null";

/// A node that a container's program refuses, to see that both programs are where they should be.
const REFUSED: (&str, Device) = ("/dev/kmsg", Device::char(1, 11));

const EXPLANATION: &str = "\
In turns, a process opens and closes /dev/null, which nobody refuses it: in the root cgroup, and in a container's, which
has a runtime's usual program. Between turns our own program is there or not, with one or 400 nodes granted to
the container. Medians, and those of each round's ratio; the container's own program stays all the time.
";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap();
    if argument == "opener" {
        open_as_told();
        return ExitCode::SUCCESS;
    }
    if measure(argument.parse().unwrap()) {
        ExitCode::SUCCESS
    } else {
        eprintln!("opening a node takes too much longer with our program");
        ExitCode::FAILURE
    }
}

/// For each line, opens so often, and says how many nanoseconds one took; or tries the other node, and says whether
/// that opens.
fn open_as_told() {
    for line in std::io::stdin().lines() {
        if line.unwrap() == "try" {
            println!("{}", u32::from(File::open(REFUSED.0).is_ok()));
            continue;
        }
        let started = Instant::now();
        for _ in 0..OPENS {
            drop(black_box(File::open(ORDINARY)).unwrap());
        }
        println!("{}", started.elapsed().as_nanos() / u128::from(OPENS));
    }
}

struct Opener {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Opener {
    fn start(cgroup: &Cgroup) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("opener")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let procs = cgroup.path().join("cgroup.procs");
        fs::write(procs, process.id().to_string()).unwrap();
        let to = process.stdin.take().unwrap();
        let from = BufReader::new(process.stdout.take().unwrap());
        Self { process, to, from }
    }

    /// Nanoseconds per open and close.
    fn turn(&mut self) -> u64 {
        self.ask("open")
    }

    /// Whether it may open what the container's own program refuses.
    fn may_open_more(&mut self) -> bool {
        self.ask("try") == 1
    }

    fn ask(&mut self, what: &str) -> u64 {
        writeln!(self.to, "{what}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    fn end(self) {
        drop(self.to);
        let mut process = self.process;
        process.wait().unwrap();
    }
}

fn node(minor: u32) -> Device {
    Device::char(13, 64 + minor)
}

fn measure(rounds: u32) -> bool {
    assert!(rounds > 0, "no rounds, no result");
    let root = Cgroup::root().unwrap();
    let container = root.create_child(&format!("hotseat-bench-{}", std::process::id())).unwrap();
    Policy::container_default().attach(&container).unwrap();
    let mut openers = [Opener::start(&root), Opener::start(&container)];
    println!("{EXPLANATION}");

    // [place][without, 1, 400]
    let mut opens = [const { [const { Vec::new() }; 3] }; 2];
    let mut pairs = [const { Vec::new() }; 2];
    let mut back_ends = Vec::new();
    for _ in 0..rounds {
        assert!(openers[0].may_open_more() && !openers[1].may_open_more());
        for (place, opener) in openers.iter_mut().enumerate() {
            opens[place][0].push(opener.turn());
        }
        let grants = Grants::choose().unwrap();
        back_ends = grants.back_ends();
        let (kmsg, read) = (REFUSED.1, Access::READ);
        grants.grant_despite(Danger::Memory, &container, kmsg, read).unwrap();
        assert!(openers[1].may_open_more());
        grants.revoke(&container, kmsg).unwrap();
        for (which, nodes) in NODES.into_iter().enumerate() {
            for minor in 0..nodes {
                grants.grant(&container, node(minor), Access::READ | Access::WRITE).unwrap();
            }
            for (place, opener) in openers.iter_mut().enumerate() {
                opens[place][1 + which].push(opener.turn());
            }
            pairs[which].push(grant_and_revoke(&grants, &container));
        }
        drop(grants);
    }

    for opener in openers {
        opener.end();
    }
    fs::remove_dir(container.path()).unwrap();
    let names: Vec<_> = back_ends.iter().map(ToString::to_string).collect();
    println!("granted by {}, {rounds} rounds of {OPENS} opens", names.join(" and "));
    report(opens, pairs)
}

/// Nanoseconds for both, where others are granted already.
fn grant_and_revoke(grants: &Grants, container: &Cgroup) -> u64 {
    const PAIRS: u32 = 50;
    let device = node(NODES[1]);
    let started = Instant::now();
    for _ in 0..PAIRS {
        grants.grant(container, device, Access::READ | Access::WRITE).unwrap();
        grants.revoke(container, device).unwrap();
    }
    let each: Duration = started.elapsed() / PAIRS;
    u64::try_from(each.as_nanos()).unwrap()
}

fn report(opens: [[Vec<u64>; 3]; 2], pairs: [Vec<u64>; 2]) -> bool {
    let mut is_good = true;
    println!("{:<28} {:>10} {:>10} {:>10}", "open and close", "without", "1 node", "400 nodes");
    for (place, turns) in ["in the root cgroup", "in the container's"].iter().zip(opens) {
        let ratios = [1, 2].map(|with| median_ratio(&turns[with], &turns[0]));
        let [without, one, many] = turns.map(median);
        let ns = |time: u64| format!("{time} ns");
        println!("  {place:<26} {:>10} {:>10} {:>10}", ns(without), ns(one), ns(many));
        println!("  {:<26} {:>10} {:>10.3} {:>10.3}", "", "ratio", ratios[0], ratios[1]);
        is_good &= ratios.iter().all(|&ratio| ratio <= GOAL);
    }
    let [one, many] = pairs.map(median);
    println!("grant and revoke: {one} ns beside 1 node, {many} ns beside 400");
    println!("(no ratio may be over {GOAL})");
    is_good
}

/// The median of each round's own ratio: what else the machine does changes more slowly than that.
fn median_ratio(with: &[u64], without: &[u64]) -> f64 {
    let mut ratios: Vec<f64> =
        with.iter().zip(without).map(|(&with, &without)| with as f64 / without as f64).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}
