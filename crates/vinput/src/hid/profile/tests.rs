use proptest::prelude::*;

use super::*;
use crate::hid::descriptor::tests::items;
use crate::{AnyProfile, InputError};

pub(in crate::hid) const PAD: &str = r#"
backend = "uhid"
name = "my-pad"
title = "My pad"
device_name = "My pad"
bus = "usb"
vendor = 0x1209
product = 0x0001
version = 0x0100
report_descriptor = """
05 01 09 05 a1 01                        # game pad
85 01
05 09 19 01 29 08 15 00 25 01 75 01 95 08 81 02
05 01 09 39 15 00 25 07 75 04 95 01 81 42
75 04 95 01 81 01
09 30 09 31 15 81 25 7f 75 08 95 02 81 02
85 02
09 32 15 00 26 ff 03 75 10 95 01 81 02
85 05
06 00 ff 09 01 75 08 95 03 91 02
09 02 95 02 b1 02
c0
"""
"#;

/// The pad without the comment, which TOML would keep in the text.
pub(in crate::hid) fn pad(more: &str) -> Result<Profile, ProfileError> {
    Profile::parse(&format!("{}{more}", PAD.replace("                        # game pad", "")))
}

fn error(more: &str) -> String {
    pad(more).unwrap_err().to_string()
}

#[test]
fn without_a_table_of_controls_everything_is_named() {
    let pad = pad("").unwrap();
    let names: Vec<_> = pad.controls().iter().map(Control::name).collect();
    let expected = [
        "button1", "button2", "button3", "button4", "button5", "button6", "button7", "button8",
        "dpad_x", "dpad_y", "lx", "ly", "rx",
    ];
    assert_eq!(names, expected);
    assert_eq!((pad.name(), pad.vendor(), pad.driver()), ("my-pad", 0x1209, None));
}

#[test]
fn a_table_of_controls_names_what_it_says_and_nothing_else() {
    let more = "[controls]\nsouth = 0x90001\nlt = { usage = 0x10032, rest = 0 }\n\
                dpad_x = { usage = 0x10039, axis = \"x\" }\n";
    let pad = pad(more).unwrap();
    let mut names: Vec<_> = pad.controls().iter().map(Control::name).collect();
    names.sort_unstable();
    assert_eq!(names, ["dpad_x", "lt", "south"]);
}

#[test]
fn mistakes_are_told_with_line_and_cause() {
    assert_eq!(
        Profile::parse(PAD).unwrap_err().to_string(),
        "line 10: report_descriptor: '#' is no hexadecimal digit"
    );
    let cases = [
        (
            "[controls]\nsouth = 0x90009\n",
            "line 25: controls.south: the input reports have no usage 0x00090009 number 1",
        ),
        (
            "[controls]\nlt = { usage = 0x10032, rest = 1024 }\n",
            "line 25: controls.lt: `rest` (1024) must be from 0 to 1023",
        ),
        (
            "[controls]\nlt = { usage = 0x10032, nth = 2 }\n",
            "line 25: controls.lt: the input reports have no usage 0x00010032 number 2",
        ),
        (
            "[controls]\nlx = { usage = 0x10030, axis = \"x\" }\n",
            "line 25: controls.lx: `axis` is for a hat switch with 4 or 8 directions",
        ),
        (
            "[controls]\nsouth = \"BTN_SOUTH\"\n",
            "line 25: BTN_SOUTH is a code of evdev; a HID device has usages like 0x90001",
        ),
        (
            "[controls]\na = 0x90001\nb = 0x90001\n",
            "line 26: controls.b: \"a\" is the same already",
        ),
        ("[controls]\nA = 0x90001\n", "line 25: controls.A: use a-z, 0-9 and _ for the name"),
        (
            "driver = \"../x\"\n",
            "line 24: driver: use a name of /sys/bus/hid/drivers, like \"hid-generic\"",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(error(more), expected);
    }
    let wrong = |from: &str, to: &str| {
        let text = PAD.replace("                        # game pad", "").replace(from, to);
        Profile::parse(&text).unwrap_err().to_string()
    };
    assert_eq!(
        wrong("c0\n", "c0 c0\n"),
        "line 10: report_descriptor: byte 93: the end of a collection that was not begun"
    );
    assert_eq!(
        wrong("15 00 26 ff 03", "16 00 04 26 ff 03"),
        "line 10: report_descriptor: byte 72: the logical minimum (1024) is more than the maximum (1023)"
    );
    assert_eq!(
        wrong("c0\n", "c\n"),
        "line 10: report_descriptor: 185 hexadecimal digits are no whole bytes"
    );
    let long = "x".repeat(80);
    let expected = "line 5: the name has 80 bytes, at most 79 fit; shorten it";
    assert_eq!(wrong("device_name = \"My pad\"", &format!("device_name = \"{long}\"")), expected);
    assert!(wrong("title", "tilte").starts_with("line 4: unknown field `tilte`"));
    assert!(wrong("version = 0x0100", "version = ").starts_with("line 9: "));
}

#[test]
fn the_backend_decides_which_kind_of_profile_a_file_is() {
    let text = PAD.replace("                        # game pad", "");
    assert!(matches!(AnyProfile::parse(&text), Ok(AnyProfile::Uhid(_))));
    let mouse = include_str!("../../../profiles/mouse.toml");
    assert!(matches!(AnyProfile::parse(mouse), Ok(AnyProfile::Uinput(_))));
    let said = format!("backend = \"uinput\"\n{mouse}");
    assert!(matches!(AnyProfile::parse(&said), Ok(AnyProfile::Uinput(_))));
    let other = AnyProfile::parse(&format!("backend = \"usb\"\n{mouse}")).unwrap_err();
    assert!(other.to_string().starts_with("line 1: unknown variant `usb`"), "{other}");
    let error = crate::Profile::parse(&format!("backend = \"uhid\"\n{mouse}")).unwrap_err();
    assert_eq!(error.to_string(), "line 1: backend: is of another kind of profile");
}

#[test]
fn inputs_are_checked_as_those_of_other_devices() {
    let pad = pad("").unwrap();
    let error = |inputs: &[&str]| pad.frame(inputs).unwrap_err().to_string();
    assert_eq!(error(&["lx=2"]), "lx takes -1 to 1, not \"2\"");
    assert_eq!(error(&["button1=0.5"]), "button1 takes 0 or 1, not \"0.5\"");
    assert_eq!(error(&["dpad_x=x"]), "dpad_x takes -1 to 1, not \"x\"");
    assert_eq!(error(&["buton1=1"]), "my-pad has no control \"buton1\"; did you mean \"button1\"?");
    assert!(matches!(pad.frame(["lx=1", "lx=0"]), Err(InputError::Repeated { .. })));
    assert!(matches!(pad.frame(["lx"]), Err(InputError::Syntax { .. })));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = AnyProfile::parse(&text);
        let _ = Profile::parse(&text);
    }

    #[test]
    fn any_descriptor_makes_a_profile_whose_controls_are_written_and_read_again(bytes in items()) {
        let head = &PAD[..PAD.find("report_descriptor").unwrap()];
        let text = format!("{head}{}", descriptor_lines(&bytes));
        if let Ok(profile) = Profile::parse(&text) {
            let table = controls_table(&name_all(profile.descriptor()));
            let again = Profile::parse(&format!("{text}{table}")).unwrap();
            prop_assert_eq!(again.controls().len(), profile.controls().len());
            for control in profile.controls() {
                let same = again.control(control.name()).unwrap();
                prop_assert_eq!((same.place, same.kind), (control.place, control.kind));
            }
        }
    }
}
