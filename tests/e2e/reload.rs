//! The configuration is read again while the daemon runs, and what becomes of sessions when it is stopped.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Container, Daemon, sh};

/// Adds lines before the tables of the daemon's configuration.
fn configure(daemon: &Daemon, lines: &str) -> String {
    let path = daemon.path("config.toml");
    let old = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{lines}\n{old}")).unwrap();
    old
}

fn mode(daemon: &Daemon) -> u32 {
    fs::metadata(daemon.path("sock")).unwrap().permissions().mode() & 0o777
}

#[test]
fn changed_keys_apply_at_once_or_are_named_as_needing_a_restart() {
    let daemon = Daemon::start();
    let container = Container::start("reloaded");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let before = daemon.plug("s", "mouse");
    assert_eq!(daemon.hotseat(&["reload"]), "the configuration is as it was\n");

    let old = configure(&daemon, "node_mode = \"0600\"\nallow_uids = [1000]\nlog = \"json\"");
    let changes = daemon.json(&["reload"]);
    let expected = serde_json::json!([
        { "key": "allow_uids", "applies": "now" },
        { "key": "log", "applies": "restart" },
        { "key": "node_mode", "applies": "next-plug" },
    ]);
    assert_eq!(changes, expected);
    // Sessions and devices are as they were; the next device is as configured now.
    let after = daemon.plug("s", "mouse");
    let mode_of = |node: &str| container.sh(&format!("stat -c %a {node}"));
    assert_eq!(mode_of(&before.node("event")), "666\n");
    assert_eq!(mode_of(&after.node("event")), "600\n");
    assert_eq!(mode(&daemon), 0o666);
    let ask = format!(
        "runuser -u player -- {} --socket {} session ls",
        &*crate::harness::HOTSEAT,
        daemon.path("sock").display()
    );
    sh(&format!("chmod o+x {}; {ask}", daemon.path("").display()));

    // And back. What was said to need a restart has not changed meanwhile.
    fs::write(daemon.path("config.toml"), old).unwrap();
    let changes = daemon.json(&["reload"]);
    let keys: Vec<_> = changes.as_array().unwrap().iter().map(|change| &change["key"]).collect();
    assert_eq!(keys, ["allow_uids", "node_mode"]);
    assert_eq!(mode(&daemon), 0o600);
}

#[test]
fn a_bad_file_changes_nothing_and_the_reason_is_told() {
    let mut daemon = Daemon::start();
    configure(&daemon, "node_mode = \"0600\"\nlog = \"loud\"");
    let output = daemon.run(&["reload"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("line 2") && said.contains("loud") && said.contains("hint:"), "{said}");
    let (status, problem) = daemon.call("POST", "/v1/reload", "");
    assert_eq!((status, problem["code"].as_str()), (422, Some("configuration")), "{problem}");

    // By signal there is nobody to answer: it is in the log.
    sh(&format!("kill -HUP {}", daemon.pid()));
    let line = daemon.log().expect("not taken over");
    assert!(line.contains("loud"), "{line}");

    let container = Container::start("still-as-before");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let node = daemon.plug("s", "mouse").node("event");
    assert_eq!(container.sh(&format!("stat -c %a {node}")), "666\n");
}

#[test]
fn labelled_containers_are_followed_as_soon_as_that_is_configured() {
    let mut daemon = Daemon::start();
    let container = Container::start_with("followed", "--label hotseat.session=seat", "");
    let path = daemon.path("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("follow = false", "follow = true")).unwrap();
    sh(&format!("kill -HUP {}", daemon.pid()));
    let line = daemon.log().expect("attached by its label");
    assert!(line.contains("seat") && line.contains(&container.name), "{line}");
    fs::write(&path, text).unwrap();
    daemon.hotseat(&["reload"]);
    let doctor = String::from_utf8(daemon.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("containers are not followed"), "{doctor}");
    // A session stays, however it came to be.
    daemon.hotseat(&["session", "show", "seat"]);
}

#[test]
fn what_is_kept_at_the_end_is_back_with_the_next_daemon() {
    let mut daemon = Daemon::start();
    let container = Container::start("kept");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let node = daemon.plug("s", "xbox-one").node("event");
    configure(&daemon, "on_stop = \"keep\"");
    assert_eq!(daemon.hotseat(&["reload"]), "on_stop: now\n");
    daemon.terminate();
    // Node, record and mounts are there, in the container too.
    let records = daemon.path("stage/s/udev/data");
    assert_ne!(fs::read_dir(records).unwrap().count(), 0);
    container.sh(&format!("test -c {node}; ls /run/udev/data | grep -q c13:"));

    // Whose container still runs, is back.
    daemon.launch();
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["container"]["reference"], container.reference());
    assert_eq!(session["devices"][0]["profile"], "xbox-one");
    let path = daemon.path("config.toml");
    let kept = fs::read_to_string(&path).unwrap();
    fs::write(&path, kept.replace("on_stop = \"keep\"", "")).unwrap();
    daemon.hotseat(&["reload"]);
    // The daemon of this test checks at its end that nothing is left.
}
