//! What programs send to a device: lights and force feedback.
//!
//! Everything here was said by a program inside a container and may be nonsense: effects that were never
//! uploaded may be played, and lights that the device does not have may be set.

use nix::libc::ff_effect;

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
        /// How many times; 0 stops it.
        count: u32,
    },
    /// The strength of all effects: 0 is none, 0xffff is full.
    Gain(u16),
    /// Anything else, as the kernel has it: key repeat settings (`EV_REP`), sounds, autocenter, or an
    /// upload that was given up before it was answered.
    Other {
        /// The event type.
        kind: u16,
        /// The code within the type.
        code: u16,
        /// The value.
        value: i32,
    },
}

/// A force feedback effect (`struct ff_effect` in include/uapi/linux/input.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Its place on the device: less than [`Profile::max_effects`](crate::Profile::max_effects).
    pub id: u16,
    /// Where the force comes from: 0 below, 0x4000 left, 0x8000 above, 0xc000 right.
    pub direction: u16,
    /// How long it lasts, in milliseconds; 0 is until stopped.
    pub length_ms: u16,
    /// How long it waits before it starts, in milliseconds.
    pub delay_ms: u16,
    /// What it feels like.
    pub kind: EffectKind,
}

/// What an effect feels like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EffectKind {
    /// `FF_RUMBLE`: the two motors of a pad.
    Rumble {
        /// The heavy motor, 0 to 0xffff.
        strong: u16,
        /// The light motor, 0 to 0xffff.
        weak: u16,
    },
    /// `FF_CONSTANT`: a steady push.
    Constant {
        /// Its strength; negative pulls.
        level: i16,
        /// How it starts and ends.
        envelope: Envelope,
    },
    /// `FF_PERIODIC`: a wave.
    Periodic {
        /// Its shape: `FF_SQUARE`, `FF_TRIANGLE`, `FF_SINE`, `FF_SAW_UP` or `FF_SAW_DOWN`.
        waveform: u16,
        /// The time of one wave, in milliseconds.
        period_ms: u16,
        /// Its peak.
        magnitude: i16,
        /// Its mean.
        offset: i16,
        /// Where in the wave it starts.
        phase: u16,
        /// How it starts and ends.
        envelope: Envelope,
    },
    /// An effect that is not decoded here.
    Other {
        /// `FF_RAMP`, `FF_SPRING`, `FF_FRICTION`, `FF_DAMPER` or `FF_INERTIA`.
        kind: u16,
    },
}

/// How an effect starts and ends (`struct ff_envelope`). Levels are 0 to 0x7fff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The time it takes to reach full strength, in milliseconds.
    pub attack_ms: u16,
    /// The strength at the start.
    pub attack_level: u16,
    /// The time it takes to fade, in milliseconds.
    pub fade_ms: u16,
    /// The strength at the end.
    pub fade_level: u16,
}

const FF_RUMBLE: u16 = 0x50;
const FF_PERIODIC: u16 = 0x51;
const FF_CONSTANT: u16 = 0x52;

impl Effect {
    /// Libc has the union `u` as an array of words; fields are read at the offsets of
    /// `struct ff_rumble_effect`, `ff_constant_effect` and `ff_periodic_effect`.
    pub(crate) fn decode(raw: &ff_effect) -> Self {
        let mut bytes = [0; 20];
        let union = raw.u.iter().flat_map(|word| word.to_ne_bytes());
        bytes.iter_mut().zip(union).for_each(|(byte, value)| *byte = value);
        let unsigned = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let signed = |at: usize| unsigned(at).cast_signed();
        let envelope = |at: usize| Envelope {
            attack_ms: unsigned(at),
            attack_level: unsigned(at + 2),
            fade_ms: unsigned(at + 4),
            fade_level: unsigned(at + 6),
        };
        let kind = match raw.type_ {
            FF_RUMBLE => EffectKind::Rumble { strong: unsigned(0), weak: unsigned(2) },
            FF_CONSTANT => EffectKind::Constant { level: signed(0), envelope: envelope(2) },
            FF_PERIODIC => EffectKind::Periodic {
                waveform: unsigned(0),
                period_ms: unsigned(2),
                magnitude: signed(4),
                offset: signed(6),
                phase: unsigned(8),
                envelope: envelope(10),
            },
            kind => EffectKind::Other { kind },
        };
        Self {
            // The kernel has given it an id by now, so it is not -1 (input_ff_upload in ff-core.c).
            id: raw.id.cast_unsigned(),
            direction: raw.direction,
            length_ms: raw.replay.length,
            delay_ms: raw.replay.delay,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::libc::{ff_replay, ff_trigger};

    use super::*;

    /// An effect with these bytes in its union.
    fn effect(kind: u16, union: &[u16]) -> Effect {
        let mut raw = ff_effect {
            type_: kind,
            id: 3,
            direction: 0x4000,
            trigger: ff_trigger { button: 0, interval: 0 },
            replay: ff_replay { length: 500, delay: 20 },
            u: Default::default(),
        };
        let mut bytes: Vec<u8> = union.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.resize(size_of_val(&raw.u), 0);
        let words = bytes.chunks(size_of_val(&raw.u[0]));
        raw.u.iter_mut().zip(words).for_each(|(word, bytes)| {
            *word = bytes.try_into().map(u64::from_ne_bytes).unwrap();
        });
        Effect::decode(&raw)
    }

    #[test]
    fn rumble_is_decoded() {
        let expected = Effect {
            id: 3,
            direction: 0x4000,
            length_ms: 500,
            delay_ms: 20,
            kind: EffectKind::Rumble { strong: 0xc000, weak: 0x1234 },
        };
        assert_eq!(effect(0x50, &[0xc000, 0x1234]), expected);
    }

    const ENVELOPE: Envelope =
        Envelope { attack_ms: 1, attack_level: 2, fade_ms: 3, fade_level: 0x7fff };

    #[test]
    fn a_constant_force_is_decoded() {
        let expected = EffectKind::Constant { level: -2, envelope: ENVELOPE };
        assert_eq!(effect(0x52, &[0xfffe, 1, 2, 3, 0x7fff]).kind, expected);
    }

    #[test]
    fn a_wave_is_decoded() {
        let expected = EffectKind::Periodic {
            waveform: 0x5a,
            period_ms: 50,
            magnitude: i16::MAX,
            offset: -1,
            phase: 0x4000,
            envelope: ENVELOPE,
        };
        let union = [0x5a, 50, 0x7fff, 0xffff, 0x4000, 1, 2, 3, 0x7fff];
        assert_eq!(effect(0x51, &union).kind, expected);
    }

    #[test]
    fn other_effects_are_passed_on_by_kind() {
        assert_eq!(effect(0x57, &[1, 2]).kind, EffectKind::Other { kind: 0x57 });
    }
}
