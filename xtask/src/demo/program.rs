//! A program that is started, read line by line, and ended on every path.

use std::io::{self, BufRead as _, BufReader, PipeReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::tools;

/// How long a program may take to end when asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(15);

/// How many of its last lines a program's failure shows.
const TAIL: usize = 20;

/// A line of a program's output.
pub(crate) struct Line {
    /// When it arrived here (`CLOCK_MONOTONIC`).
    pub(crate) at: Instant,
    /// The line without its end.
    pub(crate) text: String,
}

/// A running program. It ends with this value, and with this process.
pub(crate) struct Program {
    name: String,
    child: Child,
    /// stdout and stderr in one; ends with the program.
    lines: Receiver<Line>,
    seen: Vec<String>,
}

impl Program {
    /// Starts `program` with `arguments`; `name` is what messages call it.
    pub(crate) fn start(name: &str, program: &str, arguments: &[&str]) -> Result<Self> {
        // Asked to end, not killed, when we are: so that it leaves nothing behind either.
        let mut command = tools::bound_to_us("TERM", program);
        let (output, input) = io::pipe().context("making a pipe")?;
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(input.try_clone().context("copying a pipe")?).stderr(input);
        Self::spawn(name, command, output)
    }

    fn spawn(name: &str, mut command: Command, output: PipeReader) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for text in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(Line { at: Instant::now(), text }).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name: name.to_owned(), child, lines, seen: Vec::new() })
    }

    /// Runs a program to its end and returns what it said; anything but success is an error that shows it.
    pub(crate) fn output(program: &str, arguments: &[&str], deadline: Instant) -> Result<String> {
        let name = [&[program], arguments].concat().join(" ");
        let mut running = Self::start(&name, program, arguments)?;
        while running.next(deadline)?.is_some() {}
        let status = running.child.wait().with_context(|| format!("waiting for {name}"))?;
        if !status.success() {
            bail!("{name} ended with {status}{}", running.tail());
        }
        Ok(running.seen.join("\n"))
    }

    /// Waits for the first line that `wanted` takes, and returns what it made of it.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        deadline: Instant,
        wanted: impl Fn(&Line) -> Option<T>,
    ) -> Result<T> {
        let missing = |name: &str| format!("waiting until {name} says {what}");
        loop {
            match self.next(deadline).with_context(|| missing(&self.name))? {
                Some(line) => {
                    if let Some(found) = wanted(&line) {
                        return Ok(found);
                    }
                }
                None => {
                    let ended = anyhow!("it ended{}", self.tail());
                    return Err(ended.context(missing(&self.name)));
                }
            }
        }
    }

    /// The next line; `None` when there will be no more.
    fn next(&mut self, deadline: Instant) -> Result<Option<Line>> {
        let patience = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                self.seen.push(line.text.clone());
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("it takes too long{}", self.tail()),
        }
    }

    /// Gives the program a line to read.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("it has no input")?;
        writeln!(input, "{line}").with_context(|| format!("telling {} to {line}", self.name))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it said, for messages.
    pub(crate) fn tail(&mut self) -> String {
        self.seen.extend(self.lines.try_iter().map(|line| line.text));
        let from = self.seen.len().saturating_sub(TAIL);
        self.seen[from..].iter().map(|line| format!("\n  | {line}")).collect()
    }

    /// Asks the program to end, and waits until it has.
    pub(crate) fn end(&mut self) {
        // It may have ended by itself. What has not been waited for keeps its number, so no other process
        // can be hit.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        drop(self.child.stdin.take());
        let deadline = Instant::now() + GRACE;
        while let Ok(Some(_)) = self.next(deadline) {}
        // Nothing happens to one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}
