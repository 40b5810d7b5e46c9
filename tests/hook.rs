//! `hotseat-hook` as a runtime runs it: what it says of wrong input, and that it never keeps a container waiting. What it
//! does with a daemon is shown in tests/e2e/ready.rs.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs it with a state.
fn hook(arguments: &[&str], state: &str) -> Output {
    let mut hook = start(arguments);
    // It may have ended before it has read this.
    let _ = hook.stdin.take().unwrap().write_all(state.as_bytes());
    hook.wait_with_output().unwrap()
}

fn start(arguments: &[&str]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_hotseat-hook"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn bundle() -> tempfile::TempDir {
    let bundle = tempfile::tempdir().unwrap();
    fs::write(bundle.path().join("config.json"), r#"{"root":{"path":"rootfs"}}"#).unwrap();
    bundle
}

fn state(bundle: &Path, annotations: &str) -> String {
    let bundle = bundle.display();
    format!(
        r#"{{"ociVersion":"1.0.2","id":"c1","pid":42,"bundle":"{bundle}","annotations":{{{annotations}}}}}"#
    )
}

#[test]
fn wrong_input_is_told_and_the_container_does_not_start() {
    let bundle = bundle();
    let good = state(bundle.path(), "");
    let elsewhere = state(Path::new("/nonexistent"), "");
    let cases: [(&[&str], &str, &str); 12] = [
        (&["--session"], &good, "`--session` needs a value"),
        (&["--nonsense"], &good, "`--nonsense` is no argument of it\nusage: hotseat-hook"),
        (&["--wait", "0"], &good, "`0` is no number of seconds from 1 to 60"),
        (&["--session", "a/../b"], &good, "`a/../b` cannot name a session"),
        (&["--session", ""], &good, "`` cannot name a session"),
        (&["--session", "s"], "", "the container's state is not JSON"),
        (&["--session", "s"], "{\"id\":", "the container's state is not JSON"),
        (&["--session", "s"], "[]", "the container's state has no `id`"),
        (
            &["--session", "s"],
            r#"{"id":"c1","bundle":"/"}"#,
            "has no `pid`: is this a createRuntime",
        ),
        (&["--session", "s"], r#"{"id":"c1","pid":0,"bundle":"/"}"#, "has no `pid`"),
        (&["--session", "s"], r#"{"id":"c1","pid":42}"#, "the container's state has no `bundle`"),
        (
            &["--session", "s"],
            &elsewhere,
            "`/nonexistent/config.json` cannot be used: No such file",
        ),
    ];
    for (arguments, state, expected) in cases {
        let output = hook(arguments, state);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(expected), "{arguments:?} {state}: {stderr}");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
    }
    fs::write(bundle.path().join("config.json"), "{}").unwrap();
    let output = hook(&["--session", "s"], &good);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no `root.path`"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_container_that_names_no_session_is_left_alone() {
    let bundle = bundle();
    let output = hook(&["--socket", "/nonexistent"], &state(bundle.path(), r#""other":"s""#));
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    // The annotation names one.
    let output =
        hook(&["--socket", "/nonexistent"], &state(bundle.path(), r#""hotseat.session":"s""#));
    assert!(!output.stderr.is_empty());
}

#[test]
fn a_daemon_that_is_away_or_does_not_answer_keeps_no_container_from_starting() {
    let bundle = bundle();
    let state = state(bundle.path(), "");
    let away = bundle.path().join("away");
    let silent = bundle.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    for (socket, expected) in
        [(&away, "no daemon answers at `"), (&silent, "the daemon did not answer within 1 s")]
    {
        let output = hook(&["--session", "s", "--socket", socket.to_str().unwrap()], &state);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(expected), "{stderr}");
        assert!(stderr.contains("; the container starts without its devices\n"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert_eq!(output.status.code(), Some(0));
    }
    // Nor does a runtime that never ends the state.
    let mut hook = start(&["--session", "s"]);
    let stdin = hook.stdin.take();
    assert_eq!(hook.wait().unwrap().code(), Some(0));
    drop(stdin);
}
