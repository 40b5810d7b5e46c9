//! Clients from afar: devices of a player come over QUIC into a session's container.

mod believing;
mod early;
mod hostile;
mod leaving;
mod network;
mod raw;
mod restart;

use std::time::Duration;

use hotseat_client::wire::{Axes, Change, Feedback, button};
use hotseat_client::{Client, Error, Event, Events, Options};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{Daemon, HOTSEAT, Program, devices_of_hotseat};

/// What a container's program sees of devices, and does with them.
const INSIDE: &str = include_str!("remote/inside.py");

/// Where the daemons of these tests listen.
const PORT: u16 = 47800;

/// A daemon that listens.
fn listening(more: &str) -> Daemon {
    let mut daemon = Daemon::start();
    let identity = daemon.path("identity.pem").display().to_string();
    daemon.relaunch_with(&format!(
        "[remote]\nlisten = \"0.0.0.0:{PORT}\"\nidentity = \"{identity}\"\n{more}"
    ));
    daemon
}

/// A program in the sandbox of a session, which is there when this returns.
fn inside(daemon: &Daemon, session: &str) -> Program {
    let socket = daemon.path("sock").display().to_string();
    let command = ["--socket", &socket, "run", "--session", session, "--"];
    let script = ["python3", "-u", "-c", INSIDE];
    let command = [&[HOTSEAT.as_str()], &command[..], &script].concat();
    // What goes on for longer than in the gate is not taken for a program that hangs.
    let is_soak = std::env::var_os("HOTSEAT_SOAK").is_some();
    let start = if is_soak { Program::start_unlimited } else { Program::start };
    let mut program = start(&command);
    program.expect("inside");
    program
}

/// A token for a session, as the API gives it.
fn token(daemon: &Daemon, session: &str, more: &[&str]) -> Value {
    daemon.json(&[&["token", session], more].concat())
}

/// How to play in a session with this token.
fn options(token: &Value) -> Options {
    options_at(&format!("127.0.0.1:{PORT}"), token)
}

fn options_at(address: &str, token: &Value) -> Options {
    let text = |name: &str| token[name].as_str().unwrap().to_owned();
    let fingerprint = text("fingerprint").parse().unwrap();
    Options::new(address, fingerprint, text("session"), text("token"))
}

/// A player's machine: nothing of it happens but while something is waited for.
fn machine() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A machine that goes on by itself, whatever the test does meanwhile: on a busy one that can take longer than a silent
/// connection lives.
fn awake() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// A player who has come.
fn connect(machine: &Runtime, token: &Value) -> Client {
    machine.block_on(soon(arrive(|| options(token))))
}

/// On a busy machine that can take longer than client and server wait.
async fn arrive(options: impl Fn() -> Options) -> Client {
    loop {
        match Client::connect(options()).await {
            Err(Error::Unreachable { .. } | Error::AttachTimeout | Error::Connect { .. }) => {}
            come => return come.unwrap(),
        }
    }
}

/// The event node of a slot.
fn event_node(daemon: &Daemon, session: &str, slot: usize) -> String {
    let session = daemon.json(&["session", "show", session]);
    let nodes = session["devices"][slot]["nodes"].as_array().unwrap();
    let mut paths = nodes.iter().map(|node| node["path"].as_str().unwrap());
    paths.find(|path| path.contains("event")).unwrap().to_owned()
}

/// Has the program inside read a device.
fn read(inside: &mut Program, node: &str) {
    inside.say(&format!("read {node}"));
    inside.expect("reading");
}

/// Runs the player's machine until a line comes from inside.
fn expect(machine: &Runtime, inside: &mut Program, text: &str) -> String {
    let seen = std::thread::scope(|scope| {
        let (done, waiting) = tokio::sync::oneshot::channel();
        let reader = scope.spawn(move || {
            let line = inside.expect(text);
            let _ = done.send(());
            line
        });
        let _ = machine.block_on(waiting);
        reader.join()
    });
    seen.unwrap()
}

/// Has the program inside let the motors run.
fn rumble(machine: &Runtime, inside: &mut Program, node: &str) {
    inside.say(&format!("rumble {node}"));
    expect(machine, inside, "rumbling");
}

/// Waits for feedback of a kind.
async fn feedback(events: &mut Events, wanted: impl Fn(&Feedback) -> bool) -> Feedback {
    let next = async {
        loop {
            match events.next().await.unwrap() {
                Event::Feedback { feedback, .. } if wanted(&feedback) => return feedback,
                _ => {}
            }
        }
    };
    soon(next).await
}

