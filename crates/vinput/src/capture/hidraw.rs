//! Profiles of HID devices, by their hidraw node.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::{CaptureError, bus_name, one_line, quote, sys};
use crate::hid::{Descriptor, Profile, ReportKind, Spec};
use crate::hid::{controls_table, descriptor_lines, name_all, rest_of};

/// Writes a profile of the device behind a hidraw node, whose directory in sysfs is given too.
pub(super) fn capture(node: &Path, sysfs: &Path, name: &str) -> Result<String, CaptureError> {
    let failed = |source| CaptureError::Read { path: node.to_owned(), source };
    let file = File::open(node).map_err(failed)?;
    let info = sys::hidraw_info(file.as_fd()).map_err(failed)?;
    let bus = bus_name(u16::try_from(info.bustype).unwrap_or(u16::MAX))?;
    let raw_name = sys::hidraw_name(file.as_fd()).map_err(failed)?;
    let device_name = quote(&one_line(&raw_name));
    let bytes = sys::report_descriptor(file.as_fd()).map_err(failed)?;
    let descriptor = Descriptor::parse(&bytes).map_err(CaptureError::Descriptor)?;

    let mut controls = name_all(&descriptor);
    let reports = input_reports(&file, &descriptor);
    for (_, spec) in &mut controls {
        rest_as_found(spec, &descriptor, &reports);
    }
    let device = sysfs.join("device");
    let mut text = format!("# Captured from {}: {}.\n", node.display(), one_line(&raw_name));
    if descriptor.reports().iter().any(|report| report.kind == ReportKind::Feature) {
        text.push_str(
            "# Left out: what the device answers when it is asked for a feature report.\n",
        );
    }
    let _ = write!(
        text,
        "\nbackend = \"uhid\"\nname = {}\ntitle = {device_name}\ndevice_name = {device_name}\nbus = \"{bus}\"\n\
         vendor = {:#06x}\nproduct = {:#06x}\nversion = {:#06x}\n",
        quote(name),
        info.vendor.cast_unsigned(),
        info.product.cast_unsigned(),
        version(&device),
    );
    let driver = fs::read_link(device.join("driver"));
    if let Some(driver) =
        driver.ok().as_deref().and_then(Path::file_name).and_then(|it| it.to_str())
    {
        let _ = writeln!(text, "driver = {}", quote(driver));
    }
    text.push_str(&descriptor_lines(&bytes));
    text.push('\n');
    text.push_str(&controls_table(&controls));
    Profile::parse(&text).map_err(CaptureError::Profile)?;
    Ok(text)
}

/// The device's version, which only its input devices have.
fn version(device: &Path) -> u16 {
    let inputs = fs::read_dir(device.join("input")).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("id/version")).ok();
    let version = inputs.filter_map(read).next().unwrap_or_default();
    u16::from_str_radix(version.trim(), 16).unwrap_or(0)
}

/// The device's input reports by number, where it answers when it is asked for them: not all do, and some answer
/// with nothing but zeroes before they have reported anything.
fn input_reports(file: &File, descriptor: &Descriptor) -> BTreeMap<u8, Vec<u8>> {
    let inputs = descriptor.reports().iter().filter(|it| it.kind == ReportKind::Input);
    let read = |number| -> io::Result<Vec<u8>> { sys::input_report(file.as_fd(), number) };
    let answers = inputs.filter_map(|it| Some((it.number, read(it.number).ok()?)));
    answers.filter(|(_, report)| report.iter().any(|byte| *byte != 0)).collect()
}

/// Where an axis is, is taken for where it rests.
fn rest_as_found(spec: &mut Spec, descriptor: &Descriptor, reports: &BTreeMap<u8, Vec<u8>>) {
    if spec.position {
        return;
    }
    let found = rest_of(descriptor, spec, |number| reports.get(&number).map(Vec::as_slice));
    spec.rest = found.or(spec.rest);
}
