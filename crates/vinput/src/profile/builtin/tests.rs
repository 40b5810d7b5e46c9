use crate::profile::{Control, Profile};

fn names(profile: &Profile) -> Vec<&str> {
    profile.controls().iter().map(Control::name).collect()
}

#[test]
fn the_built_in_profiles_are_valid_and_known_by_their_file_names() {
    let names: Vec<_> = Profile::builtins().map(Profile::name).collect();
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, files);
    assert_eq!(Profile::builtin("mouse").unwrap().title(), "Mouse");
    assert_eq!(Profile::builtin("Mouse"), None);
}

#[test]
fn the_xbox_pad_has_what_xpad_gives_it() {
    let pad = Profile::builtin("xbox-one").unwrap();
    let id = (pad.bus() as u16, pad.vendor(), pad.product(), pad.version());
    assert_eq!(id, (3, 0x045e, 0x02ea, 0x0408));
    assert_eq!(
        names(pad),
        [
            "south", "east", "west", "north", "lb", "rb", "back", "start", "guide", "ls", "rs",
            "lx", "ly", "lt", "rx", "ry", "rt", "dpad_x", "dpad_y"
        ]
    );
    // X sits in the west and reports the code that the kernel calls north.
    let code = |name| pad.control(name).unwrap().code().code;
    assert_eq!((code("west"), code("north")), (0x133, 0x134));
    let effects: Vec<_> = pad.effects().iter().map(|effect| effect.code).collect();
    assert_eq!(effects, [0x50, 0x51, 0x58, 0x59, 0x5a, 0x60]);
    assert_eq!(pad.max_effects(), 16);
}

/// The words of a capability bitmap as sysfs prints them.
fn bitmap(profile: &Profile, kind: crate::EventType) -> String {
    let mut words = [0u64; 12];
    for code in profile.codes().filter(|code| code.kind == kind) {
        words[usize::from(code.code / 64)] |= 1 << (code.code % 64);
    }
    let used = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    let words: Vec<_> = words[..used].iter().rev().map(|word| format!("{word:x}")).collect();
    words.join(" ")
}

#[test]
fn the_xbox_pads_bitmaps_are_those_of_a_real_one() {
    let pad = Profile::builtin("xbox-one").unwrap();
    assert_eq!(bitmap(pad, crate::EventType::Key), "7cdb000000000000 0 0 0 0");
    assert_eq!(bitmap(pad, crate::EventType::Abs), "3003f");
    assert_eq!(bitmap(pad, crate::EventType::Ff), "107030000 0");
}

#[test]
fn the_keyboard_is_one_to_udev_and_not_dangerous_to_the_host() {
    let keyboard = Profile::builtin("keyboard").unwrap();
    assert!(keyboard.repeat());
    assert_eq!(keyboard.controls().len(), 104 + 7);
    assert_eq!(keyboard.leds().len(), 3);
    // udev-builtin-input_id.c calls a keyboard what has all codes from KEY_ESC (1) to KEY_S (31).
    let codes: Vec<_> = keyboard.controls().iter().map(|control| control.code().code).collect();
    assert!((1..=31).all(|code| codes.contains(&code)));
    for dangerous in ["sysrq", "power", "sleep", "wakeup"] {
        assert!(keyboard.control(dangerous).is_none(), "{dangerous}");
    }
    for key in ["a", "enter", "leftshift", "102nd", "compose", "kpenter", "playpause"] {
        assert!(keyboard.control(key).is_some(), "{key}");
    }
}

#[test]
fn the_mouse_has_both_kinds_of_wheel() {
    let mouse = Profile::builtin("mouse").unwrap();
    let codes: Vec<_> = mouse.codes().map(|code| code.to_string()).collect();
    assert!(codes.contains(&"REL_WHEEL_HI_RES".to_owned()), "{codes:?}");
    assert!(codes.contains(&"REL_HWHEEL_HI_RES".to_owned()), "{codes:?}");
    assert_eq!(
        names(mouse),
        ["left", "right", "middle", "side", "extra", "dx", "dy", "hwheel", "wheel"]
    );
}
