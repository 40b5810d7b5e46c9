//! The DualSense and the DualShock 4 with hid-playstation.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use evdev::AbsoluteAxisCode as Abs;
use vinput::uhid::{Battery, Button, Feedback, Model, MuteLed, State, Touch, Trigger};

use crate::harness::{
    ABS, KEY, create, event_node, expect_feedback, gamepad, light, light_only_player, only, reader,
    wait_for,
};

#[test]
fn a_dualsense_is_three_input_devices_with_one_identity() {
    let Some(pad) = create(Model::DualSense, "identity") else { return };
    let name = Model::DualSense.device_name();
    let readers: Vec<_> = pad.nodes().iter().filter(|node| node.is_event()).map(reader).collect();
    let names: Vec<_> = readers.iter().map(|it| it.name().unwrap().to_owned()).collect();
    let expected = [name.to_owned(), format!("{name} Motion Sensors"), format!("{name} Touchpad")];
    assert_eq!(names, expected);
    for reader in &readers {
        let id = reader.input_id();
        assert_eq!((id.vendor(), id.product(), id.version()), (0x054c, 0x0ce6, 0x8111));
        assert_eq!(reader.unique_name(), Some(pad.mac().to_string().as_str()));
    }
    let axes: Vec<_> = readers[0].get_absinfo().unwrap().map(|(axis, _)| axis).collect();
    let expected = [
        Abs::ABS_X,
        Abs::ABS_Y,
        Abs::ABS_Z,
        Abs::ABS_RX,
        Abs::ABS_RY,
        Abs::ABS_RZ,
        Abs::ABS_HAT0X,
        Abs::ABS_HAT0Y,
    ];
    assert_eq!(axes, expected);
    let uevent = fs::read_to_string(pad.syspath().join("uevent")).unwrap();
    assert!(uevent.contains("HID_PHYS=test/identity\n"), "{uevent}");
}

#[test]
fn sony_pads_report_buttons_sticks_and_triggers_and_let_go_of_them() {
    for model in Model::ALL.into_iter().filter(|model| model.vendor() == 0x054c) {
        let Some(pad) = create(model, &format!("controls-{model}")) else { return };
        let mut reader = gamepad(&pad);
        pad.set(&State {
            buttons: Button::South | Button::L1 | Button::Guide | Button::Left | Button::Up,
            left_stick: [-1.0, 0.0],
            right_stick: [0.0, 1.0],
            right_trigger: 1.0,
            ..State::NEUTRAL
        })
        .unwrap();
        let held = [(KEY, 0x130, 1), (KEY, 0x136, 1), (KEY, 0x13c, 1), (KEY, 0x139, 1)];
        wait_for(&mut reader, &held);
        let axes: HashMap<_, _> =
            reader.get_absinfo().unwrap().map(|(axis, info)| (axis, info.value())).collect();
        assert_eq!((axes[&Abs::ABS_X], axes[&Abs::ABS_Y]), (0, 128), "{model}");
        assert_eq!((axes[&Abs::ABS_RX], axes[&Abs::ABS_RY]), (128, 255), "{model}");
        assert_eq!((axes[&Abs::ABS_Z], axes[&Abs::ABS_RZ]), (0, 255), "{model}");
        assert_eq!((axes[&Abs::ABS_HAT0X], axes[&Abs::ABS_HAT0Y]), (-1, -1), "{model}");
        pad.neutral().unwrap();
        wait_for(&mut reader, &held.map(|(kind, code, _)| (kind, code, 0)));
        assert_eq!(reader.get_key_state().unwrap().iter().count(), 0);
    }
}

#[test]
fn motion_arrives_in_the_drivers_units() {
    for model in
        [Model::DualSense, Model::DualSenseBluetooth, Model::DualShock4, Model::DualShock4Bluetooth]
    {
        let Some(pad) = create(model, &format!("motion-{model}")) else { return };
        let mut reader = event_node(&pad, "Motion Sensors");
        let resolution: HashMap<_, _> =
            reader.get_absinfo().unwrap().map(|(axis, info)| (axis, info.resolution())).collect();
        // Per g and per degree and second.
        assert_eq!((resolution[&Abs::ABS_X], resolution[&Abs::ABS_RX]), (8192, 1024), "{model}");
        let degrees = |value: f32| value.to_radians();
        pad.set(&State {
            gyro: [degrees(90.0), degrees(-45.0), degrees(360.0)],
            accel: [9.806_65, -9.806_65 / 2.0, 0.0],
            ..State::NEUTRAL
        })
        .unwrap();
        wait_for(
            &mut reader,
            &[
                (ABS, Abs::ABS_RX.0, 90 * 1024),
                (ABS, Abs::ABS_RY.0, -45 * 1024),
                (ABS, Abs::ABS_RZ.0, 360 * 1024),
                (ABS, Abs::ABS_X.0, 8192),
                (ABS, Abs::ABS_Y.0, -4096),
            ],
        );
    }
}

