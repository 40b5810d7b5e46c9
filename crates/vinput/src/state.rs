//! The state of a device: what each of its codes was last reported as, so that only changes are written.

mod touch;

use self::touch::Touch;
use crate::event::Event;
use crate::input::Input;
use crate::profile::{ABS_PRESSURE, ControlKind, HI_RES_PER_DETENT};
use crate::{EventCode, EventType, Frame, Profile};

/// What a device is set to, and what of that programs have been told.
///
/// Everything is allocated when it is made. A frame costs time by what it sets and by what is new in it, not
/// by what the device has.
#[derive(Debug)]
pub(crate) struct State {
    /// Those of the device's own controls at their index, then those of codes that follow from them.
    places: Vec<Place>,
    /// A bit per place that may have something new.
    dirty: Vec<u64>,
    touch: Option<Touch>,
    /// Room for as many events as a frame can have; all without a time.
    records: Box<[Record]>,
}

/// What nothing is reported as: no axis goes that far, and keys are 0 or 1.
const NOT_KNOWN: i32 = i32::MIN;

type Record = [u8; Event::SIZE];

/// One code of the device.
#[derive(Debug)]
struct Place {
    code: EventCode,
    /// What it is set to; for a relative code, motion that was not reported yet.
    value: i32,
    /// What was reported; not used for a relative code.
    reported: i32,
    /// The wheel that turns by detents as this fine one turns, and how far it is into the next.
    wheel: Option<(EventCode, i32)>,
}

/// The events of one `write(2)`, encoded one after the other.
struct Report<'a> {
    free: std::slice::IterMut<'a, Record>,
}

impl State {
    /// The state of a device that was just made.
    pub(crate) fn new(profile: &Profile) -> Self {
        let mut state = Self {
            places: Vec::new(),
            dirty: Vec::new(),
            touch: profile.contacts().map(Touch::new),
            records: Box::default(),
        };
        let mut wheels = Vec::new();
        for control in profile.own_controls() {
            match control.kind() {
                ControlKind::Absolute(axis) => state.add(control.code(), axis.rest, None),
                ControlKind::Relative { hi_res: Some(fine) } => {
                    state.add(fine, 0, Some((control.code(), 0)));
                    wheels.push(control.code());
                }
                _ => state.add(control.code(), 0, None),
            }
        }
        wheels.into_iter().for_each(|wheel| state.add(wheel, 0, None));
        for (code, axis) in profile.contacts().into_iter().flat_map(|it| it.emulated()) {
            state.add(*code, axis.map_or(0, |axis| axis.rest), None);
        }
        // A wheel reports two events.
        let touch = state.touch.as_ref().map_or(0, Touch::most_events);
        let most = 2 * state.places.len() + touch + 1;
        state.records = vec![[0; Event::SIZE]; most].into();
        state
    }

    /// The state of a device that somebody else has made and set: nothing is held, and nothing is known of what
    /// programs were told last. [Applying](Self::apply) any frame lets go of everything; the kernel passes on
    /// what that changes.
    pub(crate) fn unknown(profile: &Profile) -> Self {
        let mut state = Self::new(profile);
        let stays = |code| {
            let own = profile.own_controls().any(|control| match control.kind() {
                ControlKind::Absolute(axis) => control.code() == code && axis.position,
                _ => false,
            });
            let mut emulated = profile.contacts().into_iter().flat_map(|it| it.emulated());
            let is_place = code.code != ABS_PRESSURE && emulated.any(|(it, _)| *it == code);
            code.kind == EventType::Abs && (own || is_place)
        };
        for place in &mut state.places {
            match place.code.kind {
                EventType::Rel => continue,
                // It is where it is until it is set, and then reported wherever that is.
                EventType::Abs if stays(place.code) => place.value = NOT_KNOWN,
                _ => {}
            }
            place.reported = NOT_KNOWN;
        }
        state.dirty.fill(u64::MAX);
        if let Some(last) = state.dirty.last_mut() {
            *last >>= (64 - state.places.len() % 64) % 64;
        }
        if let Some(touch) = &mut state.touch {
            touch.forget();
        }
        state
    }

