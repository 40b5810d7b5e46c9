//! The two ways to plug, each with a container of its own and the same listener in it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::demo::daemon::{self, Daemon};
use crate::demo::program::{Line, Program};

/// What listens in both containers: real libudev, nothing of ours.
const LISTENER: &str = include_str!("../../bench/listener.py");

/// The image of the test machine.
const IMAGE: &str = "hotseat/consumers";

/// Docker's own socket, which both sides use.
const DOCKER: &str = "/var/run/docker.sock";

/// How long one plug took.
pub(super) struct Plug {
    /// From the request to the instant at which the listener had the event node open.
    pub(super) visible: Duration,
    /// The same for the last of the nodes.
    pub(super) complete: Duration,
    /// The daemon's steps; none of Wolf.
    pub(super) steps: Vec<(String, Duration)>,
}

/// A way to plug.
pub(super) trait Side {
    /// Plugs a pad and waits until the listener has it.
    fn plug(&mut self, deadline: Instant) -> Result<Plug>;
    /// Unplugs it and waits until it is gone, for the listener and for the kernel.
    fn unplug(&mut self, deadline: Instant) -> Result<()>;
}

/// Through the daemon's API, into a container that was started with nothing.
pub(super) struct Hotseat<'a> {
    listener: Listener,
    daemon: &'a Daemon,
    _container: Container,
}

impl<'a> Hotseat<'a> {
    pub(super) fn start(daemon: &'a Daemon, deadline: Instant) -> Result<Self> {
        let container = Container::start("hotseat-bench", &[], deadline)?;
        let body = format!(r#"{{"name":"bench","container":"docker:{}"}}"#, container.name);
        daemon.ask("POST", "/v1/sessions", &body)?;
        let listener = Listener::start(&container, deadline)?;
        Ok(Self { listener, daemon, _container: container })
    }
}

impl Side for Hotseat<'_> {
    fn plug(&mut self, deadline: Instant) -> Result<Plug> {
        let path = "/v1/sessions/bench/devices";
        let start = now();
        let device = self.daemon.ask("POST", path, r#"{"profile":"xbox-one"}"#)?;
        let steps = daemon::steps(&device)?;
        let (visible, complete) = self.listener.added(start, deadline)?;
        Ok(Plug { visible, complete, steps })
    }

    fn unplug(&mut self, deadline: Instant) -> Result<()> {
        // The kernel device is gone when this answers.
        self.daemon.ask("DELETE", "/v1/sessions/bench/devices/0", "")?;
        self.listener.removed(deadline)
    }
}

/// As Wolf does it, into a container that may make and open any input device; see bench/wolf.rs.
pub(super) struct Wolf {
    wolf: Program,
    listener: Listener,
    _container: Container,
}

impl Wolf {
    /// `folder` becomes the container's `/run/udev`; programs are started from a copy in it, because a
    /// network file system as in the test machine would make them slow.
    pub(super) fn start(programs: &Path, folder: &Path, deadline: Instant) -> Result<Self> {
        let (udev, sender) = (folder.join("udev"), folder.join("fake-udev"));
        fs::create_dir_all(udev.join("data")).context("making the container's /run/udev")?;
        // Without it libudev listens to nothing.
        fs::write(udev.join("control"), "").context("making /run/udev/control")?;
        let copy = |from: &str, to: &Path| {
            let from = programs.join(from);
            fs::copy(&from, to).with_context(|| format!("copying {}", from.display()))
        };
        copy("bench-fake-udev", &sender)?;
        copy("bench-wolf", &folder.join("wolf"))?;

        let mounts = [
            format!("{}:/run/udev", udev.display()),
            format!("{}:/usr/bin/fake-udev:ro", sender.display()),
        ];
        let options = ["--device-cgroup-rule=c 13:* rmw", "--cap-add=MKNOD", "--cap-add=NET_ADMIN"];
        let mounts = mounts.iter().flat_map(|mount| ["--volume", mount]);
        let options: Vec<&str> = options.into_iter().chain(mounts).collect();
        let container = Container::start("wolf-bench", &options, deadline)?;
        let listener = Listener::start(&container, deadline)?;
        let (wolf, udev) = (folder.join("wolf"), udev.to_string_lossy());
        let wolf =
            Program::start("Wolf", &wolf.to_string_lossy(), &[&container.name, &udev, DOCKER])?;
        Ok(Self { wolf, listener, _container: container })
    }

