//! The Switch Pro Controller and the Joy-Con: a dialogue rather than a report.
//!
//! A host first asks for the pad's calibration in small pieces, switches sensors and motors on, and
//! keeps asking whenever it changes a light. Each request is an output report, each answer an input
//! report that also has the state of all controls.
//!
//! Sources: drivers/hid/hid-nintendo.c, SDL's SDL_hidapi_switch.c, and the notes of the project
//! dekuNukem/Nintendo_Switch_Reverse_Engineering ("notes" below).

mod rumble;
mod spi;

use std::f32::consts::PI;
use std::time::Duration;

use super::feedback::Feedback;
use super::mac::Mac;
use super::state::{Button, STANDARD_GRAVITY, State, scaled, scaled_i16};
pub(super) use rumble::Rumble;

/// Which one, with its number in answers (`enum joycon_ctlr_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    JoyConLeft = 1,
    JoyConRight = 2,
    ProUsb = 3,
}

const INPUT_REPLY: u8 = 0x21;
const INPUT_FULL: u8 = 0x30;
const INPUT_USB: u8 = 0x81;
const OUTPUT_SUBCOMMAND: u8 = 0x01;
const OUTPUT_RUMBLE: u8 = 0x10;
const OUTPUT_USB: u8 = 0x80;

const USB_STATUS: u8 = 0x01;

const DEVICE_INFO: u8 = 0x02;
const REPORT_MODE: u8 = 0x03;
const TRIGGER_TIMES: u8 = 0x04;
const SPI_READ: u8 = 0x10;
const SET_PLAYER_LEDS: u8 = 0x30;
const GET_PLAYER_LEDS: u8 = 0x31;
const SET_HOME_LED: u8 = 0x38;

/// Size of a report: on USB all have 64 bytes, over Bluetooth 49.
const USB_SIZE: usize = 64;
const BT_SIZE: usize = 49;

/// Where an answer starts in a report: acknowledgement, subcommand, data.
const REPLY: usize = 13;
/// Most bytes of data in an answer.
const REPLY_DATA: usize = 34;

/// "The motors may be told again"; hid-nintendo asks for it not to be 0.
const VIBRATOR: u8 = 0xb0;

/// What a gyroscope counts per degree and second, with the usual calibration: hid-nintendo's
/// `JC_IMU_GYRO_RES_PER_DPS` / 1000.
const GYRO_PER_DEGREE: f32 = 14.247;
/// What an accelerometer counts per g (`JC_IMU_ACCEL_RES_PER_G`).
const ACCEL_PER_G: f32 = 4096.0;

/// Fractions of a second that the timer in the reports counts: 5 ms (notes).
const TIMER_TICK: u128 = 5;

/// A pad and its part of the dialogue.
#[derive(Debug)]
pub(super) struct Switch {
    kind: Kind,
    mac: Mac,
    /// Bytes 2 to 12 of every report, and the sensors' one.
    controls: [u8; 10],
    motion: [u8; 12],
    player_leds: u8,
    rumble: Rumble,
    /// Whether the host has asked for reports.
    reporting: bool,
    report: [u8; USB_SIZE],
}

impl Switch {
    pub(super) fn new(kind: Kind, mac: Mac) -> Self {
        let mut pad = Self {
            kind,
            mac,
            controls: [0; 10],
            motion: [0; 12],
            player_leds: 0,
            rumble: Rumble::default(),
            reporting: false,
            report: [0; USB_SIZE],
        };
        pad.set(&State::NEUTRAL);
        pad
    }

    /// Goes on where the process before stopped: the host has asked for reports, and these lights are on.
    pub(super) fn resume(&mut self, feedback: &[Feedback]) {
        self.reporting = true;
        for feedback in feedback {
            if let Feedback::PlayerLeds { on, blinking } = feedback {
                self.player_leds = on & 0x0f | blinking << 4;
            }
        }
    }