    fn add(&mut self, code: EventCode, value: i32, wheel: Option<(EventCode, i32)>) {
        self.places.push(Place { code, value, reported: value, wheel });
        self.dirty.resize(self.places.len().div_ceil(64), 0);
    }

    /// Sets what the frame sets and returns what is new, ready to be written: events that end with
    /// `SYN_REPORT`, or nothing. Codes that the device does not have are ignored, as the kernel does
    /// (`input_get_disposition` in drivers/input/input.c).
    #[inline]
    pub(crate) fn apply(&mut self, frame: &Frame) -> &[u8] {
        let (places, dirty) = (&mut self.places[..], &mut self.dirty[..]);
        for input in frame.inputs() {
            let at = input.place as usize;
            match places.get_mut(at) {
                Some(place) if place.code == input.code => {
                    place.set(input.value);
                    dirty[at / 64] |= 1 << (at % 64);
                }
                _ => set_elsewhere(places, dirty, self.touch.as_mut(), input),
            }
        }
        let most = self.records.len();
        let mut report = Report { free: self.records.iter_mut() };
        if let Some(touch) = &mut self.touch
            && touch.report(|event| report.push(event))
        {
            touch.emulate(|code, value| set_code(places, dirty, code, value));
        }
        report_places(places, dirty, &mut report);
        if report.free.len() < most {
            report.push(Event::SYN_REPORT);
        }
        let used = most - report.free.len();
        self.records[..used].as_flattened()
    }
}

/// Sets what is no control of the device as a whole.
#[cold]
fn set_elsewhere(
    places: &mut [Place],
    dirty: &mut [u64],
    touch: Option<&mut Touch>,
    input: &Input,
) {
    match (input.slot(), touch) {
        (None, _) => set_code(places, dirty, input.code, input.value),
        (Some(slot), Some(touch)) => touch.set(slot, input.code.code, input.value),
        (Some(_), None) => {}
    }
}

/// Sets a code of the device, if it has it.
fn set_code(places: &mut [Place], dirty: &mut [u64], code: EventCode, value: i32) {
    if let Some(at) = places.iter().position(|place| place.code == code) {
        places[at].set(value);
        dirty[at / 64] |= 1 << (at % 64);
    }
}

#[inline]
fn report_places(places: &mut [Place], dirty: &mut [u64], report: &mut Report<'_>) {
    for (word, bits) in dirty.iter_mut().enumerate() {
        let mut bits = std::mem::take(bits);
        while bits != 0 {
            let at = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            places[at].report(report);
        }
    }
}

impl Place {
    #[inline]
    fn set(&mut self, value: i32) {
        self.value = match self.code.kind {
            EventType::Rel => self.value.saturating_add(value),
            _ => value,
        };
    }

    #[inline]
    fn report(&mut self, report: &mut Report<'_>) {
        let EventCode { kind, code } = self.code;
        let value = self.value;
        if kind == EventType::Rel {
            self.report_motion(report);
        } else if value != self.reported {
            self.reported = value;
            report.push(Event { kind: kind as u16, code, value });
        }
    }

    #[inline(never)]
    fn report_motion(&mut self, report: &mut Report<'_>) {
        let EventCode { kind, code } = self.code;
        let value = std::mem::take(&mut self.value);
        if value == 0 {
            return;
        }
        report.push(Event { kind: kind as u16, code, value });
        if let Some((wheel, turned)) = &mut self.wheel {
            let detents = detents(turned, value);
            if detents != 0 {
                report.push(Event { kind: kind as u16, code: wheel.code, value: detents });
            }
        }
    }
}

/// How many detents a wheel passes when it is turned by `units` of 1/120 more. Turning back starts anew, as
/// in the kernel's drivers (`hidpp_scroll_counter_handle_scroll` in drivers/hid/hid-logitech-hidpp.c).
fn detents(turned: &mut i32, units: i32) -> i32 {
    if turned.signum() * units.signum() < 0 {
        *turned = 0;
    }
    let total = turned.saturating_add(units);
    *turned = total % HI_RES_PER_DETENT;
    total / HI_RES_PER_DETENT
}

impl Report<'_> {
    #[inline]
    fn push(&mut self, event: Event) {
        // There is room for all that can be new in a frame.
        if let Some(record) = self.free.next() {
            event.write(record);
        }
    }
}

#[cfg(test)]
mod tests;
