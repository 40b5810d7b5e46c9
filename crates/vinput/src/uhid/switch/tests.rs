use proptest::prelude::*;

use super::*;
use crate::uhid::Battery;

const MAC: Mac = Mac([0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee]);
const QUIET: [u8; 8] = [0x00, 0x01, 0x40, 0x40, 0x00, 0x01, 0x40, 0x40];

/// The answer to a subcommand, and the feedback.
fn ask(pad: &mut Switch, subcommand: u8, arguments: &[u8]) -> (Vec<u8>, Vec<Feedback>) {
    let request = [&[0x01, 0x00][..], &QUIET, &[subcommand], arguments].concat();
    let mut all = Vec::new();
    let answer = pad.output(&request, Duration::ZERO, |feedback| all.push(feedback));
    (answer.unwrap().to_owned(), all)
}

fn usb(pad: &mut Switch, command: u8) -> Vec<u8> {
    pad.output(&[0x80, command], Duration::ZERO, |_| {}).unwrap().to_owned()
}

#[test]
fn the_usb_handshake_is_confirmed_and_tells_kind_and_address() {
    let mut pad = Switch::new(Kind::ProUsb, MAC);
    for command in [0x02, 0x03, 0x02, 0x04] {
        assert_eq!(usb(&mut pad, command)[..2], [0x81, command]);
    }
    let status = usb(&mut pad, 0x01);
    assert_eq!(status.len(), 64);
    assert_eq!(status[..10], [0x81, 0x01, 0x00, 0x03, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x02]);
}

#[test]
fn a_joy_con_knows_no_usb_commands() {
    let mut pad = Switch::new(Kind::JoyConLeft, MAC);
    assert_eq!(pad.output(&[0x80, 0x02], Duration::ZERO, |_| {}), None);
}

#[test]
fn the_device_info_has_kind_and_address() {
    let mut pad = Switch::new(Kind::JoyConRight, MAC);
    let (answer, _) = ask(&mut pad, 0x02, &[]);
    assert_eq!(answer.len(), 49);
    assert_eq!((answer[0], &answer[13..15]), (0x21, &[0x82, 0x02][..]));
    assert_eq!(answer[17], 2);
    assert_eq!(answer[19..25], MAC.0);
}

#[test]
fn flash_memory_is_read_in_pieces_and_a_long_read_is_cut_off() {
    let mut pad = Switch::new(Kind::ProUsb, MAC);
    let (answer, _) = ask(&mut pad, 0x10, &[0x20, 0x60, 0, 0, 24]);
    assert_eq!(answer[13..20], [0x90, 0x10, 0x20, 0x60, 0, 0, 24]);
    assert_eq!(answer[26..28], [0x00, 0x40]);
    let (answer, _) = ask(&mut pad, 0x10, &[0x20, 0x60, 0, 0, 200]);
    assert_eq!(answer[19], spi::MAX_READ);
}

#[test]
fn it_reports_after_it_was_asked_to_and_goes_on_whatever_others_ask() {
    let mut pad = Switch::new(Kind::ProUsb, MAC);
    assert_eq!(pad.report(Duration::ZERO), None);
    ask(&mut pad, 0x03, &[0x30]);
    ask(&mut pad, 0x03, &[0x3f]);
    ask(&mut pad, 0x40, &[0x00]);
    pad.set(&State { gyro: [0.0, 0.0, -1.0], ..State::NEUTRAL });
    let report = pad.report(Duration::from_millis(50)).unwrap();
    assert_eq!((report.len(), report[0], report[1]), (64, 0x30, 10));
    // The sensors' x is our −z: a radian per second is 816 of 14.247 per degree.
    assert_eq!(report[19..21], 816_i16.to_le_bytes());
    assert_eq!(report[13..25], report[37..49]);
}

