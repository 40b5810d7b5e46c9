//! Game pads that the host has, none of Hotseat's making, in a container.

use std::fs;

use super::{LISTING, expect_event, session, watching};
use crate::harness::{Container, HOTSEAT, Program, SDL_TESTS, sh};

/// A pad by another program than ours, until its end. It says where its event node is, then reads what happens to it.
const PAD: &str = "
import sys, evdev
from evdev import ecodes as e
axis, hat = evdev.AbsInfo(0, -32768, 32767, 16, 128, 0), evdev.AbsInfo(0, -1, 1, 0, 0, 0)
buttons = [e.BTN_SOUTH, e.BTN_EAST, e.BTN_NORTH, e.BTN_WEST, e.BTN_TL, e.BTN_TR, e.BTN_SELECT, e.BTN_START, e.BTN_MODE,
           e.BTN_THUMBL, e.BTN_THUMBR]
axes = [(code, axis) for code in (e.ABS_X, e.ABS_Y, e.ABS_RX, e.ABS_RY)] + [(e.ABS_HAT0X, hat), (e.ABS_HAT0Y, hat)]
pad = evdev.UInput({e.EV_KEY: buttons, e.EV_ABS: axes}, name=sys.argv[1], vendor=0x45e, product=0x28e, version=0x110, bustype=3)
print('pad', pad.device.path, flush=True)
for line in sys.stdin:
    pad.write(e.EV_KEY, e.BTN_SOUTH, int(line))
    pad.syn()
";

struct Pad {
    program: Program,
    /// Its event node.
    node: String,
}

impl Pad {
    fn plug(name: &str) -> Self {
        let mut program = Program::start(&["python3", "-c", PAD, name]);
        let line = program.expect("pad ");
        Self { program, node: line.trim().trim_start_matches("pad ").to_owned() }
    }

    fn press(&mut self, value: u8) {
        self.program.say(&value.to_string());
    }

    /// Its nodes and the input device that they belong to, in /sys.
    fn syspaths(&self) -> Vec<String> {
        let event = self.node.trim_start_matches("/dev/input/");
        let paths =
            sh(&format!("cd -P /sys/class/input/{event}/device; pwd; ls -d $PWD/event* $PWD/js*"));
        paths.lines().map(str::to_owned).collect()
    }
}

fn sdl(container: &Container) -> Program {
    container.program(&["SDL_VIDEODRIVER=dummy"], &[&format!("{SDL_TESTS}/testjoystick")])
}

const PADS: [&str; 4] = ["--subsystem", "input", "--property", "ID_INPUT_JOYSTICK=1"];

#[test]
fn a_pad_of_the_host_plays_in_the_session_that_it_is_given_to() {
    sh("modprobe -a uinput joydev");
    // One is there already, the other comes.
    let mut first = Pad::plug("The host's first pad");
    let daemon = watching();
    let [container, other] = ["pads", "no-pads"].map(Container::start);
    session(&daemon, "s", &container);
    session(&daemon, "t", &other);
    let before = (daemon.traces(), container.sh(LISTING), other.sh(LISTING));
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut sdl = sdl(&container);
    // What a session has already is none of the host's.
    daemon.hotseat(&["plug", "t", "xbox-one"]);
    let with_its_own = other.sh(LISTING);

    daemon.hotseat(&[&["rule", "add", "s", "--exclusive"], &PADS[..]].concat());
    let syspaths = first.syspaths();
    let [input, event, js] = syspaths.as_slice() else { panic!("{syspaths:?}") };
    let shown = daemon.json(&["session", "show", "s"]);
    let devpaths: Vec<_> =
        shown["host_devices"].as_array().unwrap().iter().map(|it| &it["devpath"]).collect();
    let expected = [input, event, js].map(|path| path.trim_start_matches("/sys"));
    assert_eq!(devpaths, expected, "the input device, then its nodes: {shown}");
    sdl.expect("Joystick device 0 added");
    sdl.expect("0x045e/0x028e");
    first.press(1);
    sdl.expect("button 0 down");
    let udev = container
        .sh(&format!("udevadm info --query=property {input}; udevadm info --query=property {js}"));
    assert_eq!(udev.matches("ID_INPUT_JOYSTICK=1").count(), 2, "{udev}");

    first.program.end("TERM");
    sdl.expect("removed.");
    expect_event(&mut watcher, "host-unplugged", &first.node);
    expect_event(&mut watcher, "host-unplugged", "/sys/devices/virtual/input");
    let mut second = Pad::plug("The host's second pad");
    sdl.expect("Joystick device 0 added");
    second.press(1);
    sdl.expect("button 0 down");
    assert_eq!(other.sh(LISTING), with_its_own);
    second.program.end("TERM");
    sdl.expect("removed.");
    expect_event(&mut watcher, "host-unplugged", &second.node);
    expect_event(&mut watcher, "host-unplugged", "/sys/devices/virtual/input");
    sdl.end("TERM");
    watcher.end("TERM");
    daemon.hotseat(&["rule", "rm", "s", "1"]);
    daemon.hotseat(&["unplug", "t", "0"]);
    assert_eq!((container.sh(LISTING), other.sh(LISTING)), (before.1, before.2));
    daemon.returns_to(&before.0);
}

