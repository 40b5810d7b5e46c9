use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use hotseat_wire::{
    Axes, Battery, Contact, Kind, Motion, Pen as Stroke, Place, State as Wanted, button, joystick,
    pen,
};
use vinput::uhid::{Model, State};
use vinput::{Profile, hid};

use super::*;

fn builtin(name: &str) -> &'static Profile {
    Profile::builtin(name).unwrap()
}

/// What one report sets.
fn report(
    named: &mut Named<vinput::Frame>,
    profile: &Profile,
    changes: &[Change],
) -> Vec<(String, i32)> {
    let mut set = Vec::new();
    let write = |frame: &vinput::Frame| {
        set.extend(frame.events().map(|(code, value)| (code.to_string(), value)));
        Ok::<_, Infallible>(())
    };
    named.change(profile, changes, write).unwrap();
    set
}

/// What one report of a new device sets.
fn first(name: &str, changes: &[Change]) -> Vec<(String, i32)> {
    report(&mut Named::of_uinput(builtin(name)), builtin(name), changes)
}

fn values(expected: &[(&str, i32)]) -> Vec<(String, i32)> {
    expected.iter().map(|(code, value)| ((*code).to_owned(), *value)).collect()
}

fn press(name: &str, down: bool) -> Change {
    Change::Button { button: button::number(name).unwrap(), down }
}

fn finger(id: u16, x: u16, y: u16) -> Change {
    Change::Touch(Contact { id, place: Place { x, y }, pressure: u16::MAX })
}

const PULLED: Axes = Axes {
    left_stick: [-32767, 32767],
    right_stick: [16384, 0],
    left_trigger: 65535,
    right_trigger: 32768,
};

/// Everything that the protocol can say.
fn everything() -> Vec<Change> {
    let mut all = vec![
        Change::Axes(PULLED),
        Change::Move { dx: 3, dy: -4 },
        Change::Wheel { vertical: 120, horizontal: -240 },
        Change::Place(Place { x: 1, y: 2 }),
        Change::Motion(Motion::default()),
        Change::Battery(Battery::default()),
        Change::JoystickAxes([32767, 0, 0, 0, 0, 0, 0, 0]),
    ];
    all.extend((0..32).map(|button| Change::JoystickButton { button, down: true }));
    all.extend((0..32).map(|button| Change::Button { button, down: true }));
    all.extend((1..=255).map(|key| Change::Key { key, down: true }));
    all.extend((0..8).map(|button| Change::MouseButton { button, down: true }));
    all.extend((1..=10).map(|id| finger(id, 1, 2)));
    for tool in 0..5 {
        all.push(Change::Pen(Stroke { tool, ..Stroke::default() }));
        all.push(Change::PenButton { button: pen::NEAR, down: true });
    }
    all.extend((1..8).map(|button| Change::PenButton { button, down: true }));
    all
}

#[test]
fn every_control_of_a_built_in_profile_can_be_set() {
    let mut unreachable = Vec::new();
    for profile in Profile::builtins() {
        let mut controls = Controls::new(&names::of_uinput(profile));
        let mut set = BTreeSet::new();
        let mut note = |index, _| {
            set.insert(usize::from(index));
        };
        everything().iter().for_each(|change| controls.apply(change, &mut note));
        controls.take_motion(&mut note);
        for (index, control) in profile.controls().iter().enumerate() {
            if !set.contains(&index) {
                unreachable.push(format!("{}: {}", profile.name(), control.name()));
            }
        }
    }
    assert_eq!(unreachable, [""; 0]);
}

