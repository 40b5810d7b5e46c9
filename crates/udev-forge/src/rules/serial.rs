//! 60-serial.rules: serial lines.

use super::event::Event;
use crate::text::substituted;

pub(super) fn apply(event: &mut Event<'_>) {
    if !event.is_in("tty") {
        return;
    }
    if event.on_bus("usb").is_some() && event.import_usb_id() {
        event.import_hwdb_of(Some("usb"), "");
    }
    if let Some(parent) = event.on_bus("pci")
        && !event.has("ID_BUS")
    {
        event.set("ID_BUS", "pci");
        event.set("ID_VENDOR_ID", &substituted(parent.attribute("vendor").unwrap_or_default()));
        event.set("ID_MODEL_ID", &substituted(parent.attribute("device").unwrap_or_default()));
        event.import_hwdb_of(Some("pci"), "");
    }

    if !event.is_numbered("ttyUSB") && !event.is_numbered("ttyACM") {
        return;
    }
    if let Some(parent) = event.on_bus("usb-serial") {
        event.set(".ID_PORT", &substituted(parent.attribute("port_number").unwrap_or_default()));
    }
    event.import_path_id();
    let port = match event.get(".ID_PORT") {
        "" => String::new(),
        port => format!("-port{port}"),
    };
    for key in ["ID_PATH", "ID_PATH_WITH_USB_REVISION"] {
        if event.has(key) {
            event.link(&format!("serial/by-path/{}{port}", event.get(key)));
        }
    }
    let [bus, serial, interface] =
        ["ID_BUS", "ID_SERIAL", "ID_USB_INTERFACE_NUM"].map(|key| event.get(key));
    if !bus.is_empty() && !serial.is_empty() && !interface.is_empty() {
        event.link(&format!("serial/by-id/{bus}-{serial}-if{interface}{port}"));
    }
}
