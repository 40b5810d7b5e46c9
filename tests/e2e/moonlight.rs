//! A Moonlight client, byte for byte as its host hands it on.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::harness::{Container, Daemon, Plugged, Program};

/// A client in the session `s`: a request that lasts.
struct Player {
    stream: UnixStream,
    answer: Vec<u8>,
}

impl Player {
    fn join(daemon: &Daemon) -> Self {
        let mut stream = UnixStream::connect(daemon.path("sock")).unwrap();
        let head = "POST /v1/sessions/s/moonlight HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut player = Self { stream, answer: Vec::new() };
        player.expect(b"HTTP/1.1 200 OK");
        player
    }

    /// Sends packets, as digits.
    fn say(&mut self, packets: &str) {
        let packets = bytes(packets);
        write!(self.stream, "{:x}\r\n", packets.len()).unwrap();
        self.stream.write_all(&packets).unwrap();
        self.stream.write_all(b"\r\n").unwrap();
    }

    /// Reads on until these bytes have come, and forgets what was before them.
    fn expect(&mut self, wanted: &[u8]) {
        loop {
            let found = self.answer.windows(wanted.len()).position(|bytes| bytes == wanted);
            if let Some(at) = found {
                self.answer.drain(..at + wanted.len());
                return;
            }
            let mut part = [0; 4096];
            let length = self.stream.read(&mut part).unwrap();
            assert!(length > 0, "ended without {wanted:x?}: {:x?}", self.answer);
            self.answer.extend(&part[..length]);
        }
    }

