//! What goes back.

use crate::Feedback;
use crate::bytes::Writer;
use crate::list::List;

/// A control message to a Moonlight client, about one of its pads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The motors, until they are told otherwise: 65535 is full.
    Rumble {
        /// The heavy one.
        low: u16,
        /// The light one.
        high: u16,
    },
    /// The motors in the triggers.
    TriggerRumble {
        /// The left one.
        left: u16,
        /// The right one.
        right: u16,
    },
    /// Whether and how often a motion sensor is to be told.
    MotionRate {
        /// Which one.
        kind: MotionKind,
        /// Times per second; 0 is not at all.
        hertz: u16,
    },
    /// The colour of the light: red, green, blue.
    Light([u8; 3]),
    /// The resistance of the triggers: the kind of effect and its ten parameters, as a DualSense takes them; `None`
    /// leaves a trigger as it is.
    TriggerEffects {
        /// The left one.
        left: Option<[u8; 11]>,
        /// The right one.
        right: Option<[u8; 11]>,
    },
}

/// A motion sensor (`LI_MOTION_TYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MotionKind {
    /// The accelerometer.
    Acceleration = 1,
    /// The gyroscope.
    Turning = 2,
}

impl Output {
    /// The longest message: trigger effects.
    pub const LONGEST: usize = 4 + 25;

    /// What a Moonlight client can be told of feedback: none, one or two messages. A rumble does not end by itself
    /// there; say when it is over.
    #[must_use]
    pub fn of(feedback: &Feedback) -> List<Self, 2> {
        let mut outputs = List::new();
        match *feedback {
            Feedback::Rumble { low, high, left_trigger, right_trigger, .. } => {
                outputs.push(Self::Rumble { low, high });
                outputs.push(Self::TriggerRumble { left: left_trigger, right: right_trigger });
            }
            Feedback::LightBar(colour) => {
                outputs.push(Self::Light(colour));
            }
            Feedback::LeftTrigger(effect) => {
                outputs.push(Self::TriggerEffects { left: Some(effect), right: None });
            }
            Feedback::RightTrigger(effect) => {
                outputs.push(Self::TriggerEffects { left: None, right: Some(effect) });
            }
            _ => {}
        }
        outputs
    }

    /// The message, with its header: type and length, little-endian (`queueAsyncCallback` in src/ControlStream.c reads
    /// what comes after it).
    #[must_use]
    pub fn message(&self, pad: u8) -> List<u8, { Self::LONGEST }> {
        let mut bytes = [0; Self::LONGEST];
        let mut body = Writer::new(&mut bytes);
        let pad = u16::from(pad).to_le_bytes();
        let number: u16 = match self {
            Self::Rumble { low, high } => {
                // Four bytes that mean nothing.
                body.put(&[0; 4]);
                body.put(&pad);
                body.put(&low.to_le_bytes());
                body.put(&high.to_le_bytes());
                0x010b
            }
            Self::TriggerRumble { left, right } => {
                body.put(&pad);
                body.put(&left.to_le_bytes());
                body.put(&right.to_le_bytes());
                0x5500
            }
            Self::MotionRate { kind, hertz } => {
                body.put(&pad);
                body.put(&hertz.to_le_bytes());
                body.put(&[*kind as u8]);
                0x5501
            }
            Self::Light(colour) => {
                body.put(&pad);
                body.put(colour);
                0x5502
            }
            Self::TriggerEffects { left, right } => {
                body.put(&pad);
                // DS_EFFECT_RIGHT_TRIGGER and DS_EFFECT_LEFT_TRIGGER
                body.put(&[u8::from(right.is_some()) << 2 | u8::from(left.is_some()) << 3]);
                let [left, right] = [left, right].map(|effect| effect.unwrap_or_default());
                body.put(&[left[0], right[0]]);
                body.put(&left[1..]);
                body.put(&right[1..]);
                0x5503
            }
        };
        // No longer than LONGEST.
        let len = body.finish().unwrap_or_default();
        let length = u16::try_from(len).unwrap_or_default();
        let header = number.to_le_bytes().into_iter().chain(length.to_le_bytes());
        header.chain(bytes.into_iter().take(len)).collect()
    }
}

impl Default for Output {
    /// The motors stand still.
    fn default() -> Self {
        Self::Rumble { low: 0, high: 0 }
    }
}
