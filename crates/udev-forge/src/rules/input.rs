//! Input devices.

use super::Outcome;
use crate::device::{Input, SysDevice};
use crate::input_codes::BUS_BLUETOOTH;
use crate::input_id::{Classes, classify};
use crate::properties::Properties;

/// The rule files that apply, in their order. Left out are matches in the hardware database, apart from
/// the two for every Bluetooth device, and what only hardware has: parents on a USB, serio or rmi4 bus,
/// `ID_PATH`, and links in /dev.
pub(super) fn apply(device: &SysDevice) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(input) = device.input() else { return outcome };
    let classes = classify(&input.capabilities);
    let properties = &mut outcome.properties;
    let is_event = device.sysname().starts_with("event");

    // 60-input-id.rules
    properties.put("ID_INPUT", "1");
    for key in classes.properties() {
        properties.put(key, "1");
    }

    // 60-persistent-input.rules
    if input.capabilities.bustype == BUS_BLUETOOTH {
        properties.put("ID_BUS", "bluetooth");
        if is_event {
            bluetooth_integration(&classes, properties);
        }
    } else if let Some(class) = input_class(&classes, &input.name) {
        properties.put(".INPUT_CLASS", class);
        properties.put("ID_SERIAL", "noserial");
    }

    // 70-power-switch.rules
    if is_event && (classes.key || classes.switch) {
        outcome.tags.insert("power-switch");
    }
    // 70-uaccess.rules
    if device.devnum().is_some() && classes.joystick {
        outcome.tags.insert("uaccess");
    }
    // 71-seat.rules
    if outcome.tags.contains("uaccess") || device.sysname().starts_with("input") {
        outcome.tags.insert("seat");
    }

    // 80-libinput-device-groups.rules
    if is_event && !input.phys.is_empty() {
        properties.put("LIBINPUT_DEVICE_GROUP", &device_group(input));
    }
    outcome
}

/// `.INPUT_CLASS`; of several the last one in the rule file.
fn input_class(classes: &Classes, name: &str) -> Option<&'static str> {
    if ["dvb", "DVB", " IR "].iter().any(|part| name.contains(part)) {
        Some("ir")
    } else if classes.joystick {
        Some("joystick")
    } else if classes.mouse || classes.touchpad || classes.tablet {
        Some("mouse")
    } else if classes.keyboard {
        Some("kbd")
    } else {
        None
    }
}

/// 70-joystick.hwdb and 70-touchpad.hwdb: what comes by radio is not built in.
fn bluetooth_integration(classes: &Classes, properties: &mut Properties) {
    if classes.joystick {
        properties.put("ID_INPUT_JOYSTICK_INTEGRATION", "external");
    }
    if classes.touchpad {
        properties.put("ID_INPUT_TOUCHPAD_INTEGRATION", "external");
    }
}

/// The name of the group of devices that are one piece of hardware (libinput 1.22:
/// udev/libinput-device-group.c, without the pairs that libwacom knows): the part of the place that the
/// interfaces of one USB device have in common.
fn device_group(input: &Input) -> String {
    let bus = input.capabilities.bustype;
    let phys = input.phys.replace('%', "%%");
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
