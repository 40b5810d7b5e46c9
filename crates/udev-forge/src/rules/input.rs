//! Input devices: 60-evdev.rules, 60-input-id.rules, 60-persistent-input.rules, 70-joystick.rules,
//! 70-mouse.rules, 70-power-switch.rules and 70-touchpad.rules.

use super::event::Event;
use crate::device::Input;
use crate::input_codes::{ABS_X, ABS_Y, BUS_BLUETOOTH, BUS_I2C, BUS_USB};
use crate::input_id::classify;
use crate::text::substituted;

/// Key maps and corrected axes, which udevd gives to the kernel; the properties are all that is left to
/// see of that.
pub(super) fn evdev(event: &mut Event<'_>) {
    if !event.is_named("event") {
        return;
    }
    let machine = substituted(event.device.machine());
    let mut found = event.import_hwdb_of(Some("input"), "evdev:");
    if event.device.chain().iter().any(|object| object.driver.as_deref() == Some("atkbd")) {
        found |= event.import_hwdb(&format!("evdev:atkbd:{machine}"));
    }
    if let Some(input) = event.input() {
        let (name, phys) = (substituted(&input.name), substituted(&input.phys));
        let ev = substituted(&input.ev);
        found |= event.import_hwdb(&format!("evdev:name:{name}:{machine}"));
        found |= event.import_hwdb(&format!("evdev:name:{name}:phys:{phys}:ev:{ev}:{machine}"));
    }
    if found {
        event.set(".HAVE_HWDB_PROPERTIES", "1");
    }
}

pub(super) fn input_id(event: &mut Event<'_>) {
    let Some(input) = event.input() else { return };
    if !event.has("ID_INPUT") {
        event.set("ID_INPUT", "1");
        for key in classify(&input.capabilities).properties() {
            event.set(key, "1");
        }
        if event.is_named("event") {
            surface_size(event);
        }
    }
    event.import_hwdb_of(Some("input"), "id-input:modalias:");
    let bus = match input.capabilities.bustype {
        BUS_USB => "usb",
        BUS_BLUETOOTH => "bluetooth",
        BUS_I2C => "i2c",
        _ => return,
    };
    event.import_hwdb(&format!("id-input:{bus}:{}", hardware(input)));
}

/// `v045ep02ea:name:Pad:`, as many entries of the hardware database begin.
fn hardware(input: &Input) -> String {
    format!("v{:04x}p{:04x}:name:{}:", input.vendor, input.product, substituted(&input.name))
}

/// `ID_INPUT_WIDTH_MM` and `ID_INPUT_HEIGHT_MM` (`extract_info` in systemd's
/// src/udev/udev-builtin-input_id.c).
fn surface_size(event: &mut Event<'_>) {
    let (Some(x), Some(y)) = (event.device.axis(ABS_X), event.device.axis(ABS_Y)) else { return };
    if x.resolution <= 0 || y.resolution <= 0 {
        return;
    }
    for (key, axis) in [("ID_INPUT_WIDTH_MM", x), ("ID_INPUT_HEIGHT_MM", y)] {
        let range = i64::from(axis.maximum) - i64::from(axis.minimum);
        event.set(key, &(range / i64::from(axis.resolution)).to_string());
    }
}

pub(super) fn persistent_input(event: &mut Event<'_>) {
    let Some(input) = event.input() else { return };
    let is_bluetooth =
        event.on_bus("bluetooth").is_some() || input.capabilities.bustype == BUS_BLUETOOTH;
    if is_bluetooth {
        event.set("ID_BUS", "bluetooth");
        return;
    }
    if event.on_bus("rmi4").is_some() {
        event.set("ID_BUS", "rmi");
    }
    if event.on_bus("serio").is_some() {
        event.set("ID_BUS", "i8042");
    }
    if event.on_bus("usb").is_some() && !event.has("ID_BUS") {
        event.import_usb_id();
    }

    if let Some(class) = input_class(event, input) {
        event.set(".INPUT_CLASS", class);
        if !event.has("ID_SERIAL") {
            event.set("ID_SERIAL", "noserial");
        }
    }
    links_by_id(event);
    if ["acpi", "pci", "platform", "usb"].iter().any(|bus| event.on_bus(bus).is_some()) {
        event.import_path_id();
    }
    links_by_path(event);
}

