//! Whole pads, with the kernel's own drivers.

use std::fs;
use std::io::Read;

use evdev::AbsoluteAxisCode as Abs;
use evdev::{FFEffectData, FFEffectKind, FFReplay, FFTrigger};
use vinput::Reaper;
use vinput::uhid::{AdoptError, Button, Device, Feedback, Mac, Model, Snapshot, State};

use crate::harness::{
    ABS, KEY, create, event_node, expect_feedback, gamepad, light, light_only_player, only, reader,
    try_create, wait_for, wait_for_feedback,
};
use crate::maker::Maker;

fn is_sony(model: Model) -> bool {
    model.vendor() == 0x054c
}

fn rumble() -> FFEffectData {
    FFEffectData {
        direction: 0,
        trigger: FFTrigger::default(),
        replay: FFReplay { length: 60_000, delay: 0 },
        kind: FFEffectKind::Rumble { strong_magnitude: 0xffff, weak_magnitude: 0 },
    }
}

#[test]
fn every_model_goes_on_with_its_driver() {
    for model in Model::ALL {
        let test = format!("adopt-{model}");
        let Some(mut maker) = Maker::start(model.name(), &test) else { return };
        let mut program = reader(&maker.nodes[0]);
        // Of the left Joy-Con and of others, one of these is there.
        let held = match model {
            Model::JoyConLeft => ("lb", 0x136),
            _ => ("rb", 0x137),
        };
        let stick = if model == Model::JoyConRight { "rx" } else { "lx" };
        maker.set(&[&format!("{}=1", held.0), &format!("{stick}=1"), "battery=50"]);
        wait_for(&mut program, &[(KEY, held.1, 1)]);
        let snapshot = Snapshot::parse(&maker.set(&[])).unwrap();

        let (descriptor, left) = maker.kill();
        let kept = descriptor.try_clone().unwrap();
        let mac = Mac::derived_from(&test);
        let pad = Device::adopt(descriptor, model, mac, &snapshot).unwrap();
        left.is_same(pad.nodes());
        assert!(model.drivers().contains(&pad.driver()), "{model}: {}", pad.driver());
        // The program has stayed.
        wait_for(&mut program, &[(KEY, held.1, 0)]);
        let names = [Abs::ABS_X, Abs::ABS_RX];
        let axes = program.get_absinfo().unwrap().filter(|(axis, _)| names.contains(axis));
        let middle = if is_sony(model) { 128 } else { 0 };
        assert!(axes.map(|(_, info)| info.value()).all(|it| it == middle), "{model}");

        // Input, motion, and what comes back.
        pad.set(&State {
            buttons: Button::L1 | Button::R1,
            gyro: [0.0, f32::to_radians(90.0), 0.0],
            ..State::NEUTRAL
        })
        .unwrap();
        wait_for(&mut program, &[(KEY, held.1, 1)]);
        let mut motion = event_node(&pad, if is_sony(model) { "Motion Sensors" } else { "IMU" });
        let turns = |it: &mut evdev::raw_stream::RawDevice| {
            let mut axes = it.get_absinfo().unwrap();
            let far = |it: &(Abs, evdev::AbsInfo)| {
                [Abs::ABS_RX, Abs::ABS_RY, Abs::ABS_RZ].contains(&it.0) && it.1.value() != 0
            };
            axes.any(|it| far(&it))
        };
        if is_sony(model) {
            wait_for(&mut motion, &[(ABS, Abs::ABS_RY.0, 90 * 1024)]);
        }
        assert!(turns(&mut motion), "{model}");
        let mut effect = program.upload_ff_effect(rumble()).unwrap();
        effect.play(1).unwrap();
        expect_feedback(&pad, Feedback::Rumble { low: 1.0, high: 0.0 });
        effect.stop().unwrap();
        expect_feedback(&pad, Feedback::Rumble { low: 0.0, high: 0.0 });
        match model {
            Model::DualShock4 | Model::DualShock4Bluetooth => {
                fs::write(light(&pad, ":red").join("brightness"), "77").unwrap();
                wait_for_feedback(&pad, "red", |it| {
                    matches!(it, Feedback::Lightbar { red: 77, .. })
                });
            }
            _ if is_sony(model) => light_only_player(&pad, 1, 5),
            _ => light_only_player(&pad, 4, 4),
        }
        assert!(only(&pad, "power_supply").exists(), "{model}");

        // It goes with its new owner, whoever has a duplicate.
        let syspath = pad.syspath().to_owned();
        Reaper::new().unwrap().close(pad).wait();
        assert!(!syspath.exists(), "{model}");
        drop(kept);
    }
}

