use proptest::prelude::*;

use super::*;

fn state(profile: &str) -> (&'static Profile, State) {
    let profile = Profile::builtin(profile).unwrap();
    (profile, State::new(profile))
}

/// What is written for these inputs, as `CODE=VALUE`; the last one must be the only `SYN_REPORT`.
fn written((profile, state): &mut (&Profile, State), inputs: &[&str]) -> Vec<String> {
    decode(state.apply(&profile.frame(inputs).unwrap()))
}

fn decode(bytes: &[u8]) -> Vec<String> {
    let (records, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    let mut events: Vec<_> = records.iter().map(Event::decode).collect();
    assert_eq!(events.pop().unwrap_or(Event::SYN_REPORT), Event::SYN_REPORT);
    let show = |event: Event| {
        let kind = match event.kind {
            1 => EventType::Key,
            2 => EventType::Rel,
            3 => EventType::Abs,
            other => panic!("event of type {other}"),
        };
        format!("{}={}", EventCode { kind, code: event.code }, event.value)
    };
    events.into_iter().map(show).collect()
}

#[test]
fn only_what_is_new_is_written() {
    let mut pad = state("xbox-one");
    assert_eq!(written(&mut pad, &["lx=-0.5", "south=1"]), ["BTN_SOUTH=1", "ABS_X=-16384"]);
    assert_eq!(written(&mut pad, &["south=1", "lx=-0.5"]), [""; 0]);
    assert_eq!(written(&mut pad, &["south=1", "lx=0", "east=0"]), ["ABS_X=0"]);
    assert!(pad.1.apply(&Frame::new()).is_empty());
}

#[test]
fn what_a_device_starts_with_is_not_new() {
    let mut wheel = state("wheel");
    let neutral = wheel.0.neutral();
    assert!(wheel.1.apply(&neutral).is_empty());
    assert_eq!(written(&mut wheel, &["throttle=1", "wheel=-1"]), ["ABS_X=0", "ABS_Z=0"]);
    assert_eq!(decode(wheel.1.apply(&neutral)), ["ABS_X=32767", "ABS_Z=255"]);
}

#[test]
fn of_a_device_of_which_nothing_is_known_everything_is_let_go_of_but_positions() {
    let unknown = |profile| {
        let profile = Profile::builtin(profile).unwrap();
        (profile, State::unknown(profile))
    };
    let mut pad = unknown("xbox-one");
    let released = decode(pad.1.apply(&Frame::new()));
    assert_eq!(released.len(), pad.0.controls().len());
    assert!(released.iter().all(|it| it.ends_with("=0")), "{released:?}");
    assert_eq!(written(&mut pad, &["south=0", "lx=0", "lt=1"]), ["ABS_Z=1023"]);

    // Where it points is not known, so it is not changed, and told when it is set to whatever.
    let mut pointer = unknown("mouse-absolute");
    let released = decode(pointer.1.apply(&Frame::new()));
    assert!(released.iter().all(|it| it.starts_with("BTN_")), "{released:?}");
    assert_eq!(written(&mut pointer, &["x=0"]), ["ABS_X=0"]);
    assert_eq!(written(&mut pointer, &["x=0"]), [""; 0]);
}

#[test]
fn of_a_touchscreen_of_which_nothing_is_known_every_finger_is_lifted() {
    let profile = Profile::builtin("touchscreen").unwrap();
    let mut screen = (profile, State::unknown(profile));
    let released = decode(screen.1.apply(&Frame::new()));
    let count = usize::from(profile.contacts().unwrap().count());
    let lifts = released.iter().filter(|it| *it == "ABS_MT_TRACKING_ID=-1").count();
    assert_eq!(lifts, count);
    assert_eq!(released[..3], ["ABS_MT_SLOT=0", "ABS_MT_TRACKING_ID=-1", "ABS_MT_SLOT=1"]);
    assert!(released.contains(&"BTN_TOUCH=0".to_owned()), "{released:?}");
    assert!(!released.iter().any(|it| it.starts_with("ABS_X=")), "{released:?}");
    // A finger that comes down at 0 is told so: the kernel has the place of the one before.
    let down = written(&mut screen, &["touch0=1", "touch0_x=0", "touch0_y=0"]);
    for event in ["ABS_MT_POSITION_X=0", "ABS_MT_POSITION_Y=0", "ABS_X=0", "ABS_Y=0", "BTN_TOUCH=1"]
    {
        assert!(down.iter().any(|it| it == event), "{event}: {down:?}");
    }
}

#[test]
fn of_several_values_in_a_frame_the_last_one_counts_and_motion_adds_up() {
    let (mouse, mut state) = state("mouse");
    let mut frame = Frame::new();
    for (control, value) in
        [("left", 1.0), ("dx", 3.0), ("dx", -1.0), ("left", 0.0), ("right", 1.0)]
    {
        frame.set(mouse.control(control).unwrap(), value).unwrap();
    }
    assert_eq!(decode(state.apply(&frame)), ["BTN_RIGHT=1", "REL_X=2"]);
}

#[test]
fn motion_is_always_new() {
    let mut mouse = state("mouse");
    for _ in 0..2 {
        assert_eq!(written(&mut mouse, &["dx=-3"]), ["REL_X=-3"]);
    }
    assert_eq!(written(&mut mouse, &["dx=0"]), [""; 0]);
}

#[test]
fn a_wheel_reports_a_detent_when_its_fine_steps_make_one() {
    let mut mouse = state("mouse");
    assert_eq!(written(&mut mouse, &["wheel=1"]), ["REL_WHEEL_HI_RES=120", "REL_WHEEL=1"]);
    assert_eq!(written(&mut mouse, &["wheel=0.75"]), ["REL_WHEEL_HI_RES=90"]);
    assert_eq!(written(&mut mouse, &["wheel=0.5"]), ["REL_WHEEL_HI_RES=60", "REL_WHEEL=1"]);
    assert_eq!(written(&mut mouse, &["wheel=-3"]), ["REL_WHEEL_HI_RES=-360", "REL_WHEEL=-3"]);
    // Turned back, it starts anew: a finger that trembles makes no detent.
    assert_eq!(written(&mut mouse, &["wheel=-0.75"]), ["REL_WHEEL_HI_RES=-90"]);
    assert_eq!(written(&mut mouse, &["wheel=0.75"]), ["REL_WHEEL_HI_RES=90"]);
    assert_eq!(
        written(&mut mouse, &["REL_WHEEL_HI_RES=30"]),
        ["REL_WHEEL_HI_RES=30", "REL_WHEEL=1"]
    );
}

#[test]
fn codes_of_other_devices_are_ignored() {
    let (_, mut mouse) = state("mouse");
    let pad = Profile::builtin("xbox-one").unwrap().frame(["south=1", "lx=1"]).unwrap();
    assert!(mouse.apply(&pad).is_empty());
    let touch = Profile::builtin("touchscreen").unwrap().frame(["touch0=1", "touch0_x=1"]).unwrap();
    assert!(mouse.apply(&touch).is_empty());
    let (_, mut touchpad) = state("touchpad");
    let sixth = Profile::builtin("touchscreen").unwrap().frame(["touch5=1"]).unwrap();
    assert!(touchpad.apply(&sixth).is_empty());
}

#[test]
fn a_finger_comes_moves_and_goes() {
    let mut screen = state("touchscreen");
    assert_eq!(
        written(&mut screen, &["touch0=1", "touch0_x=0.5", "touch0_y=1"]),
        [
            "ABS_MT_TRACKING_ID=0",
            "ABS_MT_POSITION_X=15930",
            "ABS_MT_POSITION_Y=17940",
            "BTN_TOUCH=1",
            "ABS_X=15930",
            "ABS_Y=17940"
        ]
    );
    assert_eq!(written(&mut screen, &["touch0_x=0"]), ["ABS_MT_POSITION_X=0", "ABS_X=0"]);
    assert_eq!(written(&mut screen, &["touch0=0"]), ["ABS_MT_TRACKING_ID=-1", "BTN_TOUCH=0"]);
    // It is another touch when it comes again, at the same place.
    assert_eq!(written(&mut screen, &["touch0=1"]), ["ABS_MT_TRACKING_ID=1", "BTN_TOUCH=1"]);
}

#[test]
fn the_place_of_a_lifted_finger_is_told_when_it_comes_down() {
    let mut screen = state("touchscreen");
    assert_eq!(written(&mut screen, &["touch1_x=1"]), [""; 0]);
    assert_eq!(
        written(&mut screen, &["touch1=1"]),
        [
            "ABS_MT_SLOT=1",
            "ABS_MT_TRACKING_ID=0",
            "ABS_MT_POSITION_X=31860",
            "BTN_TOUCH=1",
            "ABS_X=31860"
        ]
    );
}

#[test]
fn slots_are_named_only_when_they_change_and_the_oldest_finger_leads() {
    let mut pad = state("touchpad");
    assert_eq!(
        written(&mut pad, &["touch0=1", "touch0_x=0.25", "touch2=1", "touch2_x=1"]),
        [
            "ABS_MT_TRACKING_ID=0",
            "ABS_MT_POSITION_X=1100",
            "ABS_MT_SLOT=2",
            "ABS_MT_TRACKING_ID=1",
            "ABS_MT_POSITION_X=4400",
            "BTN_TOUCH=1",
            "BTN_TOOL_DOUBLETAP=1",
            "ABS_X=1100"
        ]
    );
    assert_eq!(written(&mut pad, &["touch2_x=0.5"]), ["ABS_MT_POSITION_X=2200"]);
    // The older one goes: the other leads, and slot 0 is free for a finger that is younger than it.
    assert_eq!(
        written(&mut pad, &["touch0=0"]),
        [
            "ABS_MT_SLOT=0",
            "ABS_MT_TRACKING_ID=-1",
            "BTN_TOOL_FINGER=1",
            "BTN_TOOL_DOUBLETAP=0",
            "ABS_X=2200"
        ]
    );
    assert_eq!(
        written(&mut pad, &["touch0=1"]),
        ["ABS_MT_TRACKING_ID=2", "BTN_TOOL_FINGER=0", "BTN_TOOL_DOUBLETAP=1"]
    );
    let neutral = pad.0.neutral();
    assert_eq!(
        decode(pad.1.apply(&neutral)),
        [
            "ABS_MT_TRACKING_ID=-1",
            "ABS_MT_SLOT=2",
            "ABS_MT_TRACKING_ID=-1",
            "BTN_TOUCH=0",
            "BTN_TOOL_DOUBLETAP=0"
        ]
    );
}

#[test]
fn all_fingers_at_once_are_one_report_that_was_made_room_for() {
    let (screen, mut state) = state("touchscreen");
    let mut frame = Frame::new();
    for control in screen.controls() {
        frame.set(control, 1.0).unwrap();
    }
    let length = state.apply(&frame).len();
    // Ten contacts: slot (but the first), id, x, y, pressure; BTN_TOUCH, X, Y, PRESSURE, SYN_REPORT.
    assert_eq!(length, (10 * 5 - 1 + 5) * Event::SIZE);
    assert!(length < state.records.as_flattened().len());
}

#[test]
fn tracking_ids_start_over_and_the_oldest_finger_leads_all_the_same() {
    let mut screen = state("touchscreen");
    screen.1.touch.as_mut().unwrap().next_id = LAST_ID;
    assert!(
        written(&mut screen, &["touch0=1", "touch0_x=1"])
            .contains(&"ABS_MT_TRACKING_ID=65535".into())
    );
    let second = written(&mut screen, &["touch1=1", "touch1_x=0.5"]);
    assert!(second.contains(&"ABS_MT_TRACKING_ID=0".into()));
    assert!(!second.iter().any(|event| event.starts_with("ABS_X")), "{second:?}");
}

const LAST_ID: i32 = crate::profile::LAST_TRACKING_ID;

proptest! {
    /// Whatever frames come, a program that takes every event knows the state.
    #[test]
    fn what_programs_know_is_what_was_set(
        presses in prop::collection::vec((0..19_usize, 0.0..=1.0_f64), 0..40),
    ) {
        let (pad, mut state) = state("xbox-one");
        let mut set = std::collections::BTreeMap::new();
        let mut known = std::collections::BTreeMap::new();
        for (index, value) in presses {
            let control = &pad.controls()[index];
            let value = if control.kind() == ControlKind::Key { value.round() } else { value };
            let mut frame = Frame::new();
            frame.set(control, value).unwrap();
            set.extend(frame.events());
            let (records, _) = state.apply(&frame).as_chunks();
            for event in records.iter().map(Event::decode) {
                known.insert((event.kind, event.code), event.value);
            }
        }
        for (code, value) in set {
            prop_assert_eq!(known.get(&(code.kind as u16, code.code)).copied().unwrap_or(0), value);
        }
    }
}
