//! The DualSense and the DualSense Edge, on USB and Bluetooth.
//!
//! Sources: drivers/hid/hid-playstation.c (`struct dualsense_input_report`,
//! `struct dualsense_output_report_common`, `DS_*`), and SDL's SDL_hidapi_ps5.c for what the kernel does not
//! use: trigger effects, paddles, and two forms of the Bluetooth output report.

use std::time::Duration;

use super::crc;
use super::feature::Feature;
use super::feedback::{Feedback, MuteLed, Trigger};
use super::mac::Mac;
use super::playstation::{self, GyroOrder};
use super::state::{Button, State};

/// How the pad is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Usb,
    Bluetooth,
}

const INPUT_USB: u8 = 0x01;
const INPUT_BT: u8 = 0x31;
const OUTPUT_USB: u8 = 0x02;
const OUTPUT_BT: u8 = 0x31;
const CALIBRATION: u8 = 0x05;
const PAIRING: u8 = 0x09;
const FIRMWARE: u8 = 0x20;

/// Size of the part of the reports that both links have.
const COMMON_INPUT: usize = 63;
const COMMON_OUTPUT: usize = 47;
const OUTPUT_BT_SIZE: usize = 78;

/// `DS_OUTPUT_TAG`: in the third byte of the kernel's Bluetooth reports.
const OUTPUT_TAG: u8 = 0x10;
/// In the second byte of SDL's, which have no third byte before the common part.
const OUTPUT_MAGIC: u8 = 0x02;

// Flags of the output report. Those of the triggers and of SDL's are not in the kernel.
const FLAG0_COMPATIBLE_VIBRATION: u8 = 0x01;
const FLAG0_HAPTICS_SELECT: u8 = 0x02;
const FLAG0_RIGHT_TRIGGER: u8 = 0x04;
const FLAG0_LEFT_TRIGGER: u8 = 0x08;
const FLAG1_MUTE_LED: u8 = 0x01;
const FLAG1_LIGHTBAR: u8 = 0x04;
const FLAG1_PLAYER_LEDS: u8 = 0x10;
const FLAG2_COMPATIBLE_VIBRATION: u8 = 0x04;

/// The five lights. The bit above them says that they change at once.
const PLAYER_LEDS: u8 = 0x1f;

const TOUCHPAD_WIDTH: i16 = 1920;
const TOUCHPAD_HEIGHT: i16 = 1080;

/// The sensors' clock: three ticks are a microsecond.
const TICKS_PER_MICROSECOND: u128 = 3;

/// A pad's current report.
#[derive(Debug)]
pub(super) struct DualSense {
    link: Link,
    common: [u8; COMMON_INPUT],
    sequence: u8,
    report: [u8; 78],
}

impl DualSense {
    pub(super) fn new(link: Link) -> Self {
        let mut pad = Self { link, common: [0; COMMON_INPUT], sequence: 0, report: [0; 78] };
        pad.set(&State::NEUTRAL);
        pad
    }

    /// Takes over a state; whether that changes the report.
    pub(super) fn set(&mut self, state: &State) -> bool {
        let old = self.common;
        let common = &mut self.common;
        common[0..4].copy_from_slice(&playstation::sticks(state));
        common[4..6].copy_from_slice(&playstation::triggers(state));
        common[7..9].copy_from_slice(&playstation::buttons(state));
        common[9] = state.buttons.bits(&[
            (Button::Guide, 0x01),
            (Button::Touchpad, 0x02),
            (Button::Mute, 0x04),
            (Button::LeftFn, 0x10),
            (Button::RightFn, 0x20),
            (Button::LeftPaddle, 0x40),
            (Button::RightPaddle, 0x80),
        ]);
        common[15..27].copy_from_slice(&playstation::motion(state));
        for (at, touch) in [32, 36].into_iter().zip(state.touches) {
            let point = playstation::touch(touch, TOUCHPAD_WIDTH, TOUCHPAD_HEIGHT);
            common[at..at + 4].copy_from_slice(&point);
        }
        let level = playstation::battery_level(state.battery);
        let status = match (state.battery.charging, level) {
            (false, _) => 0,
            (true, 10) => 2, // full
            (true, _) => 1,
        };
        common[52] = status << 4 | level;
        common[53] = if self.link == Link::Usb { 0x08 } else { 0 };
        *common != old
    }

    /// The report as it is to be sent now; `clock` is the sensors' time.
    pub(super) fn report(&mut self, clock: Duration) -> &[u8] {
        self.sequence = self.sequence.wrapping_add(1);
        let ticks = (clock.as_micros() * TICKS_PER_MICROSECOND).to_le_bytes();
        self.common[6] = self.sequence;
        self.common[27..31].copy_from_slice(&ticks[..4]);
        match self.link {
            Link::Usb => {
                self.report[0] = INPUT_USB;
                self.report[1..=COMMON_INPUT].copy_from_slice(&self.common);
                &self.report[..=COMMON_INPUT]
            }
            Link::Bluetooth => {
                self.report[0] = INPUT_BT;
                self.report[1] = self.sequence << 4 | 0x01; // bit 0: a state, not sound
                self.report[2..2 + COMMON_INPUT].copy_from_slice(&self.common);
                crc::seal(crc::INPUT, &mut self.report);
                &self.report
            }
        }
    }

