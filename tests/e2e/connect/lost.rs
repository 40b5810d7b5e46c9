//! Events that `hotseat connect` does not see: what it asks the device for instead.

use std::fs;
use std::path::Path;

use evdev::{AbsoluteAxisCode, EventSummary, InputEvent, KeyCode, LedCode};
use vinput::Feedback;

use super::{Real, World, key, until};
use crate::harness::{HOTSEAT, sh};

/// The process that forwards.
fn client() -> String {
    sh(&format!("pgrep --full '^{}.* connect '", HOTSEAT.as_str())).trim().to_owned()
}

/// Whether one of a process's open files is this one.
fn is_open(files: &str, file: &Path) -> bool {
    let files = fs::read_dir(files).unwrap().flatten();
    // One may be closed meanwhile.
    files.map(|entry| fs::read_link(entry.path())).any(|link| link.is_ok_and(|link| link == file))
}

#[test]
fn what_is_held_is_asked_for_when_events_were_lost() {
    let world = World::new();
    let real = Real::plug("keyboard", "Real keyboard");
    real.send(&["a=1"]);
    let mut connect = world.connect(&["--device", real.path()]);
    connect.expect("\"forwarding\"");
    let mut keyboard = world.device(0);
    // Held before it was forwarded, and perhaps there before this reader was. An event after the look is waiting.
    if !keyboard.get_key_state().unwrap().contains(KeyCode::KEY_A) {
        until(&mut keyboard, key(KeyCode::KEY_A, 1));
    }

    let client = client();
    // More than the kernel keeps for a program that does not read, which is 64 here. What it still has then begins and ends
    // with any event of a frame, by their number.
    for pairs in 32..64 {
        sh(&format!("kill -STOP {client}"));
        real.send(&["a=0", "b=1"]);
        for _ in 0..pairs {
            real.send(&["c=1"]);
            real.send(&["c=0"]);
        }
        real.send(&["d=1"]);
        sh(&format!("kill -CONT {client}"));
        until(&mut keyboard, key(KeyCode::KEY_D, 1));
        real.send(&["d=0"]);
        until(&mut keyboard, key(KeyCode::KEY_D, 0));
        let held = keyboard.get_key_state().unwrap();
        assert!(
            !held.contains(KeyCode::KEY_A) && !held.contains(KeyCode::KEY_C),
            "{pairs}: {held:?}"
        );
    }
    while keyboard.get_key_state().unwrap().iter().collect::<Vec<_>>() != [KeyCode::KEY_B] {
        keyboard.fetch_events().unwrap().for_each(drop);
    }

    let lamp = InputEvent::new(evdev::EventType::LED.0, LedCode::LED_CAPSL.0, 1);
    keyboard.send_events(&[lamp]).unwrap();
    real.until(|feedback| match feedback {
        Feedback::Led { code, on: true } => (code.code == LedCode::LED_CAPSL.0).then_some(()),
        _ => None,
    });
    sh(&format!("kill -KILL {client}"));
    until(&mut keyboard, key(KeyCode::KEY_B, 0));
}

#[test]
fn fingers_that_move_before_they_are_forwarded_are_where_they_are() {
    let world = World::new();
    let real = Real::plug("touchscreen", "Real screen");
    real.send(&["touch0=1", "touch0_x=0.25", "touch0_y=0.25"]);
    // The finger that the next event is of, unless it says otherwise.
    real.send(&["touch1=1", "touch1_x=0.75", "touch1_y=0.75"]);

    let mut connect = world.connect(&["--device", real.path()]);
    sh(&format!("kill -STOP {}", world.daemon.pid()));
    let files = format!("/proc/{}/fd", client());
    while !is_open(&files, &real.node) {
        std::thread::yield_now();
    }
    // Between the look at what the device can do and the one at how it is.
    real.send(&["touch1_x=0.5"]);
    real.send(&["touch0_y=0.5"]);
    sh(&format!("kill -CONT {}", world.daemon.pid()));
    connect.expect("\"forwarding\"");

    let mut screen = world.device(0);
    let ranges = screen.get_abs_state().unwrap();
    let at = |axis: AbsoluteAxisCode, value: i32| {
        f64::from(value) / f64::from(ranges[usize::from(axis.0)].maximum)
    };
    real.send(&["touch0_y=1"]);
    until(&mut screen, |event| match event {
        EventSummary::AbsoluteAxis(_, axis @ AbsoluteAxisCode::ABS_Y, y) => at(axis, y) > 0.9,
        _ => false,
    });
    // Of the finger that was there first.
    let x = at(AbsoluteAxisCode::ABS_X, screen.get_abs_state().unwrap()[0].value);
    assert!((0.2..0.3).contains(&x), "{x}");
}
