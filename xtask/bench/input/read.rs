//! The reader: a program that waits for pads, as a game does.
//!
//! It is told on its input: `open NODE` opens one, `begin` forgets what came before, `end` has it say how many frames
//! came and how old they were: `frames COUNT NANOSECONDS:COUNT ...`, in steps of two percent.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};

use super::clock;

/// `struct input_event`; what matters is in its last eight bytes.
const EVENT: usize = size_of::<libc::input_event>();

struct Pad {
    node: File,
    /// `None` where the kernel had no room for events, until it has said the axis again.
    axes: [Option<i32>; 4],
}

#[derive(Default)]
struct Ages {
    count: u64,
    /// By the least age of a step.
    steps: BTreeMap<u64, u64>,
}

pub(super) fn run() -> Result<()> {
    let mut pads: Vec<Pad> = Vec::new();
    let mut ages = Ages::default();
    let mut told = Vec::new();
    loop {
        let stdin = stdin();
        let descriptors: Vec<BorrowedFd<'_>> =
            std::iter::once(stdin.as_fd()).chain(pads.iter().map(|pad| pad.node.as_fd())).collect();
        let mut ready: Vec<_> =
            descriptors.iter().map(|it| PollFd::from_borrowed_fd(*it, PollFlags::IN)).collect();
        poll(&mut ready, None).context("waiting for events")?;
        let now = clock::now();
        let ready: Vec<bool> = ready.iter().map(|it| !it.revents().is_empty()).collect();
        for (pad, is_ready) in pads.iter_mut().zip(&ready[1..]) {
            if *is_ready {
                pad.read(now, &mut ages)?;
            }
        }
        if ready[0] && !listen(&mut told)? {
            return Ok(());
        }
        while let Some(end) = told.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = told.drain(..=end).collect();
            obey(String::from_utf8_lossy(&line).trim(), &mut pads, &mut ages)?;
        }
    }
}

/// Takes what there is of the input. Says whether it goes on.
fn listen(told: &mut Vec<u8>) -> Result<bool> {
    let mut part = [0; 4096];
    let length = rustix::io::read(stdin(), &mut part).context("reading what to do")?;
    told.extend(&part[..length]);
    Ok(length > 0)
}

fn obey(line: &str, pads: &mut Vec<Pad>, ages: &mut Ages) -> Result<()> {
    match line.split_once(' ') {
        Some(("open", path)) => {
            let mut options = OpenOptions::new();
            // O_NONBLOCK
            options.read(true).custom_flags(libc::O_NONBLOCK);
            let node = options.open(path).with_context(|| format!("opening {path}"))?;
            pads.push(Pad { node, axes: [Some(0); 4] });
        }
        None if line == "begin" => *ages = Ages::default(),
        None if line == "end" => {
            let steps = ages.steps.iter().map(|(age, count)| format!(" {age}:{count}"));
            println!("frames {}{}", ages.count, steps.collect::<String>());
            stdout().flush()?;
            return Ok(());
        }
        _ => bail!("nobody knows what `{line}` is"),
    }
    println!("done");
    Ok(stdout().flush()?)
}

impl Pad {
    /// Takes all events of frames that could be read at this time.
    fn read(&mut self, now: Duration, ages: &mut Ages) -> Result<()> {
        let mut events = [0; 64 * EVENT];
        let length = self.node.read(&mut events).context("reading an event")?;
        for event in events[..length].chunks_exact(EVENT) {
            let [.., k0, k1, c0, c1, v0, v1, v2, v3] = *event else { continue };
            let (kind, code) = (u16::from_ne_bytes([k0, k1]), u16::from_ne_bytes([c0, c1]));
            let value = i32::from_ne_bytes([v0, v1, v2, v3]);
            match (kind, code) {
                (0, 0) => {
                    if let [Some(a), Some(b), Some(c), Some(d)] = self.axes {
                        ages.add(clock::age([a, b, c, d], now));
                    }
                }
                // SYN_DROPPED: frames that nobody reads.
                (0, 3) => self.axes = [None; 4],
                // ABS_X, ABS_Y, ABS_RX, ABS_RY
                (3, 0 | 1) => self.axes[usize::from(code)] = Some(value),
                (3, 3 | 4) => self.axes[usize::from(code) - 1] = Some(value),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Ages {
    fn add(&mut self, age: Duration) {
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX).max(1);
        // Six bits below the highest one: two percent.
        let coarse = age.ilog2().saturating_sub(6);
        *self.steps.entry(age >> coarse << coarse).or_default() += 1;
        self.count += 1;
    }
}