    /// Ends the body, and reads to the end of the answer.
    fn leave(mut self) {
        self.stream.write_all(b"0\r\n\r\n").unwrap();
        self.expect(b"\r\n0\r\n\r\n");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Pad 0 arrives: of this maker, with these capabilities.
fn arrives(maker: u8, capabilities: u16) -> String {
    format!("0000000c 04000055 00 {maker:02x} {:04x} ffff3f00", capabilities.swap_bytes())
}

/// Pad 0: buttons as Moonlight numbers them, and the left stick to the right.
fn pad(present: u16, buttons: u16, right: i16) -> String {
    format!(
        "0000001e 0c000000 1a00 0000 {:04x} 1400 {:04x} 00 00 {:04x} 0000 0000 0000 9c00 0000 5500",
        present.swap_bytes(),
        buttons.swap_bytes(),
        right.swap_bytes()
    )
}

const SOUTH: u16 = 0x1000;

/// A key of Windows goes down.
fn key(code: u8) -> String {
    format!("0000000a 03000000 00 {code:02x}80 00 0000")
}

/// Says what is held, and then each event that is read, until its input ends.
const READER: &str = "\
import evdev, sys
device = evdev.InputDevice(sys.argv[1])
held = set(device.active_keys())
print('reading', device.name, 'held', sorted(held), flush=True)
for event in device.read_loop():
    if event.type == evdev.ecodes.EV_SYN:
        print('report', 'held', sorted(held), flush=True)
    else:
        if event.type == evdev.ecodes.EV_KEY:
            (held.add if event.value else held.discard)(event.code)
        print(evdev.ecodes.EV[event.type], event.code, event.value, flush=True)
";

fn reader(container: &Container, node: &str) -> Program {
    let mut reader = container.program(&[], &["python3", "-u", "-c", READER, node]);
    reader.expect("reading");
    reader
}

fn next(watcher: &mut Program, event: &str) -> Value {
    let line = watcher.expect(&format!("\"event\":\"{event}\""));
    serde_json::from_str(&line).unwrap()
}

/// The devices of the session, by slot.
fn device(daemon: &Daemon, slot: u8) -> Plugged {
    let devices = daemon.json(&["session", "show", "s"])["devices"].clone();
    let mut devices = devices.as_array().unwrap().iter();
    Plugged(devices.find(|device| device["slot"] == slot).unwrap().clone())
}

#[test]
fn a_moonlight_pad_plays_rumbles_and_lets_go_when_its_connection_is_lost() {
    let daemon = Daemon::start();
    let container = Container::start("moonlight");
    let reference = container.reference();
    daemon.hotseat(&["session", "add", "s", "--container", &reference, "--grace", "60"]);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut player = Player::join(&daemon);
    // It is pressed before it can be there, and that is not lost.
    player.say(&format!("{}{}", arrives(1, 0x03), pad(1, SOUTH, 0)));
    assert_eq!(next(&mut watcher, "plugged")["profile"], "xbox-one");
    let node = device(&daemon, 0).node("event");
    player.say(&pad(1, SOUTH, i16::MAX));
    let mut game = reader(&container, &node);
    player.say(&pad(1, 0, 0));
    game.expect("EV_KEY 304 0");
    player.say(&pad(1, SOUTH, -i16::MAX));
    game.expect("EV_KEY 304 1");

    // A packet that says nonsense (a pad that cannot be) changes nothing.
    player.say(&format!("0000000c 04000055 20 02 ff01 ffff3f00 {}", pad(1, 0, 0)));
    game.expect("EV_KEY 304 0");

    let rumble = "\
import evdev, sys
from evdev import ecodes, ff
pad = evdev.InputDevice(sys.argv[1])
rumble = ff.EffectType(ff_rumble_effect=ff.Rumble(strong_magnitude=0xffff, weak_magnitude=0x8000))
effect = ff.Effect(ecodes.FF_RUMBLE, -1, 0, ff.Trigger(0, 0), ff.Replay(10000, 0), rumble)
pad.write(ecodes.EV_FF, pad.upload_effect(effect), 1)
print('rumbles', flush=True)
input()
";
    let mut shaker = container.program(&[], &["python3", "-u", "-c", rumble, &node]);
    player.expect(&bytes("0b01 0a00 00000000 0000 ffff 0080"));
    shaker.close();
    player.expect(&bytes("0b01 0a00 00000000 0000 0000 0000"));

    player.say(&pad(1, SOUTH, 0));
    game.expect("EV_KEY 304 1");
    let before = device(&daemon, 0).0;
    drop(player);
    game.expect("EV_KEY 304 0");
    game.expect("held []");
    // A host that is back in time finds the same pad.
    let mut player = Player::join(&daemon);
    player.say(&format!("{}{}", arrives(1, 0x03), pad(1, SOUTH, 0)));
    game.expect("EV_KEY 304 1");
    assert_eq!(device(&daemon, 0).0, before);
    player.say(&pad(0, 0, 0));
    assert_eq!(next(&mut watcher, "unplugged")["slot"], 0);
    player.leave();
}

#[test]
fn keyboard_mouse_and_fingers_are_plugged_when_they_are_used_and_the_host_is_safe() {
    let mut daemon = Daemon::start();
    let profiles = daemon.path("profiles");
    fs::create_dir(&profiles).unwrap();
    let keyboard = "name = \"keyboard\"\ntitle = \"K\"\ndevice_name = \"K\"\nbus = \"virtual\"\nvendor = 0\n\
                    product = 1\nversion = 1\nkeys = [\"KEY_A\", \"KEY_B\", \"KEY_SYSRQ\"]\n";
    fs::write(profiles.join("keyboard.toml"), keyboard).unwrap();
    daemon.relaunch_with(&format!("profiles = {profiles:?}"));
    let container = Container::start("moonlight-keys");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut player = Player::join(&daemon);

    player.say(&key(b'A'));
    assert_eq!(next(&mut watcher, "plugged")["slot"], 16);
    let keyboard = device(&daemon, 16).node("event");
    let mut keys = container.program(&[], &["python3", "-u", "-c", READER, &keyboard]);
    // Either it is held already or it is pressed next.
    keys.expect("30");
    // Print Screen is SysRq.
    player.say(&format!("{}{}", key(0x2c), key(b'B')));
    let press = keys.expect("EV_KEY");
    assert!(press.contains("EV_KEY 48 1"), "{press}");

    player.say("00000008 07000000 fffe 012c");
    assert_eq!(next(&mut watcher, "plugged")["slot"], 17);
    let mut mouse = reader(&container, &device(&daemon, 17).node("event"));
    player.say("00000008 07000000 fffe 012c 00000005 08000000 03");
    mouse.expect("EV_REL 0 -2");
    mouse.expect("EV_REL 1 300");
    mouse.expect("EV_KEY 273 1");

    player.say("0000000e 05000000 03c0 0000 0000 077f 0437");
    assert_eq!(next(&mut watcher, "plugged")["slot"], 18);
    let down = "00000020 02000055 01 00 ffff 01000000 0000003f 0000803f 00000000 00000000 00000000";
    player.say(down);
    assert_eq!(next(&mut watcher, "plugged")["slot"], 19);
    let hover =
        "00000020 03000055 00 01 00 00 00000000 0000003f 0000803f ffff ff 00 00000000 00000000";
    player.say(hover);
    assert_eq!(next(&mut watcher, "plugged")["slot"], 20);
    let mut screen = reader(&container, &device(&daemon, 19).node("event"));
    player.say(&down.replacen("01 00", "02 00", 1));
    screen.expect("EV_ABS 57 -1");
    let mut tablet = reader(&container, &device(&daemon, 20).node("event"));
    player.say(&hover.replacen("00 01", "01 01", 1));
    tablet.expect("EV_KEY 330 1");

    // What is no packet at all ends it, and everything is let go of.
    player.say("504f5354");
    tablet.expect("held []");
    mouse.expect("held []");
    keys.expect("held []");
    let mut rest = Vec::new();
    player.stream.read_to_end(&mut rest).unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "an answer that is cut off");
}

#[test]
fn a_moonlight_dualsense_has_motion_touchpad_and_lights() {
    let daemon = Daemon::start();
    let container = Container::start("moonlight-sense");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut player = Player::join(&daemon);
    player.say(&arrives(2, 0x1ff));
    // Its driver lights it, and its sensors are asked for.
    player.expect(&bytes("0255 0500 0000"));
    player.expect(&bytes("0155 0500 0000 6400 01"));
    player.expect(&bytes("0155 0500 0000 6400 02"));
    let find =
        "import evdev\nfor path in evdev.list_devices(): print(path, evdev.InputDevice(path).name)";
    let nodes = container.sh(&format!("python3 -c '{find}'"));
    let node = |name: &str| {
        let line = nodes.lines().find(|line| line.contains(name)).unwrap();
        line.split(' ').next().unwrap().to_owned()
    };
    let mut sensors = reader(&container, &node("Motion"));
    let mut touchpad = reader(&container, &node("Touchpad"));
    // 180 degrees a second about x: 1024 units per degree (hid-playstation).
    player.say("00000014 06000055 00 02 00 00 00003443 00000000 00000000");
    loop {
        let event = sensors.expect("EV_ABS 3 ");
        let value: i32 = event.trim().rsplit(' ').next().unwrap().parse().unwrap();
        if (184_000..185_000).contains(&value) {
            break;
        }
    }
    player.say("00000018 05000055 00 01 00 00 07000000 0000003f 0000003f 0000803f");
    touchpad.expect("EV_KEY 330 1");
    player.leave();
    touchpad.expect("EV_KEY 330 0");
}

#[test]
fn there_is_no_moonlight_client_without_a_session() {
    let daemon = Daemon::start();
    let request = "POST /v1/sessions/nobody/moonlight HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (status, problem) = daemon.http(request.as_bytes());
    assert_eq!((status, &problem["code"]), (404, &json!("session-not-found")), "{problem}");
}
