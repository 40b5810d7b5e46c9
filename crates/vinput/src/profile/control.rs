//! Controls: what a client can set on a device.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use crate::input::Input;
use crate::{EventCode, EventType};

/// Units of a high-resolution wheel axis per detent (Documentation/input/event-codes.rst).
pub(crate) const HI_RES_PER_DETENT: i32 = 120;

/// Something a client can set, by a name that does not depend on the kernel's codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    pub(super) name: String,
    pub(super) spec: Spec,
    /// What sets it to 0 in device units.
    pub(crate) input: Input,
    /// The ends of [`units`](Self::units).
    limits: (i32, i32),
}

/// How a control's values are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlKind {
    /// A key or button: 0 or 1.
    Key,
    /// A relative axis: whole steps, or detents in steps of 1/120 where it has a fine axis.
    Relative {
        /// The axis that reports the same motion in units of 1/120 detent.
        hi_res: Option<EventCode>,
    },
    /// An absolute axis: −1 to 1, or 0 to 1; see [`Axis::scale`].
    Absolute(Axis),
    /// A finger: 1 while it touches, 0 otherwise.
    Contact,
}

/// The range of an absolute axis, in device units; see `struct input_absinfo` in
/// include/uapi/linux/input.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Axis {
    /// The least value.
    pub min: i32,
    /// The greatest value; more than `min`, or libinput refuses the device.
    pub max: i32,
    /// The value when nobody touches it. Left out: 0, or the end of the range that is nearest to 0.
    pub rest: i32,
    /// It says where something is, as the pointer of a tablet does, and stays there when nobody touches
    /// it. Its `rest` is then `min`, and only where it starts.
    pub position: bool,
    /// The kernel hides changes smaller than half of this, and smoothes changes smaller than twice this
    /// (`input_defuzz_abs_event` in drivers/input/input.c).
    pub fuzz: i32,
    /// Programs take values within this of the centre as the centre.
    pub flat: i32,
    /// Units per millimetre (per radian for rotations), 0 if unknown.
    pub resolution: i32,
}

impl Control {
    /// Its place among the controls of its device is to be set yet.
    pub(super) fn new(name: String, spec: Spec, slot: Option<u8>) -> Self {
        let (code, limits) = match spec.kind {
            ControlKind::Key | ControlKind::Contact => (spec.code, (0, 1)),
            ControlKind::Absolute(axis) => (spec.code, (axis.min, axis.max)),
            ControlKind::Relative { hi_res } => (hi_res.unwrap_or(spec.code), (i32::MIN, i32::MAX)),
        };
        let place = slot.map_or(Input::NOWHERE, |slot| Input::CONTACTS + u32::from(slot));
        let input = Input { code, place, value: 0 };
        Self { name, spec, input, limits }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The code that reports it.
    #[must_use]
    pub fn code(&self) -> EventCode {
        self.spec.code
    }

    /// How its values are understood.
    #[must_use]
    pub fn kind(&self) -> ControlKind {
        self.spec.kind
    }

    /// The values it takes in device units: 0 and 1 for a key or contact, the range of an absolute axis,
    /// anything for a relative one, in 1/120 detent where it has a fine axis.
    #[must_use]
    pub fn units(&self) -> RangeInclusive<i32> {
        let (least, greatest) = self.limits();
        least..=greatest
    }

    /// The ends of [`units`](Self::units), on the way of every frame.
    #[inline]
    pub(crate) fn limits(&self) -> (i32, i32) {
        self.limits
    }

    /// Which of the device's [contacts](crate::Profile::contacts) it belongs to, if to one.
    #[must_use]
    pub fn slot(&self) -> Option<u8> {
        self.input.slot()
    }

    /// All codes that report it.
    pub(crate) fn codes(&self) -> impl Iterator<Item = EventCode> + use<> {
        let hi_res = match self.kind() {
            ControlKind::Relative { hi_res } => hi_res,
            ControlKind::Key | ControlKind::Absolute(_) | ControlKind::Contact => None,
        };
        [self.code()].into_iter().chain(hi_res)
    }
}

impl Axis {
    /// The least value of the scale that [`scale`](Self::scale) takes: 0 for an axis that rests at an end
    /// of its range, as triggers and pedals do, or is a [position](Self::position); −1 for others.
    #[must_use]
    pub fn lowest(&self) -> f64 {
        if self.rest == self.min || self.rest == self.max { 0.0 } else { -1.0 }
    }

    /// Device units for a value from [`lowest`](Self::lowest) to 1: 0 gives the resting value, 1 the
    /// maximum, −1 the minimum, straight lines in between, rounded to the nearest unit. An axis that rests
    /// at its maximum goes to its minimum at 1. Values outside are taken as the nearest end, and NaN as 0.
    #[must_use]
    pub fn scale(&self, value: f64) -> i32 {
        self.units(if value.is_nan() { 0.0 } else { value.clamp(self.lowest(), 1.0) })
    }

