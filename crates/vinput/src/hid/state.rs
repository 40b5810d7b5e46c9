//! What a HID device's controls are set to, and its input reports: only those that change are written.

use super::control::{
    Control, ControlKind, HatAxis, Place, elements, idle, input_reports, nothing,
};
use super::frame::{Frame, Input};
use super::profile::Profile;
use crate::uhid::abi;

/// All input reports as they were told last, each as the record that is written.
///
/// Everything is allocated when it is made.
#[derive(Debug)]
pub(super) struct State {
    /// By control: what it is set to, in logical units; of a direction of a hat switch −1, 0 or 1.
    values: Vec<i32>,
    reports: Vec<Report>,
}

#[derive(Debug)]
struct Report {
    /// Its index in the descriptor.
    index: usize,
    number: u8,
    /// `UHID_INPUT2`.
    record: Vec<u8>,
    /// Where the report's bits begin in the record.
    start: usize,
    is_dirty: bool,
}

impl State {
    /// The state of a device that nobody touches.
    pub(super) fn new(profile: &Profile) -> Self {
        let reports = input_reports(profile.descriptor()).map(|(index, number, size)| {
            let mut report = vec![0; size];
            if number != 0 {
                report[0] = number;
            }
            let record = abi::input_record(&report);
            let start = record.len() - size + usize::from(number != 0);
            Report { index, number, record, start, is_dirty: false }
        });
        let mut state = Self { values: Vec::new(), reports: reports.collect() };
        for element in elements(profile.descriptor()).filter(|it| it.field.1.is_variable) {
            if let Some(place) = idle(&element) {
                state.put(&place, place.offset, place.off);
            }
        }
        let arrays =
            profile.descriptor().inputs().iter().enumerate().filter(|(_, it)| !it.is_variable);
        for (index, field) in arrays.filter(|(_, it)| it.size <= 32) {
            let (report, size, off) = (field.report, field.size, nothing(field));
            let place = Place { report, field: index, offset: field.offset, size, on: off, off };
            (0..field.count).for_each(|slot| state.put(&place, field.offset + slot * size, off));
        }
        for control in profile.controls() {
            state.values.push(match control.kind {
                ControlKind::Absolute(axis) => axis.rest,
                _ => 0,
            });
        }
        for control in profile.controls() {
            state.encode(profile, control);
        }
        state.reports.iter_mut().for_each(|report| report.is_dirty = false);
        state
    }

    /// Sets what the frame sets, and has every report written in which something is new.
    pub(super) fn apply<E>(
        &mut self,
        profile: &Profile,
        frame: &Frame,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for Input { index, value } in &frame.inputs {
            let Some(control) = profile.controls().get(*index) else { continue };
            if self.values[*index] != *value {
                self.values[*index] = *value;
                self.encode(profile, control);
            }
        }
        let mut result = Ok(());
        for report in &mut self.reports {
            if std::mem::take(&mut report.is_dirty) && result.is_ok() {
                result = write(&report.record);
            }
        }
        // Motion is told once.
        for Input { index, .. } in &frame.inputs {
            let control = profile.controls().get(*index);
            if let Some(control) =
                control.filter(|it| matches!(it.kind, ControlKind::Relative { .. }))
            {
                self.values[*index] = 0;
                self.encode(profile, control);
            }
        }
        self.reports.iter_mut().for_each(|report| report.is_dirty = false);
        result
    }

    /// What a control is set to.
    pub(super) fn value(&self, index: usize) -> i32 {
        self.values.get(index).copied().unwrap_or(0)
    }

    /// The records of all reports, as they are.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.reports.iter().map(|report| report.record.as_slice())
    }

    /// The report of this number, as it was told last.
    pub(super) fn report(&self, number: u8) -> Option<&[u8]> {
        let report = self.reports.iter().find(|it| it.number == number)?;
        Some(&report.record[report.start - usize::from(number != 0)..])
    }

    /// Writes a control's value into its report.
    fn encode(&mut self, profile: &Profile, control: &Control) {
        let (place, value) = (&control.place, self.values[control.index]);
        match control.kind {
            ControlKind::Key => {
                self.put(place, place.offset, if value == 0 { place.off } else { place.on });
            }
            ControlKind::Relative { .. } | ControlKind::Absolute(_) => {
                self.put(place, place.offset, value);
            }
            ControlKind::Hat(_) => self.encode_hat(profile, place),
            ControlKind::Selected => self.encode_array(profile, place),
        }
    }

    /// Both directions make one value: clockwise from 0, which is up.
    fn encode_hat(&mut self, profile: &Profile, place: &Place) {
        let of_hat = |axis| {
            let mut controls = profile.controls().iter();
            let control =
                controls.find(|it| it.place == *place && it.kind == ControlKind::Hat(axis));
            control.map_or(0, |control| self.values[control.index])
        };
        let eighth = match (of_hat(HatAxis::X), of_hat(HatAxis::Y)) {
            (0, -1) => 0,
            (1, -1) => 1,
            (1, 0) => 2,
            (1, 1) => 3,
            (0, 1) => 4,
            (-1, 1) => 5,
            (-1, 0) => 6,
            (-1, -1) => 7,
            _ => return self.put(place, place.offset, place.off),
        };
        let field = &profile.descriptor().inputs()[place.field];
        // Of four directions, those in between are the one before.
        let count = field.max.abs_diff(field.min).saturating_add(1);
        self.put(place, place.offset, field.min.saturating_add_unsigned(eighth * count / 8));
    }

    /// The first of those that are held, as many as there is room for.
    fn encode_array(&mut self, profile: &Profile, place: &Place) {
        let field = &profile.descriptor().inputs()[place.field];
        let is_held = |control: &&Control| {
            control.kind == ControlKind::Selected
                && control.place.field == place.field
                && self.values[control.index] != 0
        };
        let mut slot = 0;
        let mut held = profile.controls().iter();
        while slot < field.count {
            let next = held.by_ref().find(|it| is_held(it));
            let value = next.map_or(place.off, |control| control.place.on);
            // Not through `self.put`, which would need all of it.
            let report = self.reports.iter_mut().find(|it| it.index == place.report);
            if let Some(report) = report {
                report.put(place.offset + slot * place.size, place.size, value);
            }
            slot += 1;
        }
    }

    fn put(&mut self, place: &Place, offset: u32, value: i32) {
        if let Some(report) = self.reports.iter_mut().find(|it| it.index == place.report) {
            report.put(offset, place.size, value);
        }
    }
}

impl Report {
    /// Writes a value of so many bits, the lowest first (HID 1.11, section 8.4).
    fn put(&mut self, offset: u32, size: u32, value: i32) {
        for bit in 0..size {
            let at = (offset + bit) as usize;
            let is_set = value >> bit & 1 != 0;
            if let Some(byte) = self.record.get_mut(self.start + at / 8) {
                let new = *byte & !(1 << (at % 8)) | u8::from(is_set) << (at % 8);
                self.is_dirty |= new != *byte;
                *byte = new;
            }
        }
    }
}

#[cfg(test)]
mod tests;
