//! `cargo xtask demo`: a pad is plugged into a game that runs, and taken away again.
//!
//! The game is one that knows nothing of Hotseat, or of containers: SDL's own joystick test, from Debian.

pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod program;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use self::daemon::{Daemon, ms};
use self::program::{Line, Program};
use crate::tools::{self, Need};

const GAME: Need = Need {
    what: "/usr/libexec/installed-tests/SDL2/testjoystick",
    package: "libsdl2-tests",
    why: "the game of the demo, SDL's own joystick test",
};

/// After this the demo has failed, whatever it is waiting for. It takes seconds, also when emulated.
const DEADLINE: Duration = Duration::from_secs(180);

/// Runs the demo on this machine, which has uinput and where we are root.
pub(crate) fn run_here() -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    tools::need(&[GAME])?;
    daemon::load_modules()?;
    println!("The game is {}, unmodified{}.", GAME.what, package_version(deadline));
    let mut daemon = Daemon::start(&tools::target()?.join("debug/hotseat"), deadline)?;
    let played = play(&daemon, deadline);
    daemon.explain(played)?;
    println!();
    explain_times();
    Ok(())
}

fn package_version(deadline: Instant) -> String {
    let query = ["--show", "--showformat=${Package} ${Version}", GAME.package];
    // Another distribution has the file, too.
    let version = Program::output("dpkg-query", &query, deadline);
    version.map_or_else(|_| String::new(), |version| format!(" (Debian's package {version})"))
}

/// The game, and the story it tells.
struct Story<'a> {
    daemon: &'a Daemon,
    game: Program,
    deadline: Instant,
}

fn play(daemon: &Daemon, deadline: Instant) -> Result<()> {
    // With a pad from the start, because the game says nothing before it has seen one: the first line is
    // the proof that it runs and listens.
    let run = ["run", "--session", "demo", "--plug", "xbox-one", "--"];
    let no_window = ["env", "SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy"];
    let arguments = [&run[..], &no_window, &[GAME.what]].concat();
    println!("\nhotseat {}", arguments.join(" "));
    let start = Instant::now();
    let game = daemon.command("the game", &arguments)?;
    let mut story = Story { daemon, game, deadline };
    story.expect(start, "added.", "it runs, and has found the pad that was there")?;

    let start = story.ask("DELETE", "/0", "", "hotseat unplug demo 0")?.0;
    story.expect(start, "removed.", "the game has lost its pad")?;

    let body = r#"{"profile":"xbox-one"}"#;
    let (start, device) = story.ask("POST", "", body, "hotseat plug demo xbox-one")?;
    for (step, time) in daemon::steps(&device)? {
        println!("{:>10}  the daemon: {step}", ms(time));
    }
    story.expect(start, "added.", "visible to the game")?;
    story.expect(start, "name:", "opened by the game")?;

    let body = r#"{"events":["lx=-0.5"]}"#;
    let start = story.ask("POST", "/0/input", body, "hotseat send demo 0 lx=-0.5")?.0;
    story.expect(start, "axis 0 value: -16384", "the stick is half left")?;

    let body = r#"{"events":["south=1"]}"#;
    let start = story.ask("POST", "/0/input", body, "hotseat send demo 0 south=1")?.0;
    story.expect(start, "button 0 down", "the button is down")?;

    let start = story.ask("DELETE", "/0", "", "hotseat unplug demo 0")?.0;
    story.expect(start, "removed.", "gone for the game")
}

impl Story<'_> {
    /// Sends the request that `command` would send, and returns when, and the answer.
    fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
        command: &str,
    ) -> Result<(Instant, serde_json::Value)> {
        let path = format!("/v1/sessions/demo/devices{path}");
        println!("\n{}   ({command})", [method, &path, body].join(" ").trim_end());
        let start = Instant::now();
        let answer = self.daemon.ask(method, &path, body)?;
        Ok((start, answer))
    }

    /// Waits for the game's line with `expected` in it and shows it, with the time since `start`.
    fn expect(&mut self, start: Instant, expected: &str, meaning: &str) -> Result<()> {
        let wanted = |line: &Line| {
            let words = line.text.strip_prefix("INFO:")?.trim();
            words.contains(expected).then(|| (line.at, line.text.clone()))
        };
        let what = format!("\"{expected}\"");
        let found = self.game.wait_for(&what, self.deadline, wanted);
        let (at, text) = found.with_context(|| format!("the game did not notice: {meaning}"))?;
        println!("{:>10}  {meaning}: {text:?}", ms(at - start));
        Ok(())
    }
}

fn explain_times() {
    println!("Times run from just before the request (or the command) to the instant at which the");
    println!(
        "game's line arrived here, both taken here from CLOCK_MONOTONIC; those of the daemon's"
    );
    println!(
        "steps are its own, from the start of the plug. The game looks at its devices once per"
    );
    println!("frame, and SDL waits 10 ms before it opens a new one.");
    if std::env::var_os("HOTSEAT_VM").is_some() {
        println!(
            "All this was emulated in software, by a debug build: the order and the ratios are real,"
        );
        println!("on hardware everything takes a small part of these times.");
    }
}
