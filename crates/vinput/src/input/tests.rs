use proptest::prelude::*;

use super::*;

fn pad() -> &'static Profile {
    Profile::builtin("xbox-one").unwrap()
}

fn mouse() -> &'static Profile {
    Profile::builtin("mouse").unwrap()
}

/// The events of a frame, as `CODE=VALUE`.
fn events(frame: &Frame) -> Vec<String> {
    frame.events().map(|(code, value)| format!("{code}={value}")).collect()
}

fn error(profile: &Profile, input: &str) -> String {
    profile.frame([input]).unwrap_err().to_string()
}

#[test]
fn controls_become_events_in_the_order_given() {
    let frame = pad().frame(["lx=-0.5", "south=1", "rt=1", "dpad_y=-1"]).unwrap();
    assert_eq!(events(&frame), ["ABS_X=-16384", "BTN_SOUTH=1", "ABS_RZ=1023", "ABS_HAT0Y=-1"]);
}

#[test]
fn the_physical_place_of_x_and_y_leads_to_the_codes_of_xpad() {
    let frame = pad().frame(["west=1", "north=0"]).unwrap();
    let codes: Vec<_> = frame.events().map(|(code, _)| code.code).collect();
    assert_eq!(codes, [0x133, 0x134]);
}

#[test]
fn a_wheel_takes_detents_to_one_part_in_120() {
    let frame = mouse().frame(["wheel=1", "hwheel=-0.25", "dx=-3"]).unwrap();
    assert_eq!(events(&frame), ["REL_WHEEL_HI_RES=120", "REL_HWHEEL_HI_RES=-30", "REL_X=-3"]);
    let most = i32::MAX / 120;
    assert!(mouse().frame([format!("wheel={most}")]).is_ok());
    assert_eq!(
        error(mouse(), &format!("wheel={}", most + 1)),
        "wheel takes detents from -17895697 to 17895697, not \"17895698\""
    );
}

#[test]
fn contacts_are_controls_of_their_own() {
    let screen = Profile::builtin("touchscreen").unwrap();
    let frame = screen.frame(["touch3=1", "touch3_x=0.5", "touch9_pressure=1"]).unwrap();
    assert_eq!(
        format!("{frame:?}"),
        "[ABS_MT_TRACKING_ID[3]=1, ABS_MT_POSITION_X[3]=15930, ABS_MT_PRESSURE[9]=255]"
    );
    // The same control of two contacts is two controls.
    assert!(screen.frame(["touch0_x=0", "touch1_x=0"]).is_ok());
    let repeated = screen.frame(["touch0_x=0", "touch0_x=1"]).unwrap_err();
    assert_eq!(repeated, InputError::Repeated { control: "touch0_x".into() });
    assert_eq!(error(screen, "touch0=0.5"), "touch0 takes 0 or 1, not \"0.5\"");
    assert_eq!(error(screen, "touch0_y=-0.5"), "touch0_y takes 0 to 1, not \"-0.5\"");
    // Which contact would be meant?
    assert!(error(screen, "ABS_MT_POSITION_X=1").starts_with("touchscreen has no control"));
    assert!(error(screen, "touch10=1").starts_with("touchscreen has no control"));
}

#[test]
fn neutral_lifts_all_contacts_and_leaves_places_alone() {
    let screen = Profile::builtin("touchscreen").unwrap();
    let neutral = screen.neutral();
    assert_eq!(neutral.events().count(), 10);
    assert!(
        neutral
            .events()
            .all(|(code, value)| code.to_string() == "ABS_MT_TRACKING_ID" && value == 0)
    );
    let pen = Profile::builtin("pen-tablet").unwrap().neutral();
    let codes: Vec<_> = pen.events().map(|(code, _)| code.to_string()).collect();
    assert!(codes.contains(&"ABS_PRESSURE".to_owned()) && codes.contains(&"ABS_TILT_X".to_owned()));
    assert!(!codes.contains(&"ABS_X".to_owned()) && !codes.contains(&"ABS_DISTANCE".to_owned()));
}

#[test]
fn codes_take_device_units() {
    let frame = pad().frame(["BTN_SOUTH=1", "ABS_X=-16384", "BTN_Y=0"]).unwrap();
    assert_eq!(events(&frame), ["BTN_SOUTH=1", "ABS_X=-16384", "BTN_WEST=0"]);
    let frame = mouse().frame(["REL_WHEEL_HI_RES=15"]).unwrap();
    assert_eq!(events(&frame), ["REL_WHEEL_HI_RES=15"]);
}

#[test]
fn spaces_around_names_and_values_do_not_matter() {
    assert_eq!(pad().frame([" south = 1 "]).unwrap(), pad().frame(["south=1"]).unwrap());
}

#[test]
fn errors_say_what_is_allowed() {
    for (input, expected) in [
        ("south", "\"south\" is not an input; write CONTROL=VALUE, like south=1"),
        ("south=2", "south takes 0 or 1, not \"2\""),
        ("south=", "south takes 0 or 1, not \"\""),
        ("lx=1.01", "lx takes -1 to 1, not \"1.01\""),
        ("lx=left", "lx takes -1 to 1, not \"left\""),
        ("lt=-0.5", "lt takes 0 to 1, not \"-0.5\""),
        ("lx=NaN", "lx takes -1 to 1, not \"NaN\""),
        ("lx=inf", "lx takes -1 to 1, not \"inf\""),
        ("lt=1e400", "lt takes 0 to 1, not \"1e400\""),
        ("ABS_X=40000", "ABS_X takes whole numbers from -32768 to 32767, not \"40000\""),
        ("ABS_X=0.5", "ABS_X takes whole numbers from -32768 to 32767, not \"0.5\""),
        ("BTN_SOUTH=2", "BTN_SOUTH takes whole numbers from 0 to 1, not \"2\""),
        ("sauth=1", "xbox-one has no control \"sauth\"; did you mean \"south\"?"),
        (
            "BTN_LEFT=1",
            "xbox-one has no control \"BTN_LEFT\"; its controls are south, east, west, \
          north, lb, rb, back, start, guide, ls, rs, lx, ly, lt, rx, ry, rt, dpad_x, dpad_y",
        ),
    ] {
        assert_eq!(error(pad(), input), expected);
    }
    assert_eq!(
        error(mouse(), "dx=0.5"),
        "dx takes whole steps from -2147483647 to 2147483647, not \"0.5\""
    );
}

