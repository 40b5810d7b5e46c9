//! `hotseat connect`: devices of this machine in a session, by way of QUIC. They are made by uinput, and real to it.

mod lost;
mod played;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use evdev::{
    AbsoluteAxisCode, Device, EventSummary, FFEffectData, FFEffectKind, FFReplay, FFTrigger,
    InputEvent, KeyCode,
};
use rustix::event::{PollFd, PollFlags, poll};
use vinput::feedback::EffectKind;
use vinput::{DeviceName, Feedback, Profile, uhid};

use crate::harness::{Daemon, HOTSEAT, Program, devices_of_hotseat};

/// Where the daemons of these tests listen.
const ADDRESS: &str = "127.0.0.1:47900";

/// A daemon that listens, with a session and a sandbox for it.
struct World {
    daemon: Daemon,
    token: String,
    fingerprint: String,
    _sandbox: Program,
}

impl World {
    fn new() -> Self {
        let mut daemon = Daemon::start();
        let identity = daemon.path("identity.pem").display().to_string();
        let remote = format!("[remote]\nlisten = \"{ADDRESS}\"\nidentity = \"{identity}\"");
        daemon.relaunch_with(&remote);
        let socket = daemon.path("sock").display().to_string();
        let run = [HOTSEAT.as_str(), "--socket", &socket, "run", "--session", "s", "--"];
        let inside = ["sh", "-c", "echo inside; exec sleep infinity"];
        let mut sandbox = Program::start_unlimited(&[&run[..], &inside].concat());
        sandbox.expect("inside");
        let token = daemon.json(&["token", "s"]);
        let text = |name: &str| token[name].as_str().unwrap().to_owned();
        let (token, fingerprint) = (text("token"), text("fingerprint"));
        Self { daemon, token, fingerprint, _sandbox: sandbox }
    }

    /// Starts `hotseat connect`, with its token where nobody sees it.
    fn connect(&self, arguments: &[&str]) -> Program {
        let token = self.daemon.path("token");
        fs::write(&token, format!("{}\n", self.token)).unwrap();
        let token = token.display().to_string();
        let known = ["--session", "s", "--fingerprint", &self.fingerprint, "--token-file", &token];
        let command = [HOTSEAT.as_str(), "connect", ADDRESS, "--json"];
        let mut program = Program::start(&[&command[..], &known, arguments].concat());
        program.expect("attached");
        program
    }

    /// The device that the session has in a slot, as programs have it.
    fn device(&self, slot: usize) -> Device {
        let session = self.daemon.json(&["session", "show", "s"]);
        let nodes = session["devices"][slot]["nodes"].as_array().unwrap();
        let mut paths = nodes.iter().map(|node| node["path"].as_str().unwrap());
        Device::open(paths.find(|path| path.contains("/event")).unwrap()).unwrap()
    }
}

/// A device that somebody holds in their hands.
struct Real {
    device: vinput::uinput::Device,
    profile: &'static Profile,
    node: PathBuf,
}

impl Real {
    fn plug(profile: &str, name: &str) -> Self {
        let profile = Profile::builtin(profile).unwrap();
        let name = DeviceName::new(name).unwrap();
        let phys = DeviceName::new("real/0").unwrap();
        let device = vinput::uinput::Device::create(profile, &name, &phys).unwrap();
        let event = device.nodes().iter().find(|node| node.devname.starts_with("input/event"));
        let node = Path::new("/dev").join(&event.unwrap().devname);
        Self { device, profile, node }
    }

    fn path(&self) -> &str {
        self.node.to_str().unwrap()
    }

    fn send(&self, events: &[&str]) {
        self.device.write(&self.profile.frame(events.iter().copied()).unwrap()).unwrap();
    }

    /// Answers programs until this is what one of them wants.
    fn until<T>(&self, wanted: impl Fn(Feedback) -> Option<T>) -> T {
        loop {
            while let Some(feedback) = self.device.read_feedback().unwrap() {
                if let Some(found) = wanted(feedback) {
                    return found;
                }
            }
            poll(&mut [PollFd::new(&self.device.as_fd(), PollFlags::IN)], None).unwrap();
        }
    }
}

/// Reads a device until an event is it.
fn until(device: &mut Device, mut is_it: impl FnMut(EventSummary) -> bool) {
    loop {
        let events: Vec<InputEvent> = device.fetch_events().unwrap().collect();
        if events.into_iter().any(|event| is_it(event.destructure())) {
            return;
        }
    }
}

fn key(wanted: KeyCode, value: i32) -> impl Fn(EventSummary) -> bool {
    move |event| matches!(event, EventSummary::Key(_, key, at) if (key, at) == (wanted, value))
}

