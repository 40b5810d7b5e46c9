//! Force feedback, as fftest and ffcfstress play it.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::feedback::{Command, Condition, ConditionKind, Effect, EffectKind, Envelope, Player};
use vinput::{Feedback, Profile};

use crate::program::{FOR_EVER, Program};
use crate::{Plugged, check, in_machine};

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

/// The effects of fftest, in its order.
const EFFECTS: [&str; 6] = ["sine", "constant", "spring", "damper", "strong rumble", "weak rumble"];

/// Whether a command plays the effect of this number, when those after it play already.
fn plays_effect(command: &Command, number: usize) -> bool {
    match command {
        Command::Start(effect) => {
            let fits = match effect.kind {
                // The kernel makes waves of rumble where a device has no motors (compat_effect() in
                // drivers/input/ff-core.c).
                EffectKind::Periodic { .. } => [0, 4, 5].contains(&number),
                EffectKind::Constant { .. } => number == 1,
                EffectKind::Condition { kind: ConditionKind::Spring, .. } => number == 2,
                EffectKind::Condition { kind: ConditionKind::Damper, .. } => number == 3,
                _ => false,
            };
            fits && usize::from(effect.id) == number
        }
        Command::Rumble(it) => match number {
            // The player runs both motors for a wave.
            0 => it.strong > 0 && it.strong == it.weak,
            4 => it.strong > 0,
            5 => it.weak > 0,
            _ => false,
        },
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
    check("fftest", &found);
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
            fftest.tell(&number.to_string());
            while !plays_effect(&commands.recv_timeout(FOR_EVER).unwrap(), number) {}
            played.insert(0, EFFECTS[number]);
        }
        fftest.tell("-1");
        fftest.rest();
    });
    played.join(", ")
}

#[test]
fn ffcfstress_moves_the_wheel_by_changing_a_force_that_plays() {
    if !in_machine() {
        return;
    }
    let plugged = Plugged::new(Profile::builtin("wheel").unwrap());
    let (sender, commands) = mpsc::channel();
    thread::scope(|scope| {
        // A spring whose centre swings to and fro: a constant force that is uploaded anew while it plays.
        let stress = Program::start(&[
            "stdbuf",
            "-oL",
            "ffcfstress",
            "-d",
            &plugged.node,
            "-u",
            "50",
            "-f",
            "2",
        ]);
        scope.spawn(|| serve_to_the_end(&plugged, &sender));
        let mut levels = BTreeSet::new();
        let mut ids = BTreeSet::new();
        while levels.len() < 10
            || !levels.iter().any(|it| *it < 0)
            || !levels.iter().any(|it| *it > 0)
        {
            match commands.recv_timeout(FOR_EVER).unwrap() {
                Command::Start(Effect { id, kind: EffectKind::Constant { level, .. }, .. }) => {
                    ids.insert(id);
                    levels.insert(level);
                }
                Command::Stop { id } => panic!("effect {id} stopped: it was to be changed"),
                _ => {}
            }
        }
        assert_eq!(ids.len(), 1, "{ids:?}");
        // It runs for ever; when it is ended, the kernel erases its effect.
        drop(stress);
    });
}

/// Uploads and plays every kind of force, with other numbers in each field.
const FORCES: &str = "
import evdev, sys
from evdev import ecodes, ff
device = evdev.InputDevice(sys.argv[1])
envelope = ff.Envelope(1, 2, 3, 4)
kinds = ff.EffectType
conditions = (ff.Condition * 2)(ff.Condition(5, 6, 7, -8, 9, -10), ff.Condition(11, 12, -13, 14, 15, 16))
forces = [
    (ecodes.FF_CONSTANT, kinds(ff_constant_effect=ff.Constant(-21, envelope))),
    (ecodes.FF_RAMP, kinds(ff_ramp_effect=ff.Ramp(-22, 23, envelope))),
    (ecodes.FF_PERIODIC, kinds(ff_periodic_effect=ff.Periodic(ecodes.FF_SAW_UP, 24, 25, -26, 27, envelope))),
]
for kind in (ecodes.FF_SPRING, ecodes.FF_FRICTION, ecodes.FF_DAMPER, ecodes.FF_INERTIA):
    forces.append((kind, kinds(ff_condition_effect=conditions)))
for kind, force in forces:
    effect = ff.Effect(kind, -1, 0x4000, ff.Trigger(0, 0), ff.Replay(60000, 0), force)
    device.write(ecodes.EV_FF, device.upload_effect(effect), 1)
device.write(ecodes.EV_FF, ecodes.FF_GAIN, 0x1234)
print('played', flush=True)
sys.stdin.read()
";

#[test]
fn every_force_of_the_wheel_arrives_with_its_parameters_and_so_does_the_gain() {
    if !in_machine() {
        return;
    }
    let envelope = Envelope { attack_ms: 1, attack_level: 2, fade_ms: 3, fade_level: 4 };
    let condition = |numbers: [u16; 4], right_coefficient, center| Condition {
        right_saturation: numbers[0],
        left_saturation: numbers[1],
        right_coefficient,
        left_coefficient: numbers[2].cast_signed(),
        deadband: numbers[3],
        center,
    };
    let axes = [
        condition([5, 6, (-8_i16).cast_unsigned(), 9], 7, -10),
        condition([11, 12, 14, 15], -13, 16),
    ];
    let waveform = 0x5b; // FF_SAW_UP
    let (period_ms, magnitude, offset, phase) = (24, 25, -26, 27);
    let mut expected = vec![
        EffectKind::Constant { level: -21, envelope },
        EffectKind::Ramp { start: -22, end: 23, envelope },
        EffectKind::Periodic { waveform, period_ms, magnitude, offset, phase, envelope },
    ];
    use ConditionKind as C;
    let conditions = [C::Spring, C::Friction, C::Damper, C::Inertia];
    expected.extend(conditions.map(|kind| EffectKind::Condition { kind, axes }));

    let plugged = Plugged::new(Profile::builtin("wheel").unwrap());
    let (sender, commands) = mpsc::channel();
    thread::scope(|scope| {
        let mut program = Program::python(FORCES, &[&plugged.node]);
        scope.spawn(|| serve_to_the_end(&plugged, &sender));
        let mut started = Vec::new();
        let mut has_gain = false;
        // What came together is told in no order.
        while !has_gain || started.len() < expected.len() {
            match commands.recv_timeout(FOR_EVER).unwrap() {
                Command::Start(effect) => {
                    assert_eq!((effect.direction, effect.length_ms), (0x4000, 60_000));
                    started.push(effect.kind);
                }
                Command::Gain(0x1234) => has_gain = true,
                _ => {}
            }
        }
        assert_eq!(started, expected);
        program.expect("played");
        program.rest();
    });
}
