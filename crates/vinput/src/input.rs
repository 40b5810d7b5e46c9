//! From named controls to values in device units.

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;

use crate::EventCode;
use crate::profile::{Control, ControlKind, HI_RES_PER_DETENT, Profile};
use crate::suggest::nearest;

/// What a client sets on a device at one instant.
///
/// What a frame does not set stays as it is. The device reports what is new in it with one `write(2)`
/// ([`Device::write`](crate::uinput::Device::write)), and the kernel delivers that to programs as one
/// packet, up to its estimate of what the device has to say at a time: one event per axis and about seven
/// for keys (`input_estimate_events_per_packet` in drivers/input/input.c). A longer frame, such as ten keys
/// let go at once, arrives whole but in several packets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frame {
    inputs: Vec<Input>,
}

/// One thing that a frame sets.
#[derive(Clone, Copy, Debug, Eq)]
pub(crate) struct Input {
    pub(crate) code: EventCode,
    /// The control's place among those of its device; from [`CONTACTS`](Self::CONTACTS) on the contact that it is
    /// about; [`NOWHERE`](Self::NOWHERE) for a code that is no control. One number, on the way of every frame.
    pub(crate) place: u32,
    /// In device units. For `ABS_MT_TRACKING_ID`, 1 is down and 0 is up.
    pub(crate) value: i32,
}

impl Input {
    /// More than the controls of any device: there are far fewer codes.
    pub(crate) const CONTACTS: u32 = 0x1_0000;
    pub(crate) const NOWHERE: u32 = u32::MAX;

    /// The contact that it is about, if about one.
    pub(crate) fn slot(&self) -> Option<u8> {
        self.place.checked_sub(Self::CONTACTS)?.try_into().ok()
    }
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

/// Where a code was found is not what is set.
impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        (self.code, self.slot(), self.value) == (other.code, other.slot(), other.value)
    }
}

impl Frame {
    /// A frame that sets nothing. Writing it does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame that sets nothing, with room for as many controls as this.
    #[must_use]
    pub fn with_capacity(controls: usize) -> Self {
        Self { inputs: Vec::with_capacity(controls) }
    }

    /// Sets a control to a value. Of several values for one control in a frame the last one counts;
    /// relative motion adds up.
    ///
    /// What the values are depends on the control's [kind](ControlKind): 0 or 1 for a key or contact,
    /// whole steps for a relative axis, detents for a wheel with a fine axis (to 1/120), and for an
    /// absolute axis the scale of [`Axis::scale`](crate::profile::Axis::scale).
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
    /// [`InputError::Value`] if the control does not take the value. The frame is then as before.
    pub fn set(&mut self, control: &Control, value: f64) -> Result<(), InputError> {
        let refused = |allowed: String| InputError::Value {
            control: control.name().to_owned(),
            value: value.to_string(),
            allowed,
        };
        let value = match control.kind() {
            ControlKind::Key | ControlKind::Contact if value == 0.0 => 0,
            ControlKind::Key | ControlKind::Contact if value == 1.0 => 1,
            ControlKind::Key | ControlKind::Contact => return Err(refused("0 or 1".to_owned())),
            ControlKind::Absolute(axis) if (axis.lowest()..=1.0).contains(&value) => {
                axis.units(value)
            }
            ControlKind::Absolute(axis) => {
                return Err(refused(format!("{} to 1", axis.lowest())));
            }
            ControlKind::Relative { hi_res: None } => {
                let allowed = || format!("whole steps from -{} to {0}", i32::MAX);
                let steps = whole(value).filter(|steps| *steps != i32::MIN);
                steps.ok_or_else(|| refused(allowed()))?
            }
            ControlKind::Relative { hi_res: Some(_) } => {
                let most = i32::MAX / HI_RES_PER_DETENT;
                let detents = Some(value).filter(|detents| detents.abs() <= f64::from(most));
                let units =
                    detents.and_then(|it| whole((it * f64::from(HI_RES_PER_DETENT)).round()));
                let allowed = || format!("detents from -{most} to {most}");
                units.ok_or_else(|| refused(allowed()))?
            }
        };
        self.inputs.push(Input { value, ..control.input });
        Ok(())
    }

    /// Sets a control to a value in [device units](Control::units): for clients that read the same kind of
    /// device, whose values need no arithmetic.
    ///
    /// # Errors
    ///
    /// [`InputError::Value`] if the control does not take the value. The frame is then as before.
    #[inline]
    pub fn set_units(&mut self, control: &Control, value: i32) -> Result<(), InputError> {
        let (least, greatest) = control.limits();
        if value < least || value > greatest {
            return Err(refused_units(control, value));
        }
        self.inputs.push(Input { value, ..control.input });
        Ok(())
    }

