//! Containers are attached by their label, and again after whatever happens to them, to their runtime, or to us.
//! (Plain restarts, in every runtime that is followed, are in `matrix.rs`.)

use std::process::Command;

use serde_json::Value;

use crate::harness::{Container, Daemon, IMAGE, restart_docker, sh};
use crate::matrix::serve_podman;

const ATTACHED: &str = "attached by its label";

fn follower() -> Daemon {
    sh("systemctl start docker");
    let mut daemon = Daemon::start();
    daemon.relaunch_with("follow = true");
    daemon.log().expect("are followed runtime=docker");
    daemon
}

fn labelled(name: &str, session: &str, options: &str) -> Container {
    let options = format!("--network none --label hotseat.session={session} {options}");
    Container::start_with(name, &options, "")
}

/// The pad's node in slot 0 of the session `s`, which must be there and open inside.
fn pad(daemon: &Daemon, container: &Container) -> String {
    let session = daemon.json(&["session", "show", "s"]);
    let device = &session["devices"][0];
    assert_eq!((&device["slot"], &device["profile"]), (&0.into(), &"xbox-one".into()), "{session}");
    let node = device["nodes"][0]["path"].as_str().unwrap().to_owned();
    container.sh(&format!("exec 3<>{node}"));
    node
}

#[test]
fn a_container_that_crashes_finds_its_devices_when_it_is_back() {
    let mut daemon = follower();
    let container = labelled("crash", "s", "");
    daemon.log().expect(ATTACHED);
    daemon.plug("s", "xbox-one");
    pad(&daemon, &container);

    sh(&format!("docker kill {}", container.name));
    daemon.log().expect("the container ended");
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!((&session["container"], &session["devices"]), (&Value::Null, &Value::Array(vec![])));
    assert_eq!(session["waiting"][0]["profile"], "xbox-one", "{session}");
    // What waits has its slot, and can be told not to.
    let taken = daemon.run(&["plug", "s", "mouse", "--slot", "0"]);
    assert!(String::from_utf8_lossy(&taken.stderr).contains("xbox-one"), "{taken:?}");
    sh(&format!("docker start {}", container.name));
    daemon.log().expect(ATTACHED);
    pad(&daemon, &container);

    sh(&format!("docker kill {}", container.name));
    daemon.log().expect("the container ended");
    daemon.hotseat(&["unplug", "s", "0"]);
    sh(&format!("docker start {}", container.name));
    daemon.log().expect(ATTACHED);
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(
        (&session["devices"], &session["waiting"]),
        (&session["waiting"], &Value::Array(vec![]))
    );
}

#[test]
fn a_paused_container_keeps_its_devices() {
    let mut daemon = follower();
    let container = labelled("pause", "s", "");
    daemon.log().expect(ATTACHED);
    daemon.plug("s", "xbox-one");
    let node = pad(&daemon, &container);
    sh(&format!("docker pause {0}; docker unpause {0}", container.name));
    assert_eq!(pad(&daemon, &container), node);
}

#[test]
fn a_restart_of_the_runtime_is_followed() {
    let mut daemon = follower();
    let container = labelled("docker", "s", "--restart always");
    daemon.log().expect(ATTACHED);
    daemon.plug("s", "xbox-one");
    restart_docker();
    daemon.log().expect(ATTACHED);
    pad(&daemon, &container);
    // Both are past: the connection that was lost, and the one that has seen the container.
    let checks = daemon.json(&["doctor"]);
    let docker = checks.as_array().unwrap().iter().find(|check| check["check"] == "docker");
    assert!(docker.unwrap()["detail"].as_str().unwrap().ends_with("are followed"), "{checks}");
}

/// Docker with `live-restore`, until this is dropped.
struct LiveRestore;

impl LiveRestore {
    fn start() -> Self {
        sh("mkdir -p /etc/docker; cp /etc/docker/daemon.json /run/hotseat-docker.json");
        let live_restore = Self;
        sh("sed -i 's/{/{ \"live-restore\": true,/' /etc/docker/daemon.json");
        restart_docker();
        live_restore
    }
}

impl Drop for LiveRestore {
    fn drop(&mut self) {
        // After a failed test there is nothing more to fail.
        let restore = "mv /run/hotseat-docker.json /etc/docker/daemon.json; systemctl reset-failed docker; \
             systemctl restart docker";
        let _ = Command::new("sh").args(["-c", restore]).status();
    }
}

#[test]
fn a_container_that_keeps_running_while_its_runtime_restarts_is_left_in_peace() {
    let _live_restore = LiveRestore::start();
    let mut daemon = follower();
    let container = labelled("live", "s", "");
    daemon.log().expect(ATTACHED);
    daemon.plug("s", "xbox-one");
    let node = pad(&daemon, &container);
    restart_docker();
    daemon.log().expect("are followed runtime=docker");
    assert_eq!(pad(&daemon, &container), node);
    // And it is still followed.
    sh(&format!("docker restart --time 0 {}", container.name));
    daemon.log().expect(ATTACHED);
    pad(&daemon, &container);
}

#[test]
fn what_started_while_we_were_away_is_attached() {
    let mut daemon = follower();
    daemon.crash();
    let _container = labelled("early", "s", "");
    daemon.launch();
    daemon.log().expect(ATTACHED);
    daemon.plug("s", "xbox-one");
}

#[test]
fn the_first_of_two_containers_with_one_label_keeps_the_session() {
    let mut daemon = follower();
    let first = labelled("first", "s", "");
    daemon.log().expect(ATTACHED);
    let second = labelled("second", "s", "");
    let told = daemon.log().expect("a container's label could not be followed");
    assert!(told.contains(&second.reference()) && told.contains(&first.reference()), "{told}");
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["container"]["reference"], first.reference());
    let checks = daemon.json(&["doctor"]);
    let label = checks.as_array().unwrap().iter().find(|check| check["check"] == "label").unwrap();
    let detail = label["detail"].as_str().unwrap();
    assert!(
        detail.contains(&second.reference()) && detail.contains(&first.reference()),
        "{detail}"
    );

    // What cannot be attached leaves no session behind.
    for (name, label, options) in [("bad", "No_Name", ""), ("host", "h", "--network host")] {
        let options = format!("--label hotseat.session={label} {options}");
        let _container = Container::start_with(name, &options, "");
        daemon.log().expect("a container's label could not be followed");
    }
    assert_eq!(daemon.json(&["session", "ls"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_socket_may_come_and_go() {
    sh("systemctl stop hotseat-podman-api 2>/dev/null || true; rm -f /run/podman/podman.sock");
    let mut daemon = follower();
    let followed = "are followed runtime=podman";
    serve_podman();
    daemon.log().expect(followed);
    sh("systemctl stop hotseat-podman-api; rm -f /run/podman/podman.sock");
    let told = daemon.log().expect("containers are not followed for now");
    assert!(told.contains("runtime=podman"), "{told}");
    // Started while nobody could be told.
    let name = format!("hotseat-{}-unheard", std::process::id());
    sh(&format!(
        "podman run --detach --network none --label hotseat.session=s --name {name} {IMAGE}"
    ));
    serve_podman();
    daemon.log().expect(ATTACHED);
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["container"]["reference"], format!("podman:{name}"));
    sh(&format!("podman rm --force --time 0 {name}"));
}
