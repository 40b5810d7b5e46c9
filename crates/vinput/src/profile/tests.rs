use proptest::prelude::*;

use super::*;

/// A valid profile; tests put their line in place of the comment.
const PAD: &str = r#"
name = "test"
title = "Test"
device_name = "Test pad"
bus = "usb"
vendor = 1
product = 2
version = 3
# top
[controls]
a = "BTN_SOUTH"
# control
"#;

fn error_at(place: &str, line: &str) -> String {
    Profile::parse(&PAD.replace(place, line)).unwrap_err().to_string()
}

fn axis_of(line: &str) -> Axis {
    let profile = Profile::parse(&PAD.replace("# control", line)).unwrap();
    let ControlKind::Absolute(axis) = profile.control("x").unwrap().kind() else { panic!() };
    axis
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_line_and_the_known_ones() {
    let error = error_at("# top", "colour = 1");
    assert!(
        error.starts_with("line 9: unknown field `colour`, expected one of `backend`"),
        "{error}"
    );
}

#[test]
fn a_missing_key_is_named() {
    assert!(error_at("vendor = 1", "").ends_with("missing field `vendor`"));
}

#[test]
fn a_number_that_does_not_fit_is_an_error_that_names_the_line() {
    let error = error_at("vendor = 1", "vendor = 0x10000");
    assert!(error.starts_with("line 6: ") && error.contains("65536"), "{error}");
}

#[test]
fn what_a_control_may_not_be_is_said_with_the_line() {
    for (line, expected) in [
        (r#"x = "BTN_SUOTH""#, "unknown event code \"BTN_SUOTH\": did you mean BTN_SOUTH?"),
        (r#"x = "LED_NUML""#, "a control has a KEY_*, BTN_*, REL_* or ABS_* code, not LED_NUML"),
        (r#"x = "KEY_RESERVED""#, "the kernel reports no KEY_RESERVED"),
        (r#"x = "ABS_X""#, "ABS_X is absolute and needs `min` and `max`"),
        (r#"x = { code = "ABS_X", min = 0, max = 0 }"#, "`min` (0) must be less than `max` (0)"),
        (
            r#"x = { code = "ABS_X", min = 0, max = 9, rest = 10 }"#,
            "`rest` (10) must be from 0 to 9",
        ),
        (
            r#"x = { code = "ABS_X", min = -1, max = 1, flat = 2 }"#,
            "`flat` (2) must be from 0 to less than 2",
        ),
        (
            r#"x = { code = "ABS_X", min = -1, max = 1, fuzz = -1 }"#,
            "`fuzz` (-1) must be from 0 to less than 2",
        ),
        (
            r#"x = { code = "ABS_X", min = 0, max = 1, resolution = -1 }"#,
            "`resolution` (-1) must not be negative",
        ),
        (
            r#"x = { code = "ABS_X", min = 0, max = 9, position = true, rest = 1 }"#,
            "a `position` has no `rest`: it stays where it is",
        ),
        (
            r#"x = { code = "BTN_EAST", min = 0 }"#,
            "BTN_EAST is a key or button and takes nothing but `code`",
        ),
        (r#"x = { code = "REL_X", max = 1 }"#, "REL_X is relative and has no range, only `hi_res`"),
        (
            r#"x = { code = "REL_WHEEL", hi_res = "ABS_X" }"#,
            "`hi_res` takes another REL_* code, not ABS_X",
        ),
        (
            r#"x = { code = "ABS_X", min = 0, max = 1, hi_res = "REL_X" }"#,
            "ABS_X is absolute and has no `hi_res`",
        ),
    ] {
        assert_eq!(error_at("# control", line), format!("line 12: {expected}"), "{line}");
    }
    let error = error_at("# control", "x = 7");
    assert!(error.starts_with("line 12: invalid type: integer `7`, expected an event"), "{error}");
    let error = error_at("# control", r#"x = { code = "ABS_X", least = 0 }"#);
    assert!(error.starts_with("line 12: unknown field `least`, expected one of `code`"), "{error}");
}

#[test]
fn what_does_not_fit_together_is_said_with_the_key() {
    for (place, line, expected) in [
        (
            "# control",
            r#"x = { code = "ABS_MT_SLOT", min = 0, max = 1 }"#,
            "line 12: controls.x: ABS_MT_SLOT belongs in [contacts.axes]",
        ),
        (
            "name = \"test\"",
            "name = \"Test!\"",
            "line 2: name: use a-z, 0-9 and -, and at least one of them",
        ),
        (
            "a = \"BTN_SOUTH\"",
            "",
            "line 10: controls: name at least one control, here or in `keys`",
        ),
        ("# control", "B = \"BTN_EAST\"", "line 12: controls.B: use a-z, 0-9 and _ for the name"),
        (
            "# control",
            "b = \"BTN_A\"",
            "line 12: controls.b: BTN_SOUTH is the code of \"a\" already",
        ),
        (
            "# control",
            "w = { code = \"REL_X\", hi_res = \"REL_Y\" }\ny = \"REL_Y\"",
            "line 13: controls.y: REL_Y is the code of \"w\" already",
        ),
        ("# top", "keys = [\"KEY_A\"]", "line 9: keys: there is a control \"a\" already"),
        ("# top", "keys = [\"BTN_EAST\"]", "line 9: keys: takes KEY_* codes, not BTN_EAST"),
        ("# top", "leds = [\"BTN_EAST\"]", "line 9: leds: takes LED_* codes, not BTN_EAST"),
        (
            "# control",
            "[force_feedback]\neffects = [\"FF_RUMBLE\"]\nmax = 97",
            "line 14: force_feedback.max: must be from 1 to 96, not 97",
        ),
        (
            "# control",
            "[force_feedback]\neffects = []\nmax = 1",
            "line 13: force_feedback.effects: list at least one FF_* code",
        ),
        (
            "# control",
            "[force_feedback]\neffects = [\"LED_NUML\"]\nmax = 1",
            "line 13: force_feedback.effects: takes FF_* codes, not LED_NUML",
        ),
    ] {
        assert_eq!(error_at(place, line), expected, "{line}");
    }
}

#[test]
fn repeat_needs_keys() {
    let mouse = PAD.replace("# top", "repeat = true").replace("BTN_SOUTH", "REL_X");
    let error = Profile::parse(&mouse).unwrap_err();
    assert_eq!(error.to_string(), "line 9: repeat: there are no keys to repeat");
}

#[test]
fn properties_are_known_by_name() {
    let top = r#"properties = ["INPUT_PROP_DIRECT"]"#;
    let profile = Profile::parse(&PAD.replace("# top", top)).unwrap();
    assert_eq!(profile.properties().collect::<Vec<_>>(), [1]);
    let error = error_at("# top", r#"properties = ["DIRECT"]"#);
    let expected = "line 9: unknown property \"DIRECT\", expected one of INPUT_PROP_POINTER, ";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn an_axis_rests_at_0_or_as_near_to_it_as_its_range_allows() {
    let rest = |range| axis_of(&format!("x = {{ code = \"ABS_X\", {range} }}")).rest;
    assert_eq!(rest("min = -32768, max = 32767"), 0);
    assert_eq!(rest("min = 0, max = 1023"), 0);
    assert_eq!(rest("min = 10, max = 20"), 10);
    assert_eq!(rest("min = -20, max = -10"), -10);
    assert_eq!(rest("min = 0, max = 255, rest = 128"), 128);
}

#[test]
fn contacts_bring_the_axes_and_buttons_of_single_touch_along() {
    let codes = |name| {
        let profile = Profile::builtin(name).unwrap();
        profile.codes().map(|code| code.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        codes("touchscreen"),
        "BTN_TOUCH ABS_MT_SLOT ABS_MT_TRACKING_ID ABS_MT_POSITION_X ABS_MT_POSITION_Y ABS_MT_PRESSURE \
         ABS_X ABS_Y ABS_PRESSURE"
    );
    assert_eq!(
        codes("touchpad"),
        "BTN_LEFT BTN_TOOL_FINGER BTN_TOOL_QUINTTAP BTN_TOUCH BTN_TOOL_DOUBLETAP BTN_TOOL_TRIPLETAP \
         BTN_TOOL_QUADTAP ABS_MT_SLOT ABS_MT_TRACKING_ID ABS_MT_POSITION_X ABS_MT_POSITION_Y ABS_X ABS_Y"
    );
    let screen = Profile::builtin("touchscreen").unwrap();
    let range = |name: &str| {
        let code = EventCode::from_name(name).unwrap();
        let (_, axis) = screen.axes().find(|(known, _)| *known == code).unwrap();
        (axis.min, axis.max, axis.resolution)
    };
    assert_eq!(range("ABS_MT_SLOT"), (0, 9, 0));
    assert_eq!(range("ABS_MT_TRACKING_ID"), (0, 65535, 0));
    assert_eq!(range("ABS_X"), range("ABS_MT_POSITION_X"));
    assert_eq!(screen.contacts().unwrap().count(), 10);
}

#[test]
fn what_contacts_may_not_be_is_said_with_the_line() {
    let x = r#"x = { code = "ABS_MT_POSITION_X", min = 0, max = 9 }"#;
    let y = r#"y = { code = "ABS_MT_POSITION_Y", min = 0, max = 9 }"#;
    for (count, axes, expected) in [
        (0, [x, y, ""], "line 13: contacts.count: must be from 1 to 32, not 0"),
        (33, [x, y, ""], "line 13: contacts.count: must be from 1 to 32, not 33"),
        (2, [x, "", ""], "line 14: contacts.axes: needs ABS_MT_POSITION_X and ABS_MT_POSITION_Y"),
        (
            2,
            [x, y, r#"z = "BTN_EAST""#],
            "line 17: contacts.axes.z: takes ABS_MT_* codes, not BTN_EAST",
        ),
        (
            2,
            [x, y, r#"z = { code = "ABS_MT_SLOT", min = 0, max = 9 }"#],
            "line 17: contacts.axes.z: takes ABS_MT_* codes but SLOT and TRACKING_ID, not ABS_MT_SLOT",
        ),
        (
            2,
            [x, y, r#"z = { code = "ABS_MT_POSITION_Y", min = 0, max = 9 }"#],
            "line 17: contacts.axes.z: another axis has ABS_MT_POSITION_Y already",
        ),
    ] {
        let text = format!("[contacts]\ncount = {count}\n[contacts.axes]\n{}", axes.join("\n"));
        assert_eq!(error_at("# control", &text), expected);
    }
    let touch = format!("touch = \"BTN_TOUCH\"\n[contacts]\ncount = 1\n[contacts.axes]\n{x}\n{y}");
    let expected = "line 12: controls.touch: BTN_TOUCH is the code of \"contacts\" already";
    assert_eq!(error_at("# control", &touch), expected);
    let name = format!("touch0 = \"BTN_EAST\"\n[contacts]\ncount = 1\n[contacts.axes]\n{x}\n{y}");
    let expected = "line 12: controls.touch0: is the name of a contact's control";
    assert_eq!(error_at("# control", &name), expected);
}

#[test]
fn a_file_that_is_no_profile_is_named_with_the_line_and_the_cause() {
    let path = std::env::temp_dir().join(format!("vinput-profile-{}.toml", std::process::id()));
    for (text, expected) in [
        ("name = ", "line 1: "),
        ("name = \"a\"\nbus = \"serial\"\n", "line 2: unknown variant `serial`"),
        (&PAD.replace("Test pad", &"x".repeat(80)), "line 4: the name has 80 bytes"),
        (&PAD.replace("\"test\"", "\"Test\""), "line 2: name: use a-z"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Profile::load(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not a profile", path.display()));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with(expected), "{cause}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = Profile::load(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", path.display()));
}

#[test]
fn a_pedal_rests_at_its_maximum_and_a_place_anywhere() {
    let pedal = axis_of(r#"x = { code = "ABS_X", min = 0, max = 255, rest = 255 }"#);
    assert_eq!([0.0, 0.5, 1.0].map(|value| pedal.scale(value)), [255, 128, 0]);
    assert_eq!(pedal.lowest(), 0.0);
    let place = axis_of(r#"x = { code = "ABS_X", min = -10, max = 10, position = true }"#);
    assert_eq!([0.0, 0.5, 1.0].map(|value| place.scale(value)), [-10, 0, 10]);
    assert_eq!(place.lowest(), 0.0);
}

#[test]
fn sticks_and_triggers_scale_to_their_ends() {
    let stick = axis_of(r#"x = { code = "ABS_X", min = -32768, max = 32767 }"#);
    let units = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|value| stick.scale(value));
    assert_eq!(units, [-32768, -16384, 0, 16384, 32767]);
    let trigger = axis_of(r#"x = { code = "ABS_X", min = 0, max = 1023 }"#);
    assert_eq!([0.0, 0.5, 1.0].map(|value| trigger.scale(value)), [0, 512, 1023]);
    assert_eq!((stick.lowest(), trigger.lowest()), (-1.0, 0.0));
}

prop_compose! {
    fn axis()(ends in any::<(i32, i32)>().prop_filter("a range", |(a, b)| a != b))
        (rest in ends.0.min(ends.1)..=ends.0.max(ends.1), ends in Just(ends)) -> Axis
    {
        let (min, max) = (ends.0.min(ends.1), ends.0.max(ends.1));
        Axis { min, max, rest, position: false, fuzz: 0, flat: 0, resolution: 0 }
    }
}

proptest! {
    #[test]
    fn scaling_meets_the_ends_and_the_rest_exactly(axis in axis()) {
        prop_assert_eq!(axis.scale(0.0), axis.rest);
        prop_assert_eq!(axis.scale(-0.0), axis.rest);
        prop_assert_eq!(axis.scale(-1.0), if axis.rest == axis.max { axis.rest } else { axis.min });
        prop_assert_eq!(axis.scale(1.0), if axis.rest == axis.max { axis.min } else { axis.max });
    }

    #[test]
    fn scaling_never_leaves_the_range(axis in axis(), value in any::<f64>()) {
        prop_assert!((axis.min..=axis.max).contains(&axis.scale(value)));
    }

    #[test]
    fn scaling_keeps_order(axis in axis(), a in -1.0..=1.0_f64, b in -1.0..=1.0_f64) {
        let (less, more) = if a <= b { (a, b) } else { (b, a) };
        if axis.rest == axis.max {
            prop_assert!(axis.scale(less) >= axis.scale(more));
        } else {
            prop_assert!(axis.scale(less) <= axis.scale(more));
        }
    }

    #[test]
    fn scaling_is_linear_on_either_side_of_the_rest(axis in axis(), value in -1.0..=1.0_f64) {
        let value = value.max(axis.lowest());
        let end = if value < 0.0 || axis.rest == axis.max { axis.min } else { axis.max };
        let exact = f64::from(axis.rest) * (1.0 - value.abs()) + f64::from(end) * value.abs();
        prop_assert!((f64::from(axis.scale(value)) - exact).abs() <= 0.5 + 1e-6);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Profile::parse(&text);
        let _ = Profile::parse(&PAD.replace("# control", &text));
    }
}