    fn say(&mut self, word: &str, answer: &str, deadline: Instant) -> Result<()> {
        self.wolf.tell(word)?;
        self.wolf.wait_for(answer, deadline, |line| (line.text == answer).then_some(()))
    }
}

impl Side for Wolf {
    fn plug(&mut self, deadline: Instant) -> Result<Plug> {
        let start = now();
        self.say("plug", "plugged", deadline)?;
        let (visible, complete) = self.listener.added(start, deadline)?;
        Ok(Plug { visible, complete, steps: Vec::new() })
    }

    fn unplug(&mut self, deadline: Instant) -> Result<()> {
        self.say("unplug", "unplugged", deadline)?;
        self.listener.removed(deadline)
    }
}

/// The program in the container that waits for pads.
struct Listener(Program);

impl Listener {
    fn start(container: &Container, deadline: Instant) -> Result<Self> {
        let command = ["exec", "-i", &container.name, "python3", "-c", LISTENER];
        let mut listener = Program::start("the listener", "docker", &command)?;
        let ready = |line: &Line| (line.text == "listening").then_some(());
        listener.wait_for("listening", deadline, ready)?;
        Ok(Self(listener))
    }

    /// From `start` to the listener's having opened the event node, and to its having opened both.
    fn added(&mut self, start: Duration, deadline: Instant) -> Result<(Duration, Duration)> {
        let mut opened = HashMap::new();
        while opened.len() < 2 {
            let (kind, at) = self.0.wait_for("add", deadline, |line| opening(&line.text))?;
            opened.insert(kind, at.saturating_sub(start));
        }
        let visible = *opened.get("event").context("no event node")?;
        Ok((visible, opened.into_values().max().unwrap_or(visible)))
    }

    fn removed(&mut self, deadline: Instant) -> Result<()> {
        for _ in 0..2 {
            let removed = |line: &Line| line.text.starts_with("remove ").then_some(());
            self.0.wait_for("remove", deadline, removed)?;
        }
        Ok(())
    }
}

/// The listener's line about a node that it has opened, `add event5 123456789`: what kind of node, and when.
fn opening(line: &str) -> Option<(String, Duration)> {
    let mut words = line.strip_prefix("add ")?.split(' ');
    let kind = words.next()?.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    Some((kind, Duration::from_nanos(words.next()?.parse().ok()?)))
}

/// A running container. Its program ends with its input, which ends with this value or with this process;
/// Docker then removes it.
pub(super) struct Container {
    pub(super) name: String,
    _program: Program,
}

impl Container {
    pub(super) fn start(name: &str, options: &[&str], deadline: Instant) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let run = ["run", "--rm", "--interactive", "--name", &name];
        let command = [IMAGE, "sh", "-c", "echo running; exec cat"];
        let arguments = [&run[..], options, &command].concat();
        let mut program = Program::start("the container", "docker", &arguments)?;
        let running = |line: &Line| (line.text == "running").then_some(());
        program.wait_for("running", deadline, running)?;
        Ok(Self { name, _program: program })
    }
}

/// Makes sure that there is a Docker to run containers with, and an image to run.
pub(super) fn need_docker(deadline: Instant) -> Result<()> {
    Program::output("docker", &["image", "inspect", IMAGE], deadline).map(drop).with_context(|| {
        format!(
            "this needs Docker and the image {IMAGE} of the test machine, which is a Debian with \
             python3-pyudev and bash; elsewhere, make one by that name: \
             printf 'FROM debian:trixie\\nRUN apt-get update && apt-get install -y python3-pyudev\\n' \
             | docker build -t {IMAGE} -"
        )
    })
}

/// `CLOCK_MONOTONIC`, which the programs in the containers read too.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
