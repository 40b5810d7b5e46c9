//! The Switch pads with hid-nintendo.

use std::fs;

use evdev::AbsoluteAxisCode as Abs;
use vinput::uhid::{Battery, Button, Feedback, Model, State};

use crate::harness::{
    ABS, KEY, create, event_node, expect_feedback, gamepad, light, light_only_player, only,
    wait_for,
};

#[test]
fn a_switch_pro_reports_controls_motion_and_battery() {
    let Some(pad) = create(Model::SwitchPro, "switch") else { return };
    let mut reader = gamepad(&pad);
    let mut motion = event_node(&pad, "IMU");
    pad.set(&State {
        buttons: Button::South | Button::Capture | Button::Down,
        left_stick: [1.0, -1.0],
        left_trigger: 1.0,
        gyro: [0.0, 0.0, -f32::to_radians(100.0)],
        battery: Battery { percent: 50, charging: true },
        ..State::NEUTRAL
    })
    .unwrap();
    wait_for(
        &mut reader,
        &[
            (KEY, 0x130, 1),
            (KEY, 0x135, 1), // BTN_Z
            (KEY, 0x138, 1), // BTN_TL2
            (ABS, Abs::ABS_X.0, 32767),
            (ABS, Abs::ABS_Y.0, -32767),
            (ABS, Abs::ABS_HAT0Y.0, 1),
        ],
    );
    // 14.247 counts per degree and second, which the driver multiplies by 1000. Gravity is on z.
    wait_for(&mut motion, &[(ABS, Abs::ABS_RX.0, 1_425_000), (ABS, Abs::ABS_Z.0, 4096)]);
    let battery = only(&pad, "power_supply");
    let read = |file| fs::read_to_string(battery.join(file)).unwrap().trim().to_owned();
    assert_eq!((read("capacity_level"), read("status")), ("Normal".into(), "Charging".into()));
    pad.neutral().unwrap();
    wait_for(&mut reader, &[(KEY, 0x130, 0), (ABS, Abs::ABS_X.0, 0), (ABS, Abs::ABS_HAT0Y.0, 0)]);
}

#[test]
fn joy_cons_report_their_own_halves() {
    let Some(left) = create(Model::JoyConLeft, "joy-con-left") else { return };
    let mut reader = gamepad(&left);
    let state = State {
        buttons: Button::Up | Button::Sl | Button::L1,
        left_stick: [-1.0, 0.0],
        ..State::NEUTRAL
    };
    left.set(&state).unwrap();
    // BTN_DPAD_UP, BTN_TL, BTN_TR.
    wait_for(
        &mut reader,
        &[(KEY, 0x220, 1), (KEY, 0x136, 1), (KEY, 0x137, 1), (ABS, Abs::ABS_X.0, -32767)],
    );

    let Some(right) = create(Model::JoyConRight, "joy-con-right") else { return };
    let mut reader = gamepad(&right);
    let mut motion = event_node(&right, "IMU");
    right
        .set(&State { buttons: Button::East.into(), right_trigger: 1.0, ..State::NEUTRAL })
        .unwrap();
    wait_for(&mut reader, &[(KEY, 0x131, 1), (KEY, 0x139, 1)]);
    wait_for(&mut motion, &[(ABS, Abs::ABS_Z.0, 4096)]);
}

#[test]
fn player_and_home_lights_of_switch_pads_come_back() {
    let Some(pad) = create(Model::SwitchPro, "switch-lights") else { return };
    light_only_player(&pad, 4, 4);
    fs::write(light(&pad, ":player-5").join("brightness"), "15").unwrap();
    expect_feedback(&pad, Feedback::HomeLed(1.0));
}
