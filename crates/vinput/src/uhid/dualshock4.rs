//! The DualShock 4, on USB and Bluetooth.
//!
//! Sources: drivers/hid/hid-playstation.c (`struct dualshock4_*`, `DS4_*`) and, up to Linux 6.1,
//! drivers/hid/hid-sony.c; SDL's SDL_hidapi_ps4.c.

use std::time::Duration;

use super::crc;
use super::dualsense::Link;
use super::feature::Feature;
use super::feedback::Feedback;
use super::mac::Mac;
use super::playstation::{self, GyroOrder};
use super::state::{Button, State};

const INPUT_USB: u8 = 0x01;
const INPUT_BT: u8 = 0x11;
const OUTPUT_USB: u8 = 0x05;
const OUTPUT_BT: u8 = 0x11;
const CALIBRATION_USB: u8 = 0x02;
const CALIBRATION_BT: u8 = 0x05;
const PAIRING: u8 = 0x12;
/// The address alone, as older drivers ask for it.
const ADDRESS: u8 = 0x81;
const FIRMWARE: u8 = 0xa3;

/// Size of the part of the input report that both links have, and of the touches after it.
const COMMON_INPUT: usize = 32;
const TOUCHES: usize = 10;
const USB_SIZE: usize = 64;
/// `DS4_OUTPUT_REPORT_USB_SIZE` and `DS4_OUTPUT_REPORT_BT_SIZE`.
const OUTPUT_USB_SIZE: usize = 32;
const OUTPUT_BT_SIZE: usize = 78;

/// In the second byte of a Bluetooth report: it has controls (`DS4_OUTPUT_HWCTL_HID`) and a checksum.
const BT_HID_AND_CRC: u8 = 0xc0;
/// Milliseconds between two reports of a pad over Bluetooth, which output reports tell beside that
/// (`DS4_BT_DEFAULT_POLL_INTERVAL_MS`).
const BT_INTERVAL: u8 = 4;

const FLAG_MOTOR: u8 = 0x01;
const FLAG_LED: u8 = 0x02;
const FLAG_LED_BLINK: u8 = 0x04;

const TOUCHPAD_WIDTH: i16 = 1920;
const TOUCHPAD_HEIGHT: i16 = 942;

/// `DS4_BATTERY_STATUS_FULL`.
const BATTERY_FULL: u8 = 11;
/// `DS4_STATUS0_CABLE_STATE`.
const CABLE: u8 = 0x10;

/// A pad's current report.
#[derive(Debug)]
pub(super) struct DualShock4 {
    link: Link,
    body: [u8; COMMON_INPUT + TOUCHES],
    sequence: u8,
    report: [u8; 78],
}

impl DualShock4 {
    pub(super) fn new(link: Link) -> Self {
        let body = [0; COMMON_INPUT + TOUCHES];
        let mut pad = Self { link, body, sequence: 0, report: [0; 78] };
        pad.set(&State::NEUTRAL);
        pad
    }

    /// Takes over a state; whether that changes the report.
    pub(super) fn set(&mut self, state: &State) -> bool {
        let old = self.body;
        let body = &mut self.body;
        body[0..4].copy_from_slice(&playstation::sticks(state));
        body[4..6].copy_from_slice(&playstation::buttons(state));
        let held = state.buttons.bits(&[(Button::Guide, 0x01), (Button::Touchpad, 0x02)]);
        body[6] = body[6] & !0x03 | held; // a counter is above
        body[7..9].copy_from_slice(&playstation::triggers(state));
        body[12..24].copy_from_slice(&playstation::motion(state));
        let level = playstation::battery_level(state.battery);
        body[29] = match (state.battery.charging, level) {
            (false, _) => level,
            (true, 10) => CABLE | BATTERY_FULL,
            (true, _) => CABLE | level,
        };
        body[32] = 1; // one report of touches
        for (at, touch) in [34, 38].into_iter().zip(state.touches) {
            let point = playstation::touch(touch, TOUCHPAD_WIDTH, TOUCHPAD_HEIGHT);
            body[at..at + 4].copy_from_slice(&point);
        }
        *body != old
    }

