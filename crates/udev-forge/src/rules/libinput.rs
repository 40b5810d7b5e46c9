//! The rules of libwacom and libinput: 65-libwacom.rules, 80-libinput-device-groups.rules and
//! 90-libinput-fuzz-override.rules.

use super::event::Event;
use crate::device::Input;
use crate::input_codes::{ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_X, ABS_Y};
use crate::text::substituted;

pub(super) fn libwacom(event: &mut Event<'_>) {
    let Some(input) = event.input().filter(|_| event.is_numbered("event")) else { return };
    let is_left_out = |part| input.name.ends_with(part);
    if [" Consumer Control", " System Control", " Keyboard"].into_iter().any(is_left_out) {
        return;
    }
    let prefix = format!("libwacom:name:{}:", substituted(&input.name));
    event.import_hwdb_of(Some("input"), &prefix);
    if event.get("ID_INPUT_JOYSTICK") == "0" {
        event.unset("ID_INPUT_JOYSTICK");
    }
}

pub(super) fn device_groups(event: &mut Event<'_>) {
    let Some(input) = event.input().filter(|_| event.is_numbered("event")) else { return };
    if !input.phys.is_empty() {
        event.set("LIBINPUT_DEVICE_GROUP", &device_group(input));
    }
}

/// The name of the group of devices that are one piece of hardware (libinput 1.22:
/// udev/libinput-device-group.c, without the pairs that libwacom knows): the part of the place that the
/// interfaces of one USB device have in common. Control characters become question marks.
fn device_group(input: &Input) -> String {
    let bus = input.capabilities.bustype;
    let phys = input.phys.replace(|c: char| c.is_ascii_control(), "?").replace('%', "%%");
    let mut group = format!("{bus:x}/{:x}/{:x}:{phys}", input.vendor, input.product);
    if let Some(end) = group.find("/input") {
        group.truncate(end);
    }
    // Cintiq 22HD Touch: usb-0000:00:14.0-6.3.1 for touch, usb-0000:00:14.0-6.3.0 for the pen.
    if let Some(end) = group.rfind('.')
        && group.rfind('-').is_none_or(|dash| dash < end)
    {
        group.truncate(end);
    }
    // udevd trims what a program prints.
    group.truncate(group.trim_end().len());
    group
}

/// The noise of positions on touchpads and touchscreens, which libinput filters itself
/// (udev/libinput-fuzz-extract.c): `LIBINPUT_FUZZ_35` for `ABS_MT_POSITION_X`, 0x35.
pub(super) fn fuzz(event: &mut Event<'_>) {
    let is_surface = ["ID_INPUT_TOUCHPAD", "ID_INPUT_TOUCHSCREEN"].iter().any(|key| event.has(key));
    if !event.is_named("event") || !is_surface {
        return;
    }
    for code in [ABS_X, ABS_Y, ABS_MT_POSITION_X, ABS_MT_POSITION_Y] {
        if let Some(axis) = event.device.axis(code).filter(|axis| axis.fuzz != 0) {
            event.set(&format!("LIBINPUT_FUZZ_{code:02x}"), &axis.fuzz.to_string());
        }
    }
}
