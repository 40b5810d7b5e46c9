//! Limits of the configuration: what would be too much is refused with a reason, and disturbs nothing that is there.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::harness::{Container, Daemon, sh};

/// The answer is a problem document with this status and code, and a hint.
#[track_caller]
fn refused(answer: (u16, Value), status: u16, code: &str) {
    let (found, problem) = answer;
    assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{problem}");
}

fn limited(limits: &str) -> Daemon {
    let mut daemon = Daemon::start();
    daemon.relaunch_with(&format!("[limits]\n{limits}"));
    daemon
}

/// Reads until the daemon closes.
fn rest(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    // Closed with something unread, it ends with an error, after what there is.
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn sessions_and_devices_beyond_the_limits_are_refused_before_anything_is_begun() {
    sh("modprobe -a uhid hid-playstation");
    let daemon = limited("sessions = 2\ndevices = 3\ndevices_per_session = 2\nwhole_pads = 1\n");
    let containers = [Container::start("limit-a"), Container::start("limit-b")];
    for (session, container) in ["a", "b"].iter().zip(&containers) {
        daemon.hotseat(&["session", "add", session, "--container", &container.reference()]);
    }
    let session =
        |name: &str| daemon.call("POST", "/v1/sessions", &format!(r#"{{"name":"{name}"}}"#));
    let plug = |session: &str, profile: &str| {
        let body = format!(r#"{{"profile":"{profile}"}}"#);
        daemon.call("POST", &format!("/v1/sessions/{session}/devices"), &body)
    };
    refused(session("c"), 507, "too-many-sessions");

    let first = daemon.plug("a", "dualsense");
    daemon.plug("a", "mouse");
    let full = daemon.traces();
    refused(plug("a", "mouse"), 507, "too-many-devices-in-session");
    refused(plug("b", "dualsense"), 507, "too-many-whole-pads");
    daemon.returns_to(&full);
    daemon.plug("b", "xbox-one");
    let full = daemon.traces();
    refused(plug("b", "mouse"), 507, "too-many-devices");
    daemon.returns_to(&full);

    // What goes leaves its place to others; what failed takes none.
    daemon.hotseat(&["unplug", "a", &first.slot()]);
    assert_eq!(plug("b", "dualsense").0, 201);
    refused(plug("a", "mouse"), 507, "too-many-devices");
    daemon.hotseat(&["session", "rm", "b"]);
    assert_eq!(session("c").0, 201);
    assert_eq!(plug("a", "dualsense").0, 201);
}

#[test]
fn requests_beyond_the_rate_are_told_when_to_come_again() {
    let daemon = limited("requests_per_user = 1000\nrequests_per_session = 1\n");
    // However it is written.
    let request =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: hotseat\r\nConnection: close\r\n\r\n");
    let mut paths = ["/v1/sessions/alice", "/v1/sessions/%61lice/devices"].iter().cycle();
    let answer = loop {
        let mut stream = UnixStream::connect(daemon.path("sock")).unwrap();
        stream.write_all(request(paths.next().unwrap()).as_bytes()).unwrap();
        let answer = rest(&mut stream);
        if answer.starts_with("HTTP/1.1 429 ") {
            break answer;
        }
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    };
    let answer = answer.to_lowercase();
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("too-many-requests") && answer.contains("`alice`"), "{answer}");
    // Others have nothing to do with it.
    assert_eq!(daemon.call("GET", "/v1/sessions/bob", "").0, 404);
    assert_eq!(daemon.call("GET", "/v1/sessions", "").0, 200);
}

#[test]
fn the_rate_of_a_user_counts_every_request() {
    let daemon = limited("requests_per_user = 2\n");
    let mut paths = ["/v1/sessions", "/nowhere", "/metrics"].iter().cycle();
    let mut ask = || daemon.call("GET", paths.next().unwrap(), "");
    let found = std::iter::from_fn(|| Some(ask())).find(|(status, _)| *status == 429);
    refused(found.unwrap(), 429, "too-many-requests");
}

#[test]
fn the_lines_of_a_client_wait_for_their_turn() {
    let daemon = limited("requests_per_session = 20\n");
    daemon.hotseat(&["session", "add", "s"]);
    let lines = "{\"plug\":{\"slot\":0,\"profile\":\"mouse\"}}\n".repeat(45);
    let (status, problem) = daemon.call("POST", "/v1/sessions/s/client", &lines);
    assert_eq!(status, 204, "{problem}");
    // What is left of the rate is for others, as soon as there is some.
    let session = std::iter::from_fn(|| Some(daemon.call("GET", "/v1/sessions/s", "")));
    let (_, session) = session.into_iter().find(|(status, _)| *status == 200).unwrap();
    assert_eq!(session["waiting"][0]["profile"], "mouse", "{session}");
}

#[test]
fn connections_beyond_the_limit_are_refused_and_idle_ones_closed() {
    let daemon = limited("connections = 3\nconnections_per_user = 2\nidle_seconds = 1\n");
    let connect = || UnixStream::connect(daemon.path("sock")).unwrap();
    let mut held = [connect(), connect()];
    let answer = rest(&mut connect());
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("too-many-connections") && answer.contains("this user"), "{answer}");

    // Of the two that were open, one says nothing and one stops in the middle.
    held[1].write_all(b"GET /v1/sessions HTTP/1.1\r\nHost: hot").unwrap();
    for stream in &mut held {
        rest(stream);
    }
    assert_eq!(daemon.call("GET", "/v1/sessions", "").0, 200);

    // One that has been answered and does not go on is closed as well, and so is a body that does not come.
    let mut kept = connect();
    kept.write_all(b"GET /v1/sessions HTTP/1.1\r\nHost: hotseat\r\n\r\n").unwrap();
    assert!(rest(&mut kept).starts_with("HTTP/1.1 200 "));
    let mut slow = connect();
    slow.write_all(
        b"POST /v1/sessions HTTP/1.1\r\nHost: hotseat\r\nContent-Type: application/json\r\n\
          Content-Length: 100\r\n\r\n{",
    )
    .unwrap();
    let answer = rest(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body-too-slow"), "{answer}");
}

#[test]
fn bodies_and_headers_beyond_the_limit_are_refused() {
    let daemon = limited("body_bytes = 200\nheaders = 8\n");
    let body = |length: usize| {
        let name = "x".repeat(length - r#"{"name":""}"#.len());
        daemon.call("POST", "/v1/sessions", &format!(r#"{{"name":"{name}"}}"#))
    };
    refused(body(200), 400, "session-name");
    refused(body(201), 413, "body-too-large");
    // Also where the length is not said beforehand.
    let chunked = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: hotseat\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\nff\r\n{}\r\n0\r\n\r\n",
        " ".repeat(255)
    );
    refused(daemon.http(chunked.as_bytes()), 413, "body-too-large");
    let headers = "X: y\r\n".repeat(9);
    let many = format!("GET /v1/sessions HTTP/1.1\r\nHost: hotseat\r\n{headers}\r\n");
    assert_eq!(daemon.http(many.as_bytes()).0, 431);
}

#[test]
fn watchers_beyond_the_limit_are_refused_until_one_goes() {
    let daemon = limited("watchers = 1\n");
    let mut watcher = daemon.watch(&["--since", "0-0"]);
    watcher.expect("missing");
    refused(daemon.call("GET", "/v1/events", ""), 507, "too-many-watchers");
    watcher.end("TERM");
    // The daemon notices when it next looks at the connection: at once, as that is closed.
    let again = std::iter::from_fn(|| {
        let mut watcher = daemon.watch(&["--since", "0-0"]);
        Some(watcher.expect("").contains("missing"))
    });
    assert!(again.take(100).any(|served| served));
}
