//! 50-udev-default.rules.

use super::event::Event;

pub(super) fn apply(event: &mut Event<'_>) {
    if event.is_in("hidraw") {
        event.import_hwdb_of(None, "");
    }
    if event.is_usb_device() && event.import_usb_id() {
        event.import_hwdb_of(Some("usb"), "");
    }
    if event.has("MODALIAS") {
        let subsystem = event.device.subsystem();
        event.import_hwdb_of(Some(subsystem), "");
    }
    if ["pci", "platform", "usb"].contains(&event.device.subsystem()) {
        event.import_path_id();
    }
}
