//! Everything at once, for long: sessions whose devices come and go while containers, clients, the runtime and the daemon
//! end at any moment. `HOTSEAT_SOAK=10000 cargo xtask test --timeout 20000 soak::` is the long run, which says in
//! `target/soak.log` how far it is; the gate has a short one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::harness::{Container, Daemon, HOTSEAT, Program, Traces, restart_docker, say, sh};

/// Plugs, if nothing else is said.
const CYCLES: u32 = 120;

/// Sessions; each of the threads has its own.
const SESSIONS: usize = 20;
const THREADS: usize = 4;

/// Slots that are used in a session.
const SLOTS: u8 = 3;

const PROFILES: [&str; 8] =
    ["xbox-one", "xbox-360", "mouse", "keyboard", "gamepad", "touchscreen", "wheel", "dualsense"];

/// What may be answered to those who get in each other's way.
const EXPECTED: [&str; 5] =
    ["no-container", "withdrawn", "slot-empty", "session-has-container", "container-not-running"];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

/// What a session plays in.
enum Place {
    Docker(Container),
    Sandbox(Option<Program>),
}

struct Seat {
    name: String,
    place: Place,
}

impl Seat {
    fn new(number: usize) -> Self {
        let name = format!("s{number}");
        let place = match number {
            0 | 1 => Place::Docker(Container::start(&format!("soak-{number}"))),
            _ => Place::Sandbox(None),
        };
        Self { name, place }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/sessions/{}{rest}", self.name)
    }

    /// Gives it a container, if it has none that runs.
    fn settle_in(&mut self, daemon: &Daemon) {
        match &mut self.place {
            Place::Docker(container) => {
                sh(&format!("docker start {}", container.name));
                let body = json!({ "container": container.reference() }).to_string();
                fine(daemon.call("PUT", &self.path("/container"), &body));
            }
            Place::Sandbox(program) => {
                let socket = daemon.path("sock").display().to_string();
                let command = [&HOTSEAT, "--socket", &socket, "run", "--session", &self.name, "--"];
                let script = ["sh", "-c", "echo inside; exec sleep infinity"];
                let mut sandbox = Program::start_unlimited(&[&command[..], &script].concat());
                sandbox.expect("inside");
                *program = Some(sandbox);
            }
        }
    }

    /// Ends its container, as a crash would.
    fn crash(&mut self) {
        match &mut self.place {
            Place::Docker(container) => drop(sh(&format!("docker kill {}", container.name))),
            // The end of `hotseat run` is the end of its sandbox.
            Place::Sandbox(program) => drop(program.take().map(|program| program.end("KILL"))),
        }
    }
}

/// The answer, which is a success or one that is expected where several get in each other's way.
#[track_caller]
fn fine((status, answer): (u16, Value)) -> bool {
    let code = answer["code"].as_str().unwrap_or_default();
    assert!(status < 300 || EXPECTED.contains(&code), "{status}: {answer}");
    status < 300
}

/// One thing that happens to a session.
fn step(daemon: &Daemon, seat: &mut Seat, random: &mut Random, plugs: &AtomicU32) {
    let slot = random.below(SLOTS.into());
    let device = seat.path(&format!("/devices/{slot}"));
    match random.below(40) {
        0..20 => {
            let profile = PROFILES[random.below(PROFILES.len())];
            let body = json!({ "profile": profile }).to_string();
            if fine(daemon.call("PUT", &device, &body)) {
                let count = plugs.fetch_add(1, Relaxed) + 1;
                if count.is_multiple_of(100) {
                    say(&format!("  {count} plugs"));
                }
            }
        }
        20..34 => drop(fine(daemon.call("DELETE", &device, ""))),
        34..39 => {
            // A client that is cut off in the middle of a line.
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n",
                seat.path("/client")
            );
            let lines = format!(
                "{{\"plug\":{{\"slot\":{slot},\"profile\":\"keyboard\"}}}}\n\
                 {{\"input\":{{\"slot\":{slot},\"events\":[\"a=1\"]}}}}\n{{\"inp"
            );
            let mut client = UnixStream::connect(daemon.path("sock")).unwrap();
            client.write_all((head + &lines).as_bytes()).unwrap();
        }
        _ => {
            seat.crash();
            seat.settle_in(daemon);
        }
    }
}