    /// The report as it is to be sent now; `clock` is the sensors' time.
    pub(super) fn report(&mut self, clock: Duration) -> &[u8] {
        self.sequence = self.sequence.wrapping_add(1);
        // A tick of the sensors' clock is 16/3 microseconds.
        let ticks = (clock.as_micros() * 3 / 16).to_le_bytes();
        self.body[6] = self.body[6] & 0x03 | self.sequence << 2;
        self.body[9..11].copy_from_slice(&ticks[..2]);
        self.body[33] = self.sequence;
        match self.link {
            Link::Usb => {
                self.report[0] = INPUT_USB;
                self.report[1..=self.body.len()].copy_from_slice(&self.body);
                &self.report[..USB_SIZE]
            }
            Link::Bluetooth => {
                self.report[0] = INPUT_BT;
                self.report[1] = BT_HID_AND_CRC;
                self.report[3..3 + self.body.len()].copy_from_slice(&self.body);
                crc::seal(crc::INPUT, &mut self.report);
                &self.report
            }
        }
    }

    /// Decodes an output report. A Bluetooth report whose checksum is wrong is ignored, as a pad does.
    pub(super) fn output(&self, report: &[u8], mut sink: impl FnMut(Feedback)) {
        let common = match (self.link, report) {
            (Link::Usb, [OUTPUT_USB, common @ ..]) => common,
            (Link::Bluetooth, [OUTPUT_BT, _, _, common @ ..])
                if crc::is_sealed(crc::OUTPUT, report) =>
            {
                common
            }
            _ => return,
        };
        let Some([flags, _, _, high, low, red, green, blue, on, off]) = common.first_chunk() else {
            return;
        };
        if flags & FLAG_MOTOR != 0 {
            let [low, high] = [*low, *high].map(playstation::motor);
            sink(Feedback::Rumble { low, high });
        }
        if flags & FLAG_LED != 0 {
            sink(Feedback::Lightbar { red: *red, green: *green, blue: *blue });
        }
        if flags & FLAG_LED_BLINK != 0 {
            // In hundredths of a second.
            let [on_ms, off_ms] = [*on, *off].map(|hundredths| u16::from(hundredths) * 10);
            sink(Feedback::LightbarBlink { on_ms, off_ms });
        }
    }
}

/// What tells a real pad one thing, as [`super::dualsense::output_report`] does.
pub(super) fn output_report(link: Link, feedback: Feedback) -> Option<Vec<u8>> {
    let common = match feedback {
        Feedback::Lightbar { red, green, blue } => [FLAG_LED, 0, 0, 0, 0, red, green, blue, 0, 0],
        Feedback::LightbarBlink { on_ms, off_ms } => {
            let [on, off] = [on_ms, off_ms].map(|ms| u8::try_from(ms / 10).unwrap_or(u8::MAX));
            [FLAG_LED_BLINK, 0, 0, 0, 0, 0, 0, 0, on, off]
        }
        _ => return None,
    };
    Some(match link {
        Link::Usb => {
            let mut report = [&[OUTPUT_USB], &common[..]].concat();
            report.resize(OUTPUT_USB_SIZE, 0);
            report
        }
        Link::Bluetooth => {
            let mut report = [&[OUTPUT_BT, BT_HID_AND_CRC | BT_INTERVAL, 0], &common[..]].concat();
            report.resize(OUTPUT_BT_SIZE, 0);
            crc::seal(crc::OUTPUT, &mut report);
            report
        }
    })
}

/// The feature reports that drivers and programs read. Over Bluetooth the pad does not tell its
/// address, by which SDL 2 recognises the link, and only the calibration has a checksum.
pub(super) fn feature(link: Link, mac: Mac, number: u8) -> Option<Feature> {
    let report = match (link, number) {
        (Link::Usb, CALIBRATION_USB) => {
            Feature::new(37, &playstation::calibration(number, GyroOrder::ByAxis))
        }
        (Link::Bluetooth, CALIBRATION_BT) => {
            let start = playstation::calibration(number, GyroOrder::BySign);
            let mut report = Feature::new(41, &start);
            crc::seal(crc::FEATURE, report.as_bytes_mut());
            report
        }
        (Link::Usb, PAIRING) => {
            let mut report = Feature::new(16, &[PAIRING]);
            report.put(1, &mac.reversed());
            report
        }
        (Link::Usb, ADDRESS) => {
            let mut report = Feature::new(7, &[ADDRESS]);
            report.put(1, &mac.reversed());
            report
        }
        (_, FIRMWARE) => firmware(),
        _ => return None,
    };
    Some(report)
}

fn firmware() -> Feature {
    let mut report = Feature::new(49, &[FIRMWARE]);
    report.put(1, b"Sep 21 2018"); // built
    report.put(17, b"04:50:51");
    report.put(33, &0x0100_u16.to_le_bytes());
    report.put(35, &0xb400_u16.to_le_bytes()); // hardware
    report.put(37, &1_u32.to_le_bytes());
    report.put(41, &0xa00a_u16.to_le_bytes()); // firmware
    report
}

#[cfg(test)]
mod tests;
