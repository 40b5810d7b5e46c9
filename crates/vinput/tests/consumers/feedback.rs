//! Force feedback, as fftest plays it.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::feedback::{Command, ConditionKind, EffectKind, Player};
use vinput::{Feedback, Profile};

use crate::program::{FOR_EVER, Program};
use crate::{Plugged, in_machine, table};

/// Answers a device's feedback until every effect that a program uploaded is erased, which the kernel does when
/// the program ends. Passes on what a client would be told to do.
pub(crate) fn serve_to_the_end(plugged: &Plugged, commands: &Sender<Command>) {
    let mut player = Player::new(plugged.profile);
    let mut uploaded = BTreeSet::new();
    loop {
        while let Some(feedback) = plugged.device.read_feedback().unwrap() {
            player.handle(&feedback, Instant::now());
            match feedback {
                Feedback::Upload { effect } => drop(uploaded.insert(effect.id)),
                Feedback::Erase { id } => {
                    uploaded.remove(&id);
                    if uploaded.is_empty() {
                        return;
                    }
                }
                _ => {}
            }
        }
        player.handle_timeout(Instant::now());
        // An error means that the test has ended.
        let _ = std::iter::from_fn(|| player.poll()).try_for_each(|command| commands.send(command));

        let due = player.timeout().map(|due| due.saturating_duration_since(Instant::now()));
        let wait = due.unwrap_or(FOR_EVER).min(FOR_EVER) + Duration::from_millis(1);
        let mut fds = [PollFd::new(plugged.device.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::try_from(wait).unwrap()).unwrap();
        assert!(ready > 0 || due.is_some(), "no feedback came");
    }
}

type Fits = fn(&Command) -> bool;

/// The effects of fftest, in its order, and whether a command plays one when those after it play already.
const EFFECTS: [(&str, Fits); 6] = [
    ("sine", is_wave),
    ("constant", is_push),
    ("spring", |command| is_condition(command, ConditionKind::Spring)),
    ("damper", |command| is_condition(command, ConditionKind::Damper)),
    ("strong rumble", |command| matches!(command, Command::Rumble(it) if it.strong > 0)),
    ("weak rumble", |command| matches!(command, Command::Rumble(it) if it.weak > 0)),
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
    let (sender, commands) = mpsc::channel();
    thread::scope(|scope| {
        let mut fftest = Program::start(&["stdbuf", "-oL", "fftest", &plugged.node]);
        scope.spawn(|| serve_to_the_end(&plugged, &sender));
        for number in 0..EFFECTS.len() {
            fftest.expect(&format!("Uploading effect #{number}"));
        }
        let transcript = fftest.transcript().to_owned();
        let was_uploaded = |number: usize| {
            let line = transcript.lines().find(|it| it.contains(&format!("effect #{number}")));
            line.unwrap().contains("OK")
        };
        // From behind: the wave, which is first, makes all motors run at full strength.
        let uploaded = (0..EFFECTS.len()).rev().filter(|number| was_uploaded(*number));
        for number in uploaded {
            let (name, fits) = EFFECTS[number];
            fftest.tell(&number.to_string());
            while !fits(&commands.recv_timeout(FOR_EVER).unwrap()) {}
            played.insert(0, name);
        }
        fftest.tell("-1");
        fftest.rest();
    });
    played.join(", ")
}