#[test]
fn a_device_takes_the_kinds_of_frame_that_it_has_controls_for() {
    let (pad, keyboard, mouse) = (Kind::Gamepad.bit(), Kind::Keyboard.bit(), Kind::Mouse.bit());
    for profile in Profile::builtins() {
        let expected = match profile.name() {
            "keyboard" => keyboard,
            "mouse" => mouse,
            "mouse-absolute" => mouse | Kind::Pointer.bit(),
            "touchscreen" => Kind::Touch.bit(),
            "touchpad" => mouse | Kind::Touch.bit(),
            "pen-tablet" => Kind::Pen.bit(),
            "wheel" | "flight-stick" => pad | Kind::Joystick.bit(),
            _ => pad,
        };
        assert_eq!(Named::of_uinput(profile).kinds(), expected, "{}", profile.name());
    }
    let whole = pad | Kind::Motion.bit() | Kind::Battery.bit();
    for model in Model::ALL {
        let has_touchpad = model.vendor() == 0x054c;
        let touch = if has_touchpad { Kind::Touch.bit() } else { 0 };
        assert_eq!(Pad::kinds(model), whole | touch, "{model}");
    }
}

/// What is set is let go of by the changes with which the server lets go of it.
#[test]
fn all_that_the_protocol_sets_it_lets_go_of() {
    for profile in Profile::builtins() {
        let mut named = Named::of_uinput(profile);
        let mut wanted = Wanted::default();
        let pressed: Vec<_> =
            everything().into_iter().filter(|change| wanted.apply(change)).collect();
        let mut at: BTreeMap<_, _> = report(&mut named, profile, &pressed).into_iter().collect();
        for kind in Kind::ALL {
            let mut changes = Vec::new();
            wanted.release(kind, |change| changes.push(change));
            at.extend(report(&mut named, profile, &changes));
        }
        for (code, value) in profile.neutral().events() {
            if let Some(now) = at.get(&code.to_string()) {
                assert_eq!(*now, value, "{}: {code}", profile.name());
            }
        }
    }
}

#[test]
fn sticks_and_triggers_go_to_their_ends() {
    let xbox = values(&[
        ("ABS_X", -32768),
        ("ABS_Y", 32767),
        ("ABS_RX", 16384),
        ("ABS_RY", 0),
        ("ABS_Z", 1023),
        ("ABS_RZ", 512),
    ]);
    assert_eq!(first("xbox-one", &[Change::Axes(PULLED)]), xbox);
    let sony = first("dualsense-uinput", &[Change::Axes(PULLED)]);
    assert_eq!(sony[..2], values(&[("ABS_X", 0), ("ABS_Y", 255)]));
    // Their triggers have a button too.
    let triggers = [("ABS_Z", 255), ("BTN_TL2", 1), ("ABS_RZ", 128), ("BTN_TR2", 1)];
    assert_eq!(sony[4..], values(&triggers));
    let wheel = first("wheel", &[Change::Axes(Axes { left_trigger: 0, ..PULLED })]);
    let pedals = [("ABS_X", 0), ("ABS_RZ", 255), ("BTN_BASE2", 0), ("ABS_Z", 127), ("BTN_BASE", 0)];
    assert_eq!(wheel, values(&pedals));
}

#[test]
fn wheels_and_sticks_have_what_pads_do_not() {
    let axes = |clutch, throttle| {
        let mut axes = [0; 8];
        (axes[0], axes[joystick::THROTTLE]) = (clutch, throttle);
        Change::JoystickAxes(axes)
    };
    let down =
        |name: &str| Change::JoystickButton { button: joystick::number(name).unwrap(), down: true };
    // Pedals rest at their maximum; the accelerator is a trigger.
    assert_eq!(first("wheel", &[axes(32767, 0)]), values(&[("ABS_Y", 0)]));
    assert_eq!(first("wheel", &[axes(-5, 32767)]), values(&[("ABS_Y", 255)]));
    assert_eq!(first("wheel", &[down("gear4")]), values(&[("BTN_DEAD", 1)]));
    assert_eq!(first("flight-stick", &[axes(0, 32767)]), values(&[("ABS_THROTTLE", 255)]));
    assert_eq!(first("flight-stick", &[down("base6")]), values(&[("BTN_BASE6", 1)]));
    let sticks = first("flight-stick", &[Change::Axes(PULLED)]);
    let is_throttle = |(code, _): &(String, i32)| code == "ABS_THROTTLE";
    assert!(!sticks.iter().any(is_throttle), "it stays where it is: {sticks:?}");
}

