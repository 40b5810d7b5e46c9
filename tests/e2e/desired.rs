//! What a session should have, and the clients that come and go for it.

use serde_json::{Value, json};

use crate::harness::{Container, Daemon, HOTSEAT, Plugged, Program, devices_of_hotseat, sh};

/// Declares what a slot has; the status and the answer.
fn declare(daemon: &Daemon, slot: u8, profile: &str) -> (u16, Value) {
    let body = json!({ "profile": profile }).to_string();
    daemon.call("PUT", &format!("/v1/sessions/s/devices/{slot}"), &body)
}

/// Starts `hotseat client s`.
fn client(daemon: &Daemon) -> Program {
    let socket = daemon.path("sock").display().to_string();
    Program::start(&[&HOTSEAT, "--socket", &socket, "client", "s"])
}

/// Waits for an event and returns it.
fn next(watcher: &mut Program, event: &str) -> Value {
    let line = watcher.expect(&format!("\"event\":\"{event}\""));
    serde_json::from_str(&line).unwrap()
}

/// Says when an event of a key's press or release is read, until its input ends.
const READER: &str = "\
import evdev, sys
pad = evdev.InputDevice(sys.argv[1])
print('reading', flush=True)
for event in pad.read_loop():
    if event.type == evdev.ecodes.EV_KEY:
        print(evdev.ecodes.bytype[1][event.code], event.value, 'held', pad.active_keys(), flush=True)
    elif event.type == evdev.ecodes.EV_ABS:
        print('abs', event.code, event.value, flush=True)
";

fn reader(container: &Container, node: &str) -> Program {
    let mut reader = container.program(&[], &["python3", "-u", "-c", READER, node]);
    reader.expect("reading");
    reader
}

#[test]
fn what_is_declared_waits_for_a_container_and_is_plugged_once() {
    let daemon = Daemon::start();
    daemon.hotseat(&["session", "add", "s"]);
    let (status, waiting) = declare(&daemon, 3, "xbox-one");
    assert_eq!((status, &waiting["condition"]), (202, &"container".into()), "{waiting}");
    let said = daemon.hotseat(&["plug", "s", "keyboard", "--slot", "1", "--declare"]);
    assert!(said.contains("waits for a container"), "{said}");
    assert!(devices_of_hotseat().is_empty());

    let container = Container::start("declared");
    daemon.hotseat(&["session", "attach", "s", &container.reference()]);
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["waiting"], json!([]), "the answer comes when they are plugged");
    let slots = session["devices"].as_array().unwrap().iter().map(|device| &device["slot"]);
    assert_eq!(slots.collect::<Vec<_>>(), [1, 3]);
    let pad = session["devices"][1].clone();

    // Saying it again changes nothing; the device is the same one.
    assert_eq!(declare(&daemon, 3, "xbox-one"), (200, pad.clone()));
    // Another profile takes its place.
    let (status, mouse) = declare(&daemon, 3, "mouse");
    assert_eq!((status, &mouse["profile"], &mouse["slot"]), (200, &"mouse".into(), &3.into()));
    assert_eq!(devices_of_hotseat().len(), 2);
    for node in Plugged(pad).nodes() {
        let is_there = container.try_sh(&format!("test -e {node}")).status.success();
        assert_eq!(is_there, Plugged(mouse.clone()).nodes().contains(&node), "{node}");
    }
    // A pad of uhid after another one in the same slot has the same address; the last one is gone by then.
    for name in ["first", "second"] {
        let body = json!({ "profile": "dualsense", "name": name }).to_string();
        let (status, pad) = daemon.call("PUT", "/v1/sessions/s/devices/3", &body);
        assert_eq!((status, &pad["name"]), (200, &name.into()), "{pad}");
    }
    assert_eq!(daemon.call("DELETE", "/v1/sessions/s/devices/3", "").0, 204);
    assert_eq!(daemon.call("DELETE", "/v1/sessions/s/devices/3", "").0, 404);
}

