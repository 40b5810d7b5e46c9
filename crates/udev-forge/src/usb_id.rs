//! What is the USB device? The answer of udev's `usb_id` builtin
//! (systemd 257: src/udev/udev-builtin-usb_id.c). Left out is what disks say of themselves.

use std::sync::Arc;

use crate::sysfs::Object;
use crate::text::{encoded, word};

/// The sizes of systemd's buffers, less the NUL.
const NAME_LIMIT: usize = 62;
const SERIAL_LIMIT: usize = 511;
const INTERFACES_LIMIT: usize = 512;
/// With the NUL, as [`encoded`] counts.
const ENCODED_LIMIT: usize = 256;

/// `ID_USB_*`; most of it is also `ID_*` where USB is the bus that the device is known by.
#[derive(Debug)]
pub(crate) struct UsbId {
    /// `MODEL`, `MODEL_ENC`, `MODEL_ID` and so on with their values, in udev's order.
    pub(crate) identity: Vec<(&'static str, String)>,
    /// `ID_USB_INTERFACES` and so on.
    pub(crate) usb_only: Vec<(&'static str, String)>,
}

/// The identity of the USB device that the device at the beginning of `chain` is, or belongs to.
pub(crate) fn usb_id(chain: &[Arc<Object>]) -> Option<UsbId> {
    let is = |object: &Object, devtype| object.subsystem == "usb" && object.devtype() == devtype;
    let own_device = chain.first().filter(|own| is(own, "usb_device"));
    let (interface, device) = match own_device {
        Some(device) => (None, device),
        None => {
            let mut parents = chain.iter().skip(1);
            let interface = parents.find(|parent| is(parent, "usb_interface"))?;
            (Some(interface), parents.find(|parent| is(parent, "usb_device"))?)
        }
    };
    let kind = match interface {
        Some(interface) => Some(kind_of(interface.attribute("bInterfaceClass")?)?),
        None => None,
    };

    let vendor_id = device.attribute("idVendor")?;
    let product_id = device.attribute("idProduct")?;
    let vendor = device.attribute("manufacturer").unwrap_or(vendor_id);
    let product = device.attribute("product").unwrap_or(product_id);
    let (vendor_word, product_word) = (word(vendor, NAME_LIMIT), word(product, NAME_LIMIT));
    let serial = device.attribute("serial").filter(|serial| is_usable_serial(serial));
    let serial = serial.map(|serial| word(serial, SERIAL_LIMIT)).unwrap_or_default();
    let mut whole = format!("{vendor_word}_{product_word}");
    if !serial.is_empty() {
        whole = format!("{whole}_{serial}");
    }

    let mut identity = vec![
        ("MODEL", product_word),
        ("MODEL_ENC", encoded(product, ENCODED_LIMIT)),
        ("MODEL_ID", product_id.to_owned()),
        ("SERIAL", whole),
    ];
    if !serial.is_empty() {
        identity.push(("SERIAL_SHORT", serial));
    }
    let revision = device.attribute("bcdDevice").unwrap_or_default();
    identity.extend([
        ("VENDOR", vendor_word),
        ("VENDOR_ENC", encoded(vendor, ENCODED_LIMIT)),
        ("VENDOR_ID", vendor_id.to_owned()),
        ("REVISION", word(revision, NAME_LIMIT)),
    ]);
    identity.extend(kind.map(|kind| ("TYPE", kind.to_owned())));

    let mut usb_only = Vec::new();
    let interfaces = interfaces(&device.descriptors);
    if !interfaces.is_empty() {
        usb_only.push(("ID_USB_INTERFACES", interfaces));
    }
    if let Some(interface) = interface {
        let number = interface.attribute("bInterfaceNumber");
        usb_only.extend(number.map(|number| ("ID_USB_INTERFACE_NUM", number.to_owned())));
        let driver = interface.driver.clone();
        usb_only.extend(driver.map(|driver| ("ID_USB_DRIVER", driver)));
    }
    Some(UsbId { identity, usb_only })
}

/// The word for the class of an interface; `None` when it is not a number.
fn kind_of(class: &str) -> Option<&'static str> {
    Some(match u32::from_str_radix(class, 16).ok()? {
        1 => "audio",
        3 => "hid",
        6 => "media",
        7 => "printer",
        9 => "hub",
        0x0e => "video",
        _ => "generic",
    })
}

/// Serial numbers with other characters are those of devices whose firmware has none.
fn is_usable_serial(serial: &str) -> bool {
    serial.bytes().all(|byte| (0x20..=0x7f).contains(&byte) && byte != b',')
}

/// `:030101:030102:`: class, subclass and protocol of every interface, each once.
fn interfaces(descriptors: &[u8]) -> String {
    /// The size of `struct usb_interface_descriptor`.
    const SIZE: usize = 9;
    const INTERFACE: u8 = 4;
    /// A device descriptor comes first.
    const SMALLEST: usize = 18;

    let mut found = String::new();
    let mut rest = descriptors;
    while descriptors.len() >= SMALLEST
        && rest.len() > SIZE
        && found.len() + 7 < INTERFACES_LIMIT - 2
    {
        let length = usize::from(rest[0]);
        if length < 3 {
            break;
        }
        if length > descriptors.len() - SIZE {
            return found;
        }
        if rest[1] == INTERFACE {
            let [class, subclass, protocol] = [rest[5], rest[6], rest[7]];
            let one = format!(":{class:02x}{subclass:02x}{protocol:02x}");
            if !found.contains(&one) {
                found += &one;
            }
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    if !found.is_empty() {
        found.push(':');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: [u8; 18] = [18, 1, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 1, 2, 3, 1];
    const CONFIGURATION: [u8; 9] = [9, 2, 50, 0, 2, 1, 0, 0xc0, 0];
    const ENDPOINT: [u8; 7] = [7, 5, 0x81, 3, 8, 0, 10];

    fn interface(class: u8, subclass: u8, protocol: u8) -> [u8; 9] {
        [9, 4, 0, 0, 1, class, subclass, protocol, 0]
    }

    #[test]
    fn every_kind_of_interface_is_named_once() {
        let mut descriptors = [&DEVICE[..], &CONFIGURATION].concat();
        for one in [interface(3, 1, 1), interface(3, 1, 1), interface(0xff, 0, 0)] {
            descriptors.extend([&one[..], &ENDPOINT].concat());
        }
        assert_eq!(interfaces(&descriptors), ":030101:ff0000:");
    }

    #[test]
    fn descriptors_that_are_none_say_nothing() {
        assert_eq!(interfaces(&[]), "");
        assert_eq!(interfaces(&DEVICE[..17]), "");
        assert_eq!(interfaces(&[0; 200]), "");
        assert_eq!(interfaces(&[255; 200]), "");
        assert_eq!(interfaces(&[4; 200]), ":040404:");
    }

    #[test]
    fn odd_serial_numbers_are_none() {
        assert!(is_usable_serial("A50285BI"));
        assert!(!is_usable_serial("1,2"));
        assert!(!is_usable_serial("1\u{1}"));
        assert!(!is_usable_serial("ä"));
    }
}
