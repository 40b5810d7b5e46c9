//! HID devices made by /dev/uhid, driven by the kernel's generic driver.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

/// A HID device to be made.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) bus: u16,
    pub(crate) vendor: u32,
    pub(crate) product: u32,
    pub(crate) descriptor: &'static [u8],
}

/// Generic desktop, game pad: 8 buttons, X and Y (HID usage tables 1.12, pages 1 and 9).
const PAD: &[u8] = &[
    0x05, 0x01, 0x09, 0x05, 0xa1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x08, 0x15, 0x00, 0x25, 0x01,
    0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7f,
    0x75, 0x08, 0x95, 0x02, 0x81, 0x02, 0xc0,
];

/// The boot keyboard with its five lamps (Device Class Definition for HID 1.11, appendix B.1).
const KEYBOARD: &[u8] = &[
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01,
    0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08, 0x81, 0x01, 0x95, 0x05, 0x75, 0x01,
    0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06,
    0x75, 0x08, 0x15, 0x00, 0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, 0xc0,
];

pub(crate) const MODELS: &[Model] = &[
    Model { name: "USB pad", bus: 3, vendor: 0x1209, product: 1, descriptor: PAD },
    Model { name: "Bluetooth pad", bus: 5, vendor: 0x1209, product: 2, descriptor: PAD },
    Model { name: "USB keyboard", bus: 3, vendor: 0x1209, product: 3, descriptor: KEYBOARD },
];

/// A HID device; it goes with this value.
pub(crate) struct Uhid(File);

impl Uhid {
    /// `UHID_CREATE2` (linux/uhid.h), and `UHID_START`, which says that the driver is there.
    pub(crate) fn create(model: &Model) -> Self {
        let mut event = 11_u32.to_ne_bytes().to_vec();
        for (text, size) in [(model.name, 128), ("differential/0", 64), ("", 64)] {
            event.extend(text.bytes());
            event.resize(event.len() + size - text.len(), 0);
        }
        event.extend(u16::try_from(model.descriptor.len()).unwrap().to_ne_bytes());
        event.extend(model.bus.to_ne_bytes());
        for number in [model.vendor, model.product, 1, 0] {
            event.extend(number.to_ne_bytes());
        }
        event.extend(model.descriptor);

        let mut file = OpenOptions::new().read(true).write(true).open("/dev/uhid").unwrap();
        file.write_all(&event).unwrap();
        let mut answer = [0; 4380];
        assert!(file.read(&mut answer).unwrap() >= 4);
        assert_eq!(answer[..4], 2_u32.to_ne_bytes(), "UHID_START comes first");
        Self(file)
    }
}

impl Drop for Uhid {
    fn drop(&mut self) {
        // UHID_DESTROY; closing the file would do, but later.
        let _ = self.0.write_all(&1_u32.to_ne_bytes());
    }
}
