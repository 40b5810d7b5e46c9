//! Packets as Moonlight clients send them, byte for byte, and what goes back to them.
//!
//! The bytes were put together by hand from the structures in moonlight-common-c's src/Input.h: the size is big-endian, the
//! type little-endian, what concerns the mouse big-endian, all else little-endian.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use hotseat_wire::moonlight::{Device, Event, Maker, Model, MotionKind, Output, Packet, Player};
use hotseat_wire::{
    Axes, Battery, Change, Contact, DecodeError, Feedback, Kind, Motion, Pen, Place, State, button,
    pen,
};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// What a player does with packets, one after the other.
fn events(packets: &[&str]) -> Vec<Event> {
    let mut player = Player::new();
    packets.iter().flat_map(|hex| player.handle(&bytes(hex)).unwrap().to_vec()).collect()
}

fn changes(device: Device, changes: &[Change]) -> Vec<Event> {
    changes.iter().map(|change| Event::Change { device, change: *change }).collect()
}

fn press(name: &str) -> Change {
    Change::Button { button: button::number(name).unwrap(), down: true }
}

const A_PAD: &str = "0000000c 04000055 01 02 ff01 ffff3f00";

fn arrived() -> Event {
    let model = Model { maker: Maker::PlayStation, capabilities: 0x1ff, buttons: 0x003f_ffff };
    Event::Arrived { pad: 1, model }
}

#[test]
fn the_mouse_is_big_endian() {
    let moves = events(&["00000008 07000000 fffe 012c"]);
    assert_eq!(moves, changes(Device::Mouse, &[Change::Move { dx: -2, dy: 300 }]));
    let place = events(&["0000000e 05000000 03c0 0000 0000 077f 0437"]);
    let middle = Place { x: 32784, y: 0 };
    assert_eq!(place, changes(Device::Pointer, &[Change::Place(middle)]));
    let turns = events(&["0000000a 0a000000 ff88 ff88 0000", "00000006 01000055 003c"]);
    let down = Change::Wheel { vertical: -120, horizontal: 0 };
    let right = Change::Wheel { vertical: 0, horizontal: 60 };
    assert_eq!(turns, changes(Device::Mouse, &[down, right]));
}

#[test]
fn the_third_button_of_the_mouse_is_the_right_one() {
    let click = events(&["00000005 08000000 03", "00000005 09000000 03", "00000005 09000000 03"]);
    let button = |down| Change::MouseButton { button: 1, down };
    assert_eq!(click, changes(Device::Mouse, &[button(true), button(false)]));
    assert_eq!(events(&["00000005 08000000 00", "00000005 08000000 06"]), []);
}

#[test]
fn a_place_outside_of_the_screen_is_at_its_edge() {
    let far = events(&["0000000e 05000000 7fff 8000 0000 077f 0437"]);
    assert_eq!(far, changes(Device::Pointer, &[Change::Place(Place { x: 65535, y: 0 })]));
    let no_screen = events(&["0000000e 05000000 0001 0001 0000 0000 0000"]);
    let corner = Place { x: 65535, y: 65535 };
    assert_eq!(no_screen, changes(Device::Pointer, &[Change::Place(corner)]));
}

#[test]
fn keys_are_those_of_a_us_keyboard() {
    let key = |down| Change::Key { key: 30, down };
    let typed = ["0000000a 03000000 00 4180 00 0000", "0000000a 04000000 00 4180 00 0000"];
    assert_eq!(events(&typed), changes(Device::Keyboard, &[key(true), key(false)]));
    // The same key without the highest bit, which says nothing.
    let plain = events(&["0000000a 03000000 00 4100 00 0000"]);
    assert_eq!(plain, changes(Device::Keyboard, &[key(true)]));
}

#[test]
fn a_modifier_that_is_only_said_is_pressed_for_the_key() {
    let key = |key, down| Change::Key { key, down };
    let said = events(&["0000000a 03000000 00 4180 01 0000"]);
    let expected = [key(42, true), key(30, true), key(42, false)];
    assert_eq!(said, changes(Device::Keyboard, &expected));
    // A key that is held is said again: no modifier goes down for that.
    let again = ["0000000a 03000000 00 4180 00 0000", "0000000a 03000000 00 4180 01 0000"];
    assert_eq!(events(&again), changes(Device::Keyboard, &[key(30, true)]));
    // The right shift is held.
    let held = ["0000000a 03000000 00 a180 01 0000", "0000000a 03000000 00 4180 01 0000"];
    assert_eq!(events(&held), changes(Device::Keyboard, &[key(54, true), key(30, true)]));
}

#[test]
fn text_is_handed_on() {
    assert_eq!(events(&["00000006 17000000 c3a9"]), [Event::Text("é".to_owned())]);
}

