//! `hotseat-hook`: an OCI hook `createRuntime` (OCI runtime specification, config.md "POSIX-platform Hooks"). It tells the
//! daemon of a container that is about to start, and waits until its devices' directories are in place, for a second at
//! most: docs/ready.md.
//!
//! It is put beside every container that is to be ready, so it is small and needs no files but itself: no async runtime,
//! no shared library when it is built with `-C target-feature=+crt-static`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

const USAGE: &str = "usage: hotseat-hook [--session SESSION] [--socket PATH] [--wait SECONDS]

An OCI hook createRuntime: reads the container's state from standard input and tells the hotseat daemon that it starts.
Without --session the state's annotation `hotseat.session` names the session; a container with neither is left alone.
It waits for a second, or as long as --wait says (1 to 60), and then lets the container start as it is.

Exit status: 0 the container is ready, or standard error says why it is not and it may start all the same; 2 the
arguments, the session's name or the state are not valid, and the runtime does not start the container.
";

/// A container is not kept longer, unless --wait says so.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the daemon listens unless told otherwise.
const SOCKET: &str = "/run/hotseat/hotseat.sock";

/// The annotation that names the session.
const ANNOTATION: &str = "hotseat.session";

/// In bytes, of everything that is read. What is longer is cut, and not valid then.
const LIMIT: u64 = 16 << 20;

/// What came of it, if the container is not ready.
#[derive(Debug)]
enum Failure {
    /// The caller's mistake.
    Input(String),
    /// The daemon is away, or has refused.
    Daemon(String),
}

/// The arguments.
#[derive(Debug)]
struct Asked {
    session: Option<String>,
    socket: PathBuf,
    wait: Duration,
}

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<_> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
    // A standard output or error that is gone is no reason to keep a container from starting.
    if arguments == ["--help"] {
        let _ = io::stdout().write_all(USAGE.as_bytes());
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr();
    match Asked::from(arguments.into_iter()).and_then(run_in_time) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Daemon(why)) => {
            let _ =
                writeln!(stderr, "hotseat-hook: {why}; the container starts without its devices");
            ExitCode::SUCCESS
        }
        Err(Failure::Input(why)) => {
            let _ = writeln!(stderr, "hotseat-hook: {why}");
            ExitCode::from(2)
        }
    }
}

impl Asked {
    fn from(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut asked = Self { session: None, socket: SOCKET.into(), wait: PATIENCE };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| Failure::Input(format!("`{argument}` needs a value")))
            };
            match argument.as_str() {
                "--session" => asked.session = Some(value()?),
                "--socket" => asked.socket = value()?.into(),
                "--wait" => asked.wait = seconds(&value()?)?,
                _ => {
                    return Err(Failure::Input(format!(
                        "`{argument}` is no argument of it\n{USAGE}"
                    )));
                }
            }
        }
        Ok(asked)
    }
}

fn seconds(text: &str) -> Result<Duration, Failure> {
    match text.parse() {
        Ok(seconds @ 1..=60) => Ok(Duration::from_secs(seconds)),
        _ => Err(Failure::Input(format!("`{text}` is no number of seconds from 1 to 60"))),
    }
}

/// On a thread that is left behind when it takes too long: whatever is read can keep it for ever.
fn run_in_time(asked: Asked) -> Result<(), Failure> {
    let (sender, receiver) = mpsc::channel();
    let wait = asked.wait;
    std::thread::Builder::new()
        .spawn(move || sender.send(run(&asked)))
        .map_err(|error| Failure::Daemon(format!("no thread can be started: {error}")))?;
    let late =
        |_| Failure::Daemon(format!("the daemon did not answer within {} s", wait.as_secs()));
    receiver.recv_timeout(wait).map_err(late)?
}

fn run(asked: &Asked) -> Result<(), Failure> {
    let mut text = String::new();
    io::stdin().take(LIMIT).read_to_string(&mut text).map_err(|error| {
        Failure::Input(format!("the container's state cannot be read: {error}"))
    })?;
    let state: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Input(format!("the container's state is not JSON: {error}")))?;
    let annotated = || state["annotations"][ANNOTATION].as_str().map(str::to_owned);
    let Some(session) = asked.session.clone().or_else(annotated) else { return Ok(()) };
    // It becomes a part of a path; the daemon is stricter.
    if session.is_empty() || !session.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(Failure::Input(format!("`{session}` cannot name a session")));
    }
    let container = container(&state).map_err(Failure::Input)?;
    tell(&asked.socket, &session, &container).map_err(Failure::Daemon)
}

/// What the daemon needs to know, of a state (OCI runtime specification, runtime.md "State") and its bundle.
fn container(state: &Value) -> Result<Value, String> {
    let text = |key: &str| match state[key].as_str() {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("the container's state has no `{key}`")),
    };
    let id = text("id")?;
    let pid = state["pid"].as_u64().filter(|&pid| pid > 0);
    let pid = pid.ok_or("the container's state has no `pid`: is this a createRuntime hook?")?;
    let bundle = Path::new(text("bundle")?);
    let path = bundle.join("config.json");
    let unusable = |why: String| format!("`{}` cannot be used: {why}", path.display());
    let mut config = String::new();
    File::open(&path)
        .and_then(|file| file.take(LIMIT).read_to_string(&mut config))
        .map_err(|error| unusable(error.to_string()))?;
    let config: Value =
        serde_json::from_str(&config).map_err(|error| unusable(error.to_string()))?;
    let root = config["root"]["path"].as_str().ok_or_else(|| unusable("no `root.path`".into()))?;
    // Relative to the bundle, or absolute (config.md, "Root").
    Ok(json!({ "id": id, "pid": pid, "root": bundle.join(root) }))
}

/// One request over HTTP/1.1.
fn tell(socket: &Path, session: &str, container: &Value) -> Result<(), String> {
    let away = |error: io::Error| format!("no daemon answers at `{}`: {error}", socket.display());
    let body = container.to_string();
    let length = body.len();
    let request = format!(
        "PUT /v1/sessions/{session}/starting HTTP/1.1\r\nHost: hotseat\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = UnixStream::connect(socket).map_err(away)?;
    stream.write_all(request.as_bytes()).map_err(away)?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer).map_err(away)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(refusal(&answer)),
    }
}

/// The words of a problem document (RFC 9457).
fn refusal(answer: &str) -> String {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    match (problem["detail"].as_str(), problem["hint"].as_str()) {
        (Some(detail), Some(hint)) => format!("{detail} ({hint})"),
        _ => format!("the daemon gave no answer that is understood: `{}`", answer.escape_debug()),
    }
}
