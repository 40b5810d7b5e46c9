//! A daemon, containers, programs in them, and their output line by line. Everything is taken down on drop.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

/// The product. nextest says where it has put it; in its archive that is not where it was built.
pub(crate) static HOTSEAT: LazyLock<String> = LazyLock::new(|| {
    std::env::var("NEXTEST_BIN_EXE_hotseat")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_hotseat").to_owned())
});
pub(crate) const IMAGE: &str = "hotseat/consumers";

/// Where Debian's libsdl2-tests puts SDL's own test programs.
pub(crate) const SDL_TESTS: &str = "/usr/libexec/installed-tests/SDL2";

/// Runs a command to its end; it must succeed. Returns its standard output.
pub(crate) fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "`{script}`: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Restarts Docker. systemd refuses the fourth start of its unit within a minute, unless it forgets the others
/// (systemd.unit(5), `StartLimitBurst=`).
pub(crate) fn restart_docker() {
    sh("systemctl reset-failed docker; systemctl restart docker");
}

/// Prints a line of a long test, which `target/soak.log` gets at once: the runner shows what a test prints when it has ended.
pub(crate) fn say(line: &str) {
    println!("{line}");
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let log = Path::new(&folder).join("target/soak.log");
    let mut log = File::options().create(true).append(true).open(log).unwrap();
    writeln!(log, "{line}").unwrap();
}

/// A running program, and what it prints and reads.
pub(crate) struct Program {
    child: Child,
    /// Behind a lock that nobody waits for: daemons are called by several threads.
    lines: Mutex<Receiver<String>>,
    transcript: String,
}

impl Program {
    /// Starts `command`; its standard error joins its output. It is ended if it hangs, so that a test that
    /// waits for a line in vain can show what there was instead.
    pub(crate) fn start(command: &[&str]) -> Self {
        Self::spawn(r#"exec timeout --kill-after=5 120 "$@" 2>&1"#, command)
    }

    /// Starts `command` without a limit.
    pub(crate) fn start_unlimited(command: &[&str]) -> Self {
        Self::spawn(r#"exec "$@" 2>&1"#, command)
    }

    fn spawn(script: &str, command: &[&str]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Read at once: who writes is not to wait until a test wants to know.
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || pass_on(output, &sender));
        Self { child, lines: Mutex::new(lines), transcript: format!("$ {}\n", command.join(" ")) }
    }

    /// Reads on until a line that contains `text`, and returns it. What never comes is the runner's timeout.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.get_mut().unwrap().recv() else {
                panic!("ended without `{text}`:\n{}", self.transcript)
            };
            self.transcript.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Writes a line to its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends the program with a signal and returns everything it printed.
    pub(crate) fn end(mut self, signal: &str) -> String {
        sh(&format!("kill -{signal} {}", self.child.id()));
        self.rest()
    }

    /// Ends its standard input, and reads to the end.
    pub(crate) fn close(&mut self) -> String {
        drop(self.child.stdin.take());
        self.rest()
    }

    /// Reads to the end.
    pub(crate) fn rest(&mut self) -> String {
        self.transcript.extend(self.lines.get_mut().unwrap().iter());
        self.child.wait().unwrap();
        std::mem::take(&mut self.transcript)
    }
}

/// Passes lines on until there are no more, or nobody wants them.
fn pass_on(mut output: BufReader<ChildStdout>, lines: &Sender<String>) {
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
        line.clear();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}", self.transcript);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon of its own, with its socket, staging file system and journal in a temporary directory.
