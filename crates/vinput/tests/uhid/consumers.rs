//! The columns of the table in docs/profiles.md: what SDL finds of each pad (sdl.rs), and here what the
//! kernel, python-evdev and fftest do.

use std::fs;

use vinput::uhid::{Button, Buttons, Device, Feedback, Model, State, Touch};

use crate::harness::{create, only, wait_for_feedback};
use crate::program::Program;
use crate::table::Table;

/// Looks at every pad, and holds what was found against the column, or writes it.
pub(crate) fn check(column: &str, looks: impl Fn(Model) -> Option<String>) {
    let found = Model::ALL.into_iter().filter_map(|it| Some((it.name(), looks(it)?)));
    let found: Vec<_> = found.collect();
    // The table is what Debian 13 has; older drivers and an older SDL have other names, and less.
    if std::env::var("HOTSEAT_VM").is_ok_and(|release| release != "bookworm") {
        let columns = &[
            "kernel",
            "SDL 3",
            "SDL 3 without HIDAPI",
            "SDL 2",
            "SDL 2 without HIDAPI",
            "python-evdev",
            "fftest",
        ];
        let rows = Model::ALL.into_iter().map(Model::name).collect();
        Table { tests: "uhid", rows, columns }.check(column, &found);
    }
}

#[test]
fn the_kernel_gives_every_pad_its_driver_battery_and_lights() {
    check("kernel", |model| {
        let pad = create(model, &format!("table-kernel-{model}"))?;
        let battery = only(&pad, "power_supply");
        assert_eq!(fs::read_to_string(battery.join("type")).unwrap(), "Battery\n");
        let charge = ["capacity", "capacity_level"].map(|file| (file, battery.join(file)));
        let (charge, _) = charge.iter().find(|(_, path)| path.exists()).unwrap();
        let lights = lights(&pad);
        Some(format!("{}; battery: {charge}; lights: {lights}", pad.driver()))
    });
}

/// What the lights are for: the last part of their names, `input7:white:player-1`; a row of them by its last.
fn lights(pad: &Device) -> String {
    let entries = fs::read_dir(pad.syspath().join("leds")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut parts: Vec<_> = names.map(|name| name.rsplit(':').next().unwrap().to_owned()).collect();
    parts.sort();
    let players = parts.iter().filter(|part| part.starts_with("player-")).count();
    parts.retain(|part| !part.starts_with("player-"));
    if players > 0 {
        parts.push(format!("player-1 to {players}"));
    }
    parts.join(", ")
}

/// Reads all event nodes of a pad until every key and axis of each has been told.
const READER: &str = "
import evdev, select, sys
from evdev import ecodes
devices = [evdev.InputDevice(path) for path in sys.argv[1:]]
missing = {}
for device in devices:
    able = device.capabilities(absinfo=False)
    missing[device.path] = {(kind, code) for kind in (ecodes.EV_KEY, ecodes.EV_ABS) for code in able.get(kind, [])}
    print('codes', len(missing[device.path]), flush=True)
while any(missing.values()):
    for device in select.select(devices, [], [])[0]:
        for event in device.read():
            missing[device.path].discard((event.type, event.code))
            if device is devices[0] and event.type == ecodes.EV_ABS and event.code in (ecodes.ABS_X, ecodes.ABS_RX):
                print('stick', 'right' if event.value >= 255 else 'left', missing, flush=True)
print('everything', flush=True)
";

#[test]
fn python_evdev_reads_every_code_of_every_pad() {
    check("python-evdev", |model| {
        let pad = create(model, &format!("table-python-{model}"))?;
        let events = pad.nodes().iter().filter(|node| node.is_event());
        let paths: Vec<_> = events.map(|node| format!("/dev/{}", node.devname)).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let mut evdev = Program::python(READER, &paths);
        // In the order in which the drivers make them.
        let counts = paths.iter().zip(["pad", "motion", "touchpad"]).map(|(_, part)| {
            let count = evdev.expect("codes ");
            format!("{part} {}", count.trim_start_matches("codes "))
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        let finger = Some(Touch { id: 1, x: 0.2, y: 0.2 });
        pad.set(&State {
            buttons: every_button_but(Button::Down | Button::Right),
            left_stick: [1.0; 2],
            right_stick: [1.0; 2],
            left_trigger: 1.0,
            right_trigger: 1.0,
            gyro: [1.0, 2.0, 3.0],
            accel: [1.0, 2.0, 3.0],
            touches: [finger, Some(Touch { id: 2, x: 0.8, y: 0.8 })],
            ..State::NEUTRAL
        })
        .unwrap();
        // The next state waits for that: a Switch pad reports only what is so every 12 ms.
        evdev.expect("stick right");
        pad.set(&State {
            buttons: Button::Down | Button::Right,
            left_stick: [-1.0; 2],
            right_stick: [-1.0; 2],
            touches: [finger, None],
            ..State::NEUTRAL
        })
        .unwrap();
        evdev.expect("everything");
        Some(format!("codes: {counts}"))
    });
}

fn every_button_but(others: Buttons) -> Buttons {
    use Button as B;
    let buttons = [
        B::South,
        B::East,
        B::West,
        B::North,
        B::Up,
        B::Down,
        B::Left,
        B::Right,
        B::L1,
        B::R1,
        B::L3,
        B::R3,
        B::Select,
        B::Start,
        B::Guide,
        B::Touchpad,
        B::Capture,
        B::Sl,
        B::Sr,
    ];
    let held = buttons.into_iter().filter(|button| !others.contains(*button));
    held.fold(Buttons::NONE, |all, button| all | button)
}

#[test]
fn fftest_shakes_every_pad() {
    check("fftest", |model| {
        let pad = create(model, &format!("table-fftest-{model}"))?;
        let node = pad.nodes().iter().find(|node| node.is_event()).unwrap();
        let node = format!("/dev/{}", node.devname);
        let mut fftest = Program::start(&["stdbuf", "-oL", "fftest", &node]);
        // Its last two effects: the strong motor, and the weak one, which is played first.
        fftest.expect("effect #5");
        for number in [4, 5] {
            let mut lines = fftest.transcript().lines();
            let line = lines.find(|line| line.contains(&format!("effect #{number}"))).unwrap();
            assert!(line.contains("OK"), "{model}: {line}");
        }
        fftest.tell("5");
        wait_for_feedback(
            &pad,
            "weak rumble",
            |it| matches!(it, Feedback::Rumble { high, .. } if *high > 0.0),
        );
        fftest.tell("4");
        wait_for_feedback(
            &pad,
            "strong rumble",
            |it| matches!(it, Feedback::Rumble { low, .. } if *low > 0.0),
        );
        fftest.tell("-1");
        fftest.rest();
        Some("strong rumble, weak rumble".to_owned())
    });
}
