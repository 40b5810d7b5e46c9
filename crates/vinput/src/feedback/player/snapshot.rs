//! What a player leaves to the process that takes its device over.

use std::time::{Duration, Instant};

use super::{Effect, Level, Light, News, Play, Player, Slot};
use crate::snapshot::{self, Kind, Reader, SnapshotError};
use crate::uinput::{FF_AUTOCENTER, FF_GAIN};
use crate::{EventCode, EventType, Profile};

/// Most effects of a device: the ids below `FF_GAIN` (include/uapi/linux/input.h).
const MOST_EFFECTS: usize = 0x60;
/// Most lights: `LED_CNT` (include/uapi/linux/input-event-codes.h).
const MOST_LIGHTS: usize = 0x10;

/// What programs have set on a device, which the kernel does not tell anybody twice: effects, their strength, and
/// lights. With it the next process plays effects that were uploaded before.
///
/// As bytes it is at most 3.4 kB, and the same until programs set something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    gain: u16,
    autocenter: u16,
    /// By the profile's order: 0 is off, 1 is on, 2 is not known.
    lights: Vec<u8>,
    /// Sorted by id; and whether it plays until it is stopped.
    effects: Vec<(Effect, bool)>,
}

/// Of a device of which nothing is known.
impl Default for Snapshot {
    fn default() -> Self {
        Self { gain: u16::MAX, autocenter: 0, lights: Vec::new(), effects: Vec::new() }
    }
}

impl Snapshot {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], if it is anything else, in whatever part.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        snapshot::parse(bytes, Kind::Player, Self::read, Self::to_bytes)
    }

    /// The snapshot, to be kept by whoever survives this process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = snapshot::start(Kind::Player);
        bytes.extend(self.gain.to_le_bytes());
        bytes.extend(self.autocenter.to_le_bytes());
        bytes.push(u8::try_from(self.lights.len()).unwrap_or(u8::MAX));
        bytes.extend(&self.lights);
        bytes.push(u8::try_from(self.effects.len()).unwrap_or(u8::MAX));
        for (effect, lasts) in &self.effects {
            bytes.push(u8::from(*lasts));
            bytes.extend(effect.to_words().into_iter().flat_map(u16::to_le_bytes));
        }
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (gain, autocenter) = (reader.u16()?, reader.u16()?);
        let lights = usize::from(reader.u8()?);
        let lights = reader.bytes(lights).filter(|it| it.len() <= MOST_LIGHTS)?.to_owned();
        if lights.iter().any(|light| *light > 2) {
            return None;
        }
        let count = usize::from(reader.u8()?);
        let mut effects: Vec<(Effect, bool)> = Vec::new();
        for _ in 0..count {
            let lasts = reader.u8()? != 0;
            let mut words = [0; Effect::WORDS];
            for word in &mut words {
                *word = reader.u16()?;
            }
            let effect = Effect::of_words(words);
            let is_next = effects.last().is_none_or(|(last, _)| last.id < effect.id);
            if !is_next || usize::from(effect.id) >= MOST_EFFECTS {
                return None;
            }
            effects.push((effect, lasts));
        }
        Some(Self { gain, autocenter, lights, effects })
    }
}

