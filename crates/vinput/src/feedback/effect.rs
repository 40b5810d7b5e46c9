//! Force feedback effects, as programs upload them.

use nix::libc::ff_effect;
use serde::Serialize;

/// A force feedback effect (`struct ff_effect` in include/uapi/linux/input.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
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
    /// `FF_RAMP`: a push that grows or shrinks.
    Ramp {
        /// Its strength at the start; negative pulls.
        start: i16,
        /// Its strength at the end.
        end: i16,
        /// How it starts and ends.
        envelope: Envelope,
    },
    /// `FF_SPRING`, `FF_FRICTION`, `FF_DAMPER` or `FF_INERTIA`: a resistance to where the device is or how
    /// it moves.
    Condition {
        /// Which one.
        kind: ConditionKind,
        /// Along the X axis, and along the Y axis of devices that have one.
        axes: [Condition; 2],
    },
    /// An effect of a later kernel.
    Other {
        /// Its `FF_*`.
        kind: u16,
    },
}

/// What a condition resists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionKind {
    /// `FF_SPRING`: being away from the centre.
    Spring,
    /// `FF_FRICTION`: moving at all.
    Friction,
    /// `FF_DAMPER`: speed.
    Damper,
    /// `FF_INERTIA`: a change of speed.
    Inertia,
}

/// A condition along one axis (`struct ff_condition_effect`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Most force to the right of the centre, 0 to 0xffff.
    pub right_saturation: u16,
    /// Most force to the left.
    pub left_saturation: u16,
    /// How fast the force grows to the right; negative is away from the centre.
    pub right_coefficient: i16,
    /// How fast it grows to the left.
    pub left_coefficient: i16,
    /// How wide the zone without force is, 0 to 0xffff.
    pub deadband: u16,
    /// Where the middle of that zone is.
    pub center: i16,
}

/// How an effect starts and ends (`struct ff_envelope`). Levels are 0 to 0x7fff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
const FF_SPRING: u16 = 0x53;
const FF_FRICTION: u16 = 0x54;
const FF_DAMPER: u16 = 0x55;
const FF_INERTIA: u16 = 0x56;
const FF_RAMP: u16 = 0x57;

impl Effect {
    /// How many words [`to_words`](Self::to_words) makes.
    pub(crate) const WORDS: usize = 17;