    /// Takes over a state, for the next report.
    pub(super) fn set(&mut self, state: &State) {
        // Quarters; full is 4. Then: charging, two bits that are 3 on a Joy-Con, powered by USB.
        let level = (state.battery.percent.min(100) + 12) / 25;
        let connection = if self.kind == Kind::ProUsb { 0x01 } else { 0x06 };
        self.controls[0] = level << 5 | u8::from(state.battery.charging) << 4 | connection;
        let buttons = self.buttons(state);
        self.controls[1..4].copy_from_slice(&buttons);
        self.controls[4..7].copy_from_slice(&stick(state.left_stick));
        self.controls[7..10].copy_from_slice(&stick(state.right_stick));
        self.motion = self.sensors(state);
    }

    /// The report that is due now, if the host wants any.
    pub(super) fn report(&mut self, clock: Duration) -> Option<&[u8]> {
        if !self.reporting {
            return None;
        }
        self.start(INPUT_FULL, clock);
        // Three samples; ours are all the newest.
        for sample in self.report[13..49].chunks_exact_mut(12) {
            sample.copy_from_slice(&self.motion);
        }
        Some(&self.report[..self.size()])
    }

    /// Takes an output report; gives the answer to send, if there is to be one.
    pub(super) fn output(
        &mut self,
        report: &[u8],
        clock: Duration,
        mut sink: impl FnMut(Feedback),
    ) -> Option<&[u8]> {
        match report {
            [OUTPUT_USB, command, ..] if self.kind == Kind::ProUsb => {
                self.answer_usb(*command);
                return Some(&self.report[..self.size()]);
            }
            [OUTPUT_RUMBLE | OUTPUT_SUBCOMMAND, _, rest @ ..] => {
                let (motors, rest) = rest.split_first_chunk::<8>()?;
                if let Some(rumble) = self.rumble.update(motors) {
                    sink(rumble);
                }
                if report[0] == OUTPUT_SUBCOMMAND
                    && let [subcommand, arguments @ ..] = rest
                {
                    self.answer(*subcommand, arguments, clock, sink);
                    return Some(&self.report[..self.size()]);
                }
            }
            _ => {}
        }
        None
    }

    fn size(&self) -> usize {
        if self.kind == Kind::ProUsb { USB_SIZE } else { BT_SIZE }
    }

    /// The part of the report that all have.
    fn start(&mut self, number: u8, clock: Duration) {
        self.report.fill(0);
        self.report[0] = number;
        self.report[1] = (clock.as_millis() / TIMER_TICK).to_le_bytes()[0];
        self.report[2..12].copy_from_slice(&self.controls);
        self.report[12] = VIBRATOR;
    }

    /// Commands to the USB chip: status, handshake, speed. Each is confirmed; a real pad does not confirm
    /// the one that forbids it to time out, and hid-nintendo then waits 200 ms in vain.
    fn answer_usb(&mut self, command: u8) {
        self.report.fill(0);
        self.report[..2].copy_from_slice(&[INPUT_USB, command]);
        if command == USB_STATUS {
            self.report[3] = self.kind as u8;
            self.report[4..10].copy_from_slice(&self.mac.reversed());
        }
    }

