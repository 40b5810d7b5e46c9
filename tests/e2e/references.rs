//! Names for containers: what each finds, and what is said when it cannot.

use serde_json::Value;

use crate::harness::{Container, Daemon, Program, sh};
use crate::matrix::{serve_podman, until};
use crate::matrix_others::{CONSUMERS, open_the_folder, skipped};

fn add(daemon: &Daemon, session: &str, container: &str) -> (u16, Value) {
    let body = serde_json::json!({ "name": session, "container": container }).to_string();
    daemon.call("POST", "/v1/sessions", &body)
}

#[track_caller]
fn refused(answer: (u16, Value), status: u16, code: &str, says: &str) {
    let (found, problem) = answer;
    assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    assert!(!problem["hint"].as_str().unwrap().is_empty(), "{problem}");
}

#[test]
fn containers_that_are_not_there() {
    let daemon = Daemon::start();
    let before = daemon.traces();
    let socket = |answer, says| refused(answer, 502, "runtime-socket", says);
    sh("systemctl stop hotseat-podman-api 2>/dev/null || true; rm -f /run/podman/podman.sock");
    socket(add(&daemon, "s", "podman:nobody"), "/run/podman/podman.sock");
    socket(add(&daemon, "s", "podman:4711/nobody"), "/run/user/4711/podman/podman.sock");
    refused(add(&daemon, "s", "podman:nobody.here/x"), 404, "no-such-user", "nobody.here");
    let missing =
        |reference| refused(add(&daemon, "s", reference), 404, "container-not-found", reference);
    missing("cri:0123456789ab");
    missing("cri:nobody");
    // A cgroup of that name, but not of a container.
    missing("cri:hotseat-run.service");
    missing("machine:nobody");
    missing("lxc:nobody");
    serve_podman();
    missing("podman:nobody");
    let mut daemon = daemon;
    daemon.relaunch_with("docker_socket = \"/nowhere/docker.sock\"");
    socket(add(&daemon, "s", "docker:nobody"), "/nowhere/docker.sock");
    let checks = daemon.run(&["doctor", "--json"]);
    let checks: Value = serde_json::from_slice(&checks.stdout).unwrap();
    let status = |name: &str| {
        let check = checks.as_array().unwrap().iter().find(|check| check["check"] == name);
        check.unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!((status("docker"), status("podman")), ("warning".into(), "ok".into()), "{checks}");
    assert_eq!(daemon.traces().staged, before.staged);
}

#[test]
fn podmans_containers_are_found_by_id_where_nobody_serves_its_api() {
    let daemon = Daemon::start();
    let id = sh("podman run --detach --network none hotseat/consumers");
    let id = id.trim();
    sh("systemctl stop hotseat-podman-api 2>/dev/null || true; rm -f /run/podman/podman.sock");
    for reference in [format!("podman:{id}"), format!("podman:{}", &id[..12])] {
        daemon.hotseat(&["session", "add", "s", "--container", &reference]);
        let session = daemon.json(&["session", "show", "s"]);
        let pid = sh(&format!("podman inspect --format '{{{{.State.Pid}}}}' {id}"));
        assert_eq!(session["container"]["pid"].to_string(), pid.trim());
        daemon.plug("s", "xbox-one");
        daemon.hotseat(&["session", "rm", "s"]);
    }
    sh(&format!("podman rm --force --time 0 {id}"));
    refused(add(&daemon, "s", &format!("podman:{id}")), 502, "runtime-socket", "podman.sock");
}

/// Answers every request as Docker's API would about a container that runs as a given process.
const LIAR: &str = r#"
import http.server, json, os, socketserver, sys
class Liar(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"ApiVersion": "1.41"} if self.path.endswith("version") else {
            "Id": sys.argv[2], "State": {"Status": "running", "Running": True, "Pid": int(sys.argv[1])}}
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return "socket"
class Server(socketserver.UnixStreamServer):
    pass
path = "/run/user/1000/podman/podman.sock"
os.makedirs(os.path.dirname(path), exist_ok=True)
if os.path.exists(path):
    os.unlink(path)
server = Server(path, Liar)
print("serves", flush=True)
server.serve_forever()
"#;

#[test]
fn a_users_podman_cannot_name_a_container_of_somebody_else() {
    if skipped() {
        return;
    }
    let daemon = Daemon::start();
    let victim = Container::start_with("victim", "--network none", "");
    let inspect = "{{.State.Pid}} {{.Id}}";
    let victims = sh(&format!("docker inspect --format '{inspect}' {}", victim.name));
    let (pid, id) = victims.trim().split_once(' ').unwrap();
    sh(&format!(
        "loginctl enable-linger player; {}
         systemctl stop hotseat-rootless-api 2>/dev/null || true",
        until("test -S /run/user/1000/bus")
    ));
    let mut liar =
        Program::start(&["runuser", "-u", "player", "--", "python3", "-c", LIAR, pid, id]);
    liar.expect("serves");
    let answer = add(&daemon, "s", "podman:player/game");
    refused(answer, 409, "container-not-the-users", &format!("process {pid}"));
    drop(liar);
    assert_eq!(victim.sh("ls /dev/input 2>&1 || true").matches("event").count(), 0);
    sh("rm -f /run/user/1000/podman/podman.sock");
}

#[test]
fn a_process_stands_for_its_container_and_not_for_the_cgroup_it_is_in() {
    let daemon = Daemon::start();
    let container = Container::start_with("pid", "--network none", "");
    // A process of the container that somebody has put into another cgroup below the container's: not what is granted to.
    let pid = sh(&format!("docker inspect --format '{{{{.State.Pid}}}}' {}", container.name));
    let cgroup = sh(&format!("sed s/0::// /proc/{}/cgroup", pid.trim()));
    let cgroup = format!("/sys/fs/cgroup{}", cgroup.trim());
    sh(&format!("mkdir {cgroup}/deeper; echo {} > {cgroup}/deeper/cgroup.procs", pid.trim()));
    daemon.hotseat(&["session", "add", "s", "--container", &format!("pid:{}", pid.trim())]);
    let checks = daemon.json(&["doctor", &format!("pid:{}", pid.trim())]);
    let found =
        checks.as_array().unwrap().iter().find(|check| check["check"] == "container-cgroup");
    assert_eq!(found.unwrap()["detail"], cgroup, "{checks}");
    assert_eq!(found.unwrap()["status"], "ok", "{checks}");
    let pad = daemon.plug("s", "xbox-one");
    container.sh(&format!("exec 3<>{}", pad.node("event")));
}

/// A container in a cgroup that others are in too: nothing is granted to it, and what that means is said.
#[test]
fn nothing_is_granted_to_a_cgroup_that_others_are_in() {
    if skipped() {
        return;
    }
    open_the_folder();
    let daemon = Daemon::start();
    let start = |unit: &str, options: &str| {
        sh(&format!(
            "systemd-run --quiet --collect --unit {unit} {options} bwrap --unshare-all --ro-bind {CONSUMERS} / \
                 --dev /dev --proc /proc --tmpfs /run sh -c 'touch /run/there; exec sleep infinity'"
        ));
        let condition = format!(
            "pid=$(pgrep --parent $(systemctl show --property MainPID --value {unit})) && \
             test -e /proc/$pid/root/run/there && echo $pid"
        );
        format!("pid:{}", sh(&until(&condition)).trim())
    };
    let open = start("hotseat-open", "");
    daemon.hotseat(&["session", "add", "open", "--container", &open]);
    let session = daemon.json(&["session", "show", "open"]);
    assert_eq!(session["container"]["shares_cgroup"], true);
    daemon.plug("open", "xbox-one");
    assert!(daemon.traces().grants.contains(" 0 in use"));

    let closed = start("hotseat-closed", "--property DevicePolicy=closed");
    daemon.hotseat(&["session", "add", "closed", "--container", &closed]);
    let body = r#"{"profile":"xbox-one"}"#;
    let answer = daemon.call("POST", "/v1/sessions/closed/devices", body);
    refused(answer, 409, "cgroup-not-own", "hotseat-closed.service");
    assert_eq!(daemon.traces().kernel.len(), 1);
    let doctor = daemon.run(&["doctor", &closed]);
    assert!(
        String::from_utf8_lossy(&doctor.stdout).contains("processes from outside the container")
    );
    sh("systemctl stop hotseat-open hotseat-closed");
}

#[test]
fn who_shares_the_network_is_told() {
    let daemon = Daemon::start();
    let first = Container::start_with("pod-1", "--network none", "");
    let options = format!("--network container:{}", first.name);
    let second = Container::start_with("pod-2", &options, "");
    let id = sh(&format!("docker inspect --format '{{{{.Id}}}}' {}", second.name));
    let scope = format!("/system.slice/docker-{}.scope", id.trim());
    daemon.hotseat(&["session", "add", "s", "--container", &first.reference()]);
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["container"]["network_shared_with"], serde_json::json!([scope]));
    let checks = daemon.json(&["doctor", &first.reference()]);
    let found =
        checks.as_array().unwrap().iter().find(|check| check["check"] == "container-network");
    assert_eq!(found.unwrap()["status"], "warning", "{checks}");

    // What it means: the other, where a libudev listens in it, hears of the device, and cannot open it.
    second.sh("mkdir -p /run/udev; touch /run/udev/control");
    let mut monitor = second.program(&[], &["udevadm", "monitor", "--udev"]);
    monitor.expect("UDEV - the event");
    let pad = daemon.plug("s", "xbox-one");
    monitor.expect("/devices/virtual/input/");
    let node = &pad.0["nodes"][0];
    let open = format!("mknod /dev/try c {} {}; exec 3<>/dev/try", node["major"], node["minor"]);
    let refused = second.try_sh(&open);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not permitted"));
    first.sh(&format!("exec 3<>{}", pad.node("event")));

    let alone = Container::start_with("alone", "--network none", "");
    daemon.hotseat(&["session", "add", "alone", "--container", &alone.reference()]);
    let session = daemon.json(&["session", "show", "alone"]);
    assert_eq!(session["container"]["network_shared_with"], Value::Array(Vec::new()));
}

#[test]
fn a_pod_of_podman_shares_its_network() {
    let daemon = Daemon::start();
    serve_podman();
    sh("podman pod create --network none --infra-image localhost/hotseat/consumers hotseat-pod
        for name in a b; do
            podman run --detach --pod hotseat-pod --name hotseat-pod-$name hotseat/consumers
        done");
    daemon.hotseat(&["session", "add", "s", "--container", "podman:hotseat-pod-a"]);
    let session = daemon.json(&["session", "show", "s"]);
    let shared = session["container"]["network_shared_with"].to_string();
    // The other, and the pod's own that does nothing.
    let others = sh("podman inspect --format '{{.Id}}' hotseat-pod-b $(podman pod inspect \
                         --format '{{.InfraContainerID}}' hotseat-pod)");
    assert_eq!(others.lines().count(), 2, "{others}");
    for id in others.lines() {
        assert!(shared.contains(&format!("libpod-{id}.scope")), "{shared}");
    }
    let pad = daemon.plug("s", "xbox-one");
    sh(&format!("podman exec hotseat-pod-a sh -ec 'exec 3<>{}'", pad.node("event")));
    daemon.hotseat(&["session", "rm", "s"]);
    sh("podman pod rm --force --time 0 hotseat-pod");
}