    /// [`scale`](Self::scale) for a value that is in its range: on the way of every frame.
    pub(crate) fn units(&self, value: f64) -> i32 {
        let end = if value < 0.0 || self.rest == self.max { self.min } else { self.max };
        let span = f64::from(end) - f64::from(self.rest);
        let units = f64::from(self.rest) + value.abs() * span;
        // `round` is a call into the C library where the processor may be an old one.
        #[expect(clippy::cast_possible_truncation, reason = "rounded, and between min and max")]
        let units = (units + 0.5_f64.copysign(units)) as i32;
        units
    }
}

/// A control as a profile has it, without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) code: EventCode,
    pub(super) kind: ControlKind,
}

/// The long form of a control in TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    code: EventCode,
    hi_res: Option<EventCode>,
    min: Option<i32>,
    max: Option<i32>,
    rest: Option<i32>,
    position: Option<bool>,
    fuzz: Option<i32>,
    flat: Option<i32>,
    resolution: Option<i32>,
}

impl Table {
    fn short(code: EventCode) -> Self {
        Self {
            code,
            hi_res: None,
            min: None,
            max: None,
            rest: None,
            position: None,
            fuzz: None,
            flat: None,
            resolution: None,
        }
    }

    fn check(self) -> Result<Spec, String> {
        let code = self.code;
        let range = [self.min, self.max, self.rest, self.fuzz, self.flat, self.resolution];
        let has_range = self.position.is_some() || range.iter().any(Option::is_some);
        let kind = match code.kind {
            EventType::Key if code.code == 0 => {
                return Err("the kernel reports no KEY_RESERVED".to_owned());
            }
            EventType::Key if has_range || self.hi_res.is_some() => {
                return Err(format!("{code} is a key or button and takes nothing but `code`"));
            }
            EventType::Key => ControlKind::Key,
            EventType::Rel if has_range => {
                return Err(format!("{code} is relative and has no range, only `hi_res`"));
            }
            EventType::Rel => match self.hi_res {
                Some(fine) if fine.kind != EventType::Rel || fine == code => {
                    return Err(format!("`hi_res` takes another REL_* code, not {fine}"));
                }
                hi_res => ControlKind::Relative { hi_res },
            },
            EventType::Abs if self.hi_res.is_some() => {
                return Err(format!("{code} is absolute and has no `hi_res`"));
            }
            EventType::Abs => ControlKind::Absolute(self.axis()?),
            _ => {
                return Err(format!(
                    "a control has a KEY_*, BTN_*, REL_* or ABS_* code, not {code}"
                ));
            }
        };
        Ok(Spec { code, kind })
    }

    fn axis(&self) -> Result<Axis, String> {
        let code = self.code;
        let (Some(min), Some(max)) = (self.min, self.max) else {
            return Err(format!("{code} is absolute and needs `min` and `max`"));
        };
        if min >= max {
            return Err(format!("`min` ({min}) must be less than `max` ({max})"));
        }
        let position = self.position.unwrap_or(false);
        if position && self.rest.is_some() {
            return Err("a `position` has no `rest`: it stays where it is".to_owned());
        }
        let axis = Axis {
            min,
            max,
            rest: if position { min } else { self.rest.unwrap_or_else(|| 0.clamp(min, max)) },
            position,
            fuzz: self.fuzz.unwrap_or(0),
            flat: self.flat.unwrap_or(0),
            resolution: self.resolution.unwrap_or(0),
        };
        if !(min..=max).contains(&axis.rest) {
            return Err(format!("`rest` ({}) must be from {min} to {max}", axis.rest));
        }
        // The kernel wants no more of `flat` (uinput_validate_absinfo); a `fuzz` as wide as the range
        // would leave nothing to report.
        let width = max.abs_diff(min);
        for (key, value) in [("fuzz", axis.fuzz), ("flat", axis.flat)] {
            if !u32::try_from(value).is_ok_and(|value| value < width) {
                return Err(format!("`{key}` ({value}) must be from 0 to less than {width}"));
            }
        }
        if axis.resolution < 0 {
            return Err(format!("`resolution` ({}) must not be negative", axis.resolution));
        }
        Ok(axis)
    }
}

/// Takes `"BTN_SOUTH"` and `{ code = "ABS_X", … }`. By hand, because serde's untagged enums cannot say
/// what is wrong with either.
impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Spec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event code such as \"BTN_SOUTH\", or a table with `code`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Spec, E> {
                let code = EventCode::try_from(name.to_owned()).map_err(E::custom)?;
                Table::short(code).check().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Spec, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                table.check().map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
