//! A program whose lines are waited for.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// What takes longer will not come; to be told what came instead is better than to be ended by the runner.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(60);

/// A running program; its errors are among its lines.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    transcript: String,
}

impl Program {
    pub(crate) fn start(command: &[&str]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$@" 2>&1"#, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // An error of either kind means that the test is over.
            let _ = output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        Self { child, input, lines, transcript: String::new() }
    }

    pub(crate) fn python(script: &str, arguments: &[&str]) -> Self {
        Self::start(&[&["python3", "-u", "-c", script], arguments].concat())
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads on to a line that fits, and returns it. What never comes is the runner's timeout.
    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(FOR_EVER);
            let line = line.unwrap_or_else(|error| panic!("no {what} ({error})"));
            self.transcript.push_str(&line);
            self.transcript.push('\n');
            if fits(line.trim_end()) {
                return line.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn expect(&mut self, text: &str) -> String {
        self.wait_for(text, |line| line.contains(text))
    }

    /// Everything that was read until now.
    pub(crate) fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Ends its input and reads to its end.
    pub(crate) fn rest(mut self) -> String {
        drop(self.input.take());
        loop {
            match self.lines.recv_timeout(FOR_EVER) {
                Ok(line) => {
                    self.transcript.push_str(&line);
                    self.transcript.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
        std::mem::take(&mut self.transcript)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {}", self.transcript);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
