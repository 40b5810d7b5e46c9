//! Controls of a HID device: names for what its input reports have.

use serde::Deserialize;

use super::descriptor::{Descriptor, Field, ReportKind};
use crate::profile::Axis;

/// Something a client can set, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    pub(super) name: String,
    pub(super) usage: u32,
    pub(super) place: Place,
    pub(super) kind: ControlKind,
    /// Its place among the controls of its device.
    pub(super) index: usize,
}

/// How a control's values are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlKind {
    /// A button: 0 or 1.
    Key,
    /// A button that an array of pressed ones names while it is held: 0 or 1.
    Selected,
    /// Motion: whole steps, which are told once.
    Relative {
        /// The least of a frame.
        min: i32,
        /// The most of a frame.
        max: i32,
    },
    /// An absolute axis: −1 to 1, or 0 to 1; see [`Axis::scale`].
    Absolute(Axis),
    /// One direction of a hat switch: −1 (left, up) to 1.
    Hat(HatAxis),
}

/// A direction of a hat switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HatAxis {
    /// Left and right.
    X,
    /// Up and down.
    Y,
}

/// Where a value is in the device's input reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the report in the descriptor.
    pub(super) report: usize,
    /// The index of its field.
    pub(super) field: usize,
    /// Where it begins, in bits after the report's number; of an array, its first element.
    pub(super) offset: u32,
    /// Its bits, 1 to 32.
    pub(super) size: u32,
    /// What is written there when the button is held; for a button of an array, the value that selects it.
    pub(super) on: i32,
    /// What is written there when nobody touches it.
    pub(super) off: i32,
}

/// A control as a profile has it, without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) usage: u32,
    pub(crate) nth: Option<u32>,
    pub(crate) axis: Option<HatAxis>,
    pub(crate) rest: Option<i32>,
    #[serde(default)]
    pub(crate) position: bool,
}

// Usages, page in the upper half ("HID Usage Tables" 1.5, usb.org).
pub(super) const X: u32 = 0x0001_0030;
pub(super) const RZ: u32 = 0x0001_0035;
pub(super) const HAT: u32 = 0x0001_0039;
const BUTTONS: u32 = 0x0009;

impl Control {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The usage that it has in the descriptor, with its page in the upper half.
    #[must_use]
    pub fn usage(&self) -> u32 {
        self.usage
    }

    /// How its values are understood.
    #[must_use]
    pub fn kind(&self) -> ControlKind {
        self.kind
    }
}

/// An element of a field: what a control can be.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    /// The index of its field, and the field.
    pub(super) field: (usize, &'a Field),
    /// Its place in the field; in an array, what selects it, counted from the least value.
    pub(super) index: u32,
    pub(super) usage: u32,
}

/// As many as the kernel takes of a field: `HID_MAX_USAGES` (include/linux/hid.h).
const MOST_ELEMENTS: usize = 12288;

/// Every element of input reports that can be a control; of an array, everything that it can select.
pub(super) fn elements(descriptor: &Descriptor) -> impl Iterator<Item = Element<'_>> {
    let fields = descriptor.inputs().iter().enumerate().filter(|(_, it)| it.size <= 32);
    let elements = fields.flat_map(|field| {
        let selectable = field.1.max.abs_diff(field.1.min).saturating_add(1);
        let count = if field.1.is_variable { field.1.count } else { selectable };
        let elements = (0..count).map_while(move |index| {
            let usage = field.1.usage(index)?;
            Some(Element { field, index, usage })
        });
        elements.take(MOST_ELEMENTS)
    });
    elements.take(4 * MOST_ELEMENTS)
}

impl Spec {
    pub(crate) fn of(usage: u32) -> Self {
        Self { usage, nth: None, axis: None, rest: None, position: false }
    }

    /// Finds what it is about in the descriptor.
    pub(super) fn resolve(&self, descriptor: &Descriptor) -> Result<(Place, ControlKind), String> {
        let nth = self.nth.unwrap_or(1);
        let mut same = elements(descriptor).filter(|it| it.usage == self.usage);
        let skipped = usize::try_from(nth).ok().and_then(|nth| nth.checked_sub(1));
        let element = skipped.and_then(|skipped| same.nth(skipped)).ok_or_else(|| {
            let usage = self.usage;
            format!("the input reports have no usage {usage:#010x} number {nth}")
        })?;
        self.check(&element)
    }

