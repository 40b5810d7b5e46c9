//! What is played instead of devices: scripts and records.

use std::fs;

use evdev::{AbsoluteAxisCode, EventSummary, KeyCode, RelativeAxisCode};

use super::{Real, World, key, until};
use crate::harness::{Program, devices_of_hotseat};

#[test]
fn a_script_is_played_and_ends() {
    let world = World::new();
    let script = world.daemon.path("script");
    fs::write(
        &script,
        "plug 0 mouse\nwait 5s # for the reader\n0 dx=3 dy=-2\n0 left=1\nwait 10ms\n0 left=0\nwait 2s\n",
    )
    .unwrap();
    let mut connect = world.connect(&["--script", script.to_str().unwrap()]);
    connect.expect("\"plugged\"");
    let mut mouse = world.device(0);
    let mut moved = [0, 0];
    until(&mut mouse, |event| {
        match event {
            EventSummary::RelativeAxis(_, RelativeAxisCode::REL_X, by) => moved[0] += by,
            EventSummary::RelativeAxis(_, RelativeAxisCode::REL_Y, by) => moved[1] += by,
            _ => {}
        }
        key(KeyCode::BTN_LEFT, 0)(event)
    });
    assert_eq!(moved, [3, -2]);
    connect.rest();
    assert_eq!(devices_of_hotseat().len(), 0);

    fs::write(&script, "plug 0 no-such-profile\n").unwrap();
    let refused = world.connect(&["--script", script.to_str().unwrap()]).rest();
    assert!(refused.contains("line 1 of the script: the server refused: "), "{refused}");
}

/// A record that begins with nothing for five seconds, so that a reader is there, and then has a frame every 300 ms: a finger that
/// moves and is lifted at once may be seen to be lifted only.
fn slower(record: &str) -> String {
    let (head, events) = record.split_once("  - evdev:\n").unwrap();
    let mut text = format!("{head}  - evdev:\n    - [0, 0, 0, 0, 0]\n  - evdev:\n");
    let mut milliseconds = 5000;
    for line in events.lines() {
        if line.trim() == "- evdev:" {
            milliseconds += 300;
        }
        let event = line.trim().strip_prefix("- [").and_then(|event| event.splitn(3, ',').nth(2));
        match event {
            Some(event) => {
                let (seconds, microseconds) = (milliseconds / 1000, milliseconds % 1000 * 1000);
                text.push_str(&format!("    - [{seconds}, {microseconds},{event}\n"));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

#[test]
fn a_record_of_libinput_is_played() {
    let world = World::new();
    let real = Real::plug("touchscreen", "Real screen");
    let file = world.daemon.path("record.yml");
    let mut record = Program::start(&[
        "libinput",
        "record",
        "--output-file",
        file.to_str().unwrap(),
        real.path(),
    ]);
    record.expect("Recording to");
    real.send(&["touch0=1", "touch0_x=0.25", "touch0_y=0.5"]);
    real.send(&["touch0_x=0.75"]);
    real.send(&["touch0=0"]);
    record.end("INT");

    let text = slower(&fs::read_to_string(&file).unwrap());
    fs::write(&file, &text).unwrap();
    let mut connect = world.connect(&["--replay", file.to_str().unwrap()]);
    let line = connect.expect("replaying");
    assert!(line.contains("Real screen") && line.contains("touchscreen"), "{line}\n{text}");
    let mut screen = world.device(0);
    let mut places = Vec::new();
    until(&mut screen, |event| match event {
        EventSummary::AbsoluteAxis(_, AbsoluteAxisCode::ABS_MT_POSITION_X, x) => {
            places.push(x);
            false
        }
        event => key(KeyCode::BTN_TOUCH, 0)(event),
    });
    // Of 31860: what was sent, rounded twice on its way.
    assert!(matches!(places[..], [7964..=7966, 23894..=23896]), "{places:?}\n{text}");
    connect.rest();
}
