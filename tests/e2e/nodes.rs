//! Nodes in every kind of container: whoever its users are, whatever it may not do, whatever is in its way.

use crate::harness::{Container, Daemon, Plugged, sh};

/// Opens each node for reading and writing, and says whose it is.
fn open_all(pad: &Plugged) -> String {
    let nodes = pad.nodes();
    assert!(nodes.iter().any(|node| node.starts_with("/dev/hidraw")), "{nodes:?}");
    let open =
        |node: &String| format!("exec 3<>{node}; stat --dereference --format '%u:%g' {node}");
    nodes.iter().map(open).collect::<Vec<_>>().join("; ")
}

/// The nodes open for the container's own user, and are its root's.
fn check(daemon: &Daemon, reference: &str, run: impl Fn(&str) -> String) {
    daemon.hotseat(&["session", "add", "s", "--container", reference]);
    let pad = daemon.plug("s", "dualsense");
    let owners = run(&open_all(&pad));
    assert!(owners.lines().all(|owner| owner == "0:0"), "{owners}");
    assert_eq!(owners.lines().count(), pad.nodes().len());
    daemon.hotseat(&["session", "rm", "s"]);
}

#[test]
fn containers_of_docker_with_less_than_usual() {
    let daemon = Daemon::start();
    let before = daemon.traces();
    let least =
        "--read-only --tmpfs /run --cap-drop ALL --security-opt no-new-privileges --user 1000:1000";
    for (name, options) in [
        ("least", least),
        // A mount point, without entries.
        ("mounted", "--tmpfs /dev/input --user 1234"),
    ] {
        let container = Container::start_with(name, options, "");
        let listed = container.sh("ls -A /dev /run; cat /proc/self/mountinfo");
        check(&daemon, &container.reference(), |script| container.sh(script));
        assert_eq!(container.sh("ls -A /dev /run; cat /proc/self/mountinfo"), listed, "{name}");
    }

    // Nowhere to make a directory.
    let container = Container::start_with("nowhere", "--read-only", "");
    let body = serde_json::json!({ "name": "s", "container": container.reference() }).to_string();
    let (status, problem) = daemon.call("POST", "/v1/sessions", &body);
    assert_eq!((status, problem["code"].as_str()), (409, Some("mount-point-missing")), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("--tmpfs /run"), "{problem}");
    daemon.returns_to(&before);
}

#[test]
fn containers_of_podman_with_users_of_many_ranges() {
    let daemon = Daemon::start();
    let before = daemon.traces();
    // Two ranges of users and two of groups, with a hole at 1000; and a user in the second.
    let ids = "--uidmap 0:100000:1000 --uidmap 1001:300000:500 --gidmap 0:200000:1000 --gidmap 1001:400000:500 \
               --user 1200:1300 --cap-drop all --security-opt no-new-privileges";
    // As a plain folder: an image would be copied, for Podman to change each file's owner. What it has in /run is of a
    // user without a number there.
    let files = "--tmpfs /run:notmpcopyup --rootfs /home/player/consumers:O";
    let name = format!("hotseat-{}-ranges", std::process::id());
    sh(&format!("podman run --detach --name {name} {ids} {files} sleep infinity"));
    let pid = sh(&format!("podman inspect --format '{{{{.State.Pid}}}}' {name}"));
    let exec = |script: &str| sh(&format!("podman exec {name} sh -ec \"{script}\""));
    let map = sh(&format!("wc -l < /proc/{}/uid_map", pid.trim()));
    assert_eq!((map.trim(), exec("id -u").trim()), ("2", "1200"));
    check(&daemon, &format!("pid:{}", pid.trim()), exec);
    sh(&format!("podman rm --force --time 0 {name}"));
    daemon.returns_to(&before);
}

#[test]
fn nodes_that_a_container_has_already_are_not_hidden() {
    let daemon = Daemon::start();
    let hosts = sh("ls -lA /dev /dev/input");
    for (name, options, code, hint) in [
        ("device", "--device /dev/input/event0", "mount-point-occupied", "--device"),
        ("hostdev", "--volume /dev:/dev", "host-dev", "/dev:/dev"),
    ] {
        let container = Container::start_with(name, options, "");
        let has = container.sh("ls -A /dev/input");
        let body =
            serde_json::json!({ "name": "s", "container": container.reference() }).to_string();
        let (status, problem) = daemon.call("POST", "/v1/sessions", &body);
        assert_eq!((status, problem["code"].as_str()), (409, Some(code)), "{name}: {problem}");
        assert!(problem["hint"].as_str().unwrap().contains(hint), "{problem}");
        assert_eq!(container.sh("ls -A /dev/input"), has);
    }
    assert_eq!(sh("ls -lA /dev /dev/input"), hosts);
}

/// The session's file system has a size, so that no bug can eat the host's memory. When it is full a plug fails and is
/// undone.
#[test]
fn a_full_staging_file_system_is_an_error_that_leaves_nothing() {
    let daemon = Daemon::start();
    let container = Container::start("full");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let stage = daemon.path("stage/s").display().to_string();
    let before = daemon.traces();
    let used = sh(&format!("stat --file-system --format '%c %d' {stage}"));
    let numbers: Vec<u64> = used.split_whitespace().map(|it| it.parse().unwrap()).collect();
    let inodes = numbers[0] - numbers[1];
    for limit in [
        // No room for a node; for two, which are less than the pad has; for a page of records.
        format!("nr_inodes={inodes}"),
        format!("nr_inodes={}", inodes + 2),
        "size=4k".to_owned(),
    ] {
        sh(&format!("mount -o remount,{limit} {stage}"));
        let body = r#"{"profile":"xbox-one"}"#;
        let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", body);
        assert_eq!(status, 500, "{limit}: {problem}");
        assert!(["node", "database"].contains(&problem["code"].as_str().unwrap()), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("No space left"), "{problem}");
        assert!(problem["hint"].as_str().unwrap().contains("full"), "{problem}");
        sh(&format!("mount -o remount,size=8m,nr_inodes=16k {stage}"));
        daemon.returns_to(&before);
    }
    let pad = daemon.plug("s", "xbox-one");
    container.sh(&format!("exec 3<>{}", pad.node("event")));
}