#[test]
fn a_pad_is_forwarded_with_its_motors_and_comes_back() {
    let world = World::new();
    let real = Real::plug("xbox-one", "Real pad");
    // As udev makes them in /dev/input/by-id: the number of the node is another one after each plug.
    let (link, new) = (world.daemon.path("by-id"), world.daemon.path("new"));
    std::os::unix::fs::symlink(&real.node, &link).unwrap();
    let mut connect = world.connect(&["--device", link.to_str().unwrap(), "--grab"]);
    let line = connect.expect("\"forwarding\"");
    assert!(line.contains("\"profile\":\"xbox-one\"") && line.contains("Real pad"), "{line}");
    let mut pad = world.device(0);

    real.send(&["south=1", "lx=-1", "rt=1", "dpad_y=-1"]);
    until(&mut pad, key(KeyCode::BTN_SOUTH, 1));
    real.send(&["south=0", "west=1"]);
    until(&mut pad, key(KeyCode::BTN_NORTH, 1)); // BTN_X
    let now = pad.get_abs_state().unwrap();
    let at = |axis: AbsoluteAxisCode| now[usize::from(axis.0)].value;
    assert_eq!(at(AbsoluteAxisCode::ABS_X), -32768);
    assert_eq!(at(AbsoluteAxisCode::ABS_RZ), 1023);
    assert_eq!(at(AbsoluteAxisCode::ABS_HAT0Y), -1);
    let line = connect.expect("\"statistics\"");
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(told["connected"] == true && told["round_trip_ms"].as_f64() > Some(0.0), "{line}");
    // Nobody else hears it.
    let mut other = Device::open(&real.node).unwrap();
    assert!(other.grab().is_err(), "it is grabbed");

    let kind = FFEffectKind::Rumble { strong_magnitude: 0xffff, weak_magnitude: 0x4000 };
    let (trigger, replay) = (FFTrigger::default(), FFReplay::default());
    let effect = FFEffectData { direction: 0, trigger, replay, kind };
    let mut effect = pad.upload_ff_effect(effect).unwrap();
    effect.play(1).unwrap();
    let uploaded = real.until(|feedback| match feedback {
        Feedback::Upload { effect } => Some(effect.kind),
        _ => None,
    });
    assert!(
        matches!(uploaded, EffectKind::Rumble { strong: 0xf000.., weak: 0x3f00..=0x4100 }),
        "{uploaded:?}"
    );
    let plays = |wanted: bool| {
        move |feedback| match feedback {
            Feedback::Play { count, .. } => ((count > 0) == wanted).then_some(()),
            _ => None,
        }
    };
    real.until(plays(true));
    effect.stop().unwrap();
    real.until(plays(false));
    drop(effect);

    drop(real);
    connect.expect("\"gone\"");
    let real = Real::plug("xbox-one", "Real pad");
    std::os::unix::fs::symlink(&real.node, &new).unwrap();
    fs::rename(&new, &link).unwrap();
    connect.expect("\"forwarding\"");
    let mut pad = world.device(0);
    real.send(&["east=1"]);
    until(&mut pad, key(KeyCode::BTN_EAST, 1));
    connect.end("TERM");
    assert_eq!(devices_of_hotseat().len(), 0, "the devices go at once");
}

