//! `hostile`: how late a player's input comes while somebody else attacks the server.

use anyhow::{Context as _, Result, ensure};

use super::input::{self, Measured, Side, ask, said};
use super::soon;
use crate::demo::daemon::{self, Daemon};
use crate::demo::program::Program;
use crate::tools;

/// How much longer a player's input may take while somebody attacks, of the medians.
const GOAL: f64 = 1.1;

/// How often the player's pad changes in a second.
const HERTZ: u32 = 250;

/// The attacker's session.
const SESSION: &str = "hostile";

/// What an attacker does, and what that is.
const ATTACKS: [(&str, &str); 4] = [
    ("flood", "datagrams, as fast as they go; thrown out, it comes back"),
    ("oversized", "datagrams that are larger than any may be"),
    ("half-open", "connections without a word"),
    ("tokens", "connections with a wrong token"),
];

const EXPLANATION: &str = "\
In turns, a player changes the sticks of a pad 250 times a second, alone or while an attacker with a token for another
session does what it can. How old an event is when its node becomes readable is in the event.
The attacker's own work is not the server's, and no other machine does it here: it has a tenth of a processor, of the time
that nobody else wants (CPUQuota= of systemd, SCHED_IDLE).
";

/// Measures `rounds` turns of each on this machine, which has uinput and where we are root.
pub(crate) fn run_here(rounds: u32) -> Result<()> {
    ensure!(rounds > 0, "no rounds, no result");
    daemon::load_modules()?;
    let programs = tools::target()?.join("release");
    let (mut daemon, address) = input::listening(&programs, "")?;
    let program = input::parts(&daemon, &programs);
    let measured = program.and_then(|program| measure(&daemon, &program, &address, rounds));
    let worst = daemon.explain(measured)?;
    println!();
    println!("an attack makes input {worst:.2} times as old (at most {GOAL})");
    ensure!(worst <= GOAL, "an attacker delays others");
    Ok(())
}

fn measure(daemon: &Daemon, program: &str, address: &str, rounds: u32) -> Result<f64> {
    let mut player = input::hotseat(daemon, program, address, 1)?;
    daemon.ask("POST", "/v1/sessions", &format!(r#"{{"name":"{SESSION}"}}"#))?;
    let [_, token] = input::token(daemon, SESSION)?;
    let limits = ["--scope", "--quiet", "-p", "CPUQuota=10%", "chrt", "--idle", "0"];
    let attack = [&limits[..], &[program, "attack", address, SESSION, &token]].concat();
    let mut attacker = Program::start("the attacker", "systemd-run", &attack)?;
    said(&mut attacker, "ready")?;
    println!("{EXPLANATION}");
    println!(
        "{:<10} {:>10} {:>10} {:>10} {:>10} {:>6}  done",
        "", "p50", "attacked", "p99", "attacked", "ratio"
    );
    let mut worst: f64 = 0.0;
    for (kind, what) in ATTACKS {
        let (mut alone, mut attacked) = (Measured::default(), Measured::default());
        let mut count = 0;
        for round in 0..=rounds {
            // Each is first as often as the other, and the first turn of each is for warming up.
            for is_attack in [round % 2 == 0, round % 2 != 0] {
                let (turn, done) = turn(&mut player, &mut attacker, is_attack.then_some(kind))?;
                if round > 0 {
                    if is_attack { &mut attacked } else { &mut alone }.add(&turn);
                    count += done;
                }
            }
        }
        let us = |measured: &Measured, part| format!("{} us", measured.at(part).as_micros());
        let ratio = attacked.at(500).as_secs_f64() / alone.at(500).as_secs_f64();
        println!(
            "{kind:<10} {:>10} {:>10} {:>10} {:>10} {ratio:>6.2}  {count} {what}",
            us(&alone, 500),
            us(&attacked, 500),
            us(&alone, 990),
            us(&attacked, 990),
        );
        ensure!(attacked.lost() == 0, "frames of the player were lost");
        worst = worst.max(ratio);
    }
    Ok(worst)
}

/// The player's turn, and how often the attacker has done what it does meanwhile.
fn turn(
    player: &mut Side,
    attacker: &mut Program,
    attack: Option<&str>,
) -> Result<(Measured, u64)> {
    let Some(kind) = attack else { return Ok((player.turn(HERTZ)?, 0)) };
    ask(attacker, &format!("begin {kind}"), "done")?;
    let turn = player.turn(HERTZ);
    attacker.tell("end")?;
    let done = attacker.wait_for("what it did", soon(), |line| {
        line.text.strip_prefix("did ").and_then(|count| count.parse().ok())
    });
    Ok((turn?, done.context("the attacker's count")?))
}
