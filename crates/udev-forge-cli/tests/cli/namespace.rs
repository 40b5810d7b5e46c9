//! A network namespace, the program in it, and who listens there.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Output, Stdio};
use std::{env, thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use udev_forge::{Monitor, MonitorError, Received};

/// The program under test. nextest knows where it is in the test machine.
pub(crate) fn program() -> String {
    env::var("NEXTEST_BIN_EXE_udev-forge")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_udev-forge").to_owned())
}

pub(crate) struct Namespace(OwnedFd);

impl Namespace {
    /// A new one, or `None`, said on standard error, when that is not permitted.
    pub(crate) fn new() -> Option<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .map(|()| File::open("/proc/thread-self/ns/net").unwrap())
        });
        match made.join().unwrap() {
            Ok(netns) => Some(Self(netns.into())),
            Err(Errno::EPERM) => {
                let required = env::var_os("CI").or_else(|| env::var_os("HOTSEAT_VM"));
                assert!(required.is_none(), "these tests need root");
                // Not captured by the test harness, unlike eprintln.
                io::stderr().write_all(b"SKIP(not root)\n").unwrap();
                None
            }
            Err(errno) => panic!("unshare: {errno}"),
        }
    }

    /// Starts a command in the namespace.
    pub(crate) fn start(&self, command: &mut Command) -> Child {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        thread::scope(|scope| {
            let starting = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                command.spawn().unwrap()
            });
            starting.join().unwrap()
        })
    }

    /// Runs a command in the namespace to its end.
    pub(crate) fn run(&self, command: &mut Command, input: &str) -> Output {
        let mut child = self.start(command);
        // It may have ended without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs the program, which has to succeed, and returns what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(Command::new(program()).args(arguments), input);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn monitor(&self) -> Monitor {
        Monitor::open_in(self.0.as_fd()).unwrap()
    }
}

/// The next message.
pub(crate) fn receive(monitor: &Monitor) -> Result<Received, MonitorError> {
    let deadline = PollTimeout::from(20_000_u16);
    let ready = poll(&mut [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)], deadline).unwrap();
    assert_eq!(ready, 1, "nothing arrived");
    monitor.try_recv().map(Option::unwrap)
}

/// Runs the program outside of any namespace of its own.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The exit status and what was said on standard error.
pub(crate) fn failure(output: Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Waits for a line.
pub(crate) fn wait_for(line: &str, from: impl io::Read) {
    let mut lines = BufReader::new(from).lines();
    assert!(lines.any(|printed| printed.unwrap() == line), "no line `{line}`");
}