    /// Sets a control to the value nearest to this one, for clients whose values are never wrong but may not be
    /// exactly those of the device: a key or contact is down from a half on, what is not a number is 0.
    #[inline]
    pub fn set_nearest(&mut self, control: &Control, value: f64) {
        let value = match control.kind() {
            ControlKind::Key | ControlKind::Contact => i32::from(value >= 0.5),
            ControlKind::Absolute(axis) => axis.scale(value),
            ControlKind::Relative { hi_res: None } => nearest_whole(value),
            ControlKind::Relative { hi_res: Some(_) } => {
                nearest_whole(value * f64::from(HI_RES_PER_DETENT))
            }
        };
        self.inputs.push(Input { value, ..control.input });
    }

    /// What it sets, in device units. A wheel with a fine axis is set by that axis alone; the device adds
    /// the detents.
    pub fn events(&self) -> impl Iterator<Item = (EventCode, i32)> {
        self.inputs.iter().map(|input| (input.code, input.value))
    }

    /// Whether it sets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Makes it set nothing again, without giving its memory back: for a frame that is used many times.
    #[inline]
    pub fn clear(&mut self) {
        self.inputs.clear();
    }

    pub(crate) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Whether it sets what an input sets.
    fn has(&self, new: &Input) -> bool {
        self.inputs.iter().any(|old| (old.code, old.slot()) == (new.code, new.slot()))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for input @ Input { code, value, .. } in &self.inputs {
            match input.slot() {
                None => list.entry(&format_args!("{code}={value}")),
                Some(slot) => list.entry(&format_args!("{code}[{slot}]={value}")),
            };
        }
        list.finish()
    }
}

#[cold]
fn refused_units(control: &Control, value: i32) -> InputError {
    out_of_units(control.name(), value.to_string(), &control.units())
}

fn out_of_units(control: &str, value: String, units: &RangeInclusive<i32>) -> InputError {
    let allowed = format!("whole numbers from {} to {}", units.start(), units.end());
    InputError::Value { control: control.to_owned(), value, allowed }
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

/// The nearest whole number; 0 for what is not a number.
pub(crate) fn nearest_whole(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let whole = value.round() as i32;
    whole
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
    /// assert_eq!(format!("{frame:?}"), "[BTN_LEFT=1, REL_WHEEL_HI_RES=120]");
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

    /// The frame that lets go of all keys, lifts all contacts and puts all axes to rest; a
    /// [position](crate::profile::Axis::position) stays.
    ///
    /// On an axis with `fuzz` the kernel may stop short of the resting value by less than `fuzz`.
    #[must_use]
    pub fn neutral(&self) -> Frame {
        let inputs = self.controls().iter().filter_map(|control| {
            let value = match control.kind() {
                ControlKind::Key | ControlKind::Contact => 0,
                ControlKind::Absolute(axis) if control.slot().is_none() && !axis.position => {
                    axis.rest
                }
                ControlKind::Absolute(_) | ControlKind::Relative { .. } => return None,
            };
            Some(Input { value, ..control.input })
        });
        Frame { inputs: inputs.collect() }
    }

    fn input(&self, frame: &mut Frame, name: &str, value: &str) -> Result<(), InputError> {
        let mut one = Frame::new();
        if let Some(control) = self.control(name) {
            // What is not a number is refused like NaN, but shown as it was written.
            let number = value.parse().unwrap_or(f64::NAN);
            one.set(control, number).map_err(|error| match error {
                InputError::Value { control, allowed, .. } => {
                    InputError::Value { control, allowed, value: format!("{value:?}") }
                }
                other => other,
            })?;
        } else {
            let mut reported = self.own_controls().flat_map(Control::codes);
            let code = EventCode::from_name(name)
                .filter(|code| reported.any(|known| known == *code))
                .ok_or_else(|| self.unknown(name))?;
            let value = self.device_units(code, name, value)?;
            one.inputs.push(Input { code, place: Input::NOWHERE, value });
        }
        if one.inputs.iter().any(|input| frame.has(input)) {
            return Err(InputError::Repeated { control: name.to_owned() });
        }
        frame.inputs.append(&mut one.inputs);
        Ok(())
    }

    /// Reads the value of a code that the device reports.
    fn device_units(&self, code: EventCode, name: &str, value: &str) -> Result<i32, InputError> {
        let control = self.own_controls().find(|control| control.code() == code);
        // A fine axis is no control of its own.
        let units = control.map_or(i32::MIN..=i32::MAX, Control::units);
        let number = value.parse().ok().filter(|number| units.contains(number));
        number.ok_or_else(|| out_of_units(name, format!("{value:?}"), &units))
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
