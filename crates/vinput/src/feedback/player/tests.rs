use super::super::effect::{Condition, ConditionKind};
use super::*;

/// A player, and a clock that only tests move.
struct Scenario {
    player: Player,
    start: Instant,
    now: Instant,
}

impl Scenario {
    fn new(profile: &str) -> Self {
        let start = Instant::now();
        Self { player: Player::new(Profile::builtin(profile).unwrap()), start, now: start }
    }

    fn send(&mut self, feedback: Feedback) {
        self.player.handle(&feedback, self.now);
    }

    fn upload(&mut self, effect: Effect) {
        self.send(Feedback::Upload { effect });
    }

    fn play(&mut self, id: u16, count: u32) {
        self.send(Feedback::Play { id, count });
    }

    fn polled(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.player.poll()).collect()
    }

    /// Lets time pass as an event loop does: from timeout to timeout. What came, with its time in ms.
    fn until(&mut self, ms: u64) -> Vec<(u64, Command)> {
        let end = self.start + Duration::from_millis(ms);
        let mut all: Vec<_> = self.stamped();
        while let Some(timeout) = self.player.timeout().filter(|timeout| *timeout <= end) {
            assert!(timeout >= self.now, "a timeout in the past");
            self.now = timeout;
            self.player.handle_timeout(timeout);
            all.extend(self.stamped());
        }
        self.now = end;
        all
    }

    fn stamped(&mut self) -> Vec<(u64, Command)> {
        let ms = u64::try_from((self.now - self.start).as_millis()).unwrap();
        self.polled().into_iter().map(|command| (ms, command)).collect()
    }

    /// The same for a pad: time, heavy and light motor.
    fn motors_until(&mut self, ms: u64) -> Vec<(u64, u16, u16)> {
        let motors = |(ms, command)| match command {
            Command::Rumble(Rumble { strong, weak }) => (ms, strong, weak),
            other => panic!("{other:?}"),
        };
        self.until(ms).into_iter().map(motors).collect()
    }
}

fn rumble(id: u16, strong: u16, weak: u16, length_ms: u16, delay_ms: u16) -> Effect {
    Effect { id, direction: 0, length_ms, delay_ms, kind: EffectKind::Rumble { strong, weak } }
}

const FLAT: Envelope = Envelope { attack_ms: 0, attack_level: 0, fade_ms: 0, fade_level: 0 };

fn wave(id: u16, magnitude: i16, length_ms: u16, envelope: Envelope) -> Effect {
    let kind = EffectKind::Periodic {
        waveform: 0x5a,
        period_ms: 20,
        magnitude,
        offset: 0,
        phase: 0,
        envelope,
    };
    Effect { id, direction: 0, length_ms, delay_ms: 0, kind }
}

fn push(id: u16, level: i16, length_ms: u16) -> Effect {
    let kind = EffectKind::Constant { level, envelope: FLAT };
    Effect { id, direction: 0x4000, length_ms, delay_ms: 0, kind }
}

#[test]
fn an_effect_waits_its_delay_and_ends_after_its_length() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 100, 200, 500, 20));
    assert_eq!(pad.motors_until(1000), [], "it was not played yet");
    pad.play(0, 1);
    assert_eq!(pad.motors_until(3000), [(1020, 100, 200), (1520, 0, 0)]);
    assert_eq!(pad.player.timeout(), None);
}

#[test]
fn each_repetition_has_the_delay() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 1, 1, 100, 10));
    pad.play(0, 3);
    let starts_and_ends =
        [(10, 1, 1), (110, 0, 0), (120, 1, 1), (220, 0, 0), (230, 1, 1), (330, 0, 0)];
    assert_eq!(pad.motors_until(1000), starts_and_ends);
}

#[test]
fn repetitions_without_a_delay_run_on() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 1, 1, 100, 0));
    pad.play(0, 1000);
    assert_eq!(pad.motors_until(200_000), [(0, 1, 1), (100_000, 0, 0)]);
}

#[test]
fn an_effect_without_length_lasts_until_it_is_stopped() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 7, 0, 0, 0));
    pad.play(0, 1);
    assert_eq!(pad.motors_until(1_000_000), [(0, 7, 0)]);
    pad.play(0, 0);
    assert_eq!(pad.motors_until(1_000_000), [(1_000_000, 0, 0)]);
}

#[test]
fn effects_add_up_to_full_strength() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 0x8000, 0, 0, 0));
    pad.upload(rumble(1, 0x7000, 5, 100, 0));
    pad.upload(rumble(2, 0x8000, 0, 50, 0));
    for id in 0..3 {
        pad.play(id, 1);
    }
    let expected = [(0, 0xffff, 5), (50, 0xf000, 5), (100, 0x8000, 0)];
    assert_eq!(pad.motors_until(200), expected);
}

