//! Nodes whose place is /dev itself: programs in a container that talk to a whole pad by hidraw.

use std::io::Write;

use serde_json::Value;

use crate::harness::{Container, Daemon, Program, files, sh};

/// Plays a game that uses SDL, and says what SDL makes of the pad.
const GAME: &str = include_str!("../../crates/vinput/tests/uhid/sdl.py");

/// Starts the game, which waits for a DualSense.
fn play(container: &Container, sdl: &str) -> Program {
    container.program(&[], &["python3", "-c", GAME, sdl, "1", "0x054c", "0x0ce6"])
}

/// All that is in /dev.
const LISTING: &str = "find /dev -printf '%p %y %m %l\n' | sort";

fn answer(game: &mut Program) -> Value {
    serde_json::from_str(&game.expect("{")).unwrap()
}

/// Waits until `count` sockets in the container's network listen to udev's messages (group 2 of netlink's
/// family 15).
fn wait_for_listeners(container: &Container, count: usize) {
    let listening = r#"awk '$2 == 15 && $4 == "00000002"' /proc/net/netlink | wc -l"#;
    let wait = format!("until [ $({listening}) -ge {count} ]; do :; done; echo listening");
    container.program(&[], &["sh", "-c", &wait]).expect("listening");
}

/// The pad comes while the game runs, is played by hidraw, is told to shine and to pull its trigger, and goes.
fn a_game_plays_by_hidraw(sdl: &str, profile: &str) {
    let daemon = Daemon::start();
    let container = Container::start("game");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let before = (daemon.traces(), container.sh(LISTING));

    // All there has been, so it does not matter when it comes.
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut game = play(&container, sdl);
    // The daemon's own, and SDL's for input devices and for hidraw nodes.
    wait_for_listeners(&container, 2);
    let pad = daemon.plug("s", profile);
    watcher.expect("\"plugged\"");
    let hidraw = pad.node("hidraw");
    assert_eq!(pad.nodes()[0], hidraw, "the first to be placed: SDL waits only 10 ms for it");
    let seen = answer(&mut game);
    assert_eq!(seen["path"], hidraw, "{seen}");
    assert_eq!(
        (&seen["touchpads"], &seen["gyro"]),
        (&Value::from(1), &Value::from(true)),
        "{seen}"
    );

    daemon.hotseat(&["send", "s", "0", "south=1", "touch0=1", "touch0_x=0.5", "touch0_y=0.5"]);
    loop {
        game.say("state");
        let state = answer(&mut game);
        if state["buttons"] == serde_json::json!([0]) && state["touches"][0][0] == true {
            break;
        }
    }
    game.say("led 10 20 30");
    watcher.expect(r#"{"blue":30,"green":20,"kind":"light-bar","red":10}"#);
    // What the right and the left trigger are to do, in DualSense's own words.
    let mut effects = [0_u8; 47];
    effects[0] = 0x08;
    effects[21..24].copy_from_slice(&[0x25, 0x40, 0x01]);
    let numbers: Vec<_> = effects.iter().map(u8::to_string).collect();
    game.say(&format!("effect {}", numbers.join(" ")));
    let pulled = watcher.expect(r#"{"effect":[37,64,1,"#);
    assert!(pulled.contains(r#""kind":"trigger-effect","trigger":"left""#), "{pulled}");
    game.say("rumble 0xffff 0");
    watcher.expect(r#""kind":"rumble","strong":1.0"#);

    daemon.hotseat(&["unplug", "s", "0"]);
    game.say("quit");
    game.rest();
    watcher.end("TERM");
    daemon.returns_to(&before.0);
    assert_eq!(container.sh(LISTING), before.1);
}

#[test]
fn a_game_with_sdl_2_plays_a_bluetooth_pad_by_hidraw() {
    a_game_plays_by_hidraw("2", "dualsense-bt");
}

#[test]
fn a_game_with_sdl_3_plays_a_usb_pad_by_hidraw() {
    if sh("ls /usr/lib/x86_64-linux-gnu/").contains("libSDL3.so.0") {
        a_game_plays_by_hidraw("3", "dualsense");
    } else {
        std::io::stderr().write_all(b"SKIP(no libSDL3.so.0)\n").unwrap();
    }
}

/// What a program that watches /dev sees, and what it can do at that instant.
const WATCH: &str = "
import ctypes, fcntl, os, struct
libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_init1(0)
ALL = 0xfff & ~0x31  # not the opens, closes and accesses of others
libc.inotify_add_watch(watch, b'/dev', ALL)
print('watching', flush=True)
while True:
    data = os.read(watch, 4096)
    while data:
        _, mask, _, length = struct.unpack_from('iIII', data)
        name = data[16:16 + length].rstrip(b'\\0').decode()
        data = data[16 + length:]
        said = ''
        if mask & 0x100:
            node = os.open('/dev/' + name, os.O_RDWR)
            info = bytearray(8)
            fcntl.ioctl(node, 0x80084803, info)  # HIDIOCGRAWINFO
            said = '%x:%x' % struct.unpack_from('HH', info, 4)
            os.close(node)
        print('event', hex(mask), name, said, flush=True)
";

const MAY_MOUNT: &str = "--cap-add SYS_ADMIN --security-opt apparmor=unconfined";

#[test]
fn a_hidraw_node_comes_once_and_opens_at_that_instant() {
    let daemon = Daemon::start();
    let container = Container::start("watch");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut watch = container.python(WATCH);
    watch.expect("watching");
    // In a mount namespace of its own, as the games of Steam's runtime are.
    let nested = Container::start_with("nested", MAY_MOUNT, "");
    daemon.hotseat(&["session", "add", "n", "--container", &nested.reference()]);
    let mut inner = nested.program(&[], &[
        "unshare", "--mount", "sh", "-c",
        "mkdir /tmp/dev; mount --rbind /dev /tmp/dev; echo inside; read name; exec 3<>/tmp/dev/$name; echo opened",
    ]);
    inner.expect("inside");

    for _ in 0..2 {
        let pad = daemon.plug("s", "dualsense");
        let name = pad.node("hidraw").replace("/dev/", "");
        assert_eq!(watch.expect("event").trim(), format!("event 0x100 {name} 54c:ce6"));
        // libudev: the devnode, and that it is initialised.
        let mut udev = container.python(
            "import pyudev\n\
             found = pyudev.Context().list_devices(subsystem='hidraw')\n\
             print(*(d.device_node for d in found if d.is_initialized), 'found')",
        );
        assert_eq!(udev.expect("found").trim(), format!("/dev/{name} found"));
        daemon.hotseat(&["unplug", "s", "0"]);
        assert_eq!(watch.expect("event").trim(), format!("event 0x200 {name}"));
    }

    let pad = daemon.plug("n", "dualsense");
    inner.say(&pad.node("hidraw").replace("/dev/", ""));
    inner.expect("opened");
}

#[test]
fn what_has_the_name_of_a_hidraw_node_is_never_replaced() {
    let daemon = Daemon::start();
    let container = Container::start_with("taken", MAY_MOUNT, "");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    container.sh("for n in 0 1 2 3 4 5 6 7; do echo mine > /dev/hidraw$n; done");
    let before = daemon.traces();
    let body = r#"{"profile":"dualsense"}"#;
    let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", body);
    assert_eq!((status, problem["code"].as_str()), (409, Some("node-exists")), "{problem}");
    daemon.returns_to(&before);
    assert_eq!(container.sh("cat /dev/hidraw*").trim(), "mine\n".repeat(8).trim());

    // Nor is a link forced into a /dev that cannot take it.
    container.sh("rm /dev/hidraw*; mount -o remount,ro /dev");
    let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", body);
    assert_eq!((status, problem["code"].as_str()), (409, Some("dev-link")), "{problem}");
    daemon.returns_to(&before);
    // A container that cannot have links at all has the rest of the pad.
    daemon.hotseat(&["session", "rm", "s"]);
    container.sh("mount -o remount,rw /dev; rmdir /dev/hotseat || true; ln -s /etc /dev/hotseat");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let shown = daemon.json(&["session", "show", "s"]);
    let why = shown["container"]["no_hidraw"].as_str().unwrap();
    assert!(why.contains("`/dev/hotseat` in the container is a symbolic link"), "{why}");
    let pad = daemon.plug("s", "dualsense");
    assert!(pad.nodes().iter().all(|node| node.starts_with("/dev/input/")), "{:?}", pad.nodes());
    assert_eq!(container.sh("ls /dev | grep -c hidraw || true").trim(), "0");
    daemon.hotseat(&["session", "rm", "s"]);
    assert_eq!(container.sh("readlink /dev/hotseat").trim(), "/etc");
    container.sh("rm /dev/hotseat");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "dualsense");
}

#[test]
fn links_that_a_killed_daemon_left_are_removed_by_its_successor() {
    let mut daemon = Daemon::start();
    let container = Container::start("crash");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let listing = container.sh("ls -A /dev");
    let hidraw = daemon.plug("s", "dualsense").node("hidraw");
    daemon.crash();
    let refused = container.try_sh(&format!("exec 3<>{hidraw}"));
    assert!(!refused.status.success());
    daemon.launch();
    // The pad is plugged again, and has a link of its own.
    let nodes = &daemon.json(&["session", "show", "s"])["devices"][0]["nodes"];
    let paths = nodes.as_array().unwrap().iter().map(|node| node["path"].as_str().unwrap());
    let hidraw: Vec<_> = paths.filter(|path| path.contains("hidraw")).collect();
    assert_eq!(container.sh("ls -d /dev/hidraw*").lines().collect::<Vec<_>>(), hidraw);
    container.sh(&format!("exec 3<>{}", hidraw[0]));
    daemon.hotseat(&["unplug", "s", "0"]);
    assert_eq!(container.sh("ls -A /dev"), listing);
    assert_eq!(files(&daemon.path("stage")), [daemon.path("stage/s/udev/control")].into());
    daemon.plug("s", "dualsense");
    daemon.hotseat(&["session", "rm", "s"]);
    assert_eq!(container.sh("ls -A /dev | grep -c hidraw || true").trim(), "0");
}