#[test]
fn a_finger_keeps_its_number_until_it_is_up() {
    let down = "00000020 02000055 01 00 ffff efbeadde 0000003f 0000803f 00000000 00000000 00000000";
    let up = "00000020 02000055 02 00 ffff efbeadde 0000003f 0000803f 00000000 00000000 00000000";
    let place = Place { x: 32768, y: 65535 };
    let touch = |id| Change::Touch(Contact { id, place, pressure: 0 });
    let expected = [touch(1), Change::Lift { id: 1 }, touch(2)];
    assert_eq!(events(&[down, down, up, up, down]), changes(Device::Touchscreen, &expected));
    let cancel_all = down.replacen("01 00", "07 00", 1);
    let expected = [touch(1), Change::Lift { id: 1 }];
    assert_eq!(events(&[down, &cancel_all]), changes(Device::Touchscreen, &expected));
}

#[test]
fn a_pen_comes_near_touches_and_goes() {
    let hover =
        "00000020 03000055 00 01 00 00 00000000 0000003f 0000803f ffff ff 00 00000000 00000000";
    let down =
        "00000020 03000055 01 02 02 00 00000000 0000003f 0000803e 5a00 1e 00 00000000 00000000";
    let leave =
        "00000020 03000055 06 01 00 00 00000000 00000000 00000000 ffff ff 00 00000000 00000000";
    let at = Pen { place: Place { x: 0, y: 32768 }, ..Pen::default() };
    let above = Change::Pen(Pen { distance: 65535, ..at });
    let pressed = Pen { tool: pen::ERASER, pressure: 16384, tilt: [-30, 0], ..at };
    let button = |button, down| Change::PenButton { button, down };
    let expected = [
        above,
        button(pen::NEAR, true),
        Change::Pen(pressed),
        button(pen::TIP, true),
        button(pen::BUTTON2, true),
        Change::Pen(Pen { pressure: 0, ..pressed }),
        button(pen::BUTTON2, false),
        button(pen::TIP, false),
        button(pen::NEAR, false),
    ];
    assert_eq!(events(&[hover, down, leave]), changes(Device::Tablet, &expected));
}

#[test]
fn a_pad_arrives_is_used_and_leaves() {
    let used =
        "0000001e 0c000000 1a00 0100 0200 1400 0010 ff 01 ff7f 0080 ffff 0100 9c00 2000 5500";
    let gone =
        "0000001e 0c000000 1a00 0100 0000 1400 0000 00 00 0000 0000 0000 0000 9c00 0000 5500";
    let axes = Axes {
        // Up is up: −32768 on the wire, down for us.
        left_stick: [32767, 32767],
        right_stick: [-1, -1],
        left_trigger: 65535,
        right_trigger: 257,
    };
    let used_as = changes(Device::Pad(1), &[Change::Axes(axes), press("south"), press("mute")]);
    let mut expected = vec![arrived()];
    expected.extend(used_as);
    expected.push(Event::Left { pad: 1 });
    assert_eq!(events(&[A_PAD, A_PAD, used, used, gone, gone]), expected);
}

#[test]
fn a_pad_that_nobody_announced_arrives_with_its_first_packet() {
    let used =
        "0000001e 0c000000 1a00 0100 0200 1400 0000 00 00 0000 0000 0000 0000 9c00 2000 5500";
    let mut expected = vec![Event::Arrived { pad: 1, model: Model::default() }];
    expected.extend(changes(Device::Pad(1), &[press("capture")]));
    assert_eq!(events(&[used]), expected);
}

