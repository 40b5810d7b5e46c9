//! `show`.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::namespace::run;

fn show(arguments: &[&str]) -> String {
    let output = run(&[&["show"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_device_is_shown_with_its_message_and_record() {
    let shown = show(&["/sys/class/mem/null"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "message: add /devices/virtual/mem/null (mem)");
    assert_eq!(lines[1], "  header: subsystem c365cd83, devtype 00000000, tags 0000000000000000");
    assert_eq!(lines[2], "  ACTION=add");
    assert!(lines.contains(&"  DEVMODE=0666"), "{shown}");
    assert_eq!(lines.last(), Some(&"record: /run/udev/data/c1:3, 0 bytes"));

    let json: Value = serde_json::from_str(&show(&["/sys/class/mem/null", "--json"])).unwrap();
    assert_eq!(json["message"]["properties"]["DEVNAME"], "/dev/null");
    assert_eq!(json["record"]["id"], "c1:3");
}

#[test]
fn a_removal_leaves_no_record() {
    let shown = show(&["/sys/class/mem/null", "--action", "remove"]);
    assert!(shown.starts_with("message: remove "));
    assert!(!shown.contains("record"));
    let json = show(&["/sys/class/mem/null", "--action", "remove", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["record"], Value::Null);
}

#[test]
fn a_record_is_shown_from_its_file() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("c13:69");
    let text = "I:2798422893\nE:ID_INPUT=1\nG:seat\nQ:seat\nV:1\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let expected = "record: /run/udev/data/c13:69, 44 bytes\n  I:2798422893\n  E:ID_INPUT=1\n  G:seat\n  \
                    Q:seat\n  V:1\ntag: /run/udev/tags/seat/c13:69\n";
    assert_eq!(show(&["--record", file]), expected);

    let json: Value = serde_json::from_str(&show(&["--record", file, "--json"])).unwrap();
    assert_eq!(json["usec_initialized"], 2_798_422_893_u64);
    assert_eq!(json["properties"]["ID_INPUT"], "1");
    assert_eq!(json["current_tags"][0], "seat");
    assert_eq!(json["text"], text);
}