#[test]
fn a_trigger_works_as_an_axis_and_as_a_button() {
    let pulled = |trigger| Change::Axes(Axes { left_trigger: trigger, ..Axes::default() });
    let of = |profile, change| {
        let set = first(profile, &[change]);
        let is_trigger = |(code, _): &(String, i32)| ["BTN_TL2", "ABS_Z"].contains(&code.as_str());
        set.into_iter().filter(is_trigger).collect::<Vec<_>>()
    };
    // Buttons only.
    assert_eq!(of("switch-pro-uinput", pulled(32000)), values(&[("BTN_TL2", 0)]));
    assert_eq!(of("switch-pro-uinput", pulled(33000)), values(&[("BTN_TL2", 1)]));
    assert_eq!(of("switch-pro-uinput", press("l2", true)), values(&[("BTN_TL2", 1)]));
    // An axis only.
    assert_eq!(of("xbox-one", press("l2", true)), values(&[("ABS_Z", 1023)]));
    assert_eq!(of("xbox-one", press("l2", false)), values(&[("ABS_Z", 0)]));
    // Both.
    assert_eq!(of("dualsense-uinput", press("l2", true)), values(&[("ABS_Z", 0), ("BTN_TL2", 1)]));
}

#[test]
fn the_directional_pad_is_two_axes_or_four_buttons() {
    let profile = builtin("xbox-one");
    let mut named = Named::of_uinput(profile);
    let mut hat = |changes: &[Change]| report(&mut named, profile, changes);
    assert_eq!(hat(&[press("left", true)]), values(&[("ABS_HAT0X", -1), ("ABS_HAT0Y", 0)]));
    assert_eq!(hat(&[press("up", true)]), values(&[("ABS_HAT0X", -1), ("ABS_HAT0Y", -1)]));
    // Both ways at once are none.
    assert_eq!(hat(&[press("right", true)])[0], ("ABS_HAT0X".to_owned(), 0));
    assert_eq!(hat(&[press("left", false)])[0], ("ABS_HAT0X".to_owned(), 1));
    assert_eq!(first("joy-con-l-uinput", &[press("up", true)]), values(&[("BTN_DPAD_UP", 1)]));
}

#[test]
fn keys_and_buttons_of_one_name_are_told_apart() {
    let all: Vec<_> = (0..32).map(|button| Change::Button { button, down: true }).collect();
    assert_eq!(first("keyboard", &all), []);
    assert_eq!(first("mouse", &all), []);
    let key = |key| Change::Key { key, down: true };
    assert_eq!(first("keyboard", &[key(30), key(105)]), values(&[("KEY_A", 1), ("KEY_LEFT", 1)]));
    // Not on the keyboard; and SysRq.
    assert_eq!(first("keyboard", &[key(255), key(99)]), []);
    // The Share button of this pad is a key.
    assert_eq!(first("xbox-series", &[press("capture", true)]), values(&[("KEY_RECORD", 1)]));
    assert_eq!(first("xbox-series", &[key(167)]), []);
    assert_eq!(first("wheel", &[press("back", true)]), values(&[("BTN_BASE3", 1)]));
    assert_eq!(first("wheel", &[press("capture", true)]), []);
}

#[test]
fn a_mouse_moves_by_sums() {
    let profile = builtin("mouse");
    let mut named = Named::of_uinput(profile);
    let moves = [
        Change::Move { dx: 3, dy: -4 },
        Change::MouseButton { button: 1, down: true },
        Change::Move { dx: 1, dy: 0 },
        Change::Wheel { vertical: 15, horizontal: -120 },
    ];
    let expected = [
        ("BTN_RIGHT", 1),
        ("REL_X", 4),
        ("REL_Y", -4),
        ("REL_WHEEL_HI_RES", 15),
        ("REL_HWHEEL_HI_RES", -120),
    ];
    assert_eq!(report(&mut named, profile, &moves), values(&expected));
    // It was told once.
    let button = [Change::MouseButton { button: 1, down: false }];
    assert_eq!(report(&mut named, profile, &button), values(&[("BTN_RIGHT", 0)]));
    let far = [Change::Move { dx: i32::MAX, dy: i32::MIN }];
    let ends = values(&[("REL_X", i32::MAX), ("REL_Y", -i32::MAX)]);
    assert_eq!(report(&mut named, profile, &far), ends);
    let place = [Change::Place(Place { x: 0, y: 65535 })];
    assert_eq!(first("mouse-absolute", &place), values(&[("ABS_X", 0), ("ABS_Y", 65535)]));
}

