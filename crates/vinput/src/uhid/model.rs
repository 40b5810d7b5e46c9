//! Which pads there are.

use std::fmt;
use std::time::Duration;

use super::dualsense::Link;
use super::feature::Feature;
use super::feedback::Feedback;
use super::mac::Mac;
use super::pad::Pad;
use super::switch::Kind;
use super::{dualsense, dualshock4};
use crate::profile::Bus;

/// A pad that this module can be. Vendor and product are those of drivers/hid/hid-ids.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Model {
    /// Sony DualSense on USB.
    DualSense,
    /// Sony DualSense over Bluetooth.
    DualSenseBluetooth,
    /// Sony DualSense Edge on USB.
    DualSenseEdge,
    /// Sony DualShock 4 (second generation) on USB.
    DualShock4,
    /// Sony DualShock 4 (second generation) over Bluetooth.
    DualShock4Bluetooth,
    /// Nintendo Switch Pro Controller on USB.
    SwitchPro,
    /// Nintendo Joy-Con, left, over Bluetooth.
    JoyConLeft,
    /// Nintendo Joy-Con, right, over Bluetooth.
    JoyConRight,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DualSense,
        Self::DualSenseBluetooth,
        Self::DualSenseEdge,
        Self::DualShock4,
        Self::DualShock4Bluetooth,
        Self::SwitchPro,
        Self::JoyConLeft,
        Self::JoyConRight,
    ];

    /// What profiles call it: `dualsense-bt`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DualSense => "dualsense",
            Self::DualSenseBluetooth => "dualsense-bt",
            Self::DualSenseEdge => "dualsense-edge",
            Self::DualShock4 => "dualshock-4",
            Self::DualShock4Bluetooth => "dualshock-4-bt",
            Self::SwitchPro => "switch-pro",
            Self::JoyConLeft => "joy-con-l",
            Self::JoyConRight => "joy-con-r",
        }
    }

    /// The name that a real one has in the kernel: on USB with the maker's.
    #[must_use]
    pub const fn device_name(self) -> &'static str {
        match self {
            Self::DualSense => "Sony Interactive Entertainment DualSense Wireless Controller",
            Self::DualSenseBluetooth => "DualSense Wireless Controller",
            Self::DualSenseEdge => {
                "Sony Interactive Entertainment DualSense Edge Wireless Controller"
            }
            Self::DualShock4 => "Sony Interactive Entertainment Wireless Controller",
            Self::DualShock4Bluetooth => "Wireless Controller",
            Self::SwitchPro => "Nintendo Co., Ltd. Pro Controller",
            Self::JoyConLeft => "Joy-Con (L)",
            Self::JoyConRight => "Joy-Con (R)",
        }
    }

    /// The bus it seems to be on.
    pub(crate) const fn bus(self) -> Bus {
        match self {
            Self::DualSense | Self::DualSenseEdge | Self::DualShock4 | Self::SwitchPro => Bus::Usb,
            Self::DualSenseBluetooth
            | Self::DualShock4Bluetooth
            | Self::JoyConLeft
            | Self::JoyConRight => Bus::Bluetooth,
        }
    }

    /// Its vendor number.
    #[must_use]
    pub const fn vendor(self) -> u16 {
        match self.maker() {
            Maker::Sony => 0x054c,
            Maker::Nintendo => 0x057e,
        }
    }

    /// Its product number.
    #[must_use]
    pub const fn product(self) -> u16 {
        match self {
            Self::DualSense | Self::DualSenseBluetooth => 0x0ce6,
            Self::DualSenseEdge => 0x0df2,
            Self::DualShock4 | Self::DualShock4Bluetooth => 0x09cc,
            Self::SwitchPro => 0x2009,
            Self::JoyConLeft => 0x2006,
            Self::JoyConRight => 0x2007,
        }
    }

    /// Its version, to which the drivers add 0x8000 and by which SDL chooses a mapping: the version of
    /// the HID specification on USB (`usbhid_parse`), the pad's own over Bluetooth.
    pub(super) const fn version(self) -> u16 {
        match self {
            Self::DualSense | Self::DualSenseEdge | Self::DualShock4 | Self::SwitchPro => 0x0111,
            Self::DualSenseBluetooth | Self::DualShock4Bluetooth => 0x0100,
            Self::JoyConLeft | Self::JoyConRight => 0x0001,
        }
    }

    /// Its report descriptor; assets/hid/README.md says where it is from.
    #[must_use]
    pub const fn descriptor(self) -> &'static [u8] {
        match self {
            Self::DualSense => include_bytes!("../../assets/hid/dualsense-usb.bin"),
            Self::DualSenseBluetooth => include_bytes!("../../assets/hid/dualsense-bt.bin"),
            Self::DualSenseEdge => include_bytes!("../../assets/hid/dualsense-edge-usb.bin"),
            Self::DualShock4 => include_bytes!("../../assets/hid/dualshock-4-usb.bin"),
            Self::DualShock4Bluetooth => include_bytes!("../../assets/hid/dualshock-4-bt.bin"),
            Self::SwitchPro => include_bytes!("../../assets/hid/switch-pro-usb.bin"),
            Self::JoyConLeft | Self::JoyConRight => {
                include_bytes!("../../assets/hid/switch-bt.bin")
            }
        }
    }

    /// The kernel's drivers that know the pad, by their names in /sys/bus/hid/drivers, the present one
    /// first. The DualShock 4 moved from hid-sony to hid-playstation in Linux 6.2.
    #[must_use]
    pub const fn drivers(self) -> &'static [&'static str] {
        match self {
            Self::DualSense | Self::DualSenseBluetooth | Self::DualSenseEdge => &["playstation"],
            Self::DualShock4 | Self::DualShock4Bluetooth => &["playstation", "sony"],
            Self::SwitchPro | Self::JoyConLeft | Self::JoyConRight => &["nintendo"],
        }
    }

    /// How often the pad reports when nothing changes. A real pad never stops: SDL takes one that is
    /// silent for 16 ms after it was opened for a lesser model, and hid-nintendo sends nothing to one
    /// that is silent, or that reports more often than every 8 ms or less often than every 17 ms
    /// (`JC_INPUT_REPORT_MIN_DELTA`, `JC_INPUT_REPORT_MAX_DELTA`).
    pub(super) const fn period(self) -> Duration {
        match self.maker() {
            Maker::Sony => Duration::from_millis(8),
            Maker::Nintendo => Duration::from_millis(12),
        }
    }

    /// How many input devices the driver makes of the pad: gamepad, motion sensors, and Sony's touchpad.
    pub(super) const fn input_devices(self) -> usize {
        match self.maker() {
            Maker::Sony => 3,
            Maker::Nintendo => 2,
        }
    }

    const fn maker(self) -> Maker {
        match self {
            Self::SwitchPro | Self::JoyConLeft | Self::JoyConRight => Maker::Nintendo,
            _ => Maker::Sony,
        }
    }

    /// The output report that tells a real pad of this model one thing of `feedback`, for its hidraw node: its number, what it
    /// sets, and nothing else. `None` for what the pad does not have; for the motors, for which there is `FF_RUMBLE`; and for
    /// Nintendo's pads, whose commands have numbers that only their driver knows.
    #[must_use]
    pub fn output_report(self, feedback: Feedback) -> Option<Vec<u8>> {
        match self {
            Self::DualSense | Self::DualSenseEdge => dualsense::output_report(Link::Usb, feedback),
            Self::DualSenseBluetooth => dualsense::output_report(Link::Bluetooth, feedback),
            Self::DualShock4 => dualshock4::output_report(Link::Usb, feedback),
            Self::DualShock4Bluetooth => dualshock4::output_report(Link::Bluetooth, feedback),
            Self::SwitchPro | Self::JoyConLeft | Self::JoyConRight => None,
        }
    }

    /// A new pad of this model.
    pub(super) fn pad(self, mac: Mac) -> Pad {
        use dualsense::DualSense;
        use dualshock4::DualShock4;
        match self {
            Self::DualSense | Self::DualSenseEdge => Pad::DualSense(DualSense::new(Link::Usb)),
            Self::DualSenseBluetooth => Pad::DualSense(DualSense::new(Link::Bluetooth)),
            Self::DualShock4 => Pad::DualShock4(DualShock4::new(Link::Usb)),
            Self::DualShock4Bluetooth => Pad::DualShock4(DualShock4::new(Link::Bluetooth)),
            Self::SwitchPro => Pad::switch(Kind::ProUsb, mac),
            Self::JoyConLeft => Pad::switch(Kind::JoyConLeft, mac),
            Self::JoyConRight => Pad::switch(Kind::JoyConRight, mac),
        }
    }

    /// What the pad answers when it is asked for this feature report.
    pub(super) fn feature(self, mac: Mac, number: u8) -> Option<Feature> {
        match self {
            Self::DualSense | Self::DualSenseEdge => dualsense::feature(Link::Usb, mac, number),
            Self::DualSenseBluetooth => dualsense::feature(Link::Bluetooth, mac, number),
            Self::DualShock4 => dualshock4::feature(Link::Usb, mac, number),
            Self::DualShock4Bluetooth => dualshock4::feature(Link::Bluetooth, mac, number),
            Self::SwitchPro | Self::JoyConLeft | Self::JoyConRight => None,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Sony,
    Nintendo,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the reports that a descriptor declares, in bytes with the number: (kind, number, size).
    fn reports(descriptor: &[u8]) -> Vec<(u8, u8, u32)> {
        let (mut number, mut size, mut count) = (0, 0, 0);
        let mut bits = std::collections::BTreeMap::new();
        let mut rest = descriptor;
        while let [prefix, tail @ ..] = rest {
            let length = [0, 1, 2, 4][usize::from(prefix & 3)];
            let (data, tail) = tail.split_at(length);
            let value = data.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            match prefix & 0xfc {
                0x84 => number = data[0],
                0x74 => size = value,
                0x94 => count = value,
                kind @ (0x80 | 0x90 | 0xb0) => {
                    *bits.entry((kind, number)).or_insert(0) += size * count
                }
                _ => {}
            }
            rest = tail;
        }
        bits.into_iter().map(|((kind, number), bits)| (kind, number, bits / 8 + 1)).collect()
    }

    #[test]
    fn what_is_sent_has_the_size_that_the_descriptor_declares() {
        for model in Model::ALL {
            let declared = reports(model.descriptor());
            let mut pad = model.pad(Mac([2, 0, 0, 0, 0, 1]));
            if let Some(report) = pad.report(Duration::ZERO) {
                let size = declared.iter().find(|it| (it.0, it.1) == (0x80, report[0])).unwrap().2;
                assert_eq!(report.len(), size as usize, "{model}");
            }
            for (kind, number, size) in declared {
                let feature = model.feature(Mac([2, 0, 0, 0, 0, 1]), number);
                if let Some(feature) = feature.filter(|_| kind == 0xb0) {
                    assert_eq!(feature.as_bytes().len(), size as usize, "{model} {number:#x}");
                    assert_eq!(feature.as_bytes()[0], number);
                }
            }
        }
    }

    #[test]
    fn what_a_pad_is_told_is_what_it_hears() {
        use crate::uhid::{MuteLed, Trigger};
        let effect = [0x21, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let all = [
            Feedback::Rumble { low: 1.0, high: 0.5 },
            Feedback::Lightbar { red: 1, green: 2, blue: 255 },
            Feedback::LightbarBlink { on_ms: 2550, off_ms: 10 },
            Feedback::PlayerLeds { on: 0b10101, blinking: 0 },
            Feedback::MuteLed(MuteLed::Pulse),
            Feedback::HomeLed(1.0),
            Feedback::TriggerEffect { trigger: Trigger::Left, effect },
            Feedback::TriggerEffect { trigger: Trigger::Right, effect },
        ];
        let mut told = Vec::new();
        for model in Model::ALL {
            let declared = reports(model.descriptor());
            for feedback in all {
                let Some(report) = model.output_report(feedback) else { continue };
                let size = declared.iter().find(|it| (it.0, it.1) == (0x90, report[0])).unwrap().2;
                // An Edge has room for more than anybody sends to it.
                assert!(report.len() <= size as usize, "{model} {feedback:?}");
                let mut heard = Vec::new();
                let mut pad = model.pad(Mac([2, 0, 0, 0, 0, 1]));
                pad.output(&report, Duration::ZERO, |feedback| heard.push(feedback));
                assert_eq!(heard, [feedback], "{model}");
                told.push(model);
            }
        }
        let count = |model| told.iter().filter(|told| **told == model).count();
        assert_eq!(Model::ALL.map(count), [5, 5, 5, 2, 2, 0, 0, 0]);
    }

    #[test]
    fn names_are_unique_and_are_device_names() {
        let names: std::collections::HashSet<_> = Model::ALL.map(Model::name).into();
        assert_eq!(names.len(), Model::ALL.len());
        assert!(Model::ALL.iter().all(|it| crate::DeviceName::new(it.device_name()).is_ok()));
    }
}
