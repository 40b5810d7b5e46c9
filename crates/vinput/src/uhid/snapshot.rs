//! What a pad leaves to the process that takes it over.

use super::feedback::{Feedback, MuteLed, Trigger};
use super::state::{Battery, State};
use crate::snapshot::{self, Kind, Reader, SnapshotError};

/// What programs have set on a pad, which nobody tells its owner twice: its lights and triggers; and the charge of its
/// battery, which letting go of everything does not change. The default is that of a pad of which nothing is known.
///
/// As bytes it is at most 60, and the same until programs set something else.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub(super) battery: Battery,
    /// At most one of each kind, in the order of the kinds; none of the motors.
    pub(super) feedback: Vec<Feedback>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { battery: State::NEUTRAL.battery, feedback: Vec::new() }
    }
}

impl Snapshot {
    /// The charge of the battery.
    #[must_use]
    pub fn battery(&self) -> Battery {
        self.battery
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], if it is anything else, in whatever part.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        snapshot::parse(bytes, Kind::Pad, Self::read, Self::to_bytes)
    }

    /// The snapshot, to be kept by whoever survives this process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = snapshot::start(Kind::Pad);
        bytes.extend([self.battery.percent, self.battery.charging.into()]);
        for feedback in &self.feedback {
            bytes.push(feedback.kind().to_le_bytes()[0]);
            match *feedback {
                // Not kept.
                Feedback::Rumble { .. } => {}
                Feedback::Lightbar { red, green, blue } => bytes.extend([red, green, blue]),
                Feedback::LightbarBlink { on_ms, off_ms } => {
                    bytes.extend([on_ms, off_ms].map(u16::to_le_bytes).as_flattened());
                }
                Feedback::PlayerLeds { on, blinking } => bytes.extend([on, blinking]),
                Feedback::MuteLed(MuteLed::Off) => bytes.push(0),
                Feedback::MuteLed(MuteLed::On) => bytes.push(1),
                Feedback::MuteLed(MuteLed::Pulse) => bytes.push(2),
                Feedback::HomeLed(level) => bytes.extend(level.to_le_bytes()),
                Feedback::TriggerEffect { effect, .. } => bytes.extend(effect),
            }
        }
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let battery = Battery { percent: reader.u8()?, charging: reader.u8()? != 0 };
        let mut feedback: Vec<Feedback> = Vec::new();
        while !reader.is_empty() {
            let next = match reader.u8()? {
                1 => {
                    let [red, green, blue] = reader.array()?;
                    Feedback::Lightbar { red, green, blue }
                }
                2 => Feedback::LightbarBlink { on_ms: reader.u16()?, off_ms: reader.u16()? },
                3 => {
                    let [on, blinking] = reader.array()?;
                    Feedback::PlayerLeds { on, blinking }
                }
                4 => Feedback::MuteLed(match reader.u8()? {
                    0 => MuteLed::Off,
                    1 => MuteLed::On,
                    _ => MuteLed::Pulse,
                }),
                5 => {
                    let level = f32::from_le_bytes(reader.array()?);
                    Feedback::HomeLed(Some(level).filter(|it| (0.0..=1.0).contains(it))?)
                }
                6 => Feedback::TriggerEffect { trigger: Trigger::Left, effect: reader.array()? },
                7 => Feedback::TriggerEffect { trigger: Trigger::Right, effect: reader.array()? },
                _ => return None,
            };
            if feedback.last().is_some_and(|last| last.kind() >= next.kind()) {
                return None;
            }
            feedback.push(next);
        }
        Some(Self { battery, feedback })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Snapshot {
        Snapshot {
            battery: Battery { percent: 40, charging: true },
            feedback: vec![
                Feedback::Lightbar { red: 1, green: 2, blue: 3 },
                Feedback::LightbarBlink { on_ms: 2550, off_ms: 10 },
                Feedback::PlayerLeds { on: 5, blinking: 2 },
                Feedback::MuteLed(MuteLed::Pulse),
                Feedback::HomeLed(0.2),
                Feedback::TriggerEffect { trigger: Trigger::Left, effect: [9; 11] },
                Feedback::TriggerEffect { trigger: Trigger::Right, effect: [8; 11] },
            ],
        }
    }

    #[test]
    fn all_that_a_pad_can_be_told_is_read_as_it_was_written() {
        assert_eq!(Snapshot::parse(&full().to_bytes()), Ok(full()));
        assert_eq!(Snapshot::parse(&Snapshot::default().to_bytes()), Ok(Snapshot::default()));
        assert!(full().to_bytes().len() <= 60);
    }

    #[test]
    fn any_change_that_is_read_is_a_snapshot_of_its_own() {
        let bytes = full().to_bytes();
        for at in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Ok(snapshot) = Snapshot::parse(&changed) {
                    assert_eq!(snapshot.to_bytes(), changed);
                }
            }
        }
        let twice = [&bytes[..], &bytes[4..8]].concat();
        assert_eq!(Snapshot::parse(&twice), Err(SnapshotError::Malformed));
    }
}
