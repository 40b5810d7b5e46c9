//! Force feedback, as fftest plays it.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::feedback::{Command, ConditionKind, EffectKind, Player};
use vinput::{Feedback, Profile};

use crate::program::Program;
use crate::{Plugged, in_machine, table};

/// Answers a device's feedback until every effect that a program uploaded is erased, which the kernel does when
/// the program ends; what a client would have been told to do.
pub(crate) fn serve_to_the_end(plugged: &Plugged) -> Vec<Command> {
    let mut player = Player::new(plugged.profile);
    let mut commands = Vec::new();
    let mut uploaded = BTreeSet::new();
    loop {
        while let Some(feedback) = plugged.device.read_feedback().unwrap() {
            player.handle(&feedback, Instant::now());
            commands.extend(std::iter::from_fn(|| player.poll()));
            match feedback {
                Feedback::Upload { effect } => drop(uploaded.insert(effect.id)),
                Feedback::Erase { id } => {
                    uploaded.remove(&id);
                    if uploaded.is_empty() {
                        return commands;
                    }
                }
                _ => {}
            }
        }
        let mut fds = [PollFd::new(plugged.device.as_fd(), PollFlags::POLLIN)];
        assert_ne!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 0, "no feedback came");
    }
}

type Fits = fn(&Command) -> bool;

/// The effects of fftest, in its order, and whether a command plays one.
const EFFECTS: [(&str, Fits); 6] = [
    ("sine", is_wave),
    ("constant", is_push),
    ("spring", |command| is_condition(command, ConditionKind::Spring)),
    ("damper", |command| is_condition(command, ConditionKind::Damper)),
    ("strong rumble", |command| matches!(command, Command::Rumble(it) if it.strong > it.weak)),
    ("weak rumble", |command| matches!(command, Command::Rumble(it) if it.weak > it.strong)),
];

fn is_wave(command: &Command) -> bool {
    match command {
        Command::Start(effect) => matches!(effect.kind, EffectKind::Periodic { .. }),
        // The kernel's player runs both motors for a wave.
        Command::Rumble(it) => it.strong > 0 && it.strong == it.weak,
        _ => false,
    }
}

fn is_push(command: &Command) -> bool {
    matches!(command, Command::Start(effect) if matches!(effect.kind, EffectKind::Constant { .. }))
}

fn is_condition(command: &Command, wanted: ConditionKind) -> bool {
    match command {
        Command::Start(effect) => {
            matches!(effect.kind, EffectKind::Condition { kind, .. } if kind == wanted)
        }
        _ => false,
    }
}

#[test]
fn fftest_uploads_and_plays_what_the_device_can() {
    if !in_machine() {
        return;
    }
    let with_effects = Profile::builtins().filter(|profile| profile.max_effects() > 0);
    let found: Vec<_> = with_effects.map(|profile| (profile, plays(profile))).collect();
    table::check("fftest", &found);
}

/// The cell of the table: the effects that were uploaded and arrived.
fn plays(profile: &'static Profile) -> String {
    let plugged = Plugged::new(profile);
    let mut played = Vec::new();
    thread::scope(|scope| {
        let mut fftest = Program::start(&["stdbuf", "-oL", "fftest", &plugged.node]);
        let served = scope.spawn(|| serve_to_the_end(&plugged));
        for number in 0..EFFECTS.len() {
            fftest.expect(&format!("Uploading effect #{number}"));
        }
        // It asks, reads a number, and plays that one; −1 ends it.
        for number in 0..EFFECTS.len() {
            fftest.tell(&number.to_string());
        }
        fftest.tell("-1");
        let transcript = fftest.rest();
        let commands = served.join().unwrap();
        for (number, (name, fits)) in EFFECTS.iter().enumerate() {
            let line = transcript.lines().find(|it| it.contains(&format!("effect #{number}")));
            let was_uploaded = line.unwrap().contains("OK");
            let was_played = commands.iter().any(fits);
            assert!(!was_uploaded || was_played, "{}: {name}: {commands:?}", profile.name());
            if was_uploaded {
                played.push(*name);
            }
        }
    });
    played.join(", ")
}