pub(crate) struct Daemon {
    program: Option<Program>,
    directory: tempfile::TempDir,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        sh("modprobe -a uinput joydev");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let config = format!(
            "socket = \"{path}/sock\"\nstage = \"{path}/stage\"\njournal = \"{path}/journal\"\nfollow = false\n"
        );
        fs::write(directory.path().join("config.toml"), config).unwrap();
        let mut daemon = Self { program: None, directory };
        daemon.launch();
        daemon
    }

    /// Starts the daemon's process (again), waits until it is ready, and returns the line in which it says so.
    pub(crate) fn launch(&mut self) -> String {
        self.launch_by(&[])
    }

    /// The same by a program that becomes it.
    pub(crate) fn launch_by(&mut self, program: &[&str]) -> String {
        let config = self.path("config.toml").display().to_string();
        // Whether it is killed somewhere is for `arm` to say.
        let fault = format!("HOTSEAT_FAULT=@{}", self.path("fault").display());
        let serve = [HOTSEAT.as_str(), "serve", "--config", &config];
        let command = [&["env", &fault], program, &serve].concat();
        let mut program = Program::start_unlimited(&command);
        let ready = program.expect("ready");
        self.program = Some(program);
        ready
    }

    /// Waits for the end of the daemon, which it has come to by itself.
    pub(crate) fn died(&mut self) {
        self.program.take().unwrap().rest();
    }

    /// Stops the daemon in good order and starts it with more configuration.
    pub(crate) fn relaunch_with(&mut self, configuration: &str) -> String {
        self.program.take().unwrap().end("TERM");
        let path = self.path("config.toml");
        let kept = fs::read_to_string(&path).unwrap();
        let key = |line: &str| line.split('=').next().unwrap().trim().to_owned();
        let new: Vec<_> = configuration.lines().map(key).collect();
        let kept = kept.lines().filter(|line| !new.contains(&key(line)));
        let text = kept.chain([configuration]).collect::<Vec<_>>().join("\n");
        fs::write(&path, text).unwrap();
        self.launch()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log(&mut self) -> &mut Program {
        self.program.as_mut().unwrap()
    }

    /// The daemon's process, as a number.
    pub(crate) fn pid(&self) -> u32 {
        self.program.as_ref().unwrap().child.id()
    }

    /// Stops it in good order.
    pub(crate) fn terminate(&mut self) {
        self.program.take().unwrap().end("TERM");
    }

    /// Kills it as a crash would.
    pub(crate) fn crash(&mut self) {
        self.program.take().unwrap().end("KILL");
    }

    /// Runs the command line.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&*HOTSEAT)
            .args(arguments)
            .env("HOTSEAT_SOCKET", self.path("sock"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs the command line, which must succeed.
    pub(crate) fn hotseat(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "hotseat {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command line with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        serde_json::from_str(&self.hotseat(&arguments)).unwrap()
    }

    /// Starts `hotseat watch`.
    pub(crate) fn watch(&self, arguments: &[&str]) -> Program {
        let socket = self.path("sock").display().to_string();
        Program::start(&[&[HOTSEAT.as_str(), "--socket", &socket, "watch"], arguments].concat())
    }

    /// Plugs a device and returns it.
    pub(crate) fn plug(&self, session: &str, profile: &str) -> Plugged {
        let device = self.json(&["plug", session, profile]);
        assert_eq!(device["verified"], true, "{device}");
        Plugged(device)
    }

    /// One HTTP request, as bytes; the status and the body of its answer.
    pub(crate) fn http(&self, request: &[u8]) -> (u16, Value) {
        let (status, body) = self.http_text(request);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn http_text(&self, request: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(self.path("sock")).unwrap();
        // The daemon may answer, and close, before it has read all.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// The figures: `name{label="value",...}` and what stands behind it.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let request = b"GET /metrics HTTP/1.1\r\nHost: hotseat\r\nConnection: close\r\n\r\n";
        let (status, text) = self.http_text(request);
        assert_eq!(status, 200);
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// A JSON request.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: hotseat\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.http(request.as_bytes())
    }

    /// The traces are as they were before. A connection that was closed is gone a moment later, so this looks again
    /// when they are not.
    #[track_caller]
    pub(crate) fn returns_to(&self, before: &Traces) {
        let is_as_before = (0..20).any(|_| self.traces() == *before);
        assert!(is_as_before, "{:#?}\nwas before\n{before:#?}", self.traces());
    }

    /// The traces that plugged devices leave outside the daemon's memory.
    pub(crate) fn traces(&self) -> Traces {
        let doctor = self.run(&["doctor", "--json"]);
        let checks: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let grants = checks.as_array().unwrap().iter().find(|check| check["check"] == "grants");
        Traces {
            kernel: devices_of_hotseat(),
            staged: files(&self.path("stage")),
            grants: grants.unwrap()["detail"].as_str().unwrap().to_owned(),
            descriptors: fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count(),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(program) = self.program.take() else { return };
        let log = program.end("TERM");
        if std::thread::panicking() {
            eprintln!("--- the daemon:\n{log}");
            return;
        }
        let stage = self.path("stage");
        assert!(files(&stage).is_empty(), "left behind: {:?}", files(&stage));
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(stage.to_str().unwrap()), "the staging file system stays mounted");
        assert!(!self.path("sock").exists(), "the socket stays");
        assert_eq!(devices_of_hotseat(), BTreeSet::new());
    }
}

/// What is to be the same before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traces {
    pub(crate) kernel: BTreeSet<String>,
    pub(crate) staged: BTreeSet<PathBuf>,
    pub(crate) grants: String,
    pub(crate) descriptors: usize,
}

/// The input devices with our `phys`, by name in sysfs.
pub(crate) fn devices_of_hotseat() -> BTreeSet<String> {
    let entries = fs::read_dir("/sys/devices/virtual/input").into_iter().flatten();
    let ours = |entry: &fs::DirEntry| {
        let phys = fs::read_to_string(entry.path().join("phys"));
        phys.is_ok_and(|phys| phys.starts_with("hotseat/"))
    };
    entries
        .map(Result::unwrap)
        .filter(ours)
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// All files (not directories) below a directory.
pub(crate) fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries.map(Result::unwrap) {
        if entry.file_name() == ".locked" {
            // The same files once more, for containers to be started with.
        } else if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path());
        }
    }
    found
}