#[test]
fn requests_that_come_together_make_one_device_or_none() {
    let daemon = Daemon::start();
    let container = Container::start("together");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    // The same declaration from many callers at once, as a client that asks again makes it.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| declare(&daemon, 0, "xbox-one"))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == (200, answers[0].1.clone())), "{answers:#?}");
    assert_eq!(devices_of_hotseat().len(), 1);

    // Callers who disagree: each is told what became of its wish, and the session ends in one of them.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let plug = |profile| move |daemon| declare(daemon, 1, profile).0;
        let unplug = |daemon: &Daemon| daemon.call("DELETE", "/v1/sessions/s/devices/1", "").0;
        let daemon = &daemon;
        let callers: Vec<_> = (0..4)
            .flat_map(|_| {
                [
                    scope.spawn(move || plug("mouse")(daemon)),
                    scope.spawn(move || plug("keyboard")(daemon)),
                    scope.spawn(move || unplug(daemon)),
                ]
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|status| [200, 204, 404, 409].contains(status)), "{answers:?}");
    let (status, last) = declare(&daemon, 1, "mouse");
    assert_eq!((status, &last["profile"]), (200, &"mouse".into()), "{last}");
    assert_eq!(devices_of_hotseat().len(), 2);
}

#[test]
fn a_move_that_is_refused_changes_nothing_of_what_is_asked_meanwhile() {
    let daemon = Daemon::start();
    let container = Container::start("refused");
    let reference = container.reference();
    daemon.hotseat(&["session", "add", "s", "--container", &reference]);
    for _ in 0..4 {
        assert_eq!(declare(&daemon, 0, "keyboard").0, 200);
        std::thread::scope(|scope| {
            // The first takes a while; the others wait for their turn.
            scope.spawn(|| assert_eq!(declare(&daemon, 1, "dualsense").0, 200));
            scope.spawn(|| daemon.call("DELETE", "/v1/sessions/s/devices/0", ""));
            let body = json!({ "container": reference }).to_string();
            let (status, problem) = daemon.call("POST", "/v1/sessions/s/move", &body);
            assert_eq!(status, 409, "{problem}");
        });
        let session = daemon.json(&["session", "show", "s"]);
        let slots = session["devices"].as_array().unwrap().iter().map(|device| &device["slot"]);
        assert_eq!(slots.collect::<Vec<_>>(), [1], "{session}");
        daemon.hotseat(&["unplug", "s", "1"]);
        assert!(devices_of_hotseat().is_empty());
    }
}

#[test]
fn nothing_stays_pressed_when_a_client_is_gone_and_its_devices_wait_for_it() {
    let daemon = Daemon::start();
    let container = Container::start("client");
    let reference = container.reference();
    daemon.hotseat(&["session", "add", "s", "--container", &reference, "--grace", "60"]);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut first = client(&daemon);
    first.say("plug 0 xbox-one\nplug 1 dualsense\nplug 2 keyboard");
    for _ in 0..3 {
        next(&mut watcher, "plugged");
    }
    let before = daemon.json(&["session", "show", "s"])["devices"].clone();
    let node = |slot: usize| Plugged(before[slot].clone()).node("event");
    let mut readers = [0, 1, 2].map(|slot| reader(&container, &node(slot)));
    first.say("send 0 south=1 lx=-0.5\nsend 1 south=1\nsend 2 a=1 leftshift=1");
    readers[0].expect("'BTN_SOUTH') 1");
    readers[1].expect("'BTN_SOUTH') 1");
    readers[2].expect("KEY_LEFTSHIFT 1");

    // As a crash, or a cut connection, ends it.
    sh("pkill --signal KILL --full 'sock client s$'");
    first.rest();
    for reader in &mut readers {
        reader.expect("held []");
    }
    readers[0].expect("abs 0 0");
    // A client that comes back finds the same devices, and is told what programs have told them.
    let light = "import evdev, sys\nk = evdev.InputDevice(sys.argv[1])\nk.set_led(1, 1)\nprint('lit')\ninput()";
    let mut game = container.program(&[], &["python3", "-u", "-c", light, &node(2)]);
    game.expect("lit");
    assert!(watcher.expect("LED_CAPSL").contains("\"on\":true"));
    let mut second = client(&daemon);
    second.say("plug 0 xbox-one\nplug 1 dualsense\nplug 2 keyboard\nsend 0 south=1");
    readers[0].expect("'BTN_SOUTH') 1");
    // Among what its pad was told by the driver.
    assert!(watcher.expect("LED_CAPSL").contains("\"on\":true"));
    assert_eq!(daemon.json(&["session", "show", "s"])["devices"], before);
    second.close();
    readers[0].expect("held []");
}

