//! Nothing is left behind, whatever ends first.

use serde_json::Value;

use crate::harness::{Container, Daemon, devices_of_hotseat, sh};

#[test]
fn two_hundred_plugs_and_unplugs_leave_nothing() {
    let daemon = Daemon::start();
    let container = Container::start("cycles");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    // The first cycle opens what stays open: the runtime's threads, the socket of a listener.
    let cycle = || {
        let body = r#"{"profile":"xbox-one"}"#;
        let (status, device) = daemon.call("POST", "/v1/sessions/s/devices", body);
        assert_eq!((status, &device["verified"]), (201, &Value::Bool(true)), "{device}");
        let (status, problem) = daemon.call("DELETE", "/v1/sessions/s/devices/0", "");
        assert_eq!(status, 204, "{problem}");
    };
    cycle();
    let before = daemon.traces();
    assert!(before.kernel.is_empty());
    assert!(before.grants.starts_with("by root override"), "{}", before.grants);
    assert!(before.grants.contains(" 0 in use"), "{}", before.grants);
    for _ in 0..200 {
        cycle();
    }
    daemon.returns_to(&before);
    assert_eq!(container.sh("ls -A /dev/input /run/udev/data /run/udev/tags"), {
        "/dev/input:\n\n/run/udev/data:\n\n/run/udev/tags:\n"
    });
}

#[test]
fn a_container_that_dies_takes_its_devices_along() {
    let mut daemon = Daemon::start();
    let before = daemon.traces();
    let container = Container::start("dies");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    daemon.plug("s", "mouse");
    assert_eq!(devices_of_hotseat().len(), 2);

    sh(&format!("docker kill {}", container.name));
    daemon.log().expect("the container ended; its devices were unplugged");
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!((&session["container"], &session["devices"]), (&Value::Null, &Value::Array(vec![])));
    let after = daemon.traces();
    assert!(after.kernel.is_empty());
    assert_eq!(after.grants, before.grants);
    // What every empty session has.
    assert_eq!(after.staged, [daemon.path("stage/s/udev/control")].into());

    let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", r#"{"profile":"mouse"}"#);
    assert_eq!((status, problem["code"].as_str()), (409, Some("no-container")), "{problem}");

    // The session goes on with the container's next life, and so do its devices.
    sh(&format!("docker start {}", container.name));
    let body = format!(r#"{{"container":"{}"}}"#, container.reference());
    let (status, session) = daemon.call("PUT", "/v1/sessions/s/container", &body);
    assert_eq!(status, 200, "{session}");
    let profiles = session["devices"].as_array().unwrap().iter().map(|device| &device["profile"]);
    assert_eq!(profiles.collect::<Vec<_>>(), ["xbox-one", "mouse"], "{session}");
    let pad = daemon.plug("s", "xbox-one");
    assert_eq!(pad.slot(), "2");
    container.sh(&format!("exec 3<>{}", pad.node("event")));
    daemon.hotseat(&["session", "rm", "s"]);
    daemon.returns_to(&before);
}

#[test]
fn a_killed_daemon_leaves_nothing_that_works_and_its_successor_brings_it_back() {
    let mut daemon = Daemon::start();
    let container = Container::start("crash");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let minor = pad.0["nodes"][0]["minor"].to_string();
    daemon.plug("s", "dualsense");
    daemon.crash();

    // The kernel took the device, and the grant went with the daemon: not even a node of the container's own
    // making opens.
    assert!(devices_of_hotseat().is_empty());
    let open = format!("mknod /dev/try c 13 {minor}; exec 3<>/dev/try");
    let refused = container.try_sh(&open);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not permitted"));

    // Its successor finds the session's directory in the container, and plugs all of it again.
    daemon.launch();
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["container"]["reference"], container.reference(), "{session}");
    for device in session["devices"].as_array().unwrap() {
        assert_eq!(device["verified"], true, "{device}");
        for node in device["nodes"].as_array().unwrap() {
            container.sh(&format!("exec 3<>{}", node["path"].as_str().unwrap()));
        }
    }
    assert_eq!(session["devices"].as_array().unwrap().len(), 2, "{session}");
}

#[test]
fn removing_a_session_restores_the_container() {
    let daemon = Daemon::start();
    let before = daemon.traces();
    let container = Container::start("restore");
    let mounts = container.sh("cat /proc/self/mountinfo");
    let directories = container.sh("ls -A /dev /run");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    daemon.plug("s", "keyboard");
    daemon.hotseat(&["session", "rm", "s"]);
    assert_eq!(container.sh("cat /proc/self/mountinfo"), mounts);
    assert_eq!(container.sh("ls -A /dev /run"), directories);
    daemon.returns_to(&before);
}

#[test]
fn a_paused_container_can_be_plugged_into_but_is_not_verified() {
    let daemon = Daemon::start();
    let container = Container::start("paused");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    sh(&format!("docker pause {}", container.name));
    let device = daemon.json(&["plug", "s", "xbox-one"]);
    assert_eq!(device["verified"], false);
    sh(&format!("docker unpause {}", container.name));
    let event = device["nodes"][0]["path"].as_str().unwrap();
    container.sh(&format!("exec 3<>{event}"));
}

#[test]
fn slots_are_the_lowest_free_ones_and_stay() {
    let daemon = Daemon::start();
    let container = Container::start("slots");
    let pid = sh(&format!("docker inspect --format '{{{{.State.Pid}}}}' {}", container.name));
    daemon.hotseat(&["session", "add", "s", "--container", &format!("pid:{}", pid.trim())]);
    daemon.hotseat(&["plug", "s", "mouse", "--slot", "1", "--name", "A mouse of Zoë's"]);
    assert_eq!(daemon.plug("s", "mouse").slot(), "0");
    assert_eq!(daemon.plug("s", "keyboard").slot(), "2");
    daemon.hotseat(&["unplug", "s", "0"]);
    assert_eq!(daemon.plug("s", "xbox-one").slot(), "0");
    let listed = daemon.json(&["ls"]);
    let devices = listed[0]["devices"].as_array().unwrap();
    let shown: Vec<_> = devices
        .iter()
        .map(|device| (device["slot"].as_u64(), device["profile"].as_str()))
        .collect();
    let expected =
        [(Some(0), Some("xbox-one")), (Some(1), Some("mouse")), (Some(2), Some("keyboard"))];
    assert_eq!(shown, expected);
    assert_eq!(devices[1]["name"], "A mouse of Zoë's");
    let mouse = devices[1]["nodes"][0]["path"].as_str().unwrap().trim_start_matches("/dev/input/");
    let name = container.sh(&format!("cat /sys/class/input/{mouse}/device/name"));
    assert_eq!(name.trim(), "A mouse of Zoë's");
}
