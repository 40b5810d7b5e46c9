//! python-evdev: each control arrives as its code, with the value that was meant.

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
    let found: Vec<_> = Profile::builtins().map(|profile| (profile, reads(profile))).collect();
    check("python-evdev", &found);
}

/// The cell of the table.
fn reads(profile: &'static Profile) -> String {
    let plugged = Plugged::new(profile);
    let mut evdev = Program::python(SCRIPT, &[&plugged.node]);
    evdev.expect(&format!("device {}", profile.device_name()));
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
        let start = format!("event {kind} {number} ");
        let start = value.map_or(start.clone(), |value| format!("{start}{value}"));
        evdev.wait_for(&format!("{name}: {start}"), |line| line.starts_with(&start));
        evdev.expect("event 0 0 0");
        plugged.device.neutral().unwrap();
    }
    format!("{} controls", profile.controls().len())
}