#[test]
fn devices_of_a_client_that_does_not_come_back_are_unplugged_and_others_are_not() {
    let daemon = Daemon::start();
    let container = Container::start("grace");
    let reference = container.reference();
    daemon.hotseat(&["session", "add", "s", "--container", &reference, "--grace", "1"]);
    daemon.plug("s", "mouse");
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    next(&mut watcher, "plugged");
    let mut client = client(&daemon);
    client.say("plug 0 mouse\nplug 1 xbox-one\nplug 2 keyboard\nunplug 2");
    assert_eq!(next(&mut watcher, "plugged")["slot"], 1);
    assert_eq!(next(&mut watcher, "unplugged")["slot"], 2);
    client.close();
    assert_eq!(next(&mut watcher, "unplugged")["slot"], 1);
    let session = daemon.json(&["session", "show", "s"]);
    let slots = session["devices"].as_array().unwrap().iter().map(|device| &device["slot"]);
    assert_eq!(slots.collect::<Vec<_>>(), [0], "the launcher's own stays");
}

#[test]
fn a_client_that_says_something_wrong_is_told_what() {
    let daemon = Daemon::start();
    let container = Container::start("wrong-client");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    for (line, says) in [
        ("send 0 south=1", "slot 0 of session `s` is empty"),
        ("plug 0 toaster", "there is no profile `toaster`"),
        ("plug 32 mouse", "there is no slot 32"),
    ] {
        let mut client = client(&daemon);
        client.say(line);
        client.expect(says);
    }
    let mut client = client(&daemon);
    client.say("press 0 south");
    client.expect("line 1 is not understood: `press 0 south`");
    let wrong = "POST /v1/sessions/s/client HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{}\n";
    let (status, problem) = daemon.http(wrong.as_bytes());
    assert_eq!((status, &problem["code"]), (400, &"malformed-line".into()), "{problem}");
    assert!(devices_of_hotseat().is_empty());
}

#[test]
fn a_device_that_cannot_be_had_stays_declared_and_says_why() {
    let daemon = Daemon::start();
    daemon.hotseat(&["session", "add", "s"]);
    let container = Container::start("no-uhid");
    assert_eq!(declare(&daemon, 0, "dualsense").0, 202);
    assert_eq!(declare(&daemon, 1, "mouse").0, 202);
    sh("mv /dev/uhid /dev/uhid.away");
    let body = json!({ "container": container.reference() }).to_string();
    let (status, attached) = daemon.call("PUT", "/v1/sessions/s/container", &body);
    sh("mv /dev/uhid.away /dev/uhid");
    assert_eq!(status, 200, "{attached}");
    assert_eq!(attached["devices"][0]["profile"], "mouse", "{attached}");
    let waiting = &attached["waiting"][0];
    assert_eq!(
        (&waiting["condition"], &waiting["failure"]["code"]),
        (&"retry".into(), &"no-uhid".into())
    );
    // Who asks again is served again.
    assert_eq!(declare(&daemon, 0, "dualsense").0, 200);
}