#[test]
fn a_whole_pad_is_forwarded_with_its_sensors_and_touchpad() {
    let world = World::new();
    let phys = DeviceName::new("real/0").unwrap();
    let mac = uhid::Mac::derived_from("real");
    let name = DeviceName::new("Real DualSense").unwrap();
    let real = uhid::Device::create(uhid::Model::DualSense, &name, &phys, mac).unwrap();
    let mut connect = world.connect(&[]);
    let line = connect.expect("\"forwarding\"");
    assert!(line.contains("\"profile\":\"dualsense\""), "{line}");

    // The nodes of the session's pad, by what they are.
    let session = world.daemon.json(&["session", "show", "s"]);
    let nodes = session["devices"][0]["nodes"].as_array().unwrap();
    let paths = nodes.iter().map(|node| node["path"].as_str().unwrap().to_owned());
    let mut devices: Vec<_> = paths
        .filter(|path| path.contains("/event"))
        .map(|path| Device::open(path).unwrap())
        .collect();
    let is_sensors =
        |device: &Device| device.name().is_some_and(|name| name.ends_with("Motion Sensors"));
    let is_touchpad =
        |device: &Device| device.name().is_some_and(|name| name.ends_with("Touchpad"));
    let sensors = devices.iter().position(is_sensors).unwrap();
    let touchpad = devices.iter().position(is_touchpad).unwrap();

    let touch = uhid::Touch { id: 1, x: 0.25, y: 0.5 };
    let turning =
        uhid::State { gyro: [0.0, 0.0, 1.0], touches: [Some(touch), None], ..uhid::State::NEUTRAL };
    real.set(&turning).unwrap();
    // A radian per second, in 1/1024 of a degree per second, as two pads have counted it.
    until(&mut devices[sensors], |event| {
        matches!(event, EventSummary::AbsoluteAxis(_, AbsoluteAxisCode::ABS_RZ, 58_000..=59_500))
    });
    // Where it hangs, the runner shows how far it was.
    println!("it has turned");
    until(&mut devices[touchpad], key(KeyCode::BTN_TOUCH, 1));
    println!("it is touched");
    let x = devices[touchpad].get_abs_state().unwrap()[0].value;
    assert!((478..=482).contains(&x), "{x} of 1919");
    real.set(&uhid::State::NEUTRAL).unwrap();
    until(&mut devices[touchpad], key(KeyCode::BTN_TOUCH, 0));
    println!("it is not touched any more");

    // What a game tells the session's pad by its hidraw node, the real one does.
    let mut paths = nodes.iter().map(|node| node["path"].as_str().unwrap());
    let hidraw = paths.find(|path| path.contains("/hidraw")).unwrap();
    let effect = [0x21, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let (trigger, loose) = (uhid::Trigger::Left, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for told in [
        uhid::Feedback::Lightbar { red: 1, green: 2, blue: 255 },
        uhid::Feedback::PlayerLeds { on: 0b10101, blinking: 0 },
        uhid::Feedback::MuteLed(uhid::MuteLed::Pulse),
        uhid::Feedback::TriggerEffect { trigger, effect },
    ] {
        fs::write(hidraw, uhid::Model::DualSense.output_report(told).unwrap()).unwrap();
        hears(&real, told);
        println!("it was told {told:?}");
    }
    connect.end("TERM");
    println!("it is not forwarded any more");
    // The next game finds triggers that do not resist.
    hears(&real, uhid::Feedback::TriggerEffect { trigger, effect: loose });
}

/// Waits until a pad is told so.
fn hears(real: &uhid::Device, wanted: uhid::Feedback) {
    loop {
        poll(&mut [PollFd::new(&real.as_fd(), PollFlags::IN)], None).unwrap();
        while let Some(told) = real.take_feedback() {
            if told == wanted {
                return;
            }
        }
    }
}

/// The driver says which player a pad belongs to by lights, and these two pads are the first and the second.
#[test]
fn the_lights_of_a_switch_pad_are_those_of_the_session() {
    let world = World::new();
    let phys = DeviceName::new("real/0").unwrap();
    let name = DeviceName::new("Real Pro Controller").unwrap();
    let mac = uhid::Mac::derived_from("real");
    let real = uhid::Device::create(uhid::Model::SwitchPro, &name, &phys, mac).unwrap();
    let mut connect = world.connect(&[]);
    let line = connect.expect("\"forwarding\"");
    assert!(line.contains("\"profile\":\"switch-pro\""), "{line}");
    hears(&real, uhid::Feedback::PlayerLeds { on: 0b0011, blinking: 0 });
    connect.end("TERM");
}

#[test]
fn pads_come_and_go_and_hotseats_own_are_left_alone() {
    let mut world = World::new();
    let mut connect = world.connect(&[]);
    connect.expect("there is no pad yet");
    let _no_pad = Real::plug("keyboard", "Real keyboard");
    let first = Real::plug("xbox-one", "First");
    let line = connect.expect("\"forwarding\"");
    assert!(line.contains("First"), "{line}");
    // The pad of the session is one of this machine, too, and must not come round again.
    let second = Real::plug("xbox-360", "Second");
    let line = connect.expect("\"forwarding\"");
    assert!(line.contains("Second"), "{line}");
    let mut pad = world.device(1);
    second.send(&["start=1"]);
    until(&mut pad, key(KeyCode::BTN_START, 1));
    drop(first);
    connect.expect("\"gone\"");
    world.daemon.log().expect("unplugged session=\"s\" slot=0");
    assert_eq!(devices_of_hotseat().len(), 1);
    connect.end("TERM");
}

#[test]
fn what_is_wrong_is_told_with_a_hint() {
    let world = World::new();
    let run = |fingerprint: &str, token: &str, more: &[&str]| {
        let known = ["connect", ADDRESS, "--fingerprint", fingerprint, "--token", token];
        let output = world.daemon.run(&[&known[..], more].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let session = ["--session", "s"];
    let other = "00".repeat(32);
    let told = run(&other, &world.token, &session);
    assert!(told.contains("has another certificate") && told.contains("hint: "), "{told}");
    let told = run(&world.fingerprint, "wrong", &session);
    assert!(
        told.contains("this token is not one") && told.contains("hint: make a token"),
        "{told}"
    );
    let told = run(&world.fingerprint, &world.token, &["--session", "t"]);
    assert!(told.contains("error: the server refused"), "{told}");
    let told = run(&world.fingerprint, &world.token, &["--session", "s", "--device", "/dev/null"]);
    assert!(told.contains("/dev/null"), "{told}");
}
