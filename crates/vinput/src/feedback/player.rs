//! Plays effects: from what programs asked for to what the client's device should do now.

mod snapshot;

use std::time::{Duration, Instant};

pub use self::snapshot::Snapshot;
use super::Feedback;
use super::effect::{Effect, EffectKind, Envelope};
use crate::{EventCode, EventType, Profile};

/// How often a strength that grows or fades is told anew (`FF_ENVELOPE_INTERVAL` in
/// drivers/input/ff-memless.c).
const ENVELOPE_INTERVAL: Duration = Duration::from_millis(50);

const FF_RUMBLE: u16 = 0x50;
const FF_CONSTANT: u16 = 0x52;

/// Something that the client's device should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Switch a light.
    Led {
        /// Which one (`LED_*`).
        code: EventCode,
        /// Whether it is to be on.
        on: bool,
    },
    /// Run the motors at these strengths, until told otherwise. For pads: everything that plays, taken
    /// together.
    Rumble(Rumble),
    /// Play an effect from now on, or anew, until it is stopped. For wheels and sticks. The effect's delay
    /// has passed; its length is for devices that play by themselves.
    Start(Effect),
    /// Stop the effect of this id.
    Stop {
        /// Its id.
        id: u16,
    },
    /// The strength of all effects, 0 to 0xffff. [`Rumble`] has it in it already.
    Gain(u16),
    /// How hard a wheel returns to its centre by itself, 0 to 0xffff.
    Autocenter(u16),
}

/// The motors of a pad, each 0 to 0xffff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rumble {
    /// The heavy one.
    pub strong: u16,
    /// The light one.
    pub weak: u16,
}

/// Keeps the effects that programs uploaded, plays them in time, and says what is to be done.
///
/// It does no input or output and has no clock: times come in with each call. What nobody has taken yet is
/// kept by what it is about, the newest only, so a client that takes nothing costs no memory and holds up
/// no game; when it takes again, it is told how things are and not how they came about. Nothing is allocated
/// after [`new`](Self::new).
///
/// Effects play as in the kernel's own player for devices without memory (drivers/input/ff-memless.c).
///
/// ```
/// use std::time::{Duration, Instant};
/// use vinput::Profile;
/// use vinput::feedback::{Command, Effect, EffectKind, Feedback, Player, Rumble};
///
/// let mut player = Player::new(Profile::builtin("xbox-one").unwrap());
/// let now = Instant::now();
/// let kind = EffectKind::Rumble { strong: 0xc000, weak: 0 };
/// let effect = Effect { id: 0, direction: 0, length_ms: 200, delay_ms: 0, kind };
/// player.handle(&Feedback::Upload { effect }, now);
/// player.handle(&Feedback::Play { id: 0, count: 1 }, now);
/// assert_eq!(player.poll(), Some(Command::Rumble(Rumble { strong: 0xc000, weak: 0 })));
///
/// let end = now + Duration::from_millis(200);
/// assert_eq!(player.timeout(), Some(end));
/// player.handle_timeout(end);
/// assert_eq!(player.poll(), Some(Command::Rumble(Rumble::default())));
/// assert_eq!(player.poll(), None);
/// ```
#[derive(Debug)]
pub struct Player {
    /// By id. As many as programs can have uploaded.
    slots: Vec<Option<Slot>>,
    /// Whether the device has motors and no other force.
    has_motors: bool,
    leds: Vec<Light>,
    gain: Level,
    autocenter: Level,
    rumble: Rumble,
    /// `None`: not known.
    told_rumble: Option<Rumble>,
    /// When a growing or fading strength is to be told.
    next_step: Option<Instant>,
}

#[derive(Debug)]
struct Light {
    code: EventCode,
    /// What the client is still to be told.
    on: Option<bool>,
    /// What programs set last.
    last: Option<bool>,
}

#[derive(Debug)]
struct Level {
    value: u16,
    is_new: bool,
}

#[derive(Debug)]
struct Slot {
    effect: Option<Effect>,
    play: Option<Play>,
    /// Whether the client was told to start it and not to stop it.
    told: bool,
    news: Option<News>,
}

/// What the client is still to be told of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Start,
    Stop,
}

/// One run of an effect, of several.
#[derive(Clone, Copy, Debug)]
struct Play {
    /// How many runs there are to be, this one included.
    left: u32,
    start: Instant,
    /// `None`: until it is stopped.
    end: Option<Instant>,
    is_on: bool,
}

