//! `hotseat doctor REF`: what of a container is found, and what it says to do.

use serde_json::Value;

use crate::harness::{Container, Daemon, IMAGE, sh};

/// A check by its name, with what its detail and its hint are to say.
#[track_caller]
fn says(checks: &Value, name: &str, status: &str, detail: &str, hint: &str) {
    let found = checks.as_array().unwrap().iter().find(|check| check["check"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name}: {checks}"));
    assert_eq!(found["status"], status, "{found}");
    assert!(found["detail"].as_str().unwrap().contains(detail), "{found}");
    assert!(found["hint"].as_str().unwrap().contains(hint), "{found}");
    assert_eq!(found["hint"] == "", status == "ok", "{found}");
}

fn doctor(daemon: &Daemon, reference: &str) -> Value {
    let output = daemon.run(&["doctor", reference, "--json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_container_in_good_order() {
    let daemon = Daemon::start();
    let container = Container::start("good");
    let before = (daemon.traces(), container.sh("ls -A /dev /run"));
    let checks = doctor(&daemon, &container.reference());
    daemon.returns_to(&before.0);
    assert_eq!(container.sh("ls -A /dev /run"), before.1);
    says(&checks, "container-network", "ok", "a network of its own", "");
    says(&checks, "container-root", "ok", "the users of this host", "");
    says(&checks, "paused", "ok", "not paused", "");
    for (check, path) in
        [("dev-input", "/dev/input"), ("run-udev", "/run/udev"), ("hidraw", "/dev/hotseat")]
    {
        says(&checks, check, "ok", &format!("{path} is missing, and is made"), "");
    }
    says(&checks, "udev-control", "warning", "not there yet", "before the program starts");
    says(&checks, "device-policy", "ok", "a granted device opens, and no other", "");
    says(&checks, "capabilities", "ok", "CAP_MKNOD", "");
    says(&checks, "seccomp", "ok", "a filter", "");
    says(&checks, "apparmor", "ok", "docker-default", "");
    says(&checks, "selinux", "ok", "not in use", "");

    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    // Not of this session's network alone, and paused.
    let guest =
        Container::start_with("guest", &format!("--network container:{}", container.name), "");
    sh(&format!("docker pause {}", container.name));
    let checks = doctor(&daemon, &container.reference());
    sh(&format!("docker unpause {}", container.name));
    for check in ["dev-input", "run-udev", "hidraw"] {
        says(&checks, check, "ok", "is the session's", "");
    }
    says(&checks, "udev-control", "ok", "libudev listens", "");
    says(&checks, "container-network", "warning", "docker", "a network of its own");
    says(&checks, "paused", "warning", "is paused", "unpause");
    says(&checks, "device-policy", "warning", "paused", "unpause");
    drop(guest);
}

#[test]
fn containers_in_which_not_all_is_well() {
    let daemon = Daemon::start();
    let strong = Container::start_with("strong", "--privileged", "");
    let checks = doctor(&daemon, &strong.reference());
    says(&checks, "dev-input", "failed", "already holds", "without --privileged");
    says(&checks, "device-policy", "warning", "any input device", "--privileged");
    says(&checks, "capabilities", "warning", "CAP_SYS_ADMIN", "SYS_ADMIN");
    says(&checks, "seccomp", "ok", "no filter", "");

    let odd = Container::start_with("odd", "--read-only --security-opt no-new-privileges", "");
    odd.sh("ln -s /etc /dev/input; ln -s /etc /dev/hotseat");
    let output = daemon.run(&["doctor", &odd.reference()]);
    assert_eq!(output.status.code(), Some(1));
    let checks = doctor(&daemon, &odd.reference());
    says(&checks, "dev-input", "failed", "a symbolic link", "an image in which it is a directory");
    says(
        &checks,
        "hidraw",
        "warning",
        "pads get no hidraw node",
        "an image in which it is a directory",
    );
    says(&checks, "run-udev", "failed", "Read-only", "--tmpfs /run");
    says(&checks, "seccomp", "ok", "no new privileges", "");
    let body = serde_json::json!({ "name": "s", "container": odd.reference() }).to_string();
    assert_eq!(daemon.call("POST", "/v1/sessions", &body).0, 409, "as the doctor said");

    let name = format!("hotseat-{}-users", std::process::id());
    let ids = "--uidmap 0:100000:65536 --gidmap 0:200000:65536";
    sh(&format!("podman run --detach --name {name} {ids} {IMAGE} sleep infinity"));
    let pid = sh(&format!("podman inspect --format '{{{{.State.Pid}}}}' {name}"));
    let checks = doctor(&daemon, &format!("pid:{}", pid.trim()));
    sh(&format!("podman rm --force --time 0 {name}"));
    says(&checks, "container-root", "ok", "its root is user 100000, group 200000", "");
    says(&checks, "capabilities", "ok", "its own user namespace", "");
    says(&checks, "device-policy", "ok", "a granted device opens", "");
}