/// `.INPUT_CLASS`; of several the last one in the rule file.
fn input_class(event: &Event<'_>, input: &Input) -> Option<&'static str> {
    let mut chain = event.device.chain().iter();
    if ["dvb", "DVB", " IR "].iter().any(|part| input.name.contains(part)) {
        Some("ir")
    } else if chain.any(|object| object.driver.as_deref() == Some("pcspkr")) {
        Some("spkr")
    } else if event.has("ID_INPUT_JOYSTICK") {
        Some("joystick")
    } else if ["ID_INPUT_MOUSE", "ID_INPUT_TOUCHPAD", "ID_INPUT_TABLET"]
        .iter()
        .any(|key| event.has(key))
    {
        Some("mouse")
    } else if event.has("ID_INPUT_KEYBOARD") {
        Some("kbd")
    } else {
        None
    }
}

/// `event-` in the names of links to event nodes; `None` for what gets no links.
fn kind_of_node(event: &Event<'_>) -> Option<&'static str> {
    if event.is_named("event") {
        Some("event-")
    } else if event.is_named("mouse") || event.is_named("js") {
        Some("")
    } else {
        None
    }
}

fn links_by_id(event: &mut Event<'_>) {
    let Some(kind) = kind_of_node(event) else { return };
    let interface = event.attributes("bInterfaceNumber").next();
    let (Some(interface), true) = (interface, event.has("ID_BUS")) else { return };
    let id = format!("input/by-id/{}-{}", event.get("ID_BUS"), event.get("ID_SERIAL"));
    let class = event.get(".INPUT_CLASS");
    let link = match (class, interface) {
        ("", _) if kind.is_empty() || event.on_bus("usb").is_none() => return,
        ("", interface) => format!("{id}-event-if{interface}"),
        (class, "" | "00") => format!("{id}-{kind}{class}"),
        (class, interface) => format!("{id}-if{interface}-{kind}{class}"),
    };
    event.link(&link);
}

fn links_by_path(event: &mut Event<'_>) {
    let Some(kind) = kind_of_node(event) else { return };
    for key in ["ID_PATH", "ID_PATH_WITH_USB_REVISION"] {
        if !event.has(key) {
            continue;
        }
        let path = event.get(key);
        let link = match event.get(".INPUT_CLASS") {
            "" if kind.is_empty() => continue,
            "" if !["i2c", "platform", "usb"].iter().any(|bus| event.on_bus(bus).is_some()) => {
                continue;
            }
            "" => format!("input/by-path/{path}-event"),
            class => format!("input/by-path/{path}-{kind}{class}"),
        };
        event.link(&link);
    }
}

pub(super) fn joystick(event: &mut Event<'_>) {
    by_bus(event, "ID_INPUT_JOYSTICK", "joystick");
}

pub(super) fn mouse(event: &mut Event<'_>) {
    if matches!(event.get("ID_BUS"), "bluetooth" | "usb") {
        by_bus(event, "ID_INPUT_MOUSE", "mouse");
    } else if let Some(input) = event.input()
        && event.is_named("event")
        && event.has("ID_INPUT_MOUSE")
        && event.on_bus("serio").is_some_and(|port| port.driver.as_deref() == Some("psmouse"))
    {
        event.import_hwdb(&format!("mouse:ps2::name:{}:", substituted(&input.name)));
    }
}

pub(super) fn touchpad(event: &mut Event<'_>) {
    by_bus(event, "ID_INPUT_TOUCHPAD", "touchpad");
}

/// What the hardware database says of event nodes of one class on their bus.
fn by_bus(event: &mut Event<'_>, class: &str, prefix: &str) {
    let Some(input) = event.input() else { return };
    if event.is_named("event") && event.has(class) && event.has("ID_BUS") {
        event.import_hwdb(&format!("{prefix}:{}:{}", event.get("ID_BUS"), hardware(input)));
    }
}

pub(super) fn power_switch(event: &mut Event<'_>) {
    let is_event = event.is_in("input") && event.is_named("event");
    if is_event && ["ID_INPUT_KEY", "ID_INPUT_SWITCH"].iter().any(|key| event.get(key) == "1") {
        event.tag("power-switch");
    }
}