impl Player {
    /// A player for a device that was just made.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let has = |code| profile.effects().contains(&EventCode { kind: EventType::Ff, code });
        let count = usize::try_from(profile.max_effects()).unwrap_or(0);
        Self {
            slots: (0..count).map(|_| None).collect(),
            has_motors: has(FF_RUMBLE) && !has(FF_CONSTANT),
            leds: profile.leds().iter().map(Light::new).collect(),
            gain: Level { value: u16::MAX, is_new: false },
            autocenter: Level { value: 0, is_new: false },
            rumble: Rumble::default(),
            told_rumble: Some(Rumble::default()),
            next_step: None,
        }
    }

    /// Takes note of what a program sent. What is about effects that are not there is ignored.
    pub fn handle(&mut self, feedback: &Feedback, now: Instant) {
        match *feedback {
            Feedback::Led { code, on } => {
                if let Some(light) = self.leds.iter_mut().find(|light| light.code == code) {
                    (light.on, light.last) = (Some(on), Some(on));
                }
            }
            Feedback::Gain(value) => self.gain = Level { value, is_new: true },
            Feedback::Autocenter(value) => self.autocenter = Level { value, is_new: true },
            Feedback::Upload { effect } => self.upload(effect, now),
            Feedback::Play { id, count } => {
                if let Some(slot) = self.slot(id) {
                    slot.play(count, now);
                }
            }
            Feedback::Erase { id } => {
                if let Some(slot) = self.slot(id) {
                    slot.stop();
                    slot.effect = None;
                }
            }
            Feedback::Other { .. } => {}
        }
        self.handle_timeout(now);
    }

    /// Brings everything up to now: effects start, end and grow. To be called at [`timeout`](Self::timeout);
    /// at other times it does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for slot in self.slots.iter_mut().flatten() {
            slot.advance(now);
        }
        if self.has_motors {
            self.mix(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next; `None`: not before something is
    /// handled.
    #[must_use]
    pub fn timeout(&self) -> Option<Instant> {
        let plays = self.slots.iter().flatten().filter_map(|slot| slot.play);
        let changes = plays.filter_map(|play| if play.is_on { play.end } else { Some(play.start) });
        changes.chain(self.next_step).min()
    }

    /// The next thing for the client's device to do, if there is one.
    pub fn poll(&mut self) -> Option<Command> {
        for light in &mut self.leds {
            if let Some(on) = light.on.take() {
                return Some(Command::Led { code: light.code, on });
            }
        }
        if self.has_motors && self.told_rumble != Some(self.rumble) {
            self.told_rumble = Some(self.rumble);
            return Some(Command::Rumble(self.rumble));
        }
        if self.has_motors {
            return None;
        }
        if self.gain.take_new() {
            return Some(Command::Gain(self.gain.value));
        }
        if self.autocenter.take_new() {
            return Some(Command::Autocenter(self.autocenter.value));
        }
        self.slots.iter_mut().enumerate().find_map(|(id, slot)| slot.as_mut()?.tell(id))
    }

    fn slot(&mut self, id: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(id))?.as_mut()
    }

    fn upload(&mut self, effect: Effect, now: Instant) {
        let Some(place) = self.slots.get_mut(usize::from(effect.id)) else { return };
        let slot = place.get_or_insert(Slot { effect: None, play: None, told: false, news: None });
        slot.effect = Some(effect);
        // What plays goes on as the new effect, from its beginning and without its delay.
        if let Some(play) = &mut slot.play {
            *play = Play { left: play.left, ..Play::new(play.left, &effect, now, Duration::ZERO) };
        }
    }

    /// The strengths of the motors now, and when they will be others by themselves
    /// (`ml_combine_effects` in drivers/input/ff-memless.c).
    fn mix(&mut self, now: Instant) {
        let gain = u32::from(self.gain.value);
        let (mut strong, mut weak) = (0_u32, 0_u32);
        self.next_step = None;
        for slot in self.slots.iter().flatten() {
            let (Some(effect), Some(play)) = (slot.effect, slot.play) else { continue };
            if !play.is_on {
                continue;
            }
            match effect.kind {
                EffectKind::Rumble { strong: heavy, weak: light } => {
                    strong += u32::from(heavy) * gain / 0xffff;
                    weak += u32::from(light) * gain / 0xffff;
                }
                EffectKind::Periodic { magnitude, envelope, .. } => {
                    let level = level(magnitude.unsigned_abs().into(), &envelope, &play, now);
                    // 0x7fff is full for a wave, 0xffff for a motor.
                    let both = level.value.min(0x7fff) * gain / 0x7fff;
                    strong += both;
                    weak += both;
                    let steps = [self.next_step, level.next];
                    self.next_step = steps.into_iter().flatten().min();
                }
                _ => {}
            }
        }
        let most = |sum: u32| u16::try_from(sum).unwrap_or(u16::MAX);
        self.rumble = Rumble { strong: most(strong), weak: most(weak) };
    }
}

