//! What programs and drivers send back to a pad.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing that a pad was told. Everything here may come from a program inside a container.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Feedback {
    /// The motors. They run until they are told otherwise.
    Rumble {
        /// The heavy one: 0 is off, 1 is full.
        low: f32,
        /// The light one.
        high: f32,
    },
    /// The colour of the light bar.
    Lightbar {
        /// 0 to 255.
        red: u8,
        /// 0 to 255.
        green: u8,
        /// 0 to 255.
        blue: u8,
    },
    /// The light bar of a DualShock 4 blinks, or stops to where both are 0.
    LightbarBlink {
        /// Milliseconds that it is on, 0 to 2550.
        on_ms: u16,
        /// Milliseconds that it is off, 0 to 2550.
        off_ms: u16,
    },
    /// The row of lights that says which player this is.
    PlayerLeds {
        /// Bit 0 is the leftmost one; there are five on a DualSense, four on a Switch pad.
        on: u8,
        /// Those that blink.
        blinking: u8,
    },
    /// The light in the mute button of a DualSense.
    MuteLed(MuteLed),
    /// The light around the Home button of a Switch pad: 0 is off, 1 is full.
    HomeLed(f32),
    /// The resistance of a DualSense's trigger.
    TriggerEffect {
        /// Which one.
        trigger: Trigger,
        /// The kind of effect and its ten parameters, as the pad takes them.
        effect: [u8; 11],
    },
}

/// What the light in the mute button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuteLed {
    /// It is dark.
    Off,
    /// It is lit.
    On,
    /// It fades in and out.
    Pulse,
}

/// One of the triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// L2.
    Left,
    /// R2.
    Right,
}

impl Feedback {
    /// How many kinds there are; what is newer of a kind replaces what is older.
    const KINDS: usize = 8;

    pub(super) fn kind(self) -> usize {
        match self {
            Self::Rumble { .. } => 0,
            Self::Lightbar { .. } => 1,
            Self::LightbarBlink { .. } => 2,
            Self::PlayerLeds { .. } => 3,
            Self::MuteLed(_) => 4,
            Self::HomeLed(_) => 5,
            Self::TriggerEffect { trigger: Trigger::Left, .. } => 6,
            Self::TriggerEffect { trigger: Trigger::Right, .. } => 7,
        }
    }
}

/// Feedback that nobody has taken yet: the newest of each kind. It is never full, so the thread that
/// fills it never waits, and whoever comes late still learns how the pad stands.
#[derive(Debug, Default)]
pub(super) struct Mailbox(Mutex<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    new: [Option<Feedback>; Feedback::KINDS],
    /// Taken or not.
    last: [Option<Feedback>; Feedback::KINDS],
}

impl Mailbox {
    pub(super) fn put(&self, feedback: Feedback) {
        let mut kinds = self.lock();
        kinds.new[feedback.kind()] = Some(feedback);
        kinds.last[feedback.kind()] = Some(feedback);
    }

    pub(super) fn take(&self) -> Option<Feedback> {
        self.lock().new.iter_mut().find_map(Option::take)
    }

    /// The last of each kind, in the order of the kinds.
    pub(super) fn last(&self) -> impl Iterator<Item = Feedback> + use<> {
        let last = self.lock().last;
        last.into_iter().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_kind_is_kept() {
        let mailbox = Mailbox::default();
        let effect = |trigger, kind| Feedback::TriggerEffect { trigger, effect: [kind; 11] };
        mailbox.put(effect(Trigger::Left, 1));
        mailbox.put(Feedback::Rumble { low: 1.0, high: 0.0 });
        mailbox.put(effect(Trigger::Right, 2));
        mailbox.put(Feedback::Rumble { low: 0.0, high: 0.0 });
        let all: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
        let newest = Feedback::Rumble { low: 0.0, high: 0.0 };
        assert_eq!(all, [newest, effect(Trigger::Left, 1), effect(Trigger::Right, 2)]);
    }
}