#[test]
fn fingers_arrive_on_the_touchpad() {
    for (model, bottom) in [(Model::DualSense, 1079), (Model::DualShock4, 941)] {
        let Some(pad) = create(model, &format!("touch-{model}")) else { return };
        let mut reader = event_node(&pad, "Touchpad");
        let finger = |id, x, y| Some(Touch { id, x, y });
        pad.set(&State {
            buttons: Button::Touchpad.into(),
            touches: [finger(1, 0.0, 1.0), finger(2, 1.0, 0.0)],
            ..State::NEUTRAL
        })
        .unwrap();
        wait_for(
            &mut reader,
            &[
                (ABS, Abs::ABS_MT_SLOT.0, 1),
                (ABS, Abs::ABS_MT_POSITION_Y.0, bottom),
                (ABS, Abs::ABS_MT_POSITION_X.0, 1919),
                (KEY, 0x14d, 1), // BTN_TOOL_DOUBLETAP
                (KEY, 0x110, 1),
            ],
        );
        pad.neutral().unwrap();
        wait_for(&mut reader, &[(ABS, Abs::ABS_MT_TRACKING_ID.0, -1), (KEY, 0x14a, 0)]);
    }
}

#[test]
fn the_battery_is_a_power_supply() {
    for model in [Model::DualSense, Model::DualSenseBluetooth, Model::DualShock4] {
        let Some(pad) = create(model, &format!("battery-{model}")) else { return };
        let mut motion = event_node(&pad, "Motion Sensors");
        let battery = only(&pad, "power_supply");
        let mut reads = |percent, charging, angle: i16| {
            let gyro = [f32::from(angle).to_radians(), 0.0, 0.0];
            let state = State { battery: Battery { percent, charging }, gyro, ..State::NEUTRAL };
            pad.set(&state).unwrap();
            // The driver takes the battery after what came in the same report; so when the next report is
            // there, it has.
            wait_for(&mut motion, &[(ABS, Abs::ABS_RX.0, i32::from(angle) * 1024)]);
            pad.set(&State { gyro: [0.0; 3], ..state }).unwrap();
            wait_for(&mut motion, &[(ABS, Abs::ABS_RX.0, 0)]);
            let read = |file| fs::read_to_string(battery.join(file)).unwrap().trim().to_owned();
            (read("capacity"), read("status"))
        };
        let pair = |capacity: &str, status: &str| (capacity.to_owned(), status.to_owned());
        assert_eq!(reads(40, false, 10), pair("45", "Discharging"), "{model}");
        assert_eq!(reads(90, true, 20), pair("95", "Charging"), "{model}");
        assert_eq!(reads(100, true, 30), pair("100", "Full"), "{model}");
    }
}

#[test]
fn lights_set_in_sysfs_come_back() {
    for model in [Model::DualSense, Model::DualSenseBluetooth, Model::DualSenseEdge] {
        let Some(pad) = create(model, &format!("lights-{model}")) else { return };
        let bar = light(&pad, ":rgb:indicator");
        fs::write(bar.join("multi_intensity"), "255 128 1").unwrap();
        fs::write(bar.join("brightness"), "255").unwrap();
        expect_feedback(&pad, Feedback::Lightbar { red: 255, green: 128, blue: 1 });
        light_only_player(&pad, 1, 5);
    }
    let Some(pad) = create(Model::DualShock4, "lights") else { return };
    for (colour, value) in [("red", "1"), ("green", "2"), ("blue", "3")] {
        fs::write(light(&pad, &format!(":{colour}")).join("brightness"), value).unwrap();
    }
    expect_feedback(&pad, Feedback::Lightbar { red: 1, green: 2, blue: 3 });
}

#[test]
fn the_mute_button_lights_its_light() {
    let Some(pad) = create(Model::DualSense, "mute") else { return };
    for expected in [MuteLed::On, MuteLed::Off] {
        pad.set(&State { buttons: Button::Mute.into(), ..State::NEUTRAL }).unwrap();
        pad.neutral().unwrap();
        expect_feedback(&pad, Feedback::MuteLed(expected));
    }
}

#[test]
fn a_trigger_effect_written_to_hidraw_comes_back() {
    let Some(pad) = create(Model::DualSense, "trigger") else { return };
    let hidraw = pad.nodes().last().unwrap();
    assert_eq!((hidraw.subsystem.as_str(), hidraw.is_event()), ("hidraw", false));
    let effect = [0x21, 0xfc, 0x03, 0x49, 0x92, 0x24, 0, 0, 0, 0, 0];
    let mut report = [0; 48];
    (report[0], report[1]) = (0x02, 0x04);
    report[11..22].copy_from_slice(&effect);
    let path = Path::new("/dev").join(&hidraw.devname);
    OpenOptions::new().write(true).open(path).unwrap().write_all(&report).unwrap();
    expect_feedback(&pad, Feedback::TriggerEffect { trigger: Trigger::Right, effect });
}
