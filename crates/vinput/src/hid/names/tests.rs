use super::*;
use crate::uhid::Model;

fn names(bytes: &[u8]) -> Vec<String> {
    let named = name_all(&Descriptor::parse(bytes).unwrap());
    named.into_iter().map(|(name, _)| name).collect()
}

/// One application of so many bytes each: usage page, usage, and then the rest.
fn application(usage: u8, rest: &[u8]) -> Vec<u8> {
    [&[5, 1, 9, usage, 0xa1, 1], rest, &[0xc0]].concat()
}

/// Eight bits each, 0 to 255, of these usages of the generic desktop page.
fn axes(usages: &[u8]) -> Vec<u8> {
    let mut bytes = vec![5, 1];
    usages.iter().for_each(|usage| bytes.extend([9, *usage]));
    bytes.extend([
        0x15,
        0,
        0x26,
        0xff,
        0,
        0x75,
        8,
        0x95,
        u8::try_from(usages.len()).unwrap(),
        0x81,
        2,
    ]);
    bytes
}

#[test]
fn sticks_and_triggers_of_a_gamepad_have_their_usual_names() {
    let four = application(5, &axes(&[0x30, 0x31, 0x32, 0x35]));
    assert_eq!(names(&four), ["lx", "ly", "rx", "ry"]);
    let six = application(5, &axes(&[0x30, 0x31, 0x32, 0x33, 0x34, 0x35]));
    assert_eq!(names(&six), ["lx", "ly", "lt", "rx", "ry", "rt"]);
    let joystick = application(4, &axes(&[0x30, 0x31, 0x32, 0x35, 0x36]));
    assert_eq!(names(&joystick), ["x", "y", "z", "rz", "slider"]);
}

#[test]
fn triggers_of_a_gamepad_rest_at_their_end_and_sticks_in_the_middle() {
    let six = application(5, &axes(&[0x30, 0x31, 0x32, 0x33, 0x34, 0x35]));
    let named = name_all(&Descriptor::parse(&six).unwrap());
    let rests: Vec<_> = named.iter().map(|(_, spec)| spec.rest).collect();
    assert_eq!(rests, [None, None, Some(0), None, None, Some(0)]);
}

#[test]
fn what_is_there_twice_is_numbered() {
    let twice = application(5, &[axes(&[0x30, 0x30]), axes(&[0x30])].concat());
    assert_eq!(names(&twice), ["lx", "lx_2", "lx_3"]);
}

#[test]
fn a_keyboards_array_has_the_names_of_the_keyboard_profile() {
    // Six keys of eight bits, 0 to 101 (HID 1.11, appendix B.1).
    let keys = [5, 7, 0x19, 0, 0x29, 0x65, 0x15, 0, 0x25, 0x65, 0x75, 8, 0x95, 6, 0x81, 0];
    let names = names(&application(6, &keys));
    let keyboard = crate::Profile::builtin("keyboard").unwrap();
    for name in &names {
        assert!(keyboard.control(name).is_some() || name == "backslash_2", "{name}");
    }
    assert!(!names.contains(&"sysrq".to_owned()));
    for key in ["a", "z", "1", "enter", "space", "f12", "kpenter", "102nd", "compose"] {
        assert!(names.contains(&key.to_owned()), "{key}");
    }
}

#[test]
fn what_only_a_maker_knows_has_no_name() {
    // The pads of other drivers have such reports; they are moved by those.
    for model in Model::ALL {
        let descriptor = Descriptor::parse(model.descriptor()).unwrap();
        let vendors = name_all(&descriptor).into_iter().filter(|(_, it)| it.usage >> 16 >= VENDORS);
        assert_eq!(vendors.count(), 0, "{model}");
    }
}