#[test]
fn every_control_is_in_its_place() {
    let mut pad = Switch::new(Kind::ProUsb, MAC);
    pad.set(&State {
        buttons: Button::South | Button::R1 | Button::Start | Button::Capture | Button::Up,
        left_stick: [1.0, -1.0],
        right_stick: [-1.0, 1.0],
        left_trigger: 0.5,
        right_trigger: 0.4,
        battery: Battery { percent: 50, charging: true },
        ..State::NEUTRAL
    });
    // Medium, charging, powered by USB; B and R; plus and capture; up and ZL.
    assert_eq!(pad.controls[..4], [0x51, 0x44, 0x22, 0x82]);
    // 2048 + 1536 is 0xe00, 2048 − 1536 is 0x200.
    assert_eq!(pad.controls[4..7], [0x00, 0x0e, 0xe0]);
    assert_eq!(pad.controls[7..10], [0x00, 0x02, 0x20]);
}

#[test]
fn the_rail_buttons_are_on_the_joy_cons_own_side() {
    let state = State { buttons: Button::Sl | Button::Sr, ..State::NEUTRAL };
    let buttons = |kind| Switch::new(kind, MAC).buttons(&state);
    assert_eq!(buttons(Kind::JoyConLeft), [0, 0, 0x30]);
    assert_eq!(buttons(Kind::JoyConRight), [0x30, 0, 0]);
    assert_eq!(buttons(Kind::ProUsb), [0, 0, 0]);
}

#[test]
fn the_right_joy_cons_chip_is_mounted_the_other_way_round() {
    let up = |kind| {
        let sensors = Switch::new(kind, MAC).sensors(&State::NEUTRAL);
        i16::from_le_bytes([sensors[4], sensors[5]])
    };
    assert_eq!(up(Kind::ProUsb), 4096);
    assert_eq!(up(Kind::JoyConLeft), 4096);
    assert_eq!(up(Kind::JoyConRight), -4096);
}

#[test]
fn lights_are_feedback_and_remembered() {
    let mut pad = Switch::new(Kind::ProUsb, MAC);
    let (_, feedback) = ask(&mut pad, 0x30, &[0x21]);
    assert_eq!(feedback, [Feedback::PlayerLeds { on: 1, blinking: 2 }]);
    assert_eq!(ask(&mut pad, 0x31, &[]).0[13..16], [0xb0, 0x31, 0x21]);
    let (_, feedback) = ask(&mut pad, 0x38, &[0x01, 0xf0, 0xff, 0x11, 0x11]);
    assert_eq!(feedback, [Feedback::HomeLed(1.0)]);
}

#[test]
fn motors_are_feedback_alone_and_with_a_request() {
    let mut pad = Switch::new(Kind::ProUsb, MAC);
    let full = [0x00, 0xc9, 0x40, 0x72, 0x00, 0xc9, 0x40, 0x72];
    let report = [&[0x10, 0x05][..], &full].concat();
    let mut all = Vec::new();
    assert_eq!(pad.output(&report, Duration::ZERO, |feedback| all.push(feedback)), None);
    assert_eq!(all, [Feedback::Rumble { low: 1.0, high: 1.0 }]);
    assert_eq!(ask(&mut pad, 0x48, &[1]).1, [Feedback::Rumble { low: 0.0, high: 0.0 }]);
}

proptest! {
    #[test]
    fn any_output_report_is_parsed(
        number in prop::sample::select(vec![0x01_u8, 0x10, 0x80, 0x33]),
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let report = [&[number][..], &rest].concat();
        for kind in [Kind::ProUsb, Kind::JoyConLeft, Kind::JoyConRight] {
            let mut pad = Switch::new(kind, MAC);
            if let Some(answer) = pad.output(&report, Duration::MAX, |_| {}) {
                prop_assert!(answer.len() == 64 || answer.len() == 49);
            }
        }
    }

    #[test]
    fn any_flash_memory_can_be_read(address: u32, length: u8) {
        let mut pad = Switch::new(Kind::ProUsb, MAC);
        let [a, b, c, d] = address.to_le_bytes();
        let (answer, _) = ask(&mut pad, 0x10, &[a, b, c, d, length]);
        prop_assert_eq!(&answer[15..19], &address.to_le_bytes());
    }
}