#[test]
fn a_finger_keeps_its_place_and_a_new_one_gets_another_in_the_same_report() {
    let profile = builtin("touchscreen");
    let mut named = Named::of_uinput(profile);
    let down = ("ABS_MT_TRACKING_ID", 1);
    let (x, y) = (("ABS_MT_POSITION_X", 31860), ("ABS_MT_POSITION_Y", 0));
    let pressed = ("ABS_MT_PRESSURE", 255);
    let fingers = [finger(7, 65535, 0)];
    assert_eq!(report(&mut named, profile, &fingers), values(&[down, x, y, pressed]));
    // Which contact each is about is not to be seen here, but in a frame that is equal.
    let frame_of = |named: &mut Named<vinput::Frame>, changes: &[Change]| {
        let mut written = vinput::Frame::new();
        let write = |frame: &vinput::Frame| {
            written = frame.clone();
            Ok::<_, Infallible>(())
        };
        named.change(profile, changes, write).unwrap();
        written
    };
    let next = frame_of(&mut named, &[Change::Lift { id: 7 }, finger(8, 65535, 0)]);
    let names = ["touch0=0", "touch1=1", "touch1_x=1", "touch1_y=0", "touch1_pressure=1"];
    assert_eq!(next, profile.frame(names).unwrap());
    let after = frame_of(&mut named, &[finger(9, 0, 0), finger(8, 0, 0)]);
    let names = [
        "touch0=1",
        "touch0_x=0",
        "touch0_y=0",
        "touch0_pressure=1",
        "touch1=1",
        "touch1_x=0",
        "touch1_y=0",
        "touch1_pressure=1",
    ];
    assert_eq!(after, profile.frame(names).unwrap());
    // All was let go of meanwhile.
    named.release();
    assert_eq!(frame_of(&mut named, &[Change::Lift { id: 8 }]), vinput::Frame::new());
}

#[test]
fn more_fingers_than_the_device_tells_apart_are_not_there() {
    let profile = builtin("touchpad");
    let mut named = Named::of_uinput(profile);
    let fingers: Vec<_> = (1..=7).map(|id| finger(id, 1, 1)).collect();
    let set = report(&mut named, profile, &fingers);
    assert_eq!(set.iter().filter(|(code, _)| code == "ABS_MT_TRACKING_ID").count(), 5);
    assert_eq!(report(&mut named, profile, &[Change::Lift { id: 7 }]), []);
}

#[test]
fn a_pen_comes_near_with_its_tool() {
    let profile = builtin("pen-tablet");
    let mut named = Named::of_uinput(profile);
    let eraser = Stroke {
        tool: pen::ERASER,
        place: Place { x: 65535, y: 0 },
        pressure: 65535,
        distance: 0,
        tilt: [-30, 90],
    };
    let near = Change::PenButton { button: pen::NEAR, down: true };
    let tip = Change::PenButton { button: pen::TIP, down: true };
    let expected = [
        ("ABS_X", 21600),
        ("ABS_Y", 0),
        ("ABS_PRESSURE", 8191),
        ("ABS_DISTANCE", 0),
        ("ABS_TILT_X", -30),
        ("ABS_TILT_Y", 63),
        ("BTN_TOOL_RUBBER", 1),
        ("BTN_TOUCH", 1),
    ];
    assert_eq!(report(&mut named, profile, &[Change::Pen(eraser), near, tip]), values(&expected));
    // It is turned around, and there is no such tool.
    let turned = report(&mut named, profile, &[Change::Pen(Stroke { tool: 9, ..eraser })]);
    assert_eq!(turned[..2], values(&[("BTN_TOOL_RUBBER", 0), ("BTN_TOOL_PEN", 1)]));
}

