//! From named controls to values in logical units.

use super::control::{Control, ControlKind};
use super::profile::Profile;
use crate::InputError;
use crate::input::nearest_whole;
use crate::suggest::nearest;

/// What a client sets on a device at one instant. What it does not set stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub(super) inputs: Vec<Input>,
}

/// One control that a frame sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// The control's place among those of its device.
    pub(super) index: usize,
    /// In logical units; of a hat switch −1, 0 or 1; of a button 0 or 1.
    pub(super) value: i32,
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

    /// Sets a control to a value: 0 or 1 of a button, whole steps of what is relative, −1 (left, up) to 1 of a
    /// direction of a hat switch, and of an axis the scale of [`Axis::scale`](crate::profile::Axis::scale). Of
    /// several values for one control the last one counts.
    ///
    /// # Errors
    ///
    /// [`InputError::Value`] if the control does not take the value. The frame is then as before.
    pub fn set(&mut self, control: &Control, value: f64) -> Result<(), InputError> {
        let (least, most) = match control.kind {
            ControlKind::Key | ControlKind::Selected => (0.0, 1.0),
            ControlKind::Hat(_) => (-1.0, 1.0),
            ControlKind::Absolute(axis) => (axis.lowest(), 1.0),
            ControlKind::Relative { min, max } => (f64::from(min), f64::from(max)),
        };
        let is_whole = match control.kind {
            ControlKind::Hat(_) | ControlKind::Absolute(_) => false,
            ControlKind::Key | ControlKind::Selected | ControlKind::Relative { .. } => true,
        };
        if !(least..=most).contains(&value) || (is_whole && value.fract() != 0.0) {
            let allowed = match control.kind {
                ControlKind::Key | ControlKind::Selected => "0 or 1".to_owned(),
                ControlKind::Relative { .. } => format!("whole steps from {least} to {most}"),
                ControlKind::Hat(_) | ControlKind::Absolute(_) => format!("{least} to {most}"),
            };
            let (control, value) = (control.name.clone(), value.to_string());
            return Err(InputError::Value { control, value, allowed });
        }
        let value = match control.kind {
            ControlKind::Absolute(axis) => axis.scale(value),
            ControlKind::Hat(_) => i32::from(value >= 0.5) - i32::from(value <= -0.5),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole, and in the range of an i32"
            )]
            _ => value as i32,
        };
        self.inputs.push(Input { index: control.index, value });
        Ok(())
    }

    /// Sets a control to the value nearest to this one, for clients whose values are never wrong but may not be
    /// exactly those of the device: a button is down from a half on, what is not a number is 0.
    pub fn set_nearest(&mut self, control: &Control, value: f64) {
        let value = match control.kind {
            ControlKind::Key | ControlKind::Selected => i32::from(value >= 0.5),
            ControlKind::Absolute(axis) => axis.scale(value),
            ControlKind::Hat(_) => i32::from(value >= 0.5) - i32::from(value <= -0.5),
            ControlKind::Relative { min, max } => nearest_whole(value).clamp(min, max),
        };
        self.inputs.push(Input { index: control.index, value });
    }

    /// Whether it sets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Makes it set nothing again, without giving its memory back.
    pub fn clear(&mut self) {
        self.inputs.clear();
    }
}

impl Profile {
    /// A frame from texts `CONTROL=VALUE`.
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
                example: self.controls().first().map_or("button1", Control::name).to_owned(),
            })?;
            let control = self.control(name.trim()).ok_or_else(|| self.unknown(name.trim()))?;
            if frame.inputs.iter().any(|it| it.index == control.index) {
                return Err(InputError::Repeated { control: control.name.clone() });
            }
            // What is not a number is refused like NaN, but shown as it was written.
            let value = value.trim();
            frame.set(control, value.parse().unwrap_or(f64::NAN)).map_err(|error| match error {
                InputError::Value { control, allowed, .. } => {
                    InputError::Value { control, allowed, value: format!("{value:?}") }
                }
                other => other,
            })?;
        }
        Ok(frame)
    }

    /// The frame that lets go of all buttons and puts all axes to rest; a
    /// [position](crate::profile::Axis::position) stays.
    #[must_use]
    pub fn neutral(&self) -> Frame {
        let inputs = self.controls().iter().filter_map(|control| {
            let value = match control.kind {
                ControlKind::Absolute(axis) if axis.position => return None,
                ControlKind::Absolute(axis) => axis.rest,
                ControlKind::Relative { .. } => return None,
                ControlKind::Key | ControlKind::Selected | ControlKind::Hat(_) => 0,
            };
            Some(Input { index: control.index, value })
        });
        Frame { inputs: inputs.collect() }
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