/// What never comes is a failure, and shows what there was.
async fn soon<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(90), wanted).await.unwrap()
}

fn is_running(feedback: &Feedback) -> bool {
    matches!(feedback, Feedback::Rumble { low, .. } if *low > 0)
}

fn south(down: bool) -> Change {
    Change::Button { button: button::number("south").unwrap(), down }
}

const KEY_A: u8 = 30;
const KEY_POWER: u8 = 116;

fn key(key: u8, down: bool) -> Change {
    Change::Key { key, down }
}

#[test]
fn a_pad_from_afar_plays_in_the_container() {
    let daemon = listening("");
    let machine = machine();
    daemon.hotseat(&["session", "add", "s"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &["--expires", "1h"]);
    let client = connect(&machine, &token);
    let mut events = client.events();
    let pad = machine.block_on(client.plug(0, "xbox-one")).unwrap();
    let node = event_node(&daemon, "s", 0);
    read(&mut inside, &node);

    let right = Axes { left_stick: [32767, 0], ..Axes::default() };
    pad.changes(&[Change::Axes(right), south(true)]);
    expect(&machine, &mut inside, "BTN_SOUTH 1");
    expect(&machine, &mut inside, "ABS_X 32767");
    pad.change(south(false));
    expect(&machine, &mut inside, "BTN_SOUTH 0");

    rumble(&machine, &mut inside, &node);
    let rumble = machine.block_on(feedback(&mut events, is_running));
    assert!(matches!(rumble, Feedback::Rumble { low: 0xc000.., .. }), "{rumble:?}");
    inside.say(&format!("still {node}"));
    machine.block_on(feedback(&mut events, |feedback| *feedback == Feedback::STILL));

    let keyboard = machine.block_on(client.plug(1, "keyboard")).unwrap();
    let keys = event_node(&daemon, "s", 1);
    read(&mut inside, &keys);
    inside.say(&format!("led {keys} 1"));
    machine.block_on(feedback(&mut events, |feedback| *feedback == Feedback::Lamps(0b10)));
    // The host would turn itself off.
    keyboard.change(key(KEY_POWER, true));
    keyboard.change(key(KEY_A, true));
    let seen = expect(&machine, &mut inside, "KEY_");
    assert!(seen.contains("KEY_A 1"), "{seen}");

    // Who says goodbye leaves nothing.
    machine.block_on(client.close());
    assert!(inside.expect("KEY_A 0").contains("held []"));
    inside.expect("gone");
    inside.expect("gone");
    let figures = daemon.metrics();
    assert_eq!(figures["hotseat_remote_connections"], 0.0, "{figures:#?}");
    assert!(figures["hotseat_remote_datagrams_total{outcome=\"taken\"}"] > 3.0, "{figures:#?}");
    assert_eq!(figures["hotseat_remote_keys_refused_total"], 1.0, "{figures:#?}");
    inside.close();
}

#[test]
fn a_player_who_dies_or_stalls_holds_nothing_and_finds_the_devices_again() {
    let mut daemon = listening("");
    daemon.hotseat(&["session", "add", "s", "--grace", "120"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let player = machine();
    let client = connect(&player, &token);
    let mut events = client.events();
    let pad = player.block_on(client.plug(0, "xbox-one")).unwrap();
    let node = event_node(&daemon, "s", 0);
    read(&mut inside, &node);
    pad.change(south(true));
    expect(&player, &mut inside, "BTN_SOUTH 1");

    // Its machine stalls. The connection is there still; the device is let go of.
    assert!(inside.expect("BTN_SOUTH 0").contains("held []"));
    expect(&player, &mut inside, "BTN_SOUTH 1");

    // It stalls for so long that the connection is lost. It comes back by itself, to the same device.
    rumble(&player, &mut inside, &node);
    player.block_on(feedback(&mut events, is_running));
    inside.expect("BTN_SOUTH 0");
    daemon.log().expect("a player is gone");
    let waited = async {
        while !matches!(events.next().await.unwrap(), Event::Connected) {}
        feedback(&mut events, is_running).await
    };
    player.block_on(soon(waited));
    expect(&player, &mut inside, "BTN_SOUTH 1");
    assert_eq!(event_node(&daemon, "s", 0), node);
    inside.say(&format!("still {node}"));

    // It dies.
    player.shutdown_background();
    assert!(inside.expect("BTN_SOUTH 0").contains("held []"));
    // Another one comes with the same token, and knows nothing of what was: it gets the slot, and the device that is there.
    let player = machine();
    let client = connect(&player, &token);
    let pad = player.block_on(client.plug(0, "xbox-one")).unwrap();
    assert_eq!(event_node(&daemon, "s", 0), node);
    pad.change(south(true));
    expect(&player, &mut inside, "BTN_SOUTH 1");
    player.block_on(client.close());
    inside.expect("gone");
    assert!(devices_of_hotseat().is_empty());
    inside.close();
}

#[test]
fn after_a_kill_nothing_is_held() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "s"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let text = |name: &str| token[name].as_str().unwrap();
    let script = daemon.path("script");
    std::fs::write(&script, "plug 0 xbox-one\nwait 2s\n0 south=1 lx=1\nwait 600s\n").unwrap();
    let mut connect = Program::start_unlimited(&[
        "env",
        &format!("HOTSEAT_TOKEN={}", text("token")),
        &HOTSEAT,
        "connect",
        &format!("127.0.0.1:{PORT}"),
        "--session",
        "s",
        "--fingerprint",
        text("fingerprint"),
        "--script",
        &script.display().to_string(),
    ]);
    connect.expect("playing in session s");
    let node = loop {
        let session = daemon.json(&["session", "show", "s"]);
        if session["devices"].as_array().is_some_and(|devices| !devices.is_empty()) {
            break event_node(&daemon, "s", 0);
        }
    };
    inside.say(&format!("wait {node} BTN_SOUTH"));
    inside.expect("is held");
    read(&mut inside, &node);
    connect.end("KILL");
    // EVIOCGKEY is empty.
    assert!(inside.expect("BTN_SOUTH 0").contains("held []"));
    inside.close();
}

#[test]
fn devices_wait_for_a_container_and_follow_the_session_to_the_next() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "s"]);
    let token = token(&daemon, "s", &[]);
    let player = machine();
    let client = connect(&player, &token);
    // It waits for the first one.
    let (mut first, pad) = std::thread::scope(|scope| {
        let first = scope.spawn(|| inside(&daemon, "s"));
        let pad = player.block_on(client.plug(0, "xbox-one")).unwrap();
        (first.join().unwrap(), pad)
    });
    read(&mut first, &event_node(&daemon, "s", 0));
    pad.change(south(true));
    expect(&player, &mut first, "BTN_SOUTH 1");
    first.end("TERM");

    // What is held is held in the next one too.
    let mut second = inside(&daemon, "s");
    let node = event_node(&daemon, "s", 0);
    second.say(&format!("wait {node} BTN_SOUTH"));
    expect(&player, &mut second, "is held");
    player.block_on(client.close());
    second.close();
}

