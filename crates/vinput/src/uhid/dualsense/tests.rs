use proptest::prelude::*;

use super::*;
use crate::uhid::{Battery, Touch};

const MAC: Mac = Mac([0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee]);

fn busy() -> State {
    State {
        buttons: Button::South | Button::Up | Button::R1 | Button::Guide | Button::RightPaddle,
        left_stick: [-1.0, 1.0],
        right_stick: [0.0, 0.5],
        left_trigger: 1.0,
        right_trigger: 0.0,
        gyro: [0.0, 1.0, 0.0],
        accel: [0.0, 0.0, 9.806_65],
        touches: [None, Some(Touch { id: 3, x: 0.5, y: 0.5 })],
        battery: Battery { percent: 55, charging: true },
    }
}

fn told(link: Link, report: &[u8]) -> Vec<Feedback> {
    let mut all = Vec::new();
    DualSense::new(link).output(report, |feedback| all.push(feedback));
    all
}

/// An output report over USB with these bytes of the common part set.
fn usb(bytes: &[(usize, u8)]) -> [u8; 48] {
    let mut report = [0; 48];
    report[0] = OUTPUT_USB;
    for (at, byte) in bytes {
        report[1 + at] = *byte;
    }
    report
}

#[test]
fn the_usb_report_has_every_control_in_its_place() {
    let mut pad = DualSense::new(Link::Usb);
    assert!(pad.set(&busy()));
    let report = pad.report(Duration::from_micros(100));
    assert_eq!(report.len(), 64);
    let expected_start = [
        0x01, 0, 255, 128, 191, 255, 0, 1, // number, sticks, triggers, sequence
        0x20, 0x06, 0x81, 0x00, // cross and up; R1 and L2; PS and paddle
        0, 0, 0, 0, // packet sequence
        0, 0, 0x95, 0x03, 0, 0, // gyro: a radian per second is 917 / 16 degrees
        0, 0, 0, 0, 0x00, 0x20, // accel: 1 g is 8192
        0x2c, 0x01, 0, 0, // 300 ticks
        0, 0x80, 0, 0, 0, 0x03, 0xc0, 0xc3, 0x21, // one touch: 960, 540
    ];
    assert_eq!(report[..expected_start.len()], expected_start);
    assert_eq!(report[53..55], [0x15, 0x08]);
}

#[test]
fn the_bluetooth_report_is_the_same_one_later_and_sealed() {
    let (mut usb, mut bluetooth) = (DualSense::new(Link::Usb), DualSense::new(Link::Bluetooth));
    usb.set(&busy());
    bluetooth.set(&busy());
    let usb = usb.report(Duration::ZERO).to_owned();
    let bluetooth = bluetooth.report(Duration::ZERO);
    assert_eq!(bluetooth.len(), 78);
    assert_eq!(bluetooth[..2], [0x31, 0x11]);
    assert_eq!(bluetooth[2..54], usb[1..53]);
    assert!(crc::is_sealed(crc::INPUT, bluetooth));
}

#[test]
fn only_a_change_is_to_be_reported() {
    let mut pad = DualSense::new(Link::Usb);
    assert!(!pad.set(&State::NEUTRAL));
    assert!(pad.set(&busy()));
    pad.report(Duration::from_secs(1));
    assert!(!pad.set(&busy()));
    assert!(pad.set(&State::NEUTRAL));
}

#[test]
fn a_battery_is_empty_charging_or_full() {
    let status = |percent, charging| {
        let mut pad = DualSense::new(Link::Usb);
        pad.set(&State { battery: Battery { percent, charging }, ..State::NEUTRAL });
        pad.report(Duration::ZERO)[53]
    };
    assert_eq!(status(0, false), 0x00);
    assert_eq!(status(99, false), 0x09);
    assert_eq!(status(100, false), 0x0a);
    assert_eq!(status(255, true), 0x2a);
    assert_eq!(status(10, true), 0x11);
}

#[test]
fn the_address_is_last_byte_first() {
    let pairing = feature(Link::Usb, MAC, 0x09).unwrap();
    assert_eq!(pairing.as_bytes()[..7], [0x09, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x02]);
    assert!(feature(Link::Usb, MAC, 0x77).is_none());
}