#[test]
fn nothing_is_allocated_for_a_change() {
    let changes = everything();
    let room: Vec<_> = changes.chunks(20).collect();
    for profile in Profile::builtins() {
        let mut named = Named::of_uinput(profile);
        let mut written = 0;
        let allocated = allocation_counter::measure(|| {
            for changes in &room {
                let write = |frame: &vinput::Frame| {
                    written += frame.events().count();
                    Ok::<_, Infallible>(())
                };
                named.change(profile, changes, write).unwrap();
            }
        });
        assert!(written > 0, "{}", profile.name());
        assert_eq!(allocated.count_total, 0, "{}", profile.name());
    }
    let (mut pad, mut state) = (Pad::default(), State::NEUTRAL);
    let apply = || changes.iter().for_each(|change| pad.apply(&mut state, change));
    assert_eq!(allocation_counter::measure(apply).count_total, 0);
}

/// Report descriptor of a mouse: five buttons, motion of −127 to 127, a wheel (HID 1.11, appendix E.10, with a wheel).
const MOUSE: &str = r#"
backend = "uhid"
name = "hid-mouse"
title = "Mouse"
device_name = "Mouse"
bus = "usb"
vendor = 1
product = 2
version = 3
report_descriptor = """
05 01 09 02 A1 01 09 01 A1 00 05 09 19 01 29 05 15 00 25 01 95 05 75 01 81 02 95 01 75 03 81 01
05 01 09 30 09 31 09 38 15 81 25 7F 75 08 95 03 81 06 C0 C0
"""
"#;

fn hid_values(profile: &hid::Profile, changes: &[Change]) -> Vec<hid::Frame> {
    let mut named = Named::of_hid(profile);
    let mut written = Vec::new();
    let write = |frame: &hid::Frame| {
        written.push(frame.clone());
        Ok::<_, Infallible>(())
    };
    named.change(profile, changes, write).unwrap();
    written
}

#[test]
fn motion_that_has_no_room_in_a_report_goes_on_in_the_next() {
    let profile = hid::Profile::parse(MOUSE).unwrap();
    assert_eq!(Named::of_hid(&profile).kinds(), Kind::Mouse.bit());
    let changes = [
        Change::MouseButton { button: 0, down: true },
        Change::Move { dx: 300, dy: -5 },
        Change::Wheel { vertical: -200, horizontal: 120 },
    ];
    let frames = [&["left=1", "dx=127", "dy=-5", "wheel=-1"][..], &["dx=127"], &["dx=46"]];
    let expected: Vec<_> = frames.iter().map(|it| profile.frame(*it).unwrap()).collect();
    assert_eq!(hid_values(&profile, &changes), expected);
    // Nobody can have it write without end.
    let far = hid_values(&profile, &[Change::Move { dx: i32::MAX, dy: 0 }]);
    assert_eq!(far.len(), 16);
}

#[test]
fn nothing_is_held_back_of_a_wheel_that_turns_slowly() {
    let profile = hid::Profile::parse(MOUSE).unwrap();
    let mut named = Named::of_hid(&profile);
    let mut turned = Vec::new();
    for _ in 0..6 {
        let write = |frame: &hid::Frame| {
            turned.push(!frame.is_empty());
            Ok::<_, Infallible>(())
        };
        let slowly = [Change::Wheel { vertical: 40, horizontal: 0 }];
        named.change(&profile, &slowly, write).unwrap();
    }
    assert_eq!(turned, [false, false, true, false, false, true]);
}

#[test]
fn the_hid_pad_of_the_documentation_is_a_pad() {
    let text = include_str!("../../../docs/profiles.md");
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let pad = blocks.filter_map(|block| hid::Profile::parse(block).ok()).next().unwrap();
    assert_eq!(Named::of_hid(&pad).kinds(), Kind::Gamepad.bit());
    let changes = [press("south", true), press("right", true), Change::Axes(PULLED)];
    let expected = pad.frame(["south=1", "dpad_x=1", "lx=-1", "lt=1"]).unwrap();
    assert_eq!(hid_values(&pad, &changes), [expected]);
}
