//! Every known difference, and why it is one.

use udev_forge::Action;

/// A line that udevd wrote otherwise.
pub(crate) struct Difference<'a> {
    /// Of the message; `None` in a record.
    pub(crate) action: Option<Action>,
    pub(crate) devpath: &'a str,
    /// The key, or in parentheses what was compared.
    pub(crate) key: &'a str,
    /// What udevd says; `None` is nothing.
    pub(crate) genuine: Option<&'a str>,
}

/// Why the difference is none that a program could be hurt by. `systemd` is the version of udevd.
pub(crate) fn reason(systemd: u32, difference: &Difference<'_>) -> Option<&'static str> {
    let Difference { action, devpath, key, genuine } = *difference;
    if key == "(order)" {
        return Some(
            "order of the keys: no receiver looks at it, and udevd's depends on which rule first asked \
             for all properties",
        );
    }
    if action == Some(Action::Change) {
        return Some(
            "change: something happened to a device that was there before, such as a lamp that was lit; \
             never forged for a live device",
        );
    }
    let is_on_usb = devpath.contains("/usb1") || devpath.contains("/usb2");
    // What is lost is missing, or is what the rules make of a place or tags that have gone.
    let of_place =
        ["CURRENT_TAGS", "DEVLINKS", "ID_FOR_SEAT", "ID_PATH", "TAGS", "USEC_INITIALIZED"];
    let is_lost = genuine.is_none()
        || ["(header)", "(message)"].contains(&key)
        || of_place.iter().any(|part| key.starts_with(part));
    if is_on_usb && is_lost && matches!(action, Some(Action::Unbind | Action::Remove)) {
        return Some(
            "unbind and remove on a real USB bus: udevd runs its rules on unbind too, when most of the \
             device has gone from sysfs, and loses what it knew; how much is a matter of luck",
        );
    }
    let is_hidraw = devpath.rsplit('/').next().is_some_and(|name| name.starts_with("hidraw"));
    let of_seat =
        ["ID_FOR_SEAT", "ID_PATH", "CURRENT_TAGS", "TAGS", "USEC_INITIALIZED", "DEVLINKS"];
    let of_record = ["G:", "Q:", "I:", "V:", "E:ID_FOR_SEAT", "E:ID_PATH", "(tags)", "(header)"];
    let is_of_seat = of_seat.iter().chain(&of_record).any(|part| key.starts_with(part));
    if systemd < 257 && is_hidraw && is_of_seat {
        return Some("hidraw nodes belong to the seat, and so have a record, since systemd 257");
    }
    if systemd < 257 && action == Some(Action::Remove) && key == "POWER_SUPPLY_TYPE" {
        return Some(
            "Linux 6.1 still says of which type a battery is that goes, 6.12 only its name",
        );
    }
    if systemd < 257 && key == "HID_UNIQ" {
        return Some("systemd 252 broadcasts empty properties, 257 does not");
    }
    let is_revision = key.contains("ID_PATH_WITH_USB_REVISION") || key.contains("-usbv");
    if systemd < 255 && (is_revision || (is_on_usb && key == "DEVLINKS")) {
        return Some("ID_PATH_WITH_USB_REVISION and its links are there since systemd 255");
    }
    None
}
