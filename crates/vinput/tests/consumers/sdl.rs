//! SDL: what a joystick is, and where each of its controls arrives.

use std::sync::mpsc;
use std::thread;

use vinput::Profile;
use vinput::feedback::{Command, Rumble};
use vinput::profile::{Control, ControlKind};

use crate::feedback::serve_to_the_end;
use crate::program::{FOR_EVER, Program};
use crate::{Plugged, check, in_machine};

const SCRIPT: &str = include_str!("sdl.py");

/// What SDL calls the controls of a gamepad: the place on an Xbox pad.
const GAMEPAD: [(&str, &str); 25] = [
    ("south", "a"),
    ("east", "b"),
    ("west", "x"),
    ("north", "y"),
    ("lb", "leftshoulder"),
    ("rb", "rightshoulder"),
    ("back", "back"),
    ("start", "start"),
    ("guide", "guide"),
    ("ls", "leftstick"),
    ("rs", "rightstick"),
    ("lx", "leftx"),
    ("ly", "lefty"),
    ("rx", "rightx"),
    ("ry", "righty"),
    ("lt", "lefttrigger"),
    ("rt", "righttrigger"),
    ("dpad_x", "dpright"),
    ("dpad_y", "dpdown"),
    ("share", "misc1"),
    ("capture", "misc1"),
    ("paddle_upper_right", "paddle1"),
    ("paddle_upper_left", "paddle2"),
    ("paddle_lower_right", "paddle3"),
    ("paddle_lower_left", "paddle4"),
];

/// A Joy-Con is held sideways, a quarter turned from how its profile names things. SDL's database has the left one
/// as it never was with the kernel's driver: most of what it maps is not there.
const RIGHT_JOY_CON: [(&str, &str); 11] = [
    ("south", "x"),
    ("east", "a"),
    ("west", "y"),
    ("north", "b"),
    ("sl", "leftshoulder"),
    ("sr", "rightshoulder"),
    ("start", "start"),
    ("guide", "guide"),
    ("rs", "leftstick"),
    ("rx", "lefty"),
    ("ry", "leftx"),
];
const LEFT_JOY_CON: [(&str, &str); 2] = [("lx", "lefty"), ("ly", "leftx")];

/// Where a control of a gamepad is for SDL, if it has a place there. SDL 2 calls the buttons of a pad of Nintendo by
/// the letters that are printed on them, which are the other way round.
fn place(profile: &Profile, name: &str, version: &str) -> Option<&'static str> {
    let table: &[_] = match profile.name() {
        "joy-con-l-uinput" => &LEFT_JOY_CON,
        "joy-con-r-uinput" => &RIGHT_JOY_CON,
        _ => &GAMEPAD,
    };
    let (_, place) = table.iter().find(|(ours, _)| *ours == name)?;
    let is_nintendo = profile.vendor() == 0x057e;
    Some(match *place {
        "a" if is_nintendo && version == "2" => "b",
        "b" if is_nintendo && version == "2" => "a",
        "x" if is_nintendo && version == "2" => "y",
        "y" if is_nintendo && version == "2" => "x",
        place => place,
    })
}

#[test]
fn sdl_2_sees_every_control_of_every_joystick() {
    if in_machine() {
        column("2", "SDL 2");
    }
}

#[test]
fn sdl_3_sees_every_control_of_every_joystick() {
    // Debian 12 has no SDL 3.
    if in_machine() && std::env::var("HOTSEAT_VM").as_deref() != Ok("bookworm") {
        column("3", "SDL 3");
    }
}

fn column(version: &str, name: &str) {
    let joysticks = Profile::builtins().filter(|profile| is_joystick(profile));
    let found: Vec<_> = joysticks.map(|profile| (profile, sees(version, profile))).collect();
    check(name, &found);
}

/// By the buttons that udev takes for a joystick's: BTN_JOYSTICK to below BTN_DIGI.
fn is_joystick(profile: &Profile) -> bool {
    let range = 0x120..0x140;
    profile.codes().any(|code| code.kind == vinput::EventType::Key && range.contains(&code.code))
}

/// The cell of the table.
fn sees(version: &str, profile: &'static Profile) -> String {
    let plugged = Plugged::new(profile);
    let mut sdl = Program::python(SCRIPT, &[version, &plugged.node]);
    let fact = |line: String| line.split_once(' ').unwrap().1.to_owned();
    let kind = fact(sdl.expect("type "));
    let has = fact(sdl.expect("has "));
    let name = fact(sdl.expect("gamepad "));
    let is_gamepad = name != "none";
    sdl.expect("ready");

    let mut mapped = 0;
    for control in profile.controls() {
        mapped += usize::from(arrives(&plugged, &mut sdl, control, is_gamepad, version));
    }
    let kind = if kind == "gamecontroller" { "gamepad" } else { &kind };
    let mapping =
        if is_gamepad { format!(", “{name}”, {mapped} mapped") } else { String::new() };
    let rumbles = profile.effects().iter().any(|effect| effect.name() == Some("FF_RUMBLE"));
    if rumbles {
        rumble_comes_back(&plugged, sdl);
    }
    format!("{kind}{mapping}; {has}{}", if rumbles { "; rumble" } else { "" })
}

/// Sets a control and lets go of it; SDL must see both. Whether it has a place on a gamepad.
fn arrives(
    plugged: &Plugged,
    sdl: &mut Program,
    control: &Control,
    is_gamepad: bool,
    version: &str,
) -> bool {
    let name = control.name();
    let known = place(plugged.profile, name, version);
    // ZL and ZR are triggers, pressed or not; a DualSense has axes for that, and its buttons are nowhere.
    let has_axes = plugged.profile.control("lt").is_some();
    let is_half = plugged.profile.name().starts_with("joy-con");
    let known = known.or(match name {
        "l2" if !has_axes && !is_half => Some("lefttrigger"),
        "r2" if !has_axes && !is_half => Some("righttrigger"),
        _ => None,
    });
    let known = known.filter(|_| is_gamepad);
    plugged.send(&[&format!("{name}=1")]);
    let start = match (known, control.kind()) {
        (Some(theirs), _) => format!("pad {theirs} "),
        (None, ControlKind::Key) => "button ".to_owned(),
        (None, _) if control.code().name().is_some_and(|it| it.contains("HAT")) => {
            "hat ".to_owned()
        }
        (None, _) => "axis ".to_owned(),
    };
    // Full is 32767, and −32768 for a pedal, which SDL shows as the axis that it is.
    let full = |line: &str| {
        let value = line.rsplit(' ').next().unwrap();
        line.starts_with(&start)
            && (value == "down"
                || start == "hat "
                || value.parse::<i32>().is_ok_and(|value| value.abs() >= 32767))
    };
    sdl.wait_for(&format!("{name}, as “{start}”"), full);
    plugged.device.neutral().unwrap();
    if control.kind() == ControlKind::Key {
        sdl.wait_for(&format!("the end of {name}"), |line| {
            line.starts_with(&start) && (line.ends_with(" up") || line.ends_with(" 0"))
        });
    }
    known.is_some()
}

/// SDL rumbles, and the client would be told exactly what it asked for.
fn rumble_comes_back(plugged: &Plugged, mut sdl: Program) {
    let wanted = Command::Rumble(Rumble { strong: 0xc000, weak: 0x4000 });
    let (sender, commands) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| serve_to_the_end(plugged, &sender));
        sdl.tell("rumble");
        while commands.recv_timeout(FOR_EVER).unwrap() != wanted {}
        sdl.rest();
    });
}
