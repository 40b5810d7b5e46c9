//! A daemon that is killed at any instruction: the next one takes away what it left, and brings its sessions back.

mod faults;
mod journal;
mod table;
mod world;

use serde_json::Value;

use crate::harness::{Container, Daemon, devices_of_hotseat};

use self::world::World;

#[test]
fn a_daemon_that_is_killed_while_idle_is_back_as_it_was() {
    let mut daemon = Daemon::start();
    let containers = ["one", "two"].map(Container::start);
    let [one, two] = &containers;
    let pids = [one, two].map(Container::pid);
    let empty = World::now(&daemon, &pids);
    daemon.hotseat(&["session", "add", "s", "--container", &one.reference()]);
    daemon.hotseat(&["plug", "s", "dualsense", "--slot", "3", "--name", "Zoë's pad"]);
    daemon.plug("s", "mouse");
    daemon.hotseat(&["session", "add", "waits"]);
    // By another reference, and with what it can tell of its container.
    daemon.hotseat(&["session", "add", "t", "--container", &format!("pid:{}", pids[1])]);
    daemon.plug("t", "xbox-one");
    let before = World::now(&daemon, &pids);
    for _ in 0..2 {
        daemon.crash();
        assert!(devices_of_hotseat().is_empty());
        daemon.launch();
        before.is_back(&daemon, &pids);
    }
    let metrics = daemon.metrics();
    let of = |name: &str, labels: &str| metrics[&format!("hotseat_recovery_{name}_total{labels}")];
    assert_eq!(of("sessions", "{container=\"yes\"}"), 2.0);
    assert_eq!(of("sessions", "{container=\"no\"}"), 1.0);
    assert_eq!(of("devices", "{plugged=\"yes\"}"), 3.0);
    assert_eq!(of("devices", "{plugged=\"no\"}"), 0.0);
    assert_eq!(of("interrupted", ""), 0.0);
    // The pad's nodes and the mouse's and the other pad's; all are records too, and more.
    assert!(of("cleaned", "{what=\"nodes\"}") >= 5.0, "{metrics:#?}");
    assert!(of("cleaned", "{what=\"records\"}") >= 5.0);

    // What was not there before is made for good, and goes for good.
    for session in ["s", "t", "waits"] {
        daemon.hotseat(&["session", "rm", session]);
    }
    empty.is_back(&daemon, &pids);
    daemon.crash();
    daemon.launch();
    empty.is_back(&daemon, &pids);
}

#[test]
fn a_container_that_ended_meanwhile_leaves_its_devices_waiting() {
    let mut daemon = Daemon::start();
    let container = Container::start("ends");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    daemon.crash();
    container.restart();
    daemon.launch();
    let session = daemon.json(&["session", "show", "s"]);
    assert!(session["container"].is_null(), "another life of it: {session}");
    assert_eq!(session["waiting"][0]["profile"], "xbox-one", "{session}");
    daemon.hotseat(&["session", "attach", "s", &container.reference()]);
    let session = daemon.json(&["session", "show", "s"]);
    let node = session["devices"][0]["nodes"][0]["path"].as_str().unwrap();
    container.sh(&format!("exec 3<>{node}"));

    // Nor does the next daemon forget what waits, or what waits no more.
    daemon.hotseat(&["plug", "s", "mouse"]);
    container.kill();
    daemon.log().expect("the container ended");
    daemon.hotseat(&["unplug", "s", "0"]);
    daemon.crash();
    daemon.launch();
    let session = daemon.json(&["session", "show", "s"]);
    let waiting = session["waiting"].as_array().unwrap();
    assert_eq!(waiting.len(), 1, "{session}");
    assert_eq!(waiting[0]["profile"], "mouse");
    assert_eq!(session["devices"], Value::Array(Vec::new()));
}

#[test]
fn programs_hear_that_the_devices_of_a_killed_daemon_are_gone() {
    let mut daemon = Daemon::start();
    let container = Container::start("told");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut program = container.python(
        "import pyudev
monitor = pyudev.Monitor.from_netlink(pyudev.Context())
monitor.start()
print('listens')
for device in iter(monitor.poll, None):
    print(device.action, device.device_node, device.get('ID_INPUT_JOYSTICK'))",
    );
    program.expect("listens");
    let pad = daemon.plug("s", "xbox-one").node("event");
    program.expect(&format!("add {pad} 1"));
    daemon.crash();
    daemon.launch();
    program.expect(&format!("remove {pad} 1"));
    let session = daemon.json(&["session", "show", "s"]);
    let pad = session["devices"][0]["nodes"][0]["path"].as_str().unwrap().to_owned();
    program.expect(&format!("add {pad} 1"));
    daemon.hotseat(&["unplug", "s", "0"]);
    program.expect(&format!("remove {pad} 1"));
    drop(program);
}

#[test]
fn watchers_hear_what_was_cleaned_and_what_is_back() {
    let mut daemon = Daemon::start();
    let container = Container::start("heard");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    daemon.crash();
    daemon.launch();
    // With a position of the earlier daemon's.
    let mut watch = daemon.watch(&["--since", "1-0", "--json"]);
    let event = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    let cleaned = event(watch.expect("\"cleaned\""));
    assert_eq!(cleaned["session"], "s");
    assert_eq!((&cleaned["nodes"], &cleaned["mounts"]), (&2.into(), &0.into()), "{cleaned}");
    let recovered = event(watch.expect("\"recovered\""));
    assert_eq!(recovered["container"], container.reference(), "{recovered}");
    assert_eq!(recovered["devices"], serde_json::json!([0]));
    assert_eq!(recovered["waiting"], serde_json::json!([]));
}
