use std::collections::HashMap;
use std::fs;
use std::str::FromStr;

use super::*;

/// The table is complete up to this kernel (`KERNEL_VERSION(6, 18, 0)` of linux/version.h).
const COMPLETE_TO: u32 = (6 << 16) + (18 << 8);

/// The `#define NAME VALUE` lines of a kernel header, aliases resolved.
fn defines(header: &str) -> HashMap<String, u16> {
    let path = format!("/usr/include/linux/{header}");
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{path}: {error} (install linux-libc-dev)"));
    let mut defines = HashMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let ["#define", name, value, ..] = words[..] else { continue };
        let number = match value.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16).ok(),
            None => value.parse().ok().or_else(|| defines.get(value).copied()),
        };
        if let Some(number) = number {
            defines.insert(name.to_owned(), number);
        }
    }
    defines
}

/// Whether a define of the headers names one code, rather than an end of a range.
fn is_code(name: &str) -> bool {
    const FAMILIES: [&str; 11] =
        ["SYN", "KEY", "BTN", "REL", "ABS", "MSC", "SW", "LED", "SND", "REP", "FF"];
    const ENDS: [&str; 6] = [
        "KEY_MIN_INTERESTING",
        "FF_EFFECT_MIN",
        "FF_EFFECT_MAX",
        "FF_WAVEFORM_MIN",
        "FF_WAVEFORM_MAX",
        "FF_MAX_EFFECTS",
    ];
    let (family, rest) = name.split_once('_').unwrap_or((name, ""));
    FAMILIES.contains(&family)
        && !["MAX", "MAX_", "CNT"].contains(&rest)
        && !ENDS.contains(&name)
        && !name.starts_with("FF_STATUS_")
}

fn header_version() -> u32 {
    let text = fs::read_to_string("/usr/include/linux/version.h").unwrap();
    let line = text.lines().find(|line| line.contains("LINUX_VERSION_CODE")).unwrap();
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[test]
fn the_table_agrees_with_the_kernel_headers() {
    let mut header = defines("input-event-codes.h");
    header.extend(defines("input.h"));
    let compared = table::CODES.iter().filter(|(name, ..)| header.contains_key(*name)).count();
    assert!(compared > 700, "only {compared} names found in the headers");
    for (name, _, code) in table::CODES {
        assert!(header.get(*name).is_none_or(|known| known == code), "{name}");
    }
    for (name, number) in table::PROPERTIES {
        assert!(header.get(*name).is_none_or(|known| known == number), "{name}");
    }
    if header_version() <= COMPLETE_TO + 0xff {
        let missing: Vec<_> = header
            .keys()
            .filter(|name| is_code(name) && EventCode::from_name(name).is_none())
            .collect();
        assert!(missing.is_empty(), "not in the table: {missing:?}");
    }
}

#[test]
fn event_types_agree_with_the_kernel_headers() {
    use EventType::*;
    let header = defines("input-event-codes.h");
    let types = [Syn, Key, Rel, Abs, Msc, Sw, Led, Snd, Rep, Ff];
    for kind in types {
        let name = format!("EV_{kind:?}").to_uppercase();
        assert_eq!(header[&name], kind as u16, "{name}");
    }
}

/// A second opinion: the constants of the `evdev` crate, found through their names.
#[test]
fn the_table_agrees_with_the_evdev_crate() {
    let mut compared = 0;
    for (name, kind, code) in table::CODES {
        let other = match kind {
            EventType::Key => evdev::KeyCode::from_str(name).map(|code| code.0),
            EventType::Rel => evdev::RelativeAxisCode::from_str(name).map(|code| code.0),
            EventType::Abs => evdev::AbsoluteAxisCode::from_str(name).map(|code| code.0),
            EventType::Msc => evdev::MiscCode::from_str(name).map(|code| code.0),
            EventType::Sw => evdev::SwitchCode::from_str(name).map(|code| code.0),
            EventType::Led => evdev::LedCode::from_str(name).map(|code| code.0),
            EventType::Snd => evdev::SoundCode::from_str(name).map(|code| code.0),
            EventType::Ff => evdev::FFEffectCode::from_str(name).map(|code| code.0),
            EventType::Syn | EventType::Rep => continue,
        };
        if let Ok(other) = other {
            assert_eq!(other, *code, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 600, "only {compared} names known to evdev");
}

#[test]
fn names_are_unique_and_sorted_by_code() {
    for pair in table::CODES.windows(2) {
        let [(a, kind_a, code_a), (b, kind_b, code_b)] = pair else { unreachable!() };
        assert!((kind_a, code_a) <= (kind_b, code_b), "{b} belongs before {a}");
    }
    let names: std::collections::HashSet<_> = table::CODES.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), table::CODES.len());
}

#[test]
fn the_name_of_a_code_leads_back_to_it() {
    for (_, kind, code) in table::CODES {
        let code = EventCode { kind: *kind, code: *code };
        assert_eq!(EventCode::from_name(code.name().unwrap()), Some(code));
    }
}

#[test]
fn of_several_names_the_one_that_says_most_is_given() {
    let canonical = |alias| EventCode::from_name(alias).unwrap().name().unwrap();
    assert_eq!(canonical("BTN_GAMEPAD"), "BTN_SOUTH");
    assert_eq!(canonical("BTN_X"), "BTN_NORTH");
    assert_eq!(canonical("BTN_MOUSE"), "BTN_LEFT");
    assert_eq!(canonical("KEY_SCREENLOCK"), "KEY_COFFEE");
}

#[test]
fn a_code_without_a_name_is_written_by_type_and_number() {
    let code = EventCode { kind: EventType::Key, code: 0x2fe };
    assert_eq!(code.name(), None);
    assert_eq!(code.to_string(), "EV_KEY:0x2fe");
    assert_eq!(EventCode::try_from("EV_KEY:0x2fe".to_owned()), Ok(code));
    for wrong in ["EV_KEY:0x300", "EV_ABS:0x40", "EV_LED:0x1", "EV_KEY:12", "EV_KEY:0x"] {
        assert!(EventCode::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
}

#[test]
fn a_mistyped_name_is_met_with_the_right_one() {
    let error = |name: &str| EventCode::try_from(name.to_owned()).unwrap_err();
    assert_eq!(error("BTN_SUOTH"), "unknown event code \"BTN_SUOTH\": did you mean BTN_SOUTH?");
    assert_eq!(error("btn_south"), "unknown event code \"btn_south\": did you mean BTN_SOUTH?");
    assert_eq!(
        error("?"),
        "unknown event code \"?\": expected a name from linux/input-event-codes.h, like BTN_SOUTH"
    );
}
