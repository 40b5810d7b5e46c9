//! What the DualShock 4 and the DualSense have in common.
//!
//! Sources for layouts and numbers: drivers/hid/hid-playstation.c, and SDL's SDL_hidapi_ps4.c and
//! SDL_hidapi_ps5.c for what the kernel leaves alone.

use std::f32::consts::PI;

use super::state::{
    Battery, Button, STANDARD_GRAVITY, State, Touch, scaled, scaled_i16, scaled_u8,
};

/// What a gyroscope counts per degree and second, by our calibration: with 16 bit it goes to 2048
/// degrees per second, which is where the driver's range ends (`DS_GYRO_RANGE`).
const GYRO_PER_DEGREE: f32 = 16.0;
/// What an accelerometer counts per g, by our calibration; the driver reports the same
/// (`DS_ACC_RES_PER_G`).
const ACCEL_PER_G: f32 = 8192.0;
/// The rate at which the gyroscopes were calibrated, in degrees per second, as real pads have it.
const CALIBRATION_SPEED: i16 = 540;
/// What they counted then: `CALIBRATION_SPEED * GYRO_PER_DEGREE`.
const CALIBRATION_GYRO: i16 = 8640;
/// What the accelerometers counted at 1 g.
const CALIBRATION_ACCEL: i16 = 8192;

/// `DS_TOUCH_POINT_INACTIVE`.
const NO_TOUCH: u8 = 0x80;

/// The hat's value in the middle.
const HAT_CENTRE: u8 = 8;

/// In which order a calibration report has its gyroscope values.
#[derive(Clone, Copy, Debug)]
pub(super) enum GyroOrder {
    /// Plus and minus of each axis.
    ByAxis,
    /// Plus of all axes, then minus of all: the DualShock 4 over Bluetooth.
    BySign,
}

/// The first 35 bytes of the calibration report: no axis is off, all have the same scale.
pub(super) fn calibration(number: u8, order: GyroOrder) -> [u8; 35] {
    let (plus, minus) = (CALIBRATION_GYRO, -CALIBRATION_GYRO);
    let gyro = match order {
        GyroOrder::ByAxis => [plus, minus, plus, minus, plus, minus],
        GyroOrder::BySign => [plus, plus, plus, minus, minus, minus],
    };
    let bias = [0; 3];
    let speed = [CALIBRATION_SPEED; 2];
    let (plus, minus) = (CALIBRATION_ACCEL, -CALIBRATION_ACCEL);
    let accel = [plus, minus, plus, minus, plus, minus];
    let values = bias.into_iter().chain(gyro).chain(speed).chain(accel);
    let mut report = [0; 35];
    report[0] = number;
    for (field, value) in report[1..].chunks_exact_mut(2).zip(values) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    report
}

/// The four stick axes: 0 is left or up, 128 the middle, 255 right or down.
pub(super) fn sticks(state: &State) -> [u8; 4] {
    let [x, y] = state.left_stick;
    let [rx, ry] = state.right_stick;
    [x, y, rx, ry].map(|value| scaled_u8(if value.is_nan() { 1.0 } else { value + 1.0 }, 127.5))
}

/// The triggers: 0 is let go, 255 all the way down.
pub(super) fn triggers(state: &State) -> [u8; 2] {
    [state.left_trigger, state.right_trigger].map(|value| scaled_u8(value, 255.0))
}

/// The first two bytes of buttons. The triggers' own buttons are down as soon as the triggers move.
pub(super) fn buttons(state: &State) -> [u8; 2] {
    // Clockwise from the top; `ps_gamepad_hat_mapping`.
    let hat = match state.buttons.directions() {
        (0, -1) => 0,
        (1, -1) => 1,
        (1, 0) => 2,
        (1, 1) => 3,
        (0, 1) => 4,
        (-1, 1) => 5,
        (-1, 0) => 6,
        (-1, -1) => 7,
        _ => HAT_CENTRE,
    };
    let face = state.buttons.bits(&[
        (Button::West, 0x10),
        (Button::South, 0x20),
        (Button::East, 0x40),
        (Button::North, 0x80),
    ]);
    let others = state.buttons.bits(&[
        (Button::L1, 0x01),
        (Button::R1, 0x02),
        (Button::Select, 0x10),
        (Button::Start, 0x20),
        (Button::L3, 0x40),
        (Button::R3, 0x80),
    ]);
    let [left, right] = triggers(state).map(|trigger| u8::from(trigger > 0));
    [hat | face, others | left << 2 | right << 3]
}