    /// Decodes an output report. A Bluetooth report whose checksum is wrong is ignored, as a pad does;
    /// SDL sends such ones on purpose.
    pub(super) fn output(&self, report: &[u8], mut sink: impl FnMut(Feedback)) {
        let common = match (self.link, report) {
            (Link::Usb, [OUTPUT_USB, common @ ..]) => common,
            (Link::Bluetooth, [OUTPUT_BT, second, rest @ ..])
                if crc::is_sealed(crc::OUTPUT, report) =>
            {
                match rest {
                    [OUTPUT_TAG, common @ ..] if second & OUTPUT_MAGIC == 0 => common,
                    common => common,
                }
            }
            _ => return,
        };
        let Some(common) = common.first_chunk::<COMMON_OUTPUT>() else { return };
        let [flag0, flag1, flag2] = [common[0], common[1], common[38]];

        let vibration =
            flag0 & FLAG0_COMPATIBLE_VIBRATION != 0 || flag2 & FLAG2_COMPATIBLE_VIBRATION != 0;
        if vibration || flag0 & FLAG0_HAPTICS_SELECT != 0 {
            let [high, low] = [common[2], common[3]].map(playstation::motor);
            sink(Feedback::Rumble { low, high });
        } else if [flag0, flag1, flag2] == [0; 3] {
            // What SDL sends to stop: nothing is selected, so the motors go back to sound, of which we
            // have none.
            sink(Feedback::Rumble { low: 0.0, high: 0.0 });
        }
        let triggers = [
            (FLAG0_RIGHT_TRIGGER, Trigger::Right, &common[10..21]),
            (FLAG0_LEFT_TRIGGER, Trigger::Left, &common[21..32]),
        ];
        for (flag, trigger, bytes) in triggers {
            if flag0 & flag != 0 {
                let mut effect = [0; 11];
                effect.copy_from_slice(bytes);
                sink(Feedback::TriggerEffect { trigger, effect });
            }
        }
        if flag1 & FLAG1_MUTE_LED != 0 {
            sink(Feedback::MuteLed(match common[8] {
                0 => MuteLed::Off,
                1 => MuteLed::On,
                _ => MuteLed::Pulse,
            }));
        }
        if flag1 & FLAG1_LIGHTBAR != 0 {
            sink(Feedback::Lightbar { red: common[44], green: common[45], blue: common[46] });
        }
        if flag1 & FLAG1_PLAYER_LEDS != 0 {
            sink(Feedback::PlayerLeds { on: common[43] & PLAYER_LEDS, blinking: 0 });
        }
    }
}

/// What tells a real pad one thing, and leaves everything else to whoever set it: a report takes effect only in what its flags
/// name. `None` for what the pad does not have, and for the motors, which are the driver's.
pub(super) fn output_report(link: Link, feedback: Feedback) -> Option<Vec<u8>> {
    let mut common = [0; COMMON_OUTPUT];
    match feedback {
        Feedback::TriggerEffect { trigger: Trigger::Right, effect } => {
            common[0] = FLAG0_RIGHT_TRIGGER;
            common[10..21].copy_from_slice(&effect);
        }
        Feedback::TriggerEffect { trigger: Trigger::Left, effect } => {
            common[0] = FLAG0_LEFT_TRIGGER;
            common[21..32].copy_from_slice(&effect);
        }
        Feedback::MuteLed(led) => {
            common[1] = FLAG1_MUTE_LED;
            common[8] = match led {
                MuteLed::Off => 0,
                MuteLed::On => 1,
                MuteLed::Pulse => 2,
            };
        }
        Feedback::Lightbar { red, green, blue } => {
            common[1] = FLAG1_LIGHTBAR;
            common[44..].copy_from_slice(&[red, green, blue]);
        }
        Feedback::PlayerLeds { on, .. } => {
            common[1] = FLAG1_PLAYER_LEDS;
            common[43] = on & PLAYER_LEDS;
        }
        _ => return None,
    }
    Some(match link {
        Link::Usb => [&[OUTPUT_USB], &common[..]].concat(),
        Link::Bluetooth => {
            let mut report = [&[OUTPUT_BT, OUTPUT_MAGIC], &common[..]].concat();
            report.resize(OUTPUT_BT_SIZE, 0);
            crc::seal(crc::OUTPUT, &mut report);
            report
        }
    })
}

/// The feature reports that drivers and programs read.
pub(super) fn feature(link: Link, mac: Mac, number: u8) -> Option<Feature> {
    let mut report = match number {
        CALIBRATION => Feature::new(41, &playstation::calibration(CALIBRATION, GyroOrder::ByAxis)),
        PAIRING => {
            let mut report = Feature::new(20, &[PAIRING]);
            report.put(1, &mac.reversed());
            report
        }
        FIRMWARE => firmware(),
        _ => return None,
    };
    if link == Link::Bluetooth {
        crc::seal(crc::FEATURE, report.as_bytes_mut());
    }
    Some(report)
}

/// A firmware with the newer way to rumble, which is stronger and needs no halving: from 2.21 for the
/// kernel, 2.24 for SDL.
fn firmware() -> Feature {
    let mut report = Feature::new(64, &[FIRMWARE]);
    report.put(1, b"Jun 19 202314:47:34"); // built
    report.put(20, &[0x03, 0x00, 0x44, 0x00]); // type and series
    report.put(24, &0x0100_0208_u32.to_le_bytes()); // hardware
    report.put(28, &0x0100_0036_u32.to_le_bytes()); // firmware
    report.put(44, &0x0630_u16.to_le_bytes()); // "update version"
    report
}

#[cfg(test)]
mod tests;