    /// Libc has the union `u` as an array of longer words.
    pub(crate) fn decode(raw: &ff_effect) -> Self {
        let mut bytes = [0; 24];
        let union = raw.u.iter().flat_map(|word| word.to_ne_bytes());
        bytes.iter_mut().zip(union).for_each(|(byte, value)| *byte = value);
        // The kernel has given it an id by now, so it is not -1 (input_ff_upload in ff-core.c).
        let id = raw.id.cast_unsigned();
        let mut words = [
            raw.type_,
            id,
            raw.direction,
            raw.replay.length,
            raw.replay.delay,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        for (word, bytes) in words[5..].iter_mut().zip(bytes.as_chunks().0) {
            *word = u16::from_ne_bytes(*bytes);
        }
        Self::of_words(words)
    }

    /// Its type, id, direction, length and delay, then the union: fields are read at the offsets of
    /// `struct ff_rumble_effect`, `ff_constant_effect`, `ff_periodic_effect`, `ff_ramp_effect` and two of
    /// `ff_condition_effect`, all of which have words only.
    pub(crate) fn of_words(words: [u16; Self::WORDS]) -> Self {
        let [kind, id, direction, length_ms, delay_ms, union @ ..] = words;
        let unsigned = |at: usize| union[at / 2];
        let signed = |at: usize| unsigned(at).cast_signed();
        let envelope = |at: usize| Envelope {
            attack_ms: unsigned(at),
            attack_level: unsigned(at + 2),
            fade_ms: unsigned(at + 4),
            fade_level: unsigned(at + 6),
        };
        let condition = |at: usize| Condition {
            right_saturation: unsigned(at),
            left_saturation: unsigned(at + 2),
            right_coefficient: signed(at + 4),
            left_coefficient: signed(at + 6),
            deadband: unsigned(at + 8),
            center: signed(at + 10),
        };
        let conditions = |kind| EffectKind::Condition { kind, axes: [condition(0), condition(12)] };
        let kind = match kind {
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
            FF_RAMP => EffectKind::Ramp { start: signed(0), end: signed(2), envelope: envelope(4) },
            FF_SPRING => conditions(ConditionKind::Spring),
            FF_FRICTION => conditions(ConditionKind::Friction),
            FF_DAMPER => conditions(ConditionKind::Damper),
            FF_INERTIA => conditions(ConditionKind::Inertia),
            kind => EffectKind::Other { kind },
        };
        Self { id, direction, length_ms, delay_ms, kind }
    }

    /// The words of which [`of_words`](Self::of_words) makes the same effect.
    pub(crate) fn to_words(self) -> [u16; Self::WORDS] {
        let envelope = |it: Envelope| [it.attack_ms, it.attack_level, it.fade_ms, it.fade_level];
        let condition = |it: Condition| {
            let (right, left) = (it.right_coefficient, it.left_coefficient);
            let (right, left) = (right.cast_unsigned(), left.cast_unsigned());
            let saturation = [it.right_saturation, it.left_saturation];
            [saturation[0], saturation[1], right, left, it.deadband, it.center.cast_unsigned()]
        };
        let (kind, union) = match self.kind {
            EffectKind::Rumble { strong, weak } => (FF_RUMBLE, vec![strong, weak]),
            EffectKind::Constant { level, envelope: shape } => {
                (FF_CONSTANT, [&[level.cast_unsigned()][..], &envelope(shape)].concat())
            }
            EffectKind::Periodic {
                waveform,
                period_ms,
                magnitude,
                offset,
                phase,
                envelope: shape,
            } => {
                let (magnitude, offset) = (magnitude.cast_unsigned(), offset.cast_unsigned());
                let wave = [waveform, period_ms, magnitude, offset, phase];
                (FF_PERIODIC, [&wave[..], &envelope(shape)].concat())
            }
            EffectKind::Ramp { start, end, envelope: shape } => {
                let ends = [start.cast_unsigned(), end.cast_unsigned()];
                (FF_RAMP, [&ends[..], &envelope(shape)].concat())
            }
            EffectKind::Condition { kind, axes } => {
                let kind = match kind {
                    ConditionKind::Spring => FF_SPRING,
                    ConditionKind::Friction => FF_FRICTION,
                    ConditionKind::Damper => FF_DAMPER,
                    ConditionKind::Inertia => FF_INERTIA,
                };
                (kind, axes.map(condition).concat())
            }
            EffectKind::Other { kind } => (kind, Vec::new()),
        };
        let mut words = [0; Self::WORDS];
        words[..5].copy_from_slice(&[kind, self.id, self.direction, self.length_ms, self.delay_ms]);
        words[5..5 + union.len()].copy_from_slice(&union);
        words
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
        let effect = Effect::decode(&raw);
        assert_eq!(Effect::of_words(effect.to_words()), effect);
        effect
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
    fn a_ramp_is_decoded() {
        let expected = EffectKind::Ramp { start: -3, end: 4, envelope: ENVELOPE };
        assert_eq!(effect(0x57, &[0xfffd, 4, 1, 2, 3, 0x7fff]).kind, expected);
    }

    #[test]
    fn conditions_are_decoded_for_both_axes() {
        let union = [0xffff, 0x8000, 0x7fff, 0x8000, 5, 0xffff, 1, 2, 3, 4, 5, 6];
        let x = Condition {
            right_saturation: 0xffff,
            left_saturation: 0x8000,
            right_coefficient: i16::MAX,
            left_coefficient: i16::MIN,
            deadband: 5,
            center: -1,
        };
        let y = Condition {
            right_saturation: 1,
            left_saturation: 2,
            right_coefficient: 3,
            left_coefficient: 4,
            deadband: 5,
            center: 6,
        };
        for (number, kind) in [
            (0x53, ConditionKind::Spring),
            (0x54, ConditionKind::Friction),
            (0x55, ConditionKind::Damper),
            (0x56, ConditionKind::Inertia),
        ] {
            assert_eq!(effect(number, &union).kind, EffectKind::Condition { kind, axes: [x, y] });
        }
    }

    #[test]
    fn effects_of_later_kernels_are_passed_on_by_kind() {
        assert_eq!(effect(0x5f, &[1, 2]).kind, EffectKind::Other { kind: 0x5f });
    }
}