/// Gyroscope and accelerometer, x, y, z each.
pub(super) fn motion(state: &State) -> [u8; 12] {
    let gyro = state.gyro.map(|value| scaled_i16(value, GYRO_PER_DEGREE * 180.0 / PI));
    let accel = state.accel.map(|value| scaled_i16(value, ACCEL_PER_G / STANDARD_GRAVITY));
    let mut bytes = [0; 12];
    for (field, value) in bytes.chunks_exact_mut(2).zip(gyro.into_iter().chain(accel)) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// A finger on a touchpad of this many points: 12 bits each way.
pub(super) fn touch(touch: Option<Touch>, width: i16, height: i16) -> [u8; 4] {
    let Some(Touch { id, x, y }) = touch else {
        return [NO_TOUCH, 0, 0, 0];
    };
    let point = |value, size: i16| {
        let last = size - 1;
        u16::try_from(scaled(value, f32::from(last), (0, last.into()))).unwrap_or_default()
    };
    let [x_low, x_high] = point(x, width).to_le_bytes();
    let [y_low, y_high] = (point(y, height) << 4).to_le_bytes();
    [id & !NO_TOUCH, x_low, x_high | y_low, y_high]
}

/// The battery's charge in steps of ten percent, 0 to 10.
pub(super) fn battery_level(battery: Battery) -> u8 {
    battery.percent.min(100) / 10
}

/// A motor's strength as the reports have it.
pub(super) fn motor(strength: u8) -> f32 {
    f32::from(strength) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sticks_have_their_middle_at_128_and_reach_both_ends() {
        let state =
            State { left_stick: [-1.0, 1.0], right_stick: [0.0, f32::NAN], ..State::NEUTRAL };
        assert_eq!(sticks(&state), [0, 255, 128, 128]);
    }

    #[test]
    fn the_hat_goes_clockwise_from_the_top() {
        let hat = |buttons| buttons_of(buttons)[0] & 0x0f;
        assert_eq!(hat(Button::Up.into()), 0);
        assert_eq!(hat(Button::Up | Button::Right), 1);
        assert_eq!(hat(Button::Right.into()), 2);
        assert_eq!(hat(Button::Down | Button::Right), 3);
        assert_eq!(hat(Button::Down.into()), 4);
        assert_eq!(hat(Button::Down | Button::Left), 5);
        assert_eq!(hat(Button::Left.into()), 6);
        assert_eq!(hat(Button::Up | Button::Left), 7);
        assert_eq!(hat(Button::Left | Button::Right), 8);
    }

    fn buttons_of(held: crate::uhid::Buttons) -> [u8; 2] {
        buttons(&State { buttons: held, ..State::NEUTRAL })
    }

    #[test]
    fn a_trigger_that_moves_is_a_button_too() {
        let state = State { left_trigger: 0.01, right_trigger: 1.0, ..State::NEUTRAL };
        assert_eq!(triggers(&state), [3, 255]);
        assert_eq!(buttons(&state)[1], 0x0c);
    }

    /// As hid-playstation computes: `raw * speed_2x * 1024 / (plus + minus)` for the gyroscope in 1/1024
    /// degrees per second, `raw * 2 * 8192 / range` for the accelerometer in 1/8192 g.
    #[test]
    fn the_calibration_turns_counts_into_the_drivers_units() {
        let report = calibration(5, GyroOrder::ByAxis);
        let value = |at: usize| i32::from(i16::from_le_bytes([report[at], report[at + 1]]));
        let speed = value(19) + value(21);
        let range = value(7).abs() + value(9).abs();
        // 16 counts are a degree per second.
        assert_eq!(16 * speed * 1024 / range, 1024);
        assert_eq!(value(23) - value(25), 2 * 8192);
        let state = State { gyro: [PI, -PI / 180.0, 0.0], ..State::NEUTRAL };
        let motion = motion(&state);
        let count = |at: usize| i16::from_le_bytes([motion[at], motion[at + 1]]);
        assert_eq!((count(0), count(2), count(4)), (180 * 16, -16, 0));
        assert_eq!((count(6), count(8), count(10)), (0, 8192, 0));
    }

    #[test]
    fn the_bluetooth_calibration_of_the_dualshock_has_all_pluses_first() {
        let by_sign = calibration(5, GyroOrder::BySign);
        assert_eq!(by_sign[7..13], [0xc0, 0x21, 0xc0, 0x21, 0xc0, 0x21]);
        assert_eq!(by_sign[13..19], [0x40, 0xde, 0x40, 0xde, 0x40, 0xde]);
    }

    #[test]
    fn a_touch_has_12_bits_each_way_and_its_id() {
        let corner = Touch { id: 0x85, x: 1.0, y: 1.0 };
        // 1919 is 0x77f, 1079 is 0x437.
        assert_eq!(touch(Some(corner), 1920, 1080), [0x05, 0x7f, 0x77, 0x43]);
        assert_eq!(touch(None, 1920, 1080), [0x80, 0, 0, 0]);
    }
}
