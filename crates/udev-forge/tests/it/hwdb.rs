//! The hardware database. Databases made here have one node a character, unlike those of
//! `systemd-hwdb`, with which `differential` compares.

use std::collections::BTreeMap;

use proptest::prelude::*;
use udev_forge::Hwdb;

/// What is behind one more character of a pattern.
#[derive(Default)]
struct Node {
    children: BTreeMap<u8, Self>,
    /// Key, value, line.
    values: Vec<(String, String, u32)>,
}

/// Compiles `pattern KEY=VALUE` lines, the later of two the stronger.
pub(crate) fn compile(lines: &[&str]) -> Vec<u8> {
    let mut root = Node::default();
    for (line, number) in lines.iter().zip(1..) {
        let (pattern, pair) = line.rsplit_once(' ').unwrap();
        let (key, value) = pair.split_once('=').unwrap();
        let node =
            pattern.bytes().fold(&mut root, |node, byte| node.children.entry(byte).or_default());
        node.values.push((format!(" {key}"), value.to_owned(), number));
    }
    let mut file = vec![0; 80];
    let root = store(&root, &mut file);
    let numbers = [0, file.len() as u64, 80, 24, 16, 32, root, 0, 0];
    let header = numbers.iter().flat_map(|number| number.to_le_bytes());
    let header: Vec<u8> = b"KSLPHHRH".iter().copied().chain(header).collect();
    file[..header.len()].copy_from_slice(&header);
    file
}

/// Appends a node after its children and strings, and says where it is.
fn store(node: &Node, file: &mut Vec<u8>) -> u64 {
    let children: Vec<(u8, u64)> =
        node.children.iter().map(|(byte, child)| (*byte, store(child, file))).collect();
    let mut string = |text: &str| {
        let at = file.len() as u64;
        file.extend(text.bytes().chain([0]));
        at
    };
    let values: Vec<[u64; 4]> = node
        .values
        .iter()
        .map(|(key, value, line)| [string(key), string(value), 0, 1 << 32 | u64::from(*line)])
        .collect();
    let at = file.len() as u64;
    for number in [0, children.len() as u64, values.len() as u64] {
        file.extend(number.to_le_bytes());
    }
    for (byte, child) in children {
        file.extend([byte, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(child.to_le_bytes());
    }
    for number in values.concat() {
        file.extend(number.to_le_bytes());
    }
    at
}

const LINES: [&str; 6] = [
    "evdev:name:*Pad*:dmi:* KEY_A=1",
    "evdev:name:Game Pad:dmi:* KEY_B=2",
    "joystick:bluetooth:* ID_INPUT_JOYSTICK_INTEGRATION=external",
    "joystick:* ID_INPUT_JOYSTICK_INTEGRATION=internal",
    "usb:v045E* ID_VENDOR_FROM_DATABASE=Microsoft",
    "usb:v045Ep0[0-9]EA* ID_MODEL_FROM_DATABASE=Pad",
];

fn lookup(modalias: &str) -> Vec<(String, String)> {
    let found = Hwdb::parse(compile(&LINES)).unwrap().lookup(modalias);
    found.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_pattern_that_matches_has_its_say() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(lookup("evdev:name:Game Pad:dmi:x"), [pair("KEY_A", "1"), pair("KEY_B", "2")]);
    assert_eq!(lookup("evdev:name:My Pad 2:dmi:x"), [pair("KEY_A", "1")]);
    assert_eq!(
        lookup("usb:v045Ep02EAd0408:Pad"),
        [pair("ID_VENDOR_FROM_DATABASE", "Microsoft"), pair("ID_MODEL_FROM_DATABASE", "Pad")]
    );
    for nothing in ["", "usb:v045", "usb", "evdev:name:Game Pad", "x"] {
        assert_eq!(lookup(nothing), [], "{nothing}");
    }
}

#[test]
fn of_two_values_the_later_line_counts() {
    let integration = |modalias| lookup(modalias).pop().unwrap().1;
    assert_eq!(integration("joystick:usb:v1p2"), "internal");
    assert_eq!(integration("joystick:bluetooth:v1p2"), "internal");
    let hwdb = Hwdb::parse(compile(&["a* K=1", "ab K=2", "abc K=3", "* K=0"])).unwrap();
    assert_eq!(hwdb.lookup("ab").get("K"), Some("0"));
}

#[test]
fn what_is_no_database_is_refused() {
    let whole = compile(&LINES);
    assert!(Hwdb::parse(Vec::new()).is_none());
    assert!(Hwdb::parse(whole[..whole.len() - 1].to_vec()).is_none());
    let error = Hwdb::read("/dev/null".as_ref()).unwrap_err();
    assert!(error.to_string().contains("/dev/null is not a hardware database"), "{error}");
    assert!(Hwdb::read("/nonexistent".as_ref()).is_err());
    assert!(Hwdb::empty().lookup("usb:v045E").is_empty());
}

proptest! {
    #[test]
    fn a_damaged_database_does_no_harm(
        damage in proptest::collection::vec((0_usize..4096, any::<u8>()), 1..20),
        modalias in "(usb:v045Ep02EA|evdev:name:Game Pad:dmi:x|.{0,30})",
    ) {
        let mut file = compile(&LINES);
        for (place, byte) in damage {
            // The size and the signature stay, so that the rest is looked at.
            let place = 24 + place % (file.len() - 24);
            file[place] = byte;
        }
        if let Some(hwdb) = Hwdb::parse(file) {
            hwdb.lookup(&modalias);
        }
    }
}
