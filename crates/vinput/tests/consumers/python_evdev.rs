//! python-evdev and evtest: each control arrives as its code, with the value that was meant.

use vinput::Profile;
use vinput::profile::ControlKind;

use crate::program::Program;
use crate::{Plugged, check, in_machine};

const SCRIPT: &str = "
import evdev, sys
device = evdev.InputDevice(sys.argv[1])
print('device', device.name, flush=True)
for event in device.read_loop():
    print('event', event.type, event.code, event.value, flush=True)
";

#[test]
fn python_evdev_reads_every_control() {
    if !in_machine() {
        return;
    }
    let reads = |profile| {
        let plugged = Plugged::new(profile);
        let mut evdev = Program::python(SCRIPT, &[&plugged.node]);
        evdev.expect(&format!("device {}", profile.device_name()));
        let event = |kind, code| format!("event {kind} {code} ");
        every_control_arrives(&plugged, &mut evdev, event, "event 0 0 0")
    };
    let found: Vec<_> = Profile::builtins().map(|profile| (profile, reads(profile))).collect();
    check("python-evdev", &found);
}

#[test]
fn evtest_sees_every_control() {
    if !in_machine() {
        return;
    }
    let reads = |profile: &'static Profile| {
        let plugged = Plugged::new(profile);
        let mut evtest = Program::start(&["stdbuf", "-oL", "evtest", &plugged.node]);
        evtest.expect(&format!("Input device name: \"{}\"", profile.device_name()));
        evtest.expect("Testing ...");
        // Event: time 1.2, type 1 (EV_KEY), code 304 (BTN_SOUTH), value 1
        let event = |kind, code| format!("type {kind} code {code} value ");
        every_control_arrives(&plugged, &mut evtest, event, "SYN_REPORT")
    };
    let found: Vec<_> = Profile::builtins().map(|profile| (profile, reads(profile))).collect();
    check("evtest", &found);
}

/// Sets each control and lets go of it; the cell of the table. `event` says how the program's line of an event
/// begins, up to the value.
fn every_control_arrives(
    plugged: &Plugged,
    program: &mut Program,
    event: impl Fn(u16, u16) -> String,
    end: &str,
) -> String {
    let profile = plugged.profile;
    for control in profile.controls() {
        let name = control.name();
        if let (Some(slot), true) = (control.slot(), name.contains('_')) {
            // An axis of a contact is told while it is down.
            plugged.send(&[&format!("touch{slot}=1")]);
        }
        plugged.send(&[&format!("{name}=1")]);
        let code = control.code();
        let (number, kind) = (code.code, code.kind as u16);
        let value = match control.kind() {
            ControlKind::Key => Some(1),
            ControlKind::Absolute(axis) => Some(axis.scale(1.0)),
            ControlKind::Relative { .. } => Some(1),
            // Whichever number it gets.
            _ => None,
        };
        let start = event(kind, number);
        program.wait_for(&format!("{name}: {start}{value:?}"), |line| {
            let line = without_names(line);
            let is_value = |value: i32| line.ends_with(&format!("{start}{value}"));
            value.map_or_else(|| line.contains(&start), is_value)
        });
        program.expect(end);
        plugged.device.neutral().unwrap();
    }
    format!("{} controls", profile.controls().len())
}

/// The line without the names of codes, which evtest puts in brackets.
fn without_names(line: &str) -> String {
    let words = line.split(' ').filter(|word| !word.starts_with('('));
    words.collect::<Vec<_>>().join(" ")
}