#[test]
fn a_token_that_is_revoked_ends_what_came_with_it() {
    let mut daemon = listening("");
    daemon.hotseat(&["session", "add", "s"]);
    let player = machine();
    for end in ["tokens revoke", "session rm"] {
        let token = token(&daemon, "s", &[]);
        let client = connect(&player, &token);
        let mut events = client.events();
        expect(&player, daemon.log(), "a player is here");
        match end {
            "session rm" => daemon.hotseat(&["session", "rm", "s"]),
            _ => daemon.hotseat(&["tokens", "revoke", token["id"].as_str().unwrap()]),
        };
        let ended = async {
            loop {
                if let Event::Ended(error) = events.next().await.unwrap() {
                    return error.to_string();
                }
            }
        };
        let said = player.block_on(soon(ended));
        assert!(said.contains("revoked"), "{end}: {said}");
        let refused = player.block_on(Client::connect(options(&token))).unwrap_err();
        assert!(refused.to_string().contains("not one for this session"), "{refused}");
    }
    // Another session of that name has nothing to do with it.
    daemon.hotseat(&["session", "add", "s"]);
    assert_eq!(daemon.json(&["tokens"]), Value::Array(Vec::new()));
}

/// Every tap was seen, and none twice; but where the server had heard nothing for so long that it let go, what was held was
/// pressed again.
#[track_caller]
fn every_tap_was_seen_once(daemon: &Daemon, told: &str, taps: i64) {
    let (_, presses) = told.split_once("('304', ").unwrap();
    let presses: f64 = presses.split(')').next().unwrap().parse().unwrap();
    let let_go = daemon.metrics().get("hotseat_remote_let_go_total").copied().unwrap_or(0.0);
    let taps = f64::from(i32::try_from(taps).unwrap());
    assert!((taps..=taps + let_go).contains(&presses), "{told}, not {taps}; let go {let_go}");
}

/// How long something goes on in the gate, and with `HOTSEAT_SOAK`, a number of seconds.
fn duration(in_gate: u64) -> Duration {
    let seconds = std::env::var("HOTSEAT_SOAK").map_or(in_gate, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}