#[test]
fn feature_reports_are_sealed_over_bluetooth() {
    for number in [0x05, 0x09, 0x20] {
        let report = feature(Link::Bluetooth, MAC, number).unwrap();
        assert!(crc::is_sealed(crc::FEATURE, report.as_bytes()), "{number:#x}");
    }
}

#[test]
fn the_kernels_rumble_and_lights_are_feedback() {
    // As dualsense_output_worker fills them in.
    let rumble =
        usb(&[(0, FLAG0_HAPTICS_SELECT), (38, FLAG2_COMPATIBLE_VIBRATION), (2, 51), (3, 255)]);
    assert_eq!(told(Link::Usb, &rumble), [Feedback::Rumble { low: 1.0, high: 0.2 }]);
    let lights = usb(&[(1, 0x15), (8, 1), (43, 0x2a), (44, 1), (45, 2), (46, 3)]);
    assert_eq!(
        told(Link::Usb, &lights),
        [
            Feedback::MuteLed(MuteLed::On),
            Feedback::Lightbar { red: 1, green: 2, blue: 3 },
            Feedback::PlayerLeds { on: 0x0a, blinking: 0 },
        ]
    );
    // What only sets up the light bar says nothing about the motors.
    assert_eq!(told(Link::Usb, &usb(&[(38, 0x02), (41, 0x02)])), []);
}

#[test]
fn a_report_that_selects_nothing_stops_the_motors() {
    assert_eq!(told(Link::Usb, &usb(&[])), [Feedback::Rumble { low: 0.0, high: 0.0 }]);
}

#[test]
fn a_trigger_effect_is_passed_on_as_it_is() {
    let weapon = [0x25, 0x04, 0x01, 0x07, 0, 0, 0, 0, 0, 0, 9];
    let mut report = usb(&[(0, FLAG0_LEFT_TRIGGER)]);
    report[22..33].copy_from_slice(&weapon);
    let effect = Feedback::TriggerEffect { trigger: Trigger::Left, effect: weapon };
    assert_eq!(told(Link::Usb, &report), [effect]);
}

#[test]
fn both_forms_of_the_bluetooth_report_are_understood_and_unsealed_ones_ignored() {
    let common = usb(&[(1, FLAG1_LIGHTBAR), (44, 9)])[1..].to_owned();
    let blue = Feedback::Lightbar { red: 9, green: 0, blue: 0 };
    for header in [&[0x31, 0x20, 0x10][..], &[0x31, 0x02]] {
        let mut report = [header, &common].concat();
        report.resize(78, 0);
        assert_eq!(told(Link::Bluetooth, &report), []);
        crc::seal(crc::OUTPUT, &mut report);
        assert_eq!(told(Link::Bluetooth, &report), [blue]);
        assert_eq!(told(Link::Usb, &report), []);
    }
}

proptest! {
    #[test]
    fn any_output_report_is_parsed(mut report in prop::collection::vec(any::<u8>(), 0..200), known: bool) {
        if let (Some(first), true) = (report.first_mut(), known) {
            *first = OUTPUT_USB;
        }
        told(Link::Usb, &report);
        if let (Some(first), true) = (report.first_mut(), known) {
            *first = OUTPUT_BT;
        }
        crc::seal(crc::OUTPUT, &mut report);
        told(Link::Bluetooth, &report);
    }

    #[test]
    fn any_state_is_a_report(sticks: [f32; 4], triggers: [f32; 2], motion: [f32; 6], percent: u8) {
        let [x, y, rx, ry] = sticks;
        let [gx, gy, gz, ax, ay, az] = motion;
        let state = State {
            left_stick: [x, y],
            right_stick: [rx, ry],
            left_trigger: triggers[0],
            right_trigger: triggers[1],
            gyro: [gx, gy, gz],
            accel: [ax, ay, az],
            touches: [Some(Touch { id: percent, x, y: ry }), None],
            battery: Battery { percent, charging: true },
            ..State::NEUTRAL
        };
        for link in [Link::Usb, Link::Bluetooth] {
            let mut pad = DualSense::new(link);
            pad.set(&state);
            pad.report(Duration::MAX);
        }
    }
}