impl Slot {
    fn play(&mut self, count: u32, now: Instant) {
        match self.effect {
            Some(effect) if count > 0 => {
                let delay = Duration::from_millis(effect.delay_ms.into());
                // Told to stop first, if it is on: it starts anew after its delay.
                self.stop();
                self.play = Some(Play::new(count, &effect, now, delay));
            }
            _ => self.stop(),
        }
    }

    fn stop(&mut self) {
        if self.play.take().is_some_and(|play| play.is_on) {
            self.turned_off();
        }
    }

    fn turned_off(&mut self) {
        self.news = self.told.then_some(News::Stop);
    }

    /// Starts and ends what is due.
    fn advance(&mut self, now: Instant) {
        let (Some(effect), Some(mut play)) = (self.effect, self.play) else { return };
        play.skip(&effect, now);
        if !play.is_on && play.start <= now {
            play.is_on = true;
            self.news = Some(News::Start);
        }
        self.play = Some(play);
        if !play.is_on || play.end.is_none_or(|end| end > now) {
            return;
        }
        self.turned_off();
        self.play = None;
        if let (Some(end), 2..) = (play.end, play.left) {
            let delay = Duration::from_millis(effect.delay_ms.into());
            self.play = Some(Play::new(play.left - 1, &effect, end, delay));
            self.advance(now);
        }
    }

    fn tell(&mut self, id: usize) -> Option<Command> {
        match (self.news.take()?, self.effect) {
            (News::Start, Some(effect)) => {
                self.told = true;
                Some(Command::Start(effect))
            }
            _ => {
                self.told = false;
                Some(Command::Stop { id: u16::try_from(id).unwrap_or(u16::MAX) })
            }
        }
    }
}

impl Play {
    fn new(left: u32, effect: &Effect, now: Instant, delay: Duration) -> Self {
        let start = now + delay;
        let length = Duration::from_millis(effect.length_ms.into());
        let end = (effect.length_ms > 0).then_some(start + length);
        Self { left, start, end, is_on: false }
    }

    /// Leaves out runs that are over before anybody could have been told of them.
    fn skip(&mut self, effect: &Effect, now: Instant) {
        let Some(end) = self.end else { return };
        let run = u32::from(effect.delay_ms) + u32::from(effect.length_ms);
        let late = now.saturating_duration_since(end).as_millis() / u128::from(run.max(1));
        let runs = u32::try_from(late).unwrap_or(u32::MAX).min(self.left - 1);
        if runs > 0 {
            let passed = Duration::from_millis(u64::from(runs) * u64::from(run));
            self.left -= runs;
            self.start += passed;
            self.end = Some(end + passed);
        }
    }
}

impl Light {
    fn new(code: &EventCode) -> Self {
        Self { code: *code, on: None, last: None }
    }
}

impl Level {
    fn take_new(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }
}

/// A strength under its envelope.
struct Strength {
    value: u32,
    /// When it will be another one.
    next: Option<Instant>,
}

/// The strength of a running effect now (`apply_envelope` in drivers/input/ff-memless.c).
fn level(full: u32, envelope: &Envelope, play: &Play, now: Instant) -> Strength {
    let between = |from: u16, part: Duration, whole: u16| {
        let (from, part) = (i64::from(from.min(0x7fff)), part.as_millis());
        let part = i64::try_from(part).unwrap_or(i64::MAX).min(whole.into());
        let value = from + (i64::from(full) - from) * part / i64::from(whole.max(1));
        Strength { value: u32::try_from(value).unwrap_or(0), next: Some(now + ENVELOPE_INTERVAL) }
    };
    let attack = Duration::from_millis(envelope.attack_ms.into());
    let fade = Duration::from_millis(envelope.fade_ms.into());
    let passed = now.saturating_duration_since(play.start);
    if passed < attack {
        return between(envelope.attack_level, passed, envelope.attack_ms);
    }
    let left = play.end.map(|end| end.saturating_duration_since(now));
    match left {
        Some(left) if !fade.is_zero() && left <= fade => {
            between(envelope.fade_level, left, envelope.fade_ms)
        }
        Some(left) if !fade.is_zero() => Strength { value: full, next: Some(now + (left - fade)) },
        _ => Strength { value: full, next: None },
    }
}

#[cfg(test)]
mod tests;