#[test]
fn every_button_of_a_pad_is_another_one() {
    let mut names = Vec::new();
    for bit in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21] {
        let (low, high) = if bit < 16 { (1_u16 << bit, 0) } else { (0, 1_u16 << (bit - 16)) };
        let hex = format!(
            "0000001e 0c000000 1a00 0100 0200 1400 {:04x} 00 00 0000 0000 0000 0000 9c00 {:04x} 5500",
            low.swap_bytes(),
            high.swap_bytes()
        );
        let events = events(&[A_PAD, &hex]);
        let [_, Event::Change { change: Change::Button { button, down: true }, .. }] = events[..]
        else {
            panic!("bit {bit}: {events:?}")
        };
        names.push(button::NAMES[usize::from(button)]);
    }
    let expected = [
        "up",
        "down",
        "left",
        "right",
        "start",
        "back",
        "ls",
        "rs",
        "lb",
        "rb",
        "guide",
        "south",
        "east",
        "west",
        "north",
        "paddle_upper_right",
        "paddle_upper_left",
        "paddle_lower_right",
        "paddle_lower_left",
        "touchpad",
        "mute",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_pad_has_a_touchpad_motion_and_a_battery() {
    let touch = "00000018 05000055 01 01 00 00 07000000 0000c03f 00000000 0000803f";
    let other_touchpad = "00000018 05000055 01 01 00 01 07000000 0000003f 00000000 0000803f";
    let accel = "00000014 06000055 01 01 00 00 00000000 00001c41 00000000";
    let gyro = "00000014 06000055 01 02 00 00 00003443 00000000 0000b4c2";
    let battery = "00000008 07000055 01 03 50 00";
    let unknown = "00000008 07000055 01 03 ff 00";
    let place = Place { x: 65535, y: 0 };
    let at_rest = Motion { time: 0, gyro: [0.0; 3], accel: [0.0, 9.75, 0.0] };
    let half = std::f32::consts::PI;
    let mut expected = vec![arrived()];
    expected.extend(changes(
        Device::Pad(1),
        &[
            Change::Touch(Contact { id: 1, place, pressure: 65535 }),
            Change::Motion(at_rest),
            Change::Motion(Motion { gyro: [half, 0.0, -half / 2.0], ..at_rest }),
            Change::Battery(Battery { percent: 80, charging: true }),
        ],
    ));
    let all = [A_PAD, touch, other_touchpad, accel, gyro, battery, unknown];
    assert_eq!(events(&all), expected);
    // Of a pad that there is not, nothing is heard.
    assert_eq!(events(&all[1..]), []);
}

#[test]
fn packets_of_unknown_types_and_what_newer_clients_add_are_skipped() {
    let all = "00000006 77000055 0102  00000006 0d000000 0100  0000000a 07000000 0001 0002 beef";
    assert_eq!(events(&[all]), changes(Device::Mouse, &[Change::Move { dx: 1, dy: 2 }]));
    let haptics = bytes("00000006 0d000000 0100");
    assert_eq!(Packet::take(&mut &haptics[..]), Ok(Some(Packet::Haptics { enable: true })));
}

#[test]
fn what_is_wrong_is_refused_and_nothing_of_it_happened() {
    let value = |field| DecodeError::Value { field };
    let nan = "00000014 06000055 01 01 00 00 0000c07f 00000000 00000000";
    for (hex, error) in [
        ("000000", DecodeError::Short),
        ("00000003 070000", DecodeError::Short),
        ("00000008 07000000 0001", DecodeError::Short),
        ("00000006 07000000 0001", DecodeError::Short),
        ("08000000 07000000 0001 0001", DecodeError::TooLarge(0x0800_0000)),
        (nan, value("number")),
        ("0000000c 04000055 10 02 ff01 ffff3f00", value("pad")),
        ("00000014 06000055 01 03 00 00 00000000 00000000 00000000", value("motion type")),
        ("00000018 05000055 01 08 00 00 07000000 0000003f 00000000 0000803f", value("touch event")),
        ("00000005 17000000 ff", value("text")),
    ] {
        let mut player = Player::new();
        let good = format!("00000008 07000000 0001 0001 {hex}");
        assert_eq!(player.handle(&bytes(&good)), Err(error), "{hex}");
        assert_eq!(player.handle(&[]), Ok(&[][..]));
    }
    let long = format!("00000025 17000000 {}", "61".repeat(33));
    assert_eq!(Player::new().handle(&bytes(&long)), Err(DecodeError::TooLarge(33)));
}

#[test]
fn what_goes_back_is_as_the_clients_read_it() {
    let effect = [0x21, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    for (output, hex) in [
        (Output::Rumble { low: 0x1234, high: 0xff00 }, "0b01 0a00 00000000 0200 3412 00ff"),
        (Output::TriggerRumble { left: 1, right: 0x8000 }, "0055 0600 0200 0100 0080"),
        (Output::MotionRate { kind: MotionKind::Turning, hertz: 250 }, "0155 0500 0200 fa00 02"),
        (Output::Light([255, 128, 0]), "0255 0500 0200 ff 80 00"),
        (
            Output::TriggerEffects { left: Some(effect), right: None },
            "0355 1900 0200 08 21 00 0102030405060708090a 00000000000000000000",
        ),
        (
            Output::TriggerEffects { left: Some(effect), right: Some([5; 11]) },
            "0355 1900 0200 0c 21 05 0102030405060708090a 05050505050505050505",
        ),
    ] {
        assert_eq!(*output.message(2), bytes(hex), "{output:?}");
    }
}

#[test]
fn feedback_becomes_what_a_client_can_be_told() {
    let rumble =
        Feedback::Rumble { low: 1, high: 2, left_trigger: 3, right_trigger: 4, ttl_ms: 500 };
    let expected =
        [Output::Rumble { low: 1, high: 2 }, Output::TriggerRumble { left: 3, right: 4 }];
    assert_eq!(*Output::of(&rumble), expected);
    let right = Output::TriggerEffects { left: None, right: Some([7; 11]) };
    assert_eq!(*Output::of(&Feedback::RightTrigger([7; 11])), [right]);
    assert_eq!(*Output::of(&Feedback::Lamps(1)), []);
}

#[test]
fn changes_are_those_of_the_protocol() {
    // A state that follows a player's pad can be let go like any other.
    let used =
        "0000001e 0c000000 1a00 0100 0200 1400 0010 ff 01 ff7f 0080 ffff 0100 9c00 2000 5500";
    let mut state = State::default();
    for event in events(&[A_PAD, used]) {
        if let Event::Change { change, .. } = event {
            assert_eq!(change.kind(), Kind::Gamepad);
            assert!(state.apply(&change));
        }
    }
    assert!(!state.is_at_rest(Kind::Gamepad));
    state.release(Kind::Gamepad, |_| {});
    assert_eq!(state, State::default());
}
