//! From named controls to events.

use std::fmt;

use thiserror::Error;

use crate::event::Event;
use crate::profile::{Control, ControlKind, HI_RES_PER_DETENT, Profile};
use crate::suggest::nearest;
use crate::{EventCode, EventType};

/// What a device reports at one instant: events that end with `SYN_REPORT`, written with one `write(2)`.
///
/// The kernel delivers a frame to programs as one packet, up to its estimate of what the device has to
/// say at a time: one event per axis and about seven for keys (`input_estimate_events_per_packet` in
/// drivers/input/input.c). A longer frame, such as ten keys let go at once, arrives whole but in
/// several packets.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Encoded [`Event`]s, the last of which is always `SYN_REPORT`.
    records: Vec<u8>,
}

/// Why an input is not one for this device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InputError {
    /// It has no `=`.
    #[error("{input:?} is not an input; write CONTROL=VALUE, like {example}=1")]
    Syntax {
        /// The input.
        input: String,
        /// A control of the device.
        example: String,
    },
    /// The device has no such control, and does not report such a code.
    #[error("{profile} has no control {name:?}; {hint}")]
    UnknownControl {
        /// The name of the profile.
        profile: String,
        /// The control that was asked for.
        name: String,
        /// The name that was probably meant, or else all names.
        hint: String,
    },
    /// The value is not a number, or not one for this control.
    #[error("{control} takes {allowed}, not {value}")]
    Value {
        /// The control or code.
        control: String,
        /// The value that was given.
        value: String,
        /// Which values it takes.
        allowed: String,
    },
    /// The frame sets something that it has set already.
    #[error("{control} is in the frame already; set it in a second frame")]
    Repeated {
        /// The control or code.
        control: String,
    },
}

impl Frame {
    /// A frame without events. Writing it does nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut records = Vec::with_capacity(8 * Event::SIZE);
        records.extend_from_slice(&Event::SYN_REPORT.encode());
        Self { records }
    }

    /// Sets a control to a value.
    ///
    /// What the values are depends on the control's [kind](ControlKind): 0 or 1 for a key, whole steps
    /// for a relative axis, and for an absolute axis the scale of
    /// [`Axis::scale`](crate::profile::Axis::scale).
    ///
    /// ```
    /// # use vinput::{Frame, Profile};
    /// let pad = Profile::builtin("xbox-one").unwrap();
    /// let mut frame = Frame::new();
    /// frame.set(pad.control("south").unwrap(), 1.0)?;
    /// frame.set(pad.control("lx").unwrap(), -0.5)?;
    /// assert_eq!(frame, pad.frame(["south=1", "lx=-0.5"])?);
    /// # Ok::<(), vinput::InputError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InputError::Value`] if the control does not take the value, [`InputError::Repeated`] if the
    /// frame has the control already. The frame is then as before.
    pub fn set(&mut self, control: &Control, value: f64) -> Result<(), InputError> {
        let refused = |allowed: &str| InputError::Value {
            control: control.name().to_owned(),
            value: value.to_string(),
            allowed: allowed.to_owned(),
        };
        let (number, hi_res) = match control.kind() {
            ControlKind::Key if value == 0.0 => (0, None),
            ControlKind::Key if value == 1.0 => (1, None),
            ControlKind::Key => return Err(refused("0 or 1")),
            ControlKind::Absolute(axis) if (axis.lowest()..=1.0).contains(&value) => {
                (axis.scale(value), None)
            }
            ControlKind::Absolute(axis) => {
                return Err(refused(&format!("{} to 1", axis.lowest())));
            }
            ControlKind::Relative { hi_res } => {
                let most = if hi_res.is_some() { i32::MAX / HI_RES_PER_DETENT } else { i32::MAX };
                let steps =
                    whole(value).filter(|steps| steps.unsigned_abs() <= most.unsigned_abs());
                let allowed = || format!("whole steps from -{most} to {most}");
                (steps.ok_or_else(|| refused(&allowed()))?, hi_res)
            }
        };
        let fine = hi_res.map(|code| (code, number * HI_RES_PER_DETENT));
        let events = [Some((control.code(), number)), fine];
        self.add(control.name(), events.into_iter().flatten())
    }

    /// The events and their values, without `SYN_REPORT`.
    pub fn events(&self) -> impl Iterator<Item = (EventCode, i32)> {
        let (records, _) = self.records.as_chunks();
        records.iter().map(Event::decode).filter_map(|event| {
            let kind = match event.kind {
                kind if kind == EventType::Key as u16 => EventType::Key,
                kind if kind == EventType::Rel as u16 => EventType::Rel,
                kind if kind == EventType::Abs as u16 => EventType::Abs,
                _ => return None,
            };
            Some((EventCode { kind, code: event.code }, event.value))
        })
    }

    /// Whether there are no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.len() == Event::SIZE
    }

    /// The records to write.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.records
    }

    /// Adds the events of one control, all or none.
    fn add(
        &mut self,
        control: &str,
        events: impl Iterator<Item = (EventCode, i32)> + Clone,
    ) -> Result<(), InputError> {
        let mut codes = events.clone().map(|(code, _)| code);
        if codes.any(|code| self.events().any(|(present, _)| present == code)) {
            return Err(InputError::Repeated { control: control.to_owned() });
        }
        events.for_each(|(code, value)| self.push(code, value));
        Ok(())
    }

    /// Adds an event before the final `SYN_REPORT`.
    fn push(&mut self, code: EventCode, value: i32) {
        self.records.truncate(self.records.len() - Event::SIZE);
        let event = Event { kind: code.kind as u16, code: code.code, value };
        self.records.extend_from_slice(&event.encode());
        self.records.extend_from_slice(&Event::SYN_REPORT.encode());
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for (code, value) in self.events() {
            list.entry(&format_args!("{code}={value}"));
        }
        list.finish()
    }
}