/// As docs/host-devices.md says it.
const HIDING: &str = r#"SUBSYSTEM=="input", ATTRS{name}=="The guest's pad", TAG+="hotseat-hidden""#;

struct Hiding;

impl Hiding {
    fn new() -> Self {
        sh(&format!("{} setup; mkdir -p /run/udev/rules.d", *HOTSEAT));
        fs::write("/run/udev/rules.d/70-guest.rules", format!("{HIDING}\n")).unwrap();
        sh("udevadm control --reload");
        Self
    }
}

impl Drop for Hiding {
    fn drop(&mut self) {
        sh("rm /run/udev/rules.d/70-guest.rules; udevadm control --reload");
    }
}

#[test]
fn a_pad_that_is_hidden_from_the_hosts_seat_plays_in_the_container_alone() {
    sh("modprobe -a uinput joydev");
    let _hiding = Hiding::new();
    let daemon = watching();
    let container = Container::start("guest");
    session(&daemon, "s", &container);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    daemon.hotseat(&["rule", "add", "s", "--tag", "hotseat-hidden"]);
    let mut sdl = sdl(&container);
    let ordinary = Pad::plug("The host's pad");
    let mut hidden = Pad::plug("The guest's pad");
    expect_event(&mut watcher, "host-plugged", &hidden.node);
    sdl.expect("Joystick device 0 added");
    sdl.expect("0x045e/0x028e");
    hidden.press(1);
    sdl.expect("button 0 down");

    // The host's seat has the one and not the other.
    let seat = sh("loginctl seat-status --no-pager --full seat0");
    assert!(seat.contains("The host's pad") && !seat.contains("The guest's pad"), "{seat}");
    for syspath in hidden.syspaths() {
        let udev = sh(&format!("udevadm info --query=property {syspath}"));
        assert!(udev.contains("ID_SEAT=seat-hotseat\n"), "{udev}");
        assert!(udev.contains("LIBINPUT_IGNORE_DEVICE=1\n"), "{udev}");
        let tags = udev.lines().find_map(|line| line.strip_prefix("CURRENT_TAGS=")).unwrap();
        assert!(!tags.contains(":uaccess:") && !tags.contains(":seat:"), "{tags}");
    }
    assert_eq!(sh(&format!("stat --format '%a %U %G' {}", hidden.node)).trim(), "600 root root");
    assert_eq!(sh(&format!("stat --format %a {}", ordinary.node)).trim(), "660");

    // In the container it is a pad like any other, and the other one is not there.
    let udev = container.sh(&format!("udevadm info --query=property {}", hidden.node));
    assert!(udev.contains("ID_INPUT_JOYSTICK=1\n"), "{udev}");
    for not in ["seat-hotseat", "LIBINPUT_IGNORE_DEVICE"] {
        assert!(!udev.contains(not), "{udev}");
    }
    container.sh(&format!("test ! -e {}", ordinary.node));
    hidden.program.end("TERM");
    sdl.expect("removed.");
    sdl.end("TERM");
    watcher.end("TERM");
}
