//! Nothing is allocated where frames are made and written, and where effects are played.

use std::time::{Duration, Instant};

use crate::feedback::{Effect, EffectKind, Player};
use crate::state::State;
use crate::{Feedback, Frame, Profile};

/// How many times this thread allocated during `work`.
pub(crate) fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_frame_that_is_used_again_is_set_and_reported_without_allocating() {
    for profile in Profile::builtins() {
        let mut state = State::new(profile);
        let mut frame = Frame::new();
        let mut set_all = |frame: &mut Frame, value| {
            frame.clear();
            for control in profile.controls() {
                frame.set(control, value).unwrap();
            }
            assert!(!state.apply(frame).is_empty(), "{}", profile.name());
        };
        // The frame takes the memory that it needs at its first use.
        set_all(&mut frame, 1.0);
        let count = allocations(|| {
            for value in [0.0, 1.0, 0.0] {
                set_all(&mut frame, value);
            }
        });
        assert_eq!(count, 0, "{}", profile.name());
    }
}

#[test]
fn effects_are_played_without_allocating() {
    for name in ["xbox-one", "wheel"] {
        let mut player = Player::new(Profile::builtin(name).unwrap());
        let mut now = Instant::now();
        let count = allocations(|| {
            for round in 0..100_u16 {
                let kind = EffectKind::Rumble { strong: round, weak: round };
                let effect =
                    Effect { id: round % 16, direction: 0, length_ms: 5, delay_ms: 1, kind };
                player.handle(&Feedback::Upload { effect }, now);
                player.handle(&Feedback::Play { id: effect.id, count: 2 }, now);
                now += Duration::from_millis(1);
                player.handle_timeout(now);
                while player.poll().is_some() {}
            }
        });
        assert_eq!(count, 0, "{name}");
    }
}
