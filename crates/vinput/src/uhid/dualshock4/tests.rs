use proptest::prelude::*;

use super::*;
use crate::uhid::{Battery, Touch};

const MAC: Mac = Mac([0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee]);

fn told(link: Link, report: &[u8]) -> Vec<Feedback> {
    let mut all = Vec::new();
    DualShock4::new(link).output(report, |feedback| all.push(feedback));
    all
}

#[test]
fn the_usb_report_has_every_control_in_its_place() {
    let mut pad = DualShock4::new(Link::Usb);
    assert!(pad.set(&State {
        buttons: Button::North | Button::Left | Button::Touchpad,
        left_stick: [1.0, 0.0],
        right_trigger: 1.0,
        gyro: [-1.0, 0.0, 0.0],
        touches: [Some(Touch { id: 1, x: 1.0, y: 1.0 }), None],
        battery: Battery { percent: 40, charging: true },
        ..State::NEUTRAL
    }));
    let report = pad.report(Duration::from_micros(1600));
    assert_eq!(report.len(), 64);
    let expected_start = [
        0x01, 255, 128, 128, 128, // number, sticks
        0x86, 0x08, 0x06, // triangle and left; R2; touchpad, and a counter at 1
        0, 255, // triggers
        0x2c, 0x01, 0, // 300 ticks; temperature
        0x6b, 0xfc, 0, 0, 0, 0, // gyro
        0, 0, 0x00, 0x20, 0, 0, // accel
    ];
    assert_eq!(report[..expected_start.len()], expected_start);
    assert_eq!(report[30], 0x14);
    // One report of touches: time, 1919 by 941, nothing.
    assert_eq!(report[33..44], [1, 1, 1, 0x7f, 0xd7, 0x3a, 0x80, 0, 0, 0, 0]);
}

#[test]
fn the_bluetooth_report_is_the_same_one_later_and_sealed() {
    let (mut usb, mut bluetooth) = (DualShock4::new(Link::Usb), DualShock4::new(Link::Bluetooth));
    let usb = usb.report(Duration::ZERO).to_owned();
    let bluetooth = bluetooth.report(Duration::ZERO);
    assert_eq!(bluetooth.len(), 78);
    assert_eq!(bluetooth[..3], [0x11, 0xc0, 0]);
    assert_eq!(bluetooth[3..64], usb[1..62]);
    assert!(crc::is_sealed(crc::INPUT, bluetooth));
}

#[test]
fn only_a_change_is_to_be_reported() {
    let mut pad = DualShock4::new(Link::Usb);
    assert!(!pad.set(&State::NEUTRAL));
    pad.report(Duration::from_secs(1));
    assert!(!pad.set(&State::NEUTRAL));
    assert!(pad.set(&State { left_trigger: 0.5, ..State::NEUTRAL }));
}

#[test]
fn a_full_battery_on_the_cable_is_full() {
    let mut pad = DualShock4::new(Link::Usb);
    pad.set(&State { battery: Battery { percent: 100, charging: true }, ..State::NEUTRAL });
    assert_eq!(pad.report(Duration::ZERO)[30], 0x1b);
}

#[test]
fn each_link_has_its_own_calibration_and_only_usb_the_address() {
    assert!(feature(Link::Usb, MAC, 0x05).is_none());
    assert!(feature(Link::Bluetooth, MAC, 0x02).is_none());
    let calibration = feature(Link::Bluetooth, MAC, 0x05).unwrap();
    assert!(crc::is_sealed(crc::FEATURE, calibration.as_bytes()));
    for number in [0x12, 0x81] {
        let report = feature(Link::Usb, MAC, number).unwrap();
        assert_eq!(report.as_bytes()[1..7], [0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x02]);
        assert!(feature(Link::Bluetooth, MAC, number).is_none());
    }
}

#[test]
fn motors_light_and_blinking_are_feedback() {
    let mut report = [0; 32];
    report[..11].copy_from_slice(&[0x05, 0x07, 0, 0, 0, 255, 10, 20, 30, 50, 5]);
    let expected = [
        Feedback::Rumble { low: 1.0, high: 0.0 },
        Feedback::Lightbar { red: 10, green: 20, blue: 30 },
        Feedback::LightbarBlink { on_ms: 500, off_ms: 50 },
    ];
    assert_eq!(told(Link::Usb, &report), expected);

    let mut bluetooth = [0; 78];
    bluetooth[..3].copy_from_slice(&[0x11, 0xc4, 0]);
    bluetooth[3..13].copy_from_slice(&report[1..11]);
    assert_eq!(told(Link::Bluetooth, &bluetooth), []);
    crc::seal(crc::OUTPUT, &mut bluetooth);
    assert_eq!(told(Link::Bluetooth, &bluetooth), expected);
}

#[test]
fn what_is_not_flagged_is_not_feedback() {
    assert_eq!(told(Link::Usb, &[0x05, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9]), []);
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
}