#[test]
fn the_gain_changes_what_plays() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 0xffff, 0x1000, 0, 0));
    pad.play(0, 1);
    assert_eq!(pad.motors_until(10), [(0, 0xffff, 0x1000)]);
    pad.send(Feedback::Gain(0x8000));
    assert_eq!(pad.motors_until(20), [(10, 0x8000, 0x0800)]);
    pad.send(Feedback::Gain(0));
    assert_eq!(pad.motors_until(30), [(20, 0, 0)]);
}

#[test]
fn an_erased_effect_is_silent_and_cannot_be_played() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(3, 9, 9, 0, 0));
    pad.play(3, 1);
    assert_eq!(pad.motors_until(10), [(0, 9, 9)]);
    pad.send(Feedback::Erase { id: 3 });
    assert_eq!(pad.motors_until(20), [(10, 0, 0)]);
    pad.play(3, 1);
    assert_eq!(pad.motors_until(30), []);
}

#[test]
fn what_plays_goes_on_as_the_effect_uploaded_in_its_place() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 1, 1, 100, 10));
    pad.play(0, 2);
    assert_eq!(pad.motors_until(60), [(10, 1, 1)]);
    pad.upload(rumble(0, 2, 2, 200, 10));
    // From its beginning, without its delay; the second run has it again.
    assert_eq!(pad.motors_until(1000), [(60, 2, 2), (260, 0, 0), (270, 2, 2), (470, 0, 0)]);
}

#[test]
fn played_again_it_starts_anew() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 1, 1, 100, 0));
    pad.play(0, 1);
    assert_eq!(pad.motors_until(80), [(0, 1, 1)]);
    pad.play(0, 1);
    assert_eq!(pad.motors_until(1000), [(180, 0, 0)]);
}

#[test]
fn a_wave_makes_both_motors_run_and_grows_and_fades_by_its_envelope() {
    let mut pad = Scenario::new("xbox-one");
    let envelope = Envelope { attack_ms: 100, attack_level: 0, fade_ms: 100, fade_level: 0 };
    pad.upload(wave(0, -0x7fff, 1000, envelope));
    pad.play(0, 1);
    let motors = pad.motors_until(2000);
    assert!(motors.iter().all(|(_, strong, weak)| strong == weak));
    let strengths: Vec<_> = motors.iter().map(|(ms, strong, _)| (*ms, *strong)).collect();
    let expected = [(50, 0x7ffe), (100, 0xffff), (950, 0x7ffe), (1000, 0)];
    assert_eq!(strengths, expected);
}

#[test]
fn a_loop_that_comes_late_leaves_out_what_is_over() {
    let mut pad = Scenario::new("xbox-one");
    pad.upload(rumble(0, 1, 1, 1, 0));
    pad.play(0, u32::MAX);
    assert_eq!(pad.polled().len(), 1);
    // A day without being looked after, then the last run of four milliard.
    let late = pad.start + Duration::from_secs(86_400);
    pad.player.handle_timeout(late);
    let left = pad.player.slots[0].as_ref().unwrap().play.unwrap().left;
    assert_eq!(left, u32::MAX - 86_400_000);
    pad.player.handle_timeout(pad.start + Duration::from_millis(u32::MAX.into()));
    assert_eq!(pad.polled(), [Command::Rumble(Rumble::default())]);
}

#[test]
fn a_client_that_takes_nothing_is_told_how_things_are_and_not_how_they_came_about() {
    let mut pad = Scenario::new("xbox-one");
    for strength in 0..10_000 {
        pad.upload(rumble(0, strength, 0, 0, 0));
        pad.play(0, 1);
    }
    assert_eq!(pad.polled(), [Command::Rumble(Rumble { strong: 9999, weak: 0 })]);
    pad.play(0, 0);
    pad.play(0, 1);
    assert_eq!(pad.polled(), [], "it is as the client knows it");
}