impl Player {
    /// What programs have set. To be kept anew whenever something was [handled](Self::handle).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let light = |light: &Light| light.last.map_or(2, u8::from);
        let effect = |slot: &Slot| {
            let lasts = slot.play.is_some_and(|play| play.end.is_none());
            Some((slot.effect?, lasts))
        };
        Snapshot {
            gain: self.gain.value,
            autocenter: self.autocenter.value,
            lights: self.leds.iter().map(light).collect(),
            effects: self.slots.iter().flatten().filter_map(effect).collect(),
        }
    }

    /// A player for a device that was taken over. It has the effects that programs uploaded before, and tells the
    /// client how everything is. Of what was playing, a wheel goes on with what is to last until it is stopped;
    /// motors stand still until a program plays again, as what stopped them may have been lost.
    #[must_use]
    pub fn resume(profile: &Profile, snapshot: &Snapshot, now: Instant) -> Self {
        let mut player = Self::new(profile);
        player.told_rumble = None;
        let has = |code| profile.effects().contains(&EventCode { kind: EventType::Ff, code });
        player.gain = Level { value: snapshot.gain, is_new: has(FF_GAIN) };
        player.autocenter = Level { value: snapshot.autocenter, is_new: has(FF_AUTOCENTER) };
        for (light, last) in player.leds.iter_mut().zip(&snapshot.lights) {
            light.last = (*last < 2).then_some(*last == 1);
            light.on = light.last;
        }
        for (effect, lasts) in &snapshot.effects {
            let Some(place) = player.slots.get_mut(usize::from(effect.id)) else { continue };
            let play = Play::new(1, effect, now, Duration::ZERO);
            let play = (*lasts && !player.has_motors && play.end.is_none()).then_some(play);
            let news = play.is_none().then_some(News::Stop);
            *place = Some(Slot { effect: Some(*effect), play, told: true, news });
        }
        player.handle_timeout(now);
        player
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::{Command, EffectKind, Feedback, Rumble};

    fn effect(id: u16, length_ms: u16) -> Effect {
        let kind = EffectKind::Rumble { strong: 0x8000, weak: 1 };
        Effect { id, direction: 0, length_ms, delay_ms: 0, kind }
    }

    fn of(profile: &str) -> &'static Profile {
        Profile::builtin(profile).unwrap()
    }

    /// The player of the next process.
    fn handed_over(player: &Player, profile: &str, now: Instant) -> Player {
        let snapshot = player.snapshot();
        let again = Snapshot::parse(&snapshot.to_bytes());
        assert_eq!(again.as_ref(), Ok(&snapshot));
        Player::resume(of(profile), &snapshot, now)
    }

    fn told(player: &mut Player) -> Vec<Command> {
        std::iter::from_fn(|| player.poll()).collect()
    }

    #[test]
    fn motors_are_stopped_and_effects_uploaded_before_can_be_played() {
        let now = Instant::now();
        let mut player = Player::new(of("xbox-one"));
        player.handle(&Feedback::Upload { effect: effect(3, 0) }, now);
        player.handle(&Feedback::Gain(0x8000), now);
        player.handle(&Feedback::Play { id: 3, count: 1 }, now);
        let mut next = handed_over(&player, "xbox-one", now);
        assert_eq!(told(&mut next), [Command::Rumble(Rumble::default())]);
        next.handle(&Feedback::Play { id: 3, count: 1 }, now);
        assert_eq!(told(&mut next), [Command::Rumble(Rumble { strong: 0x4000, weak: 0 })]);
    }

    #[test]
    fn a_wheel_goes_on_with_what_lasts_and_stops_the_rest() {
        let now = Instant::now();
        let mut player = Player::new(of("wheel"));
        for (id, length_ms) in [(0, 0), (1, 100), (5, 0)] {
            player.handle(&Feedback::Upload { effect: effect(id, length_ms) }, now);
        }
        player.handle(&Feedback::Play { id: 0, count: 1 }, now);
        player.handle(&Feedback::Play { id: 1, count: 1 }, now);
        player.handle(&Feedback::Autocenter(7), now);
        let mut next = handed_over(&player, "wheel", now);
        let expected = [
            Command::Gain(0xffff),
            Command::Autocenter(7),
            Command::Start(effect(0, 0)),
            Command::Stop { id: 1 },
            Command::Stop { id: 5 },
        ];
        assert_eq!(told(&mut next), expected);
        next.handle(&Feedback::Play { id: 0, count: 0 }, now);
        assert_eq!(told(&mut next), [Command::Stop { id: 0 }]);
    }

    #[test]
    fn lights_that_were_set_are_told_again() {
        let now = Instant::now();
        let keyboard = of("keyboard");
        let mut player = Player::new(keyboard);
        let code = keyboard.leds()[1];
        player.handle(&Feedback::Led { code, on: true }, now);
        assert_eq!(told(&mut player), [Command::Led { code, on: true }]);
        let mut next = handed_over(&player, "keyboard", now);
        assert_eq!(told(&mut next), [Command::Led { code, on: true }]);
    }

    #[test]
    fn a_snapshot_of_another_device_does_no_harm() {
        let now = Instant::now();
        let mut player = Player::new(of("wheel"));
        player.handle(&Feedback::Upload { effect: effect(30, 0) }, now);
        let mut next = handed_over(&player, "mouse", now);
        assert_eq!(told(&mut next), []);
    }

    #[test]
    fn any_change_that_is_read_is_a_snapshot_of_its_own() {
        let mut player = Player::new(of("wheel"));
        player.handle(&Feedback::Upload { effect: effect(1, 9) }, Instant::now());
        let bytes = player.snapshot().to_bytes();
        for at in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Ok(snapshot) = Snapshot::parse(&changed) {
                    assert_eq!(snapshot.to_bytes(), changed);
                }
            }
            Snapshot::parse(&bytes[..at]).unwrap_err();
        }
    }
}