/// As many plugs as that, by several threads.
fn play(daemon: &Daemon, seats: &Mutex<Vec<Vec<Seat>>>, seed: &AtomicU64, cycles: u32) {
    let plugs = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut mine = seats.lock().unwrap().pop().unwrap();
                let mut random = Random(seed.fetch_add(1, Relaxed));
                while plugs.load(Relaxed) < cycles {
                    let seat = random.below(mine.len());
                    step(daemon, &mut mine[seat], &mut random, &plugs);
                }
                seats.lock().unwrap().insert(0, mine);
            });
        }
    });
}

/// Unplugs everything.
fn clear(daemon: &Daemon) {
    for number in 0..SESSIONS {
        for slot in 0..SLOTS {
            fine(daemon.call("DELETE", &format!("/v1/sessions/s{number}/devices/{slot}"), ""));
        }
    }
}

/// What is left outside the daemon, and how much memory it has.
fn world(daemon: &Daemon) -> (Traces, BTreeMap<&'static str, usize>, u64) {
    let count = |script: &str| sh(script).trim().parse().unwrap();
    let counts = [
        ("programs", count("bpftool prog list 2>/dev/null | grep -c hotseat_grants || true")),
        ("mounts", count("grep -c hotseat /proc/self/mounts || true")),
    ];
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kib = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (daemon.traces(), counts.into(), kib)
}

#[test]
fn nothing_is_lost_or_left_over() {
    let cycles = std::env::var("HOTSEAT_SOAK").map_or(CYCLES, |cycles| cycles.parse().unwrap());
    let seed = AtomicU64::new(u64::from(std::process::id()));
    say(&format!("{cycles} cycles, seed {}", seed.load(Relaxed)));
    let mut daemon = Daemon::start();
    for number in 0..SESSIONS {
        daemon.hotseat(&["session", "add", &format!("s{number}"), "--grace", "0"]);
    }
    let mut seats: Vec<_> = (0..SESSIONS).map(Seat::new).collect();
    for seat in &mut seats {
        seat.settle_in(&daemon);
    }
    let mut groups: Vec<Vec<Seat>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (number, seat) in seats.into_iter().enumerate() {
        groups[number % THREADS].push(seat);
    }
    let seats = Mutex::new(groups);

    // The first half: the daemon is killed again and again, and sometimes the runtime is restarted meanwhile.
    let rounds = (cycles / 2).div_ceil(100).max(2);
    for round in 0..rounds {
        say(&format!("round {} of {rounds}", round + 1));
        play(&daemon, &seats, &seed, cycles / 2 / rounds);
        daemon.crash();
        if round % 10 == 1 {
            restart_docker();
        }
        daemon.launch();
        for seat in seats.lock().unwrap().iter_mut().flatten() {
            if let Place::Docker(_) = seat.place {
                seat.settle_in(&daemon);
            }
        }
    }

    say("one daemon");
    // The second half, of one daemon: it does not grow.
    play(&daemon, &seats, &seed, cycles / 8);
    clear(&daemon);
    let (traces, counts, before) = world(&daemon);
    play(&daemon, &seats, &seed, cycles / 2);
    clear(&daemon);
    daemon.returns_to(&traces);
    let (_, counts_now, after) = world(&daemon);
    assert_eq!(counts_now, counts);
    say(&format!("{before} KiB before, {after} KiB after"));
    assert!(after < before + 5 * 1024, "{before} KiB before, {after} KiB after");

    for number in 0..SESSIONS {
        daemon.hotseat(&["session", "rm", &format!("s{number}")]);
    }
    assert!(daemon.traces().kernel.is_empty());
    assert!(daemon.traces().grants.contains(" 0 in use"), "{}", daemon.traces().grants);
}
