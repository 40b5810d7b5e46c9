//! What unmodified SDL 2 and SDL 3 make of the pads: by HIDAPI, where SDL talks to the pad through
//! hidraw, and by evdev, where the kernel's driver does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use vinput::uhid::{Battery, Button, Device, Feedback, Model, State, Touch, Trigger};

use crate::consumers::check;
use crate::harness::{create, expect_feedback, wait_for_feedback};

/// How SDL gets at the pad.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Hidapi,
    Evdev,
}

/// A game that uses SDL; tests/sdl.py.
struct Game {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What SDL says of the pad when it has opened it.
    pad: Value,
}

impl Game {
    fn start(sdl: u8, by: By, model: Model) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", include_str!("sdl.py"), &sdl.to_string()])
            .arg(if by == By::Hidapi { "1" } else { "0" })
            .args([model.vendor().to_string(), model.product().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut game = Self { child, commands, answers, pad: Value::Null };
        game.pad = game.answer();
        game
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        self.answer()
    }

    /// Asks for the state until it is as it should be.
    fn wait_for(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let state = self.ask("state");
            if is_so(&state) {
                return state;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{what}: {state}\n{}", self.pad);
        }
    }
}

impl Drop for Game {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_near(value: &Value, expected: f64, tolerance: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() <= tolerance)
}

fn all_near(values: &Value, expected: [f32; 3], tolerance: f64) -> bool {
    (0..3).all(|at| is_near(&values[at], expected[at].into(), tolerance))
}

/// SDL 2's and SDL 3's numbers of the pad's type, and the names they give it by HIDAPI.
fn type_and_name(model: Model) -> (u8, u8, &'static str) {
    match model {
        Model::DualSense | Model::DualSenseBluetooth => (7, 6, "DualSense Wireless Controller"),
        Model::DualSenseEdge => (7, 6, "DualSense Edge Wireless Controller"),
        Model::DualShock4 | Model::DualShock4Bluetooth => (4, 5, "PS4 Controller"),
        Model::SwitchPro => (5, 7, "Nintendo Switch Pro Controller"),
        Model::JoyConLeft => (11, 8, "Nintendo Switch Joy-Con (L)"),
        Model::JoyConRight => (12, 9, "Nintendo Switch Joy-Con (R)"),
        _ => panic!("{model} is new here"),
    }
}

fn is_sony(model: Model) -> bool {
    model.vendor() == 0x054c
}

/// Whether the pad seems to be on USB. SDL 2 does not talk to those: it looks for the USB device behind
/// the hidraw node and drops what has none (`hid_enumerate` in its src/hidapi/linux/hid.c); SDL 3 does
/// not mind.
fn is_usb(model: Model) -> bool {
    matches!(model, Model::DualSense | Model::DualSenseEdge | Model::DualShock4 | Model::SwitchPro)
}

/// The pad is itself, moves, and can be shaken. What SDL was seen to have of it, for the table.
fn plays(sdl: u8, asked: By, model: Model) -> Option<String> {
    let by = if sdl == 2 && is_usb(model) { By::Evdev } else { asked };
    let pad = create(model, &format!("sdl{sdl}-{asked:?}-{model}"))?;
    let mut game = Game::start(sdl, asked, model);
    let (type_2, type_3, name) = type_and_name(model);
    let node = if by == By::Hidapi { "/dev/hidraw" } else { "/dev/input/event" };
    assert!(game.pad["path"].as_str().unwrap().starts_with(node), "{model}: {}", game.pad);
    assert_eq!(game.pad["type"], if sdl == 2 { type_2 } else { type_3 }, "{model}: {}", game.pad);
    assert_ne!(game.pad["mapping"], "", "{model}");
    if by == By::Hidapi {
        // SDL before 2.30 has one name for both of Sony's.
        assert!(
            [name, "PS5 Controller"].contains(&game.pad["name"].as_str().unwrap()),
            "{}",
            game.pad
        );
    }
    controls(&mut game, &pad);
    let mut has =
        if is_joy_con(model) { vec!["buttons, stick"] } else { vec!["buttons, sticks, triggers"] };
    if game.pad["gyro"] == true {
        motion(&mut game, &pad, by);
        has.push("motion");
    } else {
        assert!(by == By::Evdev, "{model} by HIDAPI has no gyroscope: {}", game.pad);
    }
    if by == By::Hidapi && is_sony(model) {
        touch_and_lights(&mut game, &pad);
        has.push("touch, battery, light bar");
    }
    if by == By::Hidapi && is_dualsense(model) {
        trigger_effect(&mut game, &pad);
        has.push("trigger effects");
    }
    game.ask("rumble 0xffff 0");
    wait_for_feedback(
        &pad,
        "rumble",
        |it| matches!(it, Feedback::Rumble { low, .. } if *low > 0.9),
    );
    game.ask("rumble 0 0");
    expect_feedback(&pad, Feedback::Rumble { low: 0.0, high: 0.0 });
    has.push("rumble");
    let name = game.pad["name"].as_str().unwrap();
    let by = if by == By::Hidapi { "by hidraw" } else { "by evdev" };
    Some(format!("{by}, “{name}”: {}", has.join(", ")))
}

fn is_dualsense(model: Model) -> bool {
    matches!(model, Model::DualSense | Model::DualSenseBluetooth | Model::DualSenseEdge)
}

fn is_joy_con(model: Model) -> bool {
    matches!(model, Model::JoyConLeft | Model::JoyConRight)
}

/// Buttons by their numbers in SDL, and axes: left and right stick, triggers.
fn controls(game: &mut Game, pad: &Device) {
    // SDL learns how far the sticks of a Switch pad go, and takes the middle of what it knows for the
    // centre.
    let mut other_end = 0;
    for end in [1.0, -1.0] {
        let state = State { left_stick: [end; 2], right_stick: [end; 2], ..State::NEUTRAL };
        pad.set(&state).unwrap();
        let x = |state: &Value| state["axes"][0].as_i64().unwrap();
        let there = game.wait_for("the end of a stick", |state| {
            x(state).abs() > 32000 && x(state).signum() != other_end
        });
        other_end = x(&there).signum();
    }
    if is_joy_con(pad.model()) {
        // SDL takes a single Joy-Con as a small pad held sideways; its stick and a face button do.
        let state = State {
            buttons: Button::Down | Button::East,
            left_stick: [0.0, 1.0],
            right_stick: [0.0, 1.0],
            ..State::NEUTRAL
        };
        pad.set(&state).unwrap();
        game.wait_for("a button and the stick", |state| {
            let moved = |at: usize| state["axes"][at].as_i64().unwrap().abs() > 16000;
            state["buttons"].as_array().unwrap().len() == 1 && (moved(0) || moved(1))
        });
    } else {
        pad.set(&State {
            buttons: Button::South | Button::R1 | Button::Guide | Button::Left,
            left_stick: [-1.0, 0.0],
            right_stick: [0.0, 1.0],
            left_trigger: 1.0,
            ..State::NEUTRAL
        })
        .unwrap();
        game.wait_for("buttons and axes", |state| {
            let axis = |at: usize, value: f64| is_near(&state["axes"][at], value, 300.0);
            state["buttons"] == serde_json::json!([0, 5, 10, 13])
                && axis(0, -32768.0)
                && axis(1, 0.0)
                && axis(3, 32767.0)
                && axis(4, 32767.0)
                && axis(5, 0.0)
        });
    }
    pad.neutral().unwrap();
    game.wait_for("neutral", |state| {
        let axes = state["axes"].as_array().unwrap();
        state["buttons"] == serde_json::json!([]) && axes.iter().all(|it| is_near(it, 0.0, 300.0))
    });
}

/// Sensors in SDL's units. By HIDAPI along SDL's axes, which are ours; by evdev along the driver's,
/// which for Switch pads are others.
fn motion(game: &mut Game, pad: &Device, by: By) {
    let (gyro, accel) = ([1.0, -2.0, 3.0], [1.0, 9.0, -4.0]);
    pad.set(&State { gyro, accel, ..State::NEUTRAL }).unwrap();
    let drivers = |[x, y, z]: [f32; 3]| [-z, -x, y];
    game.wait_for("motion", |state| match by {
        By::Evdev if !is_sony(pad.model()) => {
            all_near(&state["gyro"], drivers(gyro), 0.05)
                && all_near(&state["accel"], drivers(accel), 0.05)
        }
        // SDL turns a Joy-Con about y, as it is held sideways.
        By::Hidapi if is_joy_con(pad.model()) => {
            is_near(&state["gyro"][1], gyro[1].into(), 0.05)
                && is_near(&state["accel"][1], accel[1].into(), 0.05)
        }
        _ => all_near(&state["gyro"], gyro, 0.05) && all_near(&state["accel"], accel, 0.05),
    });
    pad.neutral().unwrap();
}

fn touch_and_lights(game: &mut Game, pad: &Device) {
    assert_eq!(game.pad["touchpads"], 1, "{}", game.pad);
    // With dashes when SDL has read it from the pad, with colons when from sysfs.
    let serial = game.pad["serial"].as_str().unwrap().replace('-', ":");
    assert_eq!(serial, pad.mac().to_string());
    let finger = Some(Touch { id: 9, x: 0.25, y: 0.75 });
    let battery = Battery { percent: 70, charging: false };
    pad.set(&State { touches: [None, finger], battery, ..State::NEUTRAL }).unwrap();
    game.wait_for("a finger", |state| {
        let [up, down] = [&state["touches"][0], &state["touches"][1]];
        up[0] == false
            && down[0] == true
            && is_near(&down[1], 0.25, 0.01)
            && is_near(&down[2], 0.75, 0.02)
    });
    // Percent in SDL 3; in SDL 2 up to 70 is medium.
    game.wait_for("the battery", |state| state["power"] == 75 || state["power"] == 2);

    game.ask("led 10 20 30");
    expect_feedback(pad, Feedback::Lightbar { red: 10, green: 20, blue: 30 });
}

fn trigger_effect(game: &mut Game, pad: &Device) {
    let mut effects = [0_u8; 47];
    effects[0] = 0x08;
    effects[21..24].copy_from_slice(&[0x25, 0x40, 0x01]);
    let numbers: Vec<_> = effects.iter().map(u8::to_string).collect();
    game.ask(&format!("effect {}", numbers.join(" ")));
    wait_for_feedback(pad, "trigger effect", |it| {
        matches!(it, Feedback::TriggerEffect { trigger: Trigger::Left, effect }
            if effect[..3] == [0x25, 0x40, 0x01])
    });
}

/// Whether this SDL is there: Debian 12 has no SDL 3.
fn has_sdl(version: u8) -> bool {
    let library = if version == 2 { "libSDL2-2.0.so.0" } else { "libSDL3.so.0" };
    let load = format!("import ctypes; ctypes.CDLL('{library}')");
    let loaded = Command::new("python3").args(["-c", &load]).stderr(Stdio::null()).status();
    let has = loaded.is_ok_and(|status| status.success());
    if !has {
        std::io::stderr().write_all(format!("SKIP(no {library})\n").as_bytes()).unwrap();
    }
    has
}

fn every_pad(sdl: u8, by: By, column: &str) {
    if has_sdl(sdl) {
        check(column, |model| plays(sdl, by, model));
    }
}

#[test]
fn sdl_2_plays_with_every_pad_by_hidapi() {
    every_pad(2, By::Hidapi, "SDL 2");
}

#[test]
fn sdl_2_plays_with_every_pad_by_evdev() {
    every_pad(2, By::Evdev, "SDL 2 without HIDAPI");
}

#[test]
fn sdl_3_plays_with_every_pad_by_hidapi() {
    every_pad(3, By::Hidapi, "SDL 3");
}

#[test]
fn sdl_3_plays_with_every_pad_by_evdev() {
    every_pad(3, By::Evdev, "SDL 3 without HIDAPI");
}