    fn answer(
        &mut self,
        subcommand: u8,
        arguments: &[u8],
        clock: Duration,
        mut sink: impl FnMut(Feedback),
    ) {
        self.start(INPUT_REPLY, clock);
        // 0x80 says yes; the lower bits say what kind of data comes (notes).
        let mut ack = 0x80;
        let data = &mut self.report[REPLY + 2..REPLY + 2 + REPLY_DATA];
        match (subcommand, arguments) {
            (DEVICE_INFO, _) => {
                ack = 0x82;
                // Firmware 3.72, kind, unknown but always 2, address, unknown, colours are in SPI flash.
                data[..4].copy_from_slice(&[0x03, 0x48, self.kind as u8, 0x02]);
                data[4..10].copy_from_slice(&self.mac.0);
                data[10..12].copy_from_slice(&[0x01, 0x01]);
            }
            (SPI_READ, [a, b, c, d, length, ..]) => {
                ack = 0x90;
                let length = (*length).min(spi::MAX_READ);
                data[..5].copy_from_slice(&[*a, *b, *c, *d, length]);
                let address = u32::from_le_bytes([*a, *b, *c, *d]);
                spi::read(self.kind, address, &mut data[5..5 + usize::from(length)]);
            }
            (TRIGGER_TIMES, _) => ack = 0x83,
            // Whoever asks for other reports than full ones would take them from everybody else: yes,
            // and no change.
            (REPORT_MODE, _) => self.reporting = true,
            (SET_PLAYER_LEDS, [leds, ..]) => {
                self.player_leds = *leds;
                sink(Feedback::PlayerLeds { on: leds & 0x0f, blinking: leds >> 4 });
            }
            (GET_PLAYER_LEDS, _) => {
                ack = 0xb0;
                data[0] = self.player_leds;
            }
            (SET_HOME_LED, [_, start, ..]) => {
                sink(Feedback::HomeLed(f32::from(start >> 4) / 15.0));
            }
            // Sensors, motors, low power: confirmed. They stay on for the other programs.
            _ => {}
        }
        self.report[REPLY..REPLY + 2].copy_from_slice(&[ack, subcommand]);
    }

    /// Three bytes: right side, shared, left side (`JC_BTN_*`). Triggers are buttons here, down from
    /// the middle.
    fn buttons(&self, state: &State) -> [u8; 3] {
        let zr = u8::from(state.right_trigger >= 0.5) << 7;
        let zl = u8::from(state.left_trigger >= 0.5) << 7;
        let rails = [(Button::Sr, 0x10), (Button::Sl, 0x20)];
        let (left_rail, right_rail) = match self.kind {
            Kind::JoyConLeft => (state.buttons.bits(&rails), 0),
            Kind::JoyConRight => (0, state.buttons.bits(&rails)),
            Kind::ProUsb => (0, 0),
        };
        let right = state.buttons.bits(&[
            (Button::West, 0x01),
            (Button::North, 0x02),
            (Button::South, 0x04),
            (Button::East, 0x08),
            (Button::R1, 0x40),
        ]);
        let shared = state.buttons.bits(&[
            (Button::Select, 0x01),
            (Button::Start, 0x02),
            (Button::R3, 0x04),
            (Button::L3, 0x08),
            (Button::Guide, 0x10),
            (Button::Capture, 0x20),
        ]);
        let left = state.buttons.bits(&[
            (Button::Down, 0x01),
            (Button::Up, 0x02),
            (Button::Right, 0x04),
            (Button::Left, 0x08),
            (Button::L1, 0x40),
        ]);
        [right | right_rail | zr, shared, left | left_rail | zl]
    }

    /// Accelerometer and gyroscope. The chip's x points to the triggers, y to the left, z out of the
    /// face; in the right Joy-Con y and z are the other way round (`joycon_parse_imu_report`).
    fn sensors(&self, state: &State) -> [u8; 12] {
        let flip = if self.kind == Kind::JoyConRight { -1.0 } else { 1.0 };
        let chip = |[x, y, z]: [f32; 3]| [-z, -x * flip, y * flip];
        let accel = chip(state.accel).map(|it| scaled_i16(it, ACCEL_PER_G / STANDARD_GRAVITY));
        let gyro = chip(state.gyro).map(|it| scaled_i16(it, GYRO_PER_DEGREE * 180.0 / PI));
        let mut bytes = [0; 12];
        for (field, value) in bytes.chunks_exact_mut(2).zip(accel.into_iter().chain(gyro)) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

/// A stick's two axes of 12 bits; up is more.
fn stick([x, y]: [f32; 2]) -> [u8; 3] {
    let axis = |value: f32| {
        let (centre, reach) = (i32::from(spi::STICK_CENTRE), f32::from(spi::STICK_REACH));
        let limit = i32::from(spi::STICK_REACH);
        u16::try_from(centre + scaled(value, reach, (-limit, limit))).unwrap_or(spi::STICK_CENTRE)
    };
    spi::pack(axis(x), axis(-y))
}

#[cfg(test)]
mod tests;
