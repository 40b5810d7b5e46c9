//! Where is the device plugged in? The answer of udev's `path_id` builtin
//! (systemd 257: src/udev/udev-builtin-path_id.c), for the buses that input, serial and USB devices are on.
//! Left out are disks (SCSI, NVMe, cciss) and mainframes.

use std::sync::Arc;

use crate::sysfs::Object;

/// `ID_PATH` and its company.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathId {
    pub(crate) path: String,
    /// The path with the revision of the USB root hub, of which a controller can have two.
    pub(crate) with_usb_revision: Option<String>,
    /// The path as it can stand in a tag.
    pub(crate) tag: String,
}

/// The place of the device at the beginning of `chain`; `None` when its parents have no place that is
/// always the same.
pub(crate) fn path_id(chain: &[Arc<Object>]) -> Option<PathId> {
    let mut parts: Vec<String> = Vec::new();
    let mut is_anchored = false;
    let mut at = 0;
    while let Some(object) = chain.get(at) {
        let name = object.sysname();
        let number = || trailing_number(name);
        let (part, anchors) = match object.subsystem.as_str() {
            "usb" => (usb_part(chain, at), false),
            "serio" => (number().map(|number| format!("serio-{number}")), false),
            "spi" => (number().map(|number| format!("cs-{number}")), false),
            "bcma" => (bcma_part(name), false),
            "virtio" => (None, false),
            bus @ ("pci" | "platform" | "amba" | "acpi" | "xen") => {
                (Some(format!("{bus}-{name}")), true)
            }
            _ => (None, false),
        };
        // One part stands for all parents on the same bus.
        at = match object.subsystem.as_str() {
            "bcma" => at,
            "virtio" => last_on_bus(chain, at),
            _ if part.is_some() => last_on_bus(chain, at),
            _ => at,
        };
        at += 1;
        parts.extend(part);
        is_anchored |= anchors;
    }
    if parts.is_empty() || !is_anchored {
        return None;
    }
    parts.reverse();
    let full = parts.join("-");
    let path = without_usb_revision(&full);
    let tag = tag(path.as_deref().unwrap_or(&full));
    Some(match path {
        Some(path) => PathId { path, with_usb_revision: Some(full), tag },
        None => PathId { path: full, with_usb_revision: None, tag },
    })
}

/// The index of the last of the objects from `at` on that are on the same bus (`skip_subsystem`).
fn last_on_bus(chain: &[Arc<Object>], at: usize) -> usize {
    let bus = chain.get(at).map(|object| object.subsystem.as_str());
    let more = chain.iter().skip(at + 1).take_while(|object| Some(&*object.subsystem) == bus);
    at + more.count()
}

/// `usb-0:1.2:1.0`: the ports down to the device, the number of the bus always 0.
fn usb_part(chain: &[Arc<Object>], at: usize) -> Option<String> {
    let object = chain.get(at)?;
    if !matches!(object.devtype(), "usb_interface" | "usb_device") {
        return None;
    }
    let (_, ports) = object.sysname().split_once('-')?;
    let root_hub = chain.get(last_on_bus(chain, at))?;
    Some(match usb_revision(root_hub) {
        Some(revision) => format!("usbv{revision}-0:{ports}"),
        None => format!("usb-0:{ports}"),
    })
}

/// The revision of USB that a hub speaks, by its protocol (USB 2.0 specification, 11.23.1).
fn usb_revision(hub: &Object) -> Option<u8> {
    match u8::from_str_radix(hub.attribute("bDeviceProtocol")?, 16).ok()? {
        0 if hub.attribute("speed")? == "480" => Some(2),
        0 => Some(1),
        1 | 2 => Some(2),
        3 => Some(3),
        _ => None,
    }
}

/// `bcma-0` for the core `bcma0:0`.
fn bcma_part(name: &str) -> Option<String> {
    let (bus, core) = name.strip_prefix("bcma")?.split_once(':')?;
    let core = core.split(|c: char| !c.is_ascii_digit()).next()?;
    (!core.is_empty() && bus.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| format!("bcma-{core}"))
}

/// The number at the end of a name (`sd_device_get_sysnum`).
fn trailing_number(name: &str) -> Option<&str> {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = name.get(letters..)?;
    (letters > 0 && !number.is_empty()).then_some(number)
}

/// `path` with `usb` for `usbv2`, if that is in it (`add_id_with_usb_revision`).
fn without_usb_revision(path: &str) -> Option<String> {
    let digit = path.find("-usbv")? + "-usbv".len();
    let (before, after) = path.split_at_checked(digit)?;
    let rest = after.strip_prefix(|c: char| c.is_ascii_digit())?;
    rest.starts_with('-').then(|| format!("{}{rest}", before.strip_suffix('v').unwrap_or(before)))
}

/// Every run of other characters than letters, digits and `-` is one underscore (`add_id_tag`).
fn tag(path: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let runs = path.split(|c| !is_kept(c)).filter(|run| !run.is_empty());
    runs.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tags() {
        assert_eq!(trailing_number("serio12"), Some("12"));
        assert_eq!(trailing_number("12"), None);
        assert_eq!(trailing_number("serio"), None);
        assert_eq!(bcma_part("bcma0:3").as_deref(), Some("bcma-3"));
        assert_eq!(tag("pci-0000:00:03.0-usb-0:1:1.0"), "pci-0000_00_03_0-usb-0_1_1_0");
        assert_eq!(
            without_usb_revision("pci-0000:00:03.0-usbv2-0:1").as_deref(),
            Some("pci-0000:00:03.0-usb-0:1")
        );
        assert_eq!(without_usb_revision("pci-0000:00:03.0-usb-0:1"), None);
    }
}