    fn check(&self, element: &Element<'_>) -> Result<(Place, ControlKind), String> {
        let (index, field) = element.field;
        let place = Place {
            report: field.report,
            field: index,
            offset: field.offset + if field.is_variable { element.index * field.size } else { 0 },
            size: field.size,
            on: field.max,
            off: field.min,
        };
        let is_plain = self.rest.is_none() && !self.position;
        if field.min == field.max {
            return Err("it has one value only".to_owned());
        }
        if !fits(field.min, field) || !fits(field.max, field) {
            let Field { min, max, size, .. } = field;
            return Err(format!("its range, {min} to {max}, has no room in {size} bits"));
        }
        if let Some(axis) = self.axis {
            let off = nowhere(field).filter(|_| self.usage == HAT && field.is_variable);
            let Some(off) = off.filter(|_| is_plain && directions(field).is_some()) else {
                return Err("`axis` is for a hat switch with 4 or 8 directions".to_owned());
            };
            return Ok((Place { off, ..place }, ControlKind::Hat(axis)));
        }
        if !field.is_variable || field.max.abs_diff(field.min) == 1 {
            if !is_plain {
                return Err("it is a button, and has no `rest` and no `position`".to_owned());
            }
            let kind = if field.is_variable { ControlKind::Key } else { ControlKind::Selected };
            let (on, off) = match kind {
                ControlKind::Key => (field.max, field.min),
                _ => (field.min.saturating_add_unsigned(element.index), nothing(field)),
            };
            return Ok((Place { on, off, ..place }, kind));
        }
        if field.is_relative {
            if !is_plain {
                return Err("it is relative, and has no `rest` and no `position`".to_owned());
            }
            let (min, max) = (field.min, field.max);
            return Ok((Place { off: 0, ..place }, ControlKind::Relative { min, max }));
        }
        let rest = match self.rest {
            Some(_) if self.position => {
                return Err("a `position` has no `rest`: it stays where it is".to_owned());
            }
            Some(rest) if !(field.min..=field.max).contains(&rest) => {
                return Err(format!("`rest` ({rest}) must be from {} to {}", field.min, field.max));
            }
            Some(rest) => rest,
            None if self.position => field.min,
            None => resting(self.usage, field),
        };
        let (min, max, position) = (field.min, field.max, self.position);
        let axis = Axis { min, max, rest, position, fuzz: 0, flat: 0, resolution: 0 };
        Ok((Place { off: rest, ..place }, ControlKind::Absolute(axis)))
    }
}

/// Where an axis is that nobody touches: sticks in the middle, everything else at 0 or at its least.
pub(super) fn resting(usage: u32, field: &Field) -> i32 {
    let middle = i64::midpoint(field.min.into(), field.max.into());
    match usage {
        X..=RZ => i32::try_from(middle).unwrap_or(0),
        _ => 0.clamp(field.min, field.max),
    }
}

/// What an array has in an element that selects nothing: 0 where that is no selection, or is "no event" as of
/// keyboards (6.2.2.5), or else a value out of range.
pub(super) fn nothing(field: &Field) -> i32 {
    let selects = |value: i32| {
        (field.min..=field.max).contains(&value)
            && field.usage(value.abs_diff(field.min)).is_some_and(|usage| usage & 0xffff != 0)
    };
    if selects(0) { beyond(field).unwrap_or(0) } else { 0 }
}

/// What a hat switch has when it is not pushed: a value out of range.
pub(super) fn nowhere(field: &Field) -> Option<i32> {
    beyond(field).or_else(|| field.min.checked_sub(1).filter(|it| fits(*it, field)))
}

/// The value above the range, where there is room for it.
fn beyond(field: &Field) -> Option<i32> {
    field.max.checked_add(1).filter(|it| fits(*it, field))
}

/// How many directions a hat switch has.
pub(super) fn directions(field: &Field) -> Option<u32> {
    Some(field.max.abs_diff(field.min).saturating_add(1)).filter(|count| [4, 8].contains(count))
}

/// Whether a value has room in an element.
fn fits(value: i32, field: &Field) -> bool {
    let value = i64::from(value);
    if field.min < 0 {
        let half = 1_i64 << (field.size - 1);
        (-half..half).contains(&value)
    } else {
        (0..1_i64 << field.size).contains(&value)
    }
}

/// What an element that no control is about has, which is never changed.
pub(super) fn idle(element: &Element<'_>) -> Option<Place> {
    let spec = Spec::of(element.usage);
    let hat = Spec { axis: Some(HatAxis::X), ..spec };
    let found = hat.check(element).or_else(|_| spec.check(element));
    found.ok().map(|(place, _)| place)
}

/// Where an axis is in the device's report of its number (without that), if it is there.
pub(crate) fn rest_of<'a>(
    descriptor: &Descriptor,
    spec: &Spec,
    report: impl FnOnce(u8) -> Option<&'a [u8]>,
) -> Option<i32> {
    let (place, ControlKind::Absolute(axis)) = spec.resolve(descriptor).ok()? else { return None };
    let report = report(descriptor.reports().get(place.report)?.number)?;
    let bit = |at: u32| report.get(at as usize / 8).map(|byte| u32::from(byte >> (at % 8) & 1));
    let bits = (0..place.size).try_fold(0, |all, at| Some(all | bit(place.offset + at)? << at))?;
    let unused = 32 - place.size;
    let value =
        if axis.min < 0 { (bits << unused).cast_signed() >> unused } else { bits.cast_signed() };
    (axis.min..=axis.max).contains(&value).then_some(value)
}

/// Whether a usage is a button's.
pub(super) fn is_button(usage: u32) -> bool {
    usage >> 16 == BUTTONS
}

/// The descriptor's input reports, with their indices.
pub(super) fn input_reports(descriptor: &Descriptor) -> impl Iterator<Item = (usize, u8, usize)> {
    let reports = descriptor.reports().iter().enumerate();
    let inputs = reports.filter(|(_, it)| it.kind == ReportKind::Input);
    inputs.map(|(index, it)| (index, it.number, it.size()))
}