/// A device as the API shows it.
pub(crate) struct Plugged(pub(crate) Value);

impl Plugged {
    /// The path of its first node whose name starts with `prefix`.
    pub(crate) fn node(&self, prefix: &str) -> String {
        let name = |path: &&String| path.rsplit('/').next().unwrap().starts_with(prefix);
        self.nodes().iter().find(name).unwrap().clone()
    }

    /// The paths of its nodes.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let nodes = self.0["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["path"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn slot(&self) -> String {
        self.0["slot"].to_string()
    }
}

/// A Docker container, started by `docker run --network none IMAGE` unless more is given: it has a network namespace of its
/// own, and Docker needs not connect that (`matrix::docker` has one that is connected).
pub(crate) struct Container {
    pub(crate) name: String,
}

impl Container {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, "--network none", "")
    }

    /// With options for `docker run` and a command.
    pub(crate) fn start_with(name: &str, options: &str, command: &str) -> Self {
        let name = format!("hotseat-{}-{name}", std::process::id());
        sh(&format!(
            "systemctl start docker; docker run --detach --name {name} {options} {IMAGE} {command}"
        ));
        Self { name }
    }

    pub(crate) fn reference(&self) -> String {
        format!("docker:{}", self.name)
    }

    /// Runs a script in it; it must succeed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        assert!(output.status.success(), "`{script}` in {}: {output:?}", self.name);
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn try_sh(&self, script: &str) -> Output {
        Command::new("docker")
            .args(["exec", &self.name, "sh", "-ec", script])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Starts a program in it.
    pub(crate) fn program(&self, environment: &[&str], command: &[&str]) -> Program {
        let mut all = vec!["docker", "exec", "--interactive"];
        for variable in environment {
            all.extend(["--env", variable]);
        }
        all.push(&self.name);
        all.extend(command);
        Program::start(&all)
    }

    /// Starts a Python program in it.
    pub(crate) fn python(&self, script: &str) -> Program {
        self.program(&[], &["python3", "-u", "-c", script])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.name]).output();
    }
}
