//! `hotseat watch` and `/v1/events`.

use serde_json::Value;

use crate::harness::{Container, Daemon, Program, sh};

fn next(watcher: &mut Program, event: &str) -> Value {
    let line = watcher.expect(&format!("\"event\":\"{event}\""));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_watcher_is_told_everything_in_order_also_when_it_comes_late() {
    let mut daemon = Daemon::start();
    let container = Container::start("watched");
    // No event has this id: it is one of another daemon, so everything is told.
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    next(&mut watcher, "missed");
    let reference = container.reference();
    daemon.hotseat(&["session", "add", "s", "--container", &reference]);
    daemon.hotseat(&["session", "add", "other"]);
    let pad = daemon.plug("s", "xbox-one");
    assert!(!daemon.run(&["plug", "other", "xbox-one"]).status.success());
    daemon.hotseat(&["unplug", "s", &pad.slot()]);
    daemon.hotseat(&["session", "rm", "s"]);

    assert_eq!(next(&mut watcher, "session-added")["session"], "s");
    let attached = next(&mut watcher, "attached");
    assert_eq!(attached["container"], reference);
    assert_eq!(next(&mut watcher, "session-added")["session"], "other");
    let plugged = next(&mut watcher, "plugged");
    assert_eq!((&plugged["slot"], &plugged["profile"]), (&0.into(), &"xbox-one".into()));
    let failed = next(&mut watcher, "plug-failed");
    assert_eq!((&failed["session"], &failed["code"]), (&"other".into(), &"no-container".into()));
    assert_eq!(next(&mut watcher, "unplugged")["slot"], 0);
    assert_eq!(next(&mut watcher, "detached")["container"], reference);
    next(&mut watcher, "session-removed");

    // Another one that had seen the attachment is told the rest, of this session only.
    let since = attached["id"].as_str().unwrap();
    let mut late = daemon.watch(&["s", "--since", since]);
    assert!(late.expect("").starts_with("s plugged "));
    assert!(late.expect("").starts_with("s unplugged "));
    assert!(late.expect("").starts_with("s detached "));
    assert_eq!(late.expect(""), "s session-removed\n");

    // The end of the daemon is the end of the stream, and nobody keeps the daemon from ending.
    daemon.relaunch_with("");
    watcher.rest();
    late.rest();
}

#[test]
fn devices_that_come_back_are_told_too() {
    let daemon = Daemon::start();
    let container = Container::start("comes-back");
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let reference = container.reference();
    daemon.hotseat(&["session", "add", "s", "--container", &reference]);
    daemon.plug("s", "keyboard");
    next(&mut watcher, "plugged");
    sh(&format!("docker restart -t 0 {}", container.name));
    next(&mut watcher, "unplugged");
    next(&mut watcher, "detached");
    daemon.hotseat(&["session", "attach", "s", &reference]);
    next(&mut watcher, "attached");
    let again = next(&mut watcher, "plugged");
    assert_eq!((&again["slot"], &again["profile"]), (&0.into(), &"keyboard".into()));
}

#[test]
fn what_a_program_tells_a_device_reaches_a_watcher() {
    let daemon = Daemon::start();
    let container = Container::start("rumbling");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let pad = daemon.plug("s", "xbox-one");
    let keyboard = daemon.plug("s", "keyboard");
    // It is there when it has told this.
    next(&mut watcher, "plugged");
    next(&mut watcher, "plugged");

    let script = format!(
        "import evdev\n\
         from evdev import ecodes, ff\n\
         pad = evdev.InputDevice('{}')\n\
         rumble = ff.EffectType(ff_rumble_effect=ff.Rumble(strong_magnitude=0xffff, weak_magnitude=0))\n\
         id = pad.upload_effect(ff.Effect(ecodes.FF_RUMBLE, -1, 0, ff.Trigger(0, 0), ff.Replay(0, 0), rumble))\n\
         pad.write(ecodes.EV_FF, id, 1)\n\
         keyboard = evdev.InputDevice('{}')\n\
         keyboard.set_led(ecodes.LED_CAPSL, 1)\n\
         input()",
        pad.node("event"),
        keyboard.node("event")
    );
    let mut program = container.python(&script);
    let mut told = [next(&mut watcher, "feedback"), next(&mut watcher, "feedback")];
    told.sort_by_key(|event| event["slot"].as_u64());
    let [rumble, light] = told.each_ref().map(|event| &event["feedback"]);
    assert_eq!(*rumble, serde_json::json!({"kind": "rumble", "strong": 1.0, "weak": 0.0}));
    assert_eq!(*light, serde_json::json!({"kind": "led", "led": "LED_CAPSL", "on": true}));
    assert_eq!(told[0]["id"], Value::Null);

    // The program ends, and with it what it played.
    program.close();
    assert_eq!(next(&mut watcher, "feedback")["feedback"]["strong"], 0.0);
}

#[test]
fn an_id_that_is_none_is_refused() {
    let daemon = Daemon::start();
    let (status, problem) = daemon.call("GET", "/v1/events?since=yesterday", "");
    assert_eq!((status, &problem["code"]), (400, &"event-id".into()));
}