/// The integer that a float is, if it is one.
fn whole(value: f64) -> Option<i32> {
    if value.fract() != 0.0 || !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and in range")]
    let whole = value as i32;
    Some(whole)
}

impl Profile {
    /// A frame from texts `CONTROL=VALUE`.
    ///
    /// In place of a control there may be a code that the device reports, like `ABS_X=-16384`; its value
    /// is then in device units.
    ///
    /// ```
    /// # use vinput::Profile;
    /// let mouse = Profile::builtin("mouse").unwrap();
    /// let frame = mouse.frame(["left=1", "wheel=1"])?;
    /// assert_eq!(format!("{frame:?}"), "[BTN_LEFT=1, REL_WHEEL=1, REL_WHEEL_HI_RES=120]");
    /// let error = mouse.frame(["whele=1"]).unwrap_err();
    /// assert_eq!(error.to_string(), r#"mouse has no control "whele"; did you mean "wheel"?"#);
    /// # Ok::<(), vinput::InputError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InputError`] says which input is wrong, and what would be right.
    pub fn frame<I>(&self, inputs: I) -> Result<Frame, InputError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut frame = Frame::new();
        for input in inputs {
            let input = input.as_ref();
            let (name, value) = input.split_once('=').ok_or_else(|| InputError::Syntax {
                input: input.to_owned(),
                example: self.controls()[0].name().to_owned(),
            })?;
            self.input(&mut frame, name.trim(), value.trim())?;
        }
        Ok(frame)
    }

    /// The frame that lets go of all keys and puts all axes to rest.
    ///
    /// On an axis with `fuzz` the kernel may stop short of the resting value by less than `fuzz`.
    #[must_use]
    pub fn neutral(&self) -> Frame {
        let mut frame = Frame::new();
        for control in self.controls() {
            match control.kind() {
                ControlKind::Key => frame.push(control.code(), 0),
                ControlKind::Absolute(axis) => frame.push(control.code(), axis.rest),
                ControlKind::Relative { .. } => {}
            }
        }
        frame
    }

    fn input(&self, frame: &mut Frame, name: &str, value: &str) -> Result<(), InputError> {
        if let Some(control) = self.control(name) {
            // What is not a number is refused like NaN, but shown as it was written.
            let number = value.parse().unwrap_or(f64::NAN);
            return frame.set(control, number).map_err(|error| match error {
                InputError::Value { control, allowed, .. } => {
                    InputError::Value { control, allowed, value: format!("{value:?}") }
                }
                other => other,
            });
        }
        let mut reported = self.controls().iter().flat_map(Control::codes);
        match EventCode::from_name(name).filter(|code| reported.any(|known| known == *code)) {
            Some(code) => {
                let value = self.device_units(code, name, value)?;
                frame.add(name, std::iter::once((code, value)))
            }
            None => Err(self.unknown(name)),
        }
    }

    /// Reads the value of a code that the device reports.
    fn device_units(&self, code: EventCode, name: &str, value: &str) -> Result<i32, InputError> {
        let control = self.controls().iter().find(|control| control.code() == code);
        let range = match control.map(Control::kind) {
            Some(ControlKind::Key) => 0..=1,
            Some(ControlKind::Absolute(axis)) => axis.min..=axis.max,
            Some(ControlKind::Relative { .. }) | None => i32::MIN..=i32::MAX,
        };
        value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            InputError::Value {
                control: name.to_owned(),
                value: format!("{value:?}"),
                allowed: format!("whole numbers from {} to {}", range.start(), range.end()),
            }
        })
    }

    fn unknown(&self, name: &str) -> InputError {
        let names = || self.controls().iter().map(Control::name);
        let hint = match nearest(name, names()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("its controls are {}", names().collect::<Vec<_>>().join(", ")),
        };
        InputError::UnknownControl { profile: self.name().to_owned(), name: name.to_owned(), hint }
    }
}

#[cfg(test)]
mod tests;
