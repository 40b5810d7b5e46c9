//! Events as drivers report them.

use std::collections::BTreeMap;

use evdev::{EventType, PropType};
use hotseat_wire::{Axes, Contact, Pen, button, pen};

use super::*;

fn key(key: KeyCode, value: i32) -> InputEvent {
    InputEvent::new(EventType::KEY.0, key.0, value)
}

fn rel(axis: RelativeAxisCode, value: i32) -> InputEvent {
    InputEvent::new(EventType::RELATIVE.0, axis.0, value)
}

fn abs(axis: AbsoluteAxisCode, value: i32) -> InputEvent {
    InputEvent::new(EventType::ABSOLUTE.0, axis.0, value)
}

fn syn(code: SynchronizationCode) -> InputEvent {
    InputEvent::new(EventType::SYNCHRONIZATION.0, code.0, 0)
}

fn with(
    keys: &[KeyCode],
    relative: &[RelativeAxisCode],
    absolute: &[(AbsoluteAxisCode, i32, i32)],
) -> Abilities {
    let axis = |&(code, least, most): &(AbsoluteAxisCode, i32, i32)| {
        (code.0, Axis { least, most, resolution: 0 })
    };
    Abilities {
        keys: keys.iter().map(|key| key.0).collect(),
        relative: relative.iter().map(|axis| axis.0).collect(),
        absolute: absolute.iter().map(axis).collect::<BTreeMap<_, _>>(),
        ..Abilities::default()
    }
}

