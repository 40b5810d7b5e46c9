//! libinput: what a device is to a desktop, and that it has nothing to complain about.

use std::thread;
use std::time::Duration;

use vinput::Profile;

use crate::program::Program;
use crate::{Plugged, check, in_machine};

/// What is done with a device, and the lines that libinput must print for it: frames, then what is in each line,
/// parts separated by `&`.
type Scene = (&'static [&'static str], &'static [&'static str]);

const SCENES: [(&str, &[Scene]); 6] = [
    ("keyboard", &[(&["a=1"], &["KEY_A (30) pressed"]), (&["a=0"], &["KEY_A (30) released"])]),
    (
        "mouse",
        &[
            (&["dx=5 dy=3"], &["( +5.00/ +3.00)"]),
            (&["left=1"], &["BTN_LEFT (272) pressed"]),
            (&["left=0"], &["BTN_LEFT (272) released"]),
            // A half and a half are one detent; libinput begins with both halves at once.
            (&["wheel=0.5", "wheel=0.5"], &["vert -7.50/-60.0", "vert -7.50/-60.0"]),
            (&["hwheel=1"], &["horiz 15.00/120.0"]),
        ],
    ),
    (
        "mouse-absolute",
        &[
            (&["x=0.5 y=0.25"], &["POINTER_MOTION_ABSOLUTE"]),
            (&["left=1"], &["BTN_LEFT (272) pressed"]),
            (&["left=0"], &["BTN_LEFT (272) released"]),
            (&["wheel=-1"], &["vert 15.00/120.0"]),
        ],
    ),
    (
        "touchscreen",
        &[
            (&["touch0=1 touch0_x=0.5 touch0_y=0.5"], &["TOUCH_DOWN & 50.00/50.00"]),
            (
                &["touch9=1 touch9_x=0.25 touch9_y=0.75", "touch0_x=0.51"],
                &["TOUCH_DOWN & 25.00/75.00", "TOUCH_MOTION & 51.00/50.00"],
            ),
            (&["touch0=0", "touch9=0"], &["TOUCH_UP", "TOUCH_UP"]),
            (
                &[
                    "touch0=1 touch1=1 touch2=1 touch3=1 touch4=1 touch5=1 touch6=1 touch7=1 touch8=1 touch9=1",
                ],
                &["TOUCH_DOWN"; 10],
            ),
        ],
    ),
    (
        "touchpad",
        &[
            (
                &[
                    "touch0=1 touch0_x=0.5 touch0_y=0.5",
                    "touch0_x=0.51",
                    "touch0_x=0.52",
                    "touch0_x=0.53",
                    "touch0_x=0.54",
                    "touch0_x=0.55",
                ],
                &["POINTER_MOTION"],
            ),
            (&["click=1"], &["BTN_LEFT (272) pressed"]),
            (&["click=0"], &["BTN_LEFT (272) released"]),
            (&["touch0=0"], &[]),
            (
                &[
                    "touch0=1 touch0_x=0.4 touch0_y=0.4 touch1=1 touch1_x=0.6 touch1_y=0.4",
                    "touch0_y=0.43 touch1_y=0.43",
                    "touch0_y=0.46 touch1_y=0.46",
                    "touch0_y=0.49 touch1_y=0.49",
                    "touch0_y=0.52 touch1_y=0.52",
                    "touch0_y=0.55 touch1_y=0.55",
                ],
                &["POINTER_SCROLL_FINGER"],
            ),
        ],
    ),
    (
        "pen-tablet",
        &[
            (
                &["pen=1 x=0.5 y=0.5 distance=0.5"],
                &["TABLET_TOOL_PROXIMITY & 108.00*/67.50* & proximity-in"],
            ),
            (&["tip=1 pressure=0.5 distance=0 tilt_x=0.5"], &["pressure: 0.50"]),
            (&["stylus=1"], &["(BTN_STYLUS) pressed"]),
            (&["stylus=0"], &["(BTN_STYLUS) released"]),
            (&["tip=0 pressure=0", "pen=0"], &["proximity-out"]),
            (
                &["eraser=1", "tip=1 pressure=0.7"],
                &["eraser & proximity-in", "TABLET_TOOL_TIP & pressure: 0.70"],
            ),
            (&["tip=0 pressure=0", "eraser=0"], &["proximity-out"]),
        ],
    ),
];

/// The time between two frames of a movement, by which libinput judges its speed: a finger that is faster than
/// fingers are is a fault of the hardware. Nothing is waited for with it.
const FINGER: Duration = Duration::from_millis(12);

#[test]
fn libinput_takes_pointers_touch_pen_and_keys_without_a_complaint() {
    if !in_machine() {
        return;
    }
    let found: Vec<_> = SCENES
        .iter()
        .map(|(name, scenes)| {
            let profile = Profile::builtin(name).unwrap();
            (profile, takes(profile, scenes))
        })
        .collect();
    check("libinput", &found);
}

/// The cell of the table.
fn takes(profile: &'static Profile, scenes: &[Scene]) -> String {
    let plugged = Plugged::new(profile);
    let command = ["stdbuf", "-oL", "libinput", "debug-events", "--show-keycodes", "--device"];
    let mut libinput = Program::start(&[&command[..], &[&plugged.node]].concat());
    let added = libinput.expect("DEVICE_ADDED");
    for (frames, lines) in scenes {
        for (index, frame) in frames.iter().enumerate() {
            if index > 0 {
                thread::sleep(FINGER);
            }
            plugged.send(&frame.split(' ').collect::<Vec<_>>());
        }
        for line in *lines {
            libinput.wait_for(line, |found| line.split(" & ").all(|part| found.contains(part)));
        }
    }
    plugged.device.neutral().unwrap();
    for word in ["bug", "rror", "arning", "not "] {
        let complaint = libinput.transcript().lines().find(|line| line.contains(word));
        assert_eq!(complaint, None, "{}", profile.name());
    }
    capabilities(&added, profile)
}

/// `pointer` for `cap:p` and so on, as `libinput debug-events` abbreviates; and what there is to touch.
fn capabilities(added: &str, profile: &Profile) -> String {
    let after = |label: &str| {
        let rest = added.split_once(label)?.1.trim_start();
        rest.split_whitespace().next().map(str::to_owned)
    };
    let words = after("cap:").unwrap();
    let names = words.chars().map(|letter| match letter {
        'k' => "keyboard",
        'p' => "pointer",
        't' => "touch",
        'g' => "gestures",
        'T' => "tablet",
        other => panic!("{}: cap:{other}", profile.name()),
    });
    let mut cell = names.collect::<Vec<_>>().join(", ");
    for (label, unit) in [("size ", ""), ("ntouches ", " touches")] {
        if let Some(value) = after(label) {
            cell.push_str(&format!("; {value}{unit}"));
        }
    }
    cell
}