#[test]
fn lights_are_set_by_programs_and_not_by_clients() {
    let keyboard = Profile::builtin("keyboard").unwrap();
    let error = keyboard.frame(["LED_CAPSL=1"]).unwrap_err();
    assert!(matches!(error, InputError::UnknownControl { .. }), "{error}");
}

#[test]
fn a_frame_sets_a_control_only_once() {
    let expected = "south is in the frame already; set it in a second frame";
    assert_eq!(pad().frame(["south=1", "south=0"]).unwrap_err().to_string(), expected);
    let error = pad().frame(["south=1", "BTN_A=0"]).unwrap_err();
    assert_eq!(error, InputError::Repeated { control: "BTN_A".into() });
}

#[test]
fn units_are_taken_as_they_are() {
    let mut frame = Frame::new();
    frame.set_units(pad().control("south").unwrap(), 1).unwrap();
    frame.set_units(pad().control("lx").unwrap(), -16384).unwrap();
    assert_eq!(frame, pad().frame(["south=1", "lx=-0.5"]).unwrap());
    let error = frame.set_units(pad().control("lt").unwrap(), 1024).unwrap_err();
    assert_eq!(error.to_string(), "lt takes whole numbers from 0 to 1023, not 1024");
    assert_eq!(frame.events().count(), 2);
    let mut frame = Frame::new();
    frame.set_units(mouse().control("wheel").unwrap(), 60).unwrap();
    assert_eq!(frame, mouse().frame(["wheel=0.5"]).unwrap());
}

#[test]
fn a_frame_can_be_used_again() {
    let mut frame = pad().frame(["south=1"]).unwrap();
    frame.clear();
    assert!(frame.is_empty());
    frame.set(pad().control("east").unwrap(), 1.0).unwrap();
    assert_eq!(events(&frame), ["BTN_EAST=1"]);
}

#[test]
fn what_is_refused_leaves_the_frame_as_it_was() {
    let mut frame = mouse().frame(["REL_WHEEL_HI_RES=15"]).unwrap();
    let before = frame.clone();
    let wheel = mouse().control("wheel").unwrap();
    assert!(frame.set(wheel, 1e9).is_err());
    assert!(frame.set(wheel, f64::NAN).is_err());
    assert_eq!(frame, before);
}

#[test]
fn neutral_lets_go_of_everything() {
    let neutral = pad().neutral();
    assert_eq!(neutral.events().count(), 19);
    assert!(neutral.events().all(|(_, value)| value == 0));
    assert_eq!(events(&mouse().neutral()).len(), 5);
    let rests = Profile::parse(
        r#"
        name = "wheel"
        title = "Wheel"
        device_name = "Wheel"
        bus = "usb"
        vendor = 1
        product = 2
        version = 3
        controls.turn = { code = "ABS_X", min = 0, max = 255, rest = 128 }
        "#,
    );
    assert_eq!(events(&rests.unwrap().neutral()), ["ABS_X=128"]);
}

#[test]
fn a_new_frame_is_empty() {
    assert!(Frame::new().is_empty());
    assert_eq!(Frame::default(), pad().frame([""; 0]).unwrap());
    assert!(!pad().neutral().is_empty());
}

proptest! {
    #[test]
    fn no_input_makes_a_value_that_the_device_does_not_declare(input in "[a-zA-Z_]{0,8}=.{0,8}") {
        for profile in Profile::builtins() {
            if let Ok(frame) = profile.frame([&input]) {
                prop_assert!(frame.events().all(|(code, _)| profile.codes().any(|own| own == code)));
            }
        }
    }

    #[test]
    fn axes_stay_in_their_range(value in any::<f64>()) {
        for control in Profile::builtins().flat_map(Profile::controls) {
            let ControlKind::Absolute(axis) = control.kind() else { continue };
            let mut frame = Frame::new();
            let accepted = frame.set(control, value).is_ok();
            prop_assert_eq!(accepted, value >= axis.lowest() && value <= 1.0);
            prop_assert!(frame.events().all(|(_, units)| (axis.min..=axis.max).contains(&units)));
        }
    }
}

#[test]
fn the_nearest_value_is_set_where_another_would_be_refused() {
    let nearest = |profile: &str, control: &str, value| {
        let profile = Profile::builtin(profile).unwrap();
        let mut frame = Frame::with_capacity(1);
        frame.set_nearest(profile.control(control).unwrap(), value);
        frame.events().next().unwrap().1
    };
    assert_eq!(nearest("xbox-one", "lx", -7.0), -32768);
    assert_eq!(nearest("xbox-one", "lt", -0.5), 0);
    assert_eq!(nearest("xbox-one", "lx", f64::NAN), 0);
    assert_eq!(nearest("xbox-one", "south", 0.7), 1);
    assert_eq!(nearest("touchscreen", "touch0", 0.2), 0);
    assert_eq!(nearest("mouse", "dx", 2.6), 3);
    assert_eq!(nearest("mouse", "wheel", 0.125), 15);
    assert_eq!(nearest("mouse", "dx", 1e12), i32::MAX);
}