#[test]
fn the_battery_and_the_lights_are_what_they_were() {
    let Some(mut maker) = Maker::start("dualsense", "adopt-lights") else { return };
    let before = maker.set(&["battery=40"]);
    let path = maker.nodes[0].syspath.ancestors().nth(3).unwrap().to_owned();
    let bar = fs::read_dir(path.join("leds")).unwrap().map(|it| it.unwrap().path());
    let bar = bar.into_iter().find(|it| it.to_str().unwrap().ends_with(":rgb:indicator")).unwrap();
    fs::write(bar.join("multi_intensity"), "9 8 7").unwrap();
    fs::write(bar.join("brightness"), "255").unwrap();
    let wanted = Feedback::Lightbar { red: 9, green: 8, blue: 7 };
    let has_it = |bytes: &Vec<u8>| {
        let snapshot = Snapshot::parse(bytes).unwrap();
        *bytes != before && format!("{snapshot:?}").contains(&format!("{wanted:?}"))
    };
    let snapshot = std::iter::repeat_with(|| maker.set(&[])).find(has_it).unwrap();
    let snapshot = Snapshot::parse(&snapshot).unwrap();
    let (descriptor, _) = maker.kill();
    let mac = Mac::derived_from("adopt-lights");
    let pad = Device::adopt(descriptor, Model::DualSense, mac, &snapshot).unwrap();
    assert_eq!(pad.take_feedback(), Some(Feedback::Rumble { low: 0.0, high: 0.0 }));
    expect_feedback(&pad, wanted);
    // The driver's battery, after a report that it has seen for certain.
    pad.neutral().unwrap();
    let battery = only(&pad, "power_supply");
    let mut program = gamepad(&pad);
    assert_eq!(fs::read_to_string(battery.join("capacity")).unwrap().trim(), "45");
    assert_eq!(program.get_key_state().unwrap().iter().count(), 0);
    assert!(program.fetch_events().is_err());
}

/// `HIDIOCGFEATURE` of 20 bytes (include/uapi/linux/hidraw.h): asks the pad for its address.
const ASK: &str = "
import fcntl, sys
raw = open(sys.argv[1], 'r+b', buffering=0)
buffer = bytearray([9] + [0] * 19)
print('asking', flush=True)
fcntl.ioctl(raw, 3 << 30 | 20 << 16 | ord('H') << 8 | 7, buffer)
print(buffer[1:7].hex(), flush=True)
";

#[test]
fn who_asks_while_nobody_is_there_is_answered_by_the_next_process() {
    use std::process::{Command, Stdio};
    let Some(maker) = Maker::start("dualsense", "adopt-asked") else { return };
    let (descriptor, left) = maker.kill();
    let hidraw = format!("/dev/{}", left.nodes.last().unwrap().devname);
    let mut program = Command::new("python3");
    let program = program.args(["-c", ASK, &hidraw]).stdout(Stdio::piped());
    let mut program = program.spawn().unwrap();
    let mut output = program.stdout.take().unwrap();
    let mut asking = [0; 7];
    output.read_exact(&mut asking).unwrap();
    let mac = Mac::derived_from("adopt-asked");
    let _pad = Device::adopt(descriptor, Model::DualSense, mac, &Snapshot::default()).unwrap();
    let mut answer = String::new();
    output.read_to_string(&mut answer).unwrap();
    let reversed: String = mac.0.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(answer, reversed + "\n");
    assert!(program.wait().unwrap().success());
}

#[test]
fn a_pad_that_is_left_is_there_until_its_last_descriptor_is_closed() {
    let Some(pad) = create(Model::DualSense, "adopt-left") else { return };
    let mac = pad.mac();
    let adopt = |descriptor| Device::adopt(descriptor, Model::DualSense, mac, &Snapshot::default());
    let descriptor = || pad.descriptor().try_clone_to_owned().unwrap();
    let error = adopt(descriptor()).unwrap_err();
    assert!(matches!(error, AdoptError::Taken { .. }), "{error:?}");
    let (kept, nodes) = (descriptor(), pad.nodes().to_owned());
    let mut program = gamepad(&pad);
    pad.set(&State { buttons: Button::South.into(), ..State::NEUTRAL }).unwrap();
    wait_for(&mut program, &[(KEY, 0x130, 1)]);
    pad.leave();

    let pad = adopt(kept.try_clone().unwrap()).unwrap();
    assert_eq!(pad.nodes(), nodes);
    wait_for(&mut program, &[(KEY, 0x130, 0)]);
    let syspath = pad.syspath().to_owned();
    drop(pad);
    assert!(!syspath.exists());
    let error = adopt(kept).unwrap_err();
    assert!(matches!(error, AdoptError::NotBound { .. }), "{error:?}");
    // Its address is free again.
    try_create(Model::DualSense, "adopt-left").unwrap();
}
