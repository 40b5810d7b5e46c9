//! What programs send to a device: lights and force feedback.
//!
//! Everything here was said by a program inside a container and may be nonsense: effects that were never
//! uploaded may be played, and lights that the device does not have may be set.

mod effect;
mod player;

pub use self::effect::{Condition, ConditionKind, Effect, EffectKind, Envelope};
pub use self::player::{Command, Player, Rumble, Snapshot};
use crate::EventCode;

/// One thing that a program asked of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feedback {
    /// A light was switched.
    Led {
        /// Which one (`LED_*`).
        code: EventCode,
        /// Whether it is on now.
        on: bool,
    },
    /// An effect was stored, or stored anew under the same id. It is not playing yet, unless the one that
    /// it replaces was.
    Upload {
        /// The effect.
        effect: Effect,
    },
    /// An effect was forgotten; a [`Play`](Self::Play) with count 0 came before.
    Erase {
        /// Its id.
        id: u16,
    },
    /// An effect is to be played.
    Play {
        /// Its id.
        id: u16,
        /// How many times, each with its delay; 0 stops it.
        count: u32,
    },
    /// The strength of all effects: 0 is none, 0xffff is full.
    Gain(u16),
    /// How hard a wheel returns to its centre by itself: 0 is not at all, 0xffff is full.
    Autocenter(u16),
    /// Anything else, as the kernel has it: key repeat settings (`EV_REP`), sounds, or an upload that was
    /// given up before it was answered.
    Other {
        /// The event type.
        kind: u16,
        /// The code within the type.
        code: u16,
        /// The value.
        value: i32,
    },
}