/// What the events of one report change.
fn report(mapper: &mut Mapper, events: &[InputEvent]) -> Vec<Change> {
    for event in events {
        assert_eq!(mapper.take(*event), Outcome::More);
    }
    match mapper.take(syn(SynchronizationCode::SYN_REPORT)) {
        Outcome::Report(changes) => changes.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn named(name: &str, down: bool) -> Change {
    Change::Button { button: button::number(name).unwrap(), down }
}

const STICK: (i32, i32) = (-32768, 32767);

fn xbox() -> Abilities {
    let stick = |code| (code, STICK.0, STICK.1);
    let keys = [KeyCode::BTN_SOUTH, KeyCode::BTN_NORTH, KeyCode::BTN_WEST];
    let axes = [
        stick(AbsoluteAxisCode::ABS_X),
        stick(AbsoluteAxisCode::ABS_Y),
        stick(AbsoluteAxisCode::ABS_RX),
        stick(AbsoluteAxisCode::ABS_RY),
        (AbsoluteAxisCode::ABS_Z, 0, 1023),
        (AbsoluteAxisCode::ABS_RZ, 0, 1023),
        (AbsoluteAxisCode::ABS_HAT0X, -1, 1),
        (AbsoluteAxisCode::ABS_HAT0Y, -1, 1),
    ];
    with(&keys, &[], &axes)
}

#[test]
fn a_pad_says_buttons_by_their_place_and_all_axes_at_once() {
    let mut pad = Mapper::new(&xbox()).unwrap();
    let events = [
        key(KeyCode::BTN_SOUTH, 1),
        key(KeyCode(0x133), 1), // BTN_X
        abs(AbsoluteAxisCode::ABS_X, -32768),
        abs(AbsoluteAxisCode::ABS_RZ, 1023),
        abs(AbsoluteAxisCode::ABS_HAT0Y, -1),
    ];
    let axes = Axes { left_stick: [-32767, 0], right_trigger: 65535, ..Axes::default() };
    let expected = [
        named("south", true),
        named("west", true),
        named("up", true),
        named("down", false),
        Change::Axes(axes),
    ];
    let mut changes = report(&mut pad, &events);
    changes.sort_by_key(|change| expected.iter().position(|other| other == change));
    assert_eq!(changes, expected);
    assert_eq!(report(&mut pad, &[]), [], "nothing is new");
}

#[test]
fn a_pad_of_sony_has_its_north_in_the_north_and_a_trigger_may_be_a_button() {
    let abilities = Abilities { vendor: 0x054c, ..xbox() };
    let mut pad = Mapper::new(&abilities).unwrap();
    assert_eq!(report(&mut pad, &[key(KeyCode::BTN_NORTH, 1)]), [named("north", true)]);
    // A trigger that has an axis is said by that.
    assert_eq!(report(&mut pad, &[key(KeyCode::BTN_TL2, 1)]), [named("l2", true)]);

    let mut abilities = xbox();
    abilities.absolute.retain(|code, _| *code != AbsoluteAxisCode::ABS_Z.0);
    let mut pad = Mapper::new(&abilities).unwrap();
    let axes = Axes { left_trigger: 65535, ..Axes::default() };
    let expected = [named("l2", true), Change::Axes(axes)];
    assert_eq!(report(&mut pad, &[key(KeyCode::BTN_TL2, 1)]), expected);
}

#[test]
fn a_pad_without_a_driver_has_its_right_stick_on_z() {
    let mut abilities = xbox();
    abilities.absolute.remove(&AbsoluteAxisCode::ABS_RX.0);
    abilities.absolute.remove(&AbsoluteAxisCode::ABS_RY.0);
    let stick = Axis { least: 0, most: 255, resolution: 0 };
    abilities.absolute.insert(AbsoluteAxisCode::ABS_Z.0, stick);
    let mut pad = Mapper::new(&abilities).unwrap();
    let axes = Axes { right_stick: [32767, 0], ..Axes::default() };
    let changes = report(&mut pad, &[abs(AbsoluteAxisCode::ABS_Z, 255)]);
    assert_eq!(changes, [Change::Axes(axes)]);
}

#[test]
fn a_keyboard_repeats_nothing_and_has_keys_up_to_255() {
    let keys: Vec<_> = (1..=60).map(KeyCode).collect();
    let mut keyboard = Mapper::new(&with(&keys, &[], &[])).unwrap();
    let a = KeyCode::KEY_A;
    let down = |down| Change::Key { key: 30, down };
    assert_eq!(report(&mut keyboard, &[key(a, 1)]), [down(true)]);
    assert_eq!(report(&mut keyboard, &[key(a, 2)]), []);
    assert_eq!(report(&mut keyboard, &[key(a, 0), key(KeyCode(0x160), 1)]), [down(false)]);
}

#[test]
fn a_mouse_sums_its_motion_and_takes_the_finer_wheel() {
    let motion = [RelativeAxisCode::REL_X, RelativeAxisCode::REL_Y];
    let plain =
        with(&[KeyCode::BTN_LEFT], &[motion[0], motion[1], RelativeAxisCode::REL_WHEEL], &[]);
    let mut mouse = Mapper::new(&plain).unwrap();
    let events = [
        rel(RelativeAxisCode::REL_X, 3),
        rel(RelativeAxisCode::REL_Y, -4),
        rel(RelativeAxisCode::REL_X, 2),
        rel(RelativeAxisCode::REL_WHEEL, -1),
        key(KeyCode::BTN_EXTRA, 1),
    ];
    let expected = [
        Change::MouseButton { button: 4, down: true },
        Change::Move { dx: 5, dy: -4 },
        Change::Wheel { vertical: -120, horizontal: 0 },
    ];
    assert_eq!(report(&mut mouse, &events), expected);
    assert_eq!(report(&mut mouse, &[]), []);

    let mut fine = plain;
    fine.relative.insert(RelativeAxisCode::REL_WHEEL_HI_RES.0);
    let mut mouse = Mapper::new(&fine).unwrap();
    let events =
        [rel(RelativeAxisCode::REL_WHEEL, 1), rel(RelativeAxisCode::REL_WHEEL_HI_RES, 120)];
    let expected = [Change::Wheel { vertical: 120, horizontal: 0 }];
    assert_eq!(report(&mut mouse, &events), expected);
}

#[test]
fn a_pointer_says_where_it_is() {
    let axes = [(AbsoluteAxisCode::ABS_X, 0, 999), (AbsoluteAxisCode::ABS_Y, 0, 999)];
    let mut pointer = Mapper::new(&with(&[KeyCode::BTN_LEFT], &[], &axes)).unwrap();
    let place = |x, y| [Change::Place(Place { x, y })];
    assert_eq!(report(&mut pointer, &[abs(AbsoluteAxisCode::ABS_X, 999)]), place(65535, 0));
    assert_eq!(report(&mut pointer, &[abs(AbsoluteAxisCode::ABS_Y, 999)]), place(65535, 65535));
}

fn screen() -> Mapper {
    let axes = [
        (AbsoluteAxisCode::ABS_MT_SLOT, 0, 9),
        (AbsoluteAxisCode::ABS_MT_TRACKING_ID, 0, 65535),
        (AbsoluteAxisCode::ABS_MT_POSITION_X, 0, 65535),
        (AbsoluteAxisCode::ABS_MT_POSITION_Y, 0, 65535),
    ];
    let mut abilities = with(&[KeyCode::BTN_TOUCH], &[], &axes);
    abilities.properties.insert(PropType::DIRECT.0);
    Mapper::new(&abilities).unwrap()
}

fn slot(slot: i32) -> InputEvent {
    abs(AbsoluteAxisCode::ABS_MT_SLOT, slot)
}

fn finger(id: i32) -> InputEvent {
    abs(AbsoluteAxisCode::ABS_MT_TRACKING_ID, id)
}

fn at(x: i32, y: i32) -> [InputEvent; 2] {
    [abs(AbsoluteAxisCode::ABS_MT_POSITION_X, x), abs(AbsoluteAxisCode::ABS_MT_POSITION_Y, y)]
}

fn touch(id: u16, x: u16, y: u16) -> Change {
    Change::Touch(Contact { id, place: Place { x, y }, pressure: 0 })
}

#[test]
fn fingers_are_told_from_each_other() {
    let mut screen = screen();
    let [x, y] = at(10, 20);
    let [x1, y1] = at(30, 40);
    // The BTN_TOUCH of a screen with slots says nothing of its own.
    let events = [finger(5), x, y, slot(1), finger(6), x1, y1, key(KeyCode::BTN_TOUCH, 1)];
    assert_eq!(report(&mut screen, &events), [touch(5, 10, 20), touch(6, 30, 40)]);
    let moved = [abs(AbsoluteAxisCode::ABS_MT_POSITION_X, 31)];
    assert_eq!(report(&mut screen, &moved), [touch(6, 31, 40)]);
    let lifted = [slot(0), finger(-1)];
    assert_eq!(report(&mut screen, &lifted), [Change::Lift { id: 5 }]);
    // The next finger in a slot is where the last one was, unless something else is said.
    assert_eq!(report(&mut screen, &[finger(7), at(11, 20)[0]]), [touch(7, 11, 20)]);
    // One goes and another one comes, in the same report.
    let expected = [Change::Lift { id: 7 }, touch(8, 11, 20)];
    assert_eq!(report(&mut screen, &[finger(8)]), expected);
    // A tap within one report has never been there.
    assert_eq!(report(&mut screen, &[slot(2), finger(9), finger(-1)]), []);
    assert_eq!(report(&mut screen, &[slot(1_000_000), finger(9), slot(-1), finger(9)]), []);
}

#[test]
fn a_screen_that_knows_one_finger_has_one() {
    let axes = [(AbsoluteAxisCode::ABS_X, 0, 65535), (AbsoluteAxisCode::ABS_Y, 0, 65535)];
    let mut abilities = with(&[KeyCode::BTN_TOUCH], &[], &axes);
    abilities.properties.insert(PropType::DIRECT.0);
    let mut screen = Mapper::new(&abilities).unwrap();
    let place = [abs(AbsoluteAxisCode::ABS_X, 1), abs(AbsoluteAxisCode::ABS_Y, 2)];
    let events = [key(KeyCode::BTN_TOUCH, 1), place[0], place[1]];
    assert_eq!(report(&mut screen, &events), [touch(0, 1, 2)]);
    let lifted = [key(KeyCode::BTN_TOUCH, 0)];
    assert_eq!(report(&mut screen, &lifted), [Change::Lift { id: 0 }]);
}

#[test]
fn a_pen_is_near_before_it_touches() {
    let axes = [
        (AbsoluteAxisCode::ABS_X, 0, 65535),
        (AbsoluteAxisCode::ABS_Y, 0, 65535),
        (AbsoluteAxisCode::ABS_PRESSURE, 0, 65535),
        (AbsoluteAxisCode::ABS_TILT_X, -90, 90),
    ];
    let keys = [KeyCode::BTN_TOOL_PEN, KeyCode::BTN_TOOL_RUBBER, KeyCode::BTN_TOUCH];
    let mut tablet = Mapper::new(&with(&keys, &[], &axes)).unwrap();
    let events = [
        key(KeyCode::BTN_TOOL_RUBBER, 1),
        abs(AbsoluteAxisCode::ABS_X, 5),
        abs(AbsoluteAxisCode::ABS_PRESSURE, 7),
        abs(AbsoluteAxisCode::ABS_TILT_X, 45),
        key(KeyCode::BTN_TOUCH, 1),
    ];
    let place = Place { x: 5, y: 0 };
    let held = Pen { tool: pen::ERASER, place, pressure: 7, tilt: [45, 0], ..Pen::default() };
    let expected = [
        Change::PenButton { button: pen::NEAR, down: true },
        Change::PenButton { button: pen::TIP, down: true },
        Change::Pen(held),
    ];
    assert_eq!(report(&mut tablet, &events), expected);
}

#[test]
fn sensors_measure_in_the_units_and_along_the_axes_of_the_protocol() {
    let codes = [
        (AbsoluteAxisCode::ABS_X, 8192),
        (AbsoluteAxisCode::ABS_Y, 8192),
        (AbsoluteAxisCode::ABS_Z, 8192),
        (AbsoluteAxisCode::ABS_RX, 1024),
        (AbsoluteAxisCode::ABS_RY, 1024),
        (AbsoluteAxisCode::ABS_RZ, 1024),
    ];
    let axis = |(code, resolution): (AbsoluteAxisCode, i32)| {
        (code.0, Axis { least: -32768, most: 32767, resolution })
    };
    let mut abilities = Abilities { absolute: codes.map(axis).into(), ..Abilities::default() };
    abilities.properties.insert(PropType::ACCELEROMETER.0);
    let events = [
        abs(AbsoluteAxisCode::ABS_Y, 8192),
        abs(AbsoluteAxisCode::ABS_RZ, 180 * 1024),
        InputEvent::new(EventType::MISC.0, evdev::MiscCode::MSC_TIMESTAMP.0, -1),
    ];
    let motion = |abilities: &Abilities| {
        let mut sensors = Mapper::new(abilities).unwrap();
        match report(&mut sensors, &events)[..] {
            [Change::Motion(motion)] => motion,
            ref other => panic!("{other:?}"),
        }
    };
    let playstation = motion(&abilities);
    assert_eq!(playstation.accel, [0.0, 9.80665, 0.0]);
    assert_eq!(playstation.gyro, [0.0, 0.0, std::f32::consts::PI]);
    assert_eq!(playstation.time, u32::MAX);
    abilities.vendor = 0x057e;
    let nintendo = motion(&abilities);
    assert_eq!(nintendo.accel, [-9.80665, 0.0, 0.0]);
    assert_eq!(nintendo.gyro, [0.0, std::f32::consts::PI, 0.0]);
}

#[test]
fn what_was_lost_is_asked_for_and_nothing_of_it_is_believed() {
    let mut screen = screen();
    let [x, y] = at(1, 2);
    report(&mut screen, &[finger(5), x, y]);
    assert_eq!(screen.take(syn(SynchronizationCode::SYN_DROPPED)), Outcome::More);
    assert_eq!(screen.take(finger(-1)), Outcome::More);
    assert_eq!(screen.take(syn(SynchronizationCode::SYN_REPORT)), Outcome::Lost);
    // Finger 5 is still there, and another one came.
    let [x2, y2] = at(3, 4);
    let now = [slot(0), finger(5), x, y, slot(1), finger(6), x2, y2];
    assert_eq!(screen.catch_up(&now), [touch(6, 3, 4)]);
    let gone = [slot(0), finger(-1), x, y, slot(1), finger(6), x2, y2];
    assert_eq!(screen.catch_up(&gone), [Change::Lift { id: 5 }]);

    let mut pad = Mapper::new(&xbox()).unwrap();
    report(&mut pad, &[key(KeyCode::BTN_SOUTH, 1)]);
    let now = [key(KeyCode::BTN_SOUTH, 0), abs(AbsoluteAxisCode::ABS_HAT0X, 0)];
    let changes = pad.catch_up(&now);
    assert!(changes.contains(&named("south", false)));
}