#[test]
fn a_wheel_is_told_every_effect_with_its_parameters() {
    let mut wheel = Scenario::new("wheel");
    let spring =
        Condition { right_saturation: 0xffff, right_coefficient: -5, ..Condition::default() };
    let kind = EffectKind::Condition { kind: ConditionKind::Spring, axes: [spring; 2] };
    let spring = Effect { id: 0, direction: 0, length_ms: 0, delay_ms: 0, kind };
    let kind = EffectKind::Ramp { start: -1, end: 0x7fff, envelope: FLAT };
    let ramp = Effect { id: 1, direction: 0xc000, length_ms: 100, delay_ms: 30, kind };
    for effect in [spring, ramp] {
        wheel.upload(effect);
        wheel.play(effect.id, 1);
    }
    wheel.send(Feedback::Gain(0x8000));
    wheel.send(Feedback::Autocenter(0x4000));
    assert_eq!(
        wheel.until(1000),
        [
            (0, Command::Gain(0x8000)),
            (0, Command::Autocenter(0x4000)),
            (0, Command::Start(spring)),
            (30, Command::Start(ramp)),
            (130, Command::Stop { id: 1 }),
        ]
    );
    wheel.send(Feedback::Erase { id: 0 });
    assert_eq!(wheel.until(1000), [(1000, Command::Stop { id: 0 })]);
}

#[test]
fn a_wheel_is_told_of_changes_while_an_effect_plays() {
    let mut wheel = Scenario::new("wheel");
    wheel.upload(push(5, 100, 0));
    wheel.play(5, 1);
    assert_eq!(wheel.until(10), [(0, Command::Start(push(5, 100, 0)))]);
    wheel.upload(push(5, -100, 0));
    assert_eq!(wheel.until(20), [(10, Command::Start(push(5, -100, 0)))]);
    wheel.upload(push(6, 1, 0));
    assert_eq!(wheel.until(30), [], "it does not play");
}

#[test]
fn a_wheel_that_takes_nothing_is_told_the_latest_of_each_effect() {
    let mut wheel = Scenario::new("wheel");
    wheel.upload(push(0, 1, 10));
    wheel.play(0, 1);
    // It began and ended before anybody asked: nothing happened.
    wheel.now += Duration::from_millis(20);
    wheel.player.handle_timeout(wheel.now);
    assert_eq!(wheel.polled(), []);
    wheel.play(0, 1);
    assert_eq!(wheel.polled(), [Command::Start(push(0, 1, 10))]);
    // It ended and began anew: one start.
    wheel.play(0, 0);
    wheel.upload(push(0, 2, 10));
    wheel.play(0, 1);
    assert_eq!(wheel.polled(), [Command::Start(push(0, 2, 10))]);
    wheel.play(0, 0);
    wheel.play(0, 0);
    assert_eq!(wheel.polled(), [Command::Stop { id: 0 }]);
}

#[test]
fn lights_are_told_as_they_are() {
    let mut keyboard = Scenario::new("keyboard");
    let code = EventCode::from_name("LED_CAPSL").unwrap();
    let other = EventCode::from_name("LED_MUTE").unwrap();
    keyboard.send(Feedback::Led { code, on: true });
    keyboard.send(Feedback::Led { code: other, on: true });
    assert_eq!(keyboard.polled(), [Command::Led { code, on: true }]);
    keyboard.send(Feedback::Led { code, on: false });
    keyboard.send(Feedback::Led { code, on: true });
    assert_eq!(keyboard.polled(), [Command::Led { code, on: true }]);
    assert_eq!(keyboard.polled(), []);
}

#[test]
fn nonsense_is_ignored() {
    let mut pad = Scenario::new("xbox-one");
    pad.play(3, 1);
    pad.play(u16::MAX, 1);
    pad.upload(rumble(16, 1, 1, 0, 0));
    pad.upload(rumble(u16::MAX, 1, 1, 0, 0));
    pad.send(Feedback::Erase { id: 3 });
    pad.send(Feedback::Other { kind: 1, code: 2, value: 3 });
    assert_eq!(pad.motors_until(1000), []);
}

proptest::proptest! {
    /// Whatever programs do, time goes on and the end of everything is silence.
    #[test]
    fn every_program_can_be_silenced(
        steps in proptest::collection::vec((0..3_u16, 0..4_u8, 0..300_u16, 0..300_u16, 0..400_u64), 0..60),
    ) {
        let mut pad = Scenario::new("xbox-one");
        let mut ms = 0;
        for (id, action, a, b, wait) in steps {
            match action {
                0 => pad.upload(rumble(id, a, b, a, b)),
                1 => pad.play(id, u32::from(a)),
                2 => pad.play(id, 0),
                _ => pad.send(Feedback::Erase { id }),
            }
            ms += wait;
            pad.motors_until(ms);
        }
        for id in 0..3 {
            pad.send(Feedback::Erase { id });
        }
        pad.polled();
        proptest::prop_assert_eq!(pad.player.told_rumble, Some(Rumble::default()));
        proptest::prop_assert_eq!(pad.player.timeout(), None);
    }
}
