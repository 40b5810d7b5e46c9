//! `input`: from a client's call to the event that a program in the container can read; against the least that there can be.

mod ages;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::ages::Ages;
use super::soon;
use crate::demo::daemon::{self, Daemon};
use crate::demo::program::Program;
use crate::tools;

/// How much longer than plain UDP it may take, of the medians.
const GOAL: f64 = 2.5;

/// Players of a session (`remote.connections_per_session`); each has one pad.
const MOST_PADS: u16 = 16;

const PADS: [u16; 3] = [1, 16, 64];
const RATES: [u32; 2] = [250, 1000];

/// The pads and the rate at which no frame may be lost.
const MOST: (u16, u32) = (64, 1000);

/// One turn of a side: short, so that whatever else the machine does meets all sides alike.
const TURN: Duration = Duration::from_millis(1000);

const EXPLANATION: &str = "\
In turns, players change the sticks of their pads so many times a second, not in step, and programs read the pads' nodes. How old an
event is when its node becomes readable is in the event.
hotseat: the client library, QUIC, the daemon, a container; a connection for each pad.
udp:     a datagram, and a server that does nothing but one write(2) to uinput.
tcp:     the same on streams, a thread for each.
";

/// A way from players to programs.
pub(super) struct Side {
    name: &'static str,
    // Dropped first: what they have plugged is not missed.
    players: Vec<Players>,
    readers: Vec<Program>,
    /// Those of the least server. The daemon has its own owner.
    servers: Vec<Program>,
    /// Whose processor time counts.
    busy: Vec<u32>,
}

/// The players of a session.
struct Players {
    program: Program,
    pads: u16,
}

/// What came of the turns of a side.
#[derive(Default)]
pub(super) struct Measured {
    ages: Ages,
    /// Frames.
    sent: u64,
    /// Frames that should have been sent: a machine that is too slow misses some.
    due: u64,
    busy: Duration,
    length: Duration,
}

/// What all rows come to.
#[derive(Default)]
struct Verdict {
    worst: f64,
    judged: u32,
    /// Of the first row, which asks the least of a machine.
    least: Option<f64>,
    lost: u64,
    kept_pace_at_most: bool,
}

/// Measures `rounds` turns on this machine, which has uinput and where we are root.
pub(crate) fn run_here(rounds: u32) -> Result<()> {
    ensure!(rounds > 0, "no rounds, no result");
    daemon::load_modules()?;
    let programs = tools::target()?.join("release");
    let (mut daemon, address) = listening(&programs, "datagrams_per_session = 64000\n")?;
    let measured = measure(&daemon, &programs, &address, rounds);
    daemon.explain(measured)?.judge()
}

/// A daemon that listens for players, and where.
pub(super) fn listening(programs: &Path, more: &str) -> Result<(Daemon, String)> {
    // The port is free now, and nobody else takes one here.
    let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let remote = |folder: &Path| {
        let identity = folder.join("identity.pem");
        format!("[remote]\nlisten = {address:?}\nidentity = {identity:?}\n{more}")
    };
    Ok((Daemon::start_with(&programs.join("hotseat"), remote, soon())?, address))
}

/// `bench-input`, where the sandboxes can start it from, which is no network file system as in the test machine.
pub(super) fn parts(daemon: &Daemon, programs: &Path) -> Result<String> {
    let program = daemon.folder().join("bench-input");
    fs::copy(programs.join("bench-input"), &program).context("copying bench-input")?;
    Ok(program.to_str().context("a path that is not UTF-8")?.to_owned())
}

fn measure(daemon: &Daemon, programs: &Path, address: &str, rounds: u32) -> Result<Verdict> {
    let program = &parts(daemon, programs)?;
    println!("{EXPLANATION}");
    println!(
        "{:>4} {:>5}  {:<8} {:>10} {:>10} {:>10} {:>19} {:>8} {:>7}",
        "pads", "Hz", "", "p50", "p99", "p99.9", "frames", "CPU/pad", "of udp"
    );
    let mut verdict = Verdict::default();
    for pads in PADS {
        let mut sides = [
            plain(program, "udp", pads)?,
            plain(program, "tcp", pads)?,
            hotseat(daemon, program, address, pads)?,
        ];
        for hertz in RATES {
            let mut measured: [Measured; 3] = Default::default();
            for round in 0..=rounds as usize {
                // Each is first as often as the others, and the first turn of each is for warming up.
                for place in round..round + sides.len() {
                    let at = place % sides.len();
                    let turn = sides[at].turn(hertz)?;
                    if round > 0 {
                        measured[at].add(&turn);
                    }
                }
            }
            let [udp, _, ours] = &measured;
            for (side, of_side) in sides.iter().zip(&measured) {
                of_side.print(side.name, pads, hertz, udp);
            }
            verdict.take(udp, ours, (pads, hertz));
        }
    }
    Ok(verdict)
}

/// The pads of each session.
fn sessions(pads: u16) -> impl Iterator<Item = u16> {
    (0..pads).step_by(MOST_PADS.into()).map(move |from| MOST_PADS.min(pads - from))
}

pub(super) fn hotseat(daemon: &Daemon, program: &str, address: &str, pads: u16) -> Result<Side> {
    let mut side =
        Side { name: "hotseat", players: vec![], readers: vec![], servers: vec![], busy: vec![] };
    side.busy.push(daemon.pid());
    for (number, count) in sessions(pads).enumerate() {
        // Not one that is on its way out, of another row.
        let session = format!("bench-{pads}-{number}");
        let run = ["run", "--session", &session, "--", program, "read"];
        let mut reader = daemon.command("a reader", &run)?;
        // It answers when it runs, and then the session is there.
        ask(&mut reader, "begin", "done")?;
        let [fingerprint, token] = token(daemon, &session)?;
        let players = count.to_string();
        let send = ["send", "quic", address, &fingerprint, &session, &token, &players];
        side.join(program, &send, count)?;
        let devices = daemon.ask("GET", &format!("/v1/sessions/{session}/devices"), "")?;
        let devices = devices.as_array().context("an answer that is no list")?;
        let nodes = devices.iter().flat_map(|device| device["nodes"].as_array());
        let paths = nodes.flatten().filter_map(|node| node["path"].as_str());
        for path in paths.filter(|path| path.starts_with("/dev/input/event")) {
            ask(&mut reader, &format!("open {path}"), "done")?;
        }
        side.readers.push(reader);
    }
    Ok(side)
}

/// The server's fingerprint, and a token for a session.
pub(super) fn token(daemon: &Daemon, session: &str) -> Result<[String; 2]> {
    let wanted = format!(r#"{{"session":"{session}"}}"#);
    let token = daemon.ask("POST", "/v1/tokens", &wanted)?;
    let text = |name: &str| token[name].as_str().context("an answer that is no token");
    Ok([text("fingerprint")?.to_owned(), text("token")?.to_owned()])
}

fn plain(program: &str, way: &'static str, pads: u16) -> Result<Side> {
    let mut side =
        Side { name: way, players: vec![], readers: vec![], servers: vec![], busy: vec![] };
    for pads in sessions(pads) {
        let count = pads.to_string();
        let mut server = Program::start("the least server", program, &["plain", way, &count])?;
        let listening = said(&mut server, "listening ")?;
        let (address, nodes) = listening.split_once(' ').context("a server without nodes")?;
        side.join(program, &["send", way, address, &count], pads)?;
        let mut reader = Program::start("a reader", program, &["read"])?;
        for node in nodes.split(' ') {
            ask(&mut reader, &format!("open {node}"), "done")?;
        }
        side.readers.push(reader);
        side.busy.push(server.pid());
        side.servers.push(server);
    }
    Ok(side)
}

impl Side {
    fn join(&mut self, program: &str, arguments: &[&str], pads: u16) -> Result<()> {
        let mut players = Program::start("the players", program, arguments)?;
        said(&mut players, "ready")?;
        self.players.push(Players { program: players, pads });
        Ok(())
    }

    pub(super) fn turn(&mut self, hertz: u32) -> Result<Measured> {
        for reader in &mut self.readers {
            ask(reader, "begin", "done")?;
        }
        let (start, before) = (Instant::now(), self.busy()?);
        for players in &mut self.players {
            players.program.tell(&format!("go {hertz} {}", TURN.as_millis()))?;
        }
        let mut measured = Measured::default();
        for players in &mut self.players {
            let pads = u64::from(players.pads);
            measured.sent += said(&mut players.program, "sent ")?.parse::<u64>()?;
            measured.due += pads * u64::from(hertz) * TURN.as_secs();
        }
        measured.busy = self.busy()?.saturating_sub(before);
        measured.length = start.elapsed();
        for reader in &mut self.readers {
            measured.ages.add(&Ages::parse(&ask(reader, "end", "frames ")?)?);
        }
        Ok(measured)
    }

    /// The processor time of its servers so far (proc_pid_stat(5): `utime` and `stime`, of which a second has 100).
    fn busy(&self) -> Result<Duration> {
        let mut ticks = 0;
        for pid in &self.busy {
            let path = format!("/proc/{pid}/stat");
            let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
            // The name, in parentheses, may have spaces.
            let (_, fields) = stat.rsplit_once(')').context("no name in it")?;
            let times = fields.split_ascii_whitespace().skip(11).take(2);
            ticks += times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        }
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Measured {
    pub(super) fn add(&mut self, turn: &Self) {
        self.ages.add(&turn.ages);
        self.sent += turn.sent;
        self.due += turn.due;
        self.busy += turn.busy;
        self.length += turn.length;
    }

    /// The age that this part of the frames, of a thousand, do not exceed.
    pub(super) fn at(&self, part: u64) -> Duration {
        self.ages.at(part)
    }

    /// Frames that nobody read.
    pub(super) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.ages.count())
    }

    /// Whether the machine was fast enough for what was measured.
    fn kept_pace(&self) -> bool {
        self.lost() == 0 && self.sent * 100 >= self.due * 95
    }

    fn ratio(&self, udp: &Self) -> f64 {
        self.ages.at(500).as_secs_f64() / udp.ages.at(500).as_secs_f64()
    }

    fn print(&self, name: &str, pads: u16, hertz: u32, udp: &Self) {
        let us = |part| format!("{} us", self.ages.at(part).as_micros());
        let busy = self.busy.as_secs_f64() / self.length.as_secs_f64() / f64::from(pads);
        println!(
            "{pads:>4} {hertz:>5}  {name:<8} {:>10} {:>10} {:>10} {:>9} of {:>6} {:>6.2} % {:>7.2}",
            us(500),
            us(990),
            us(999),
            self.ages.count(),
            self.sent,
            busy * 100.0,
            self.ratio(udp)
        );
    }
}

impl Verdict {
    fn take(&mut self, udp: &Measured, ours: &Measured, row: (u16, u32)) {
        self.least.get_or_insert(ours.ratio(udp));
        if !udp.kept_pace() {
            let (sent, due) = (udp.sent, udp.due);
            println!("            too slow a machine: plain UDP sends {sent} frames of {due}");
            return;
        }
        // Where it is not emulated, that is no excuse.
        if !ours.kept_pace() && std::env::var_os("HOTSEAT_VM").is_some() {
            let (sent, due) = (ours.sent, ours.due);
            println!("            too slow a machine: QUIC sends {sent} frames of {due}");
            return;
        }
        self.judged += 1;
        self.worst = self.worst.max(ours.ratio(udp));
        if row == MOST {
            self.kept_pace_at_most = true;
            self.lost = ours.lost();
        }
    }

    fn judge(self) -> Result<()> {
        let (pads, hertz) = MOST;
        println!();
        if std::env::var_os("HOTSEAT_VM").is_some() {
            println!("This was emulated in software: hardware needs a small part of these times,");
            println!("and less of them for arithmetic such as encryption.");
        }
        let worst = if self.judged > 0 {
            self.worst
        } else {
            println!(
                "Plain UDP never kept pace; one pad at the pace that this machine keeps says:"
            );
            self.least.context("no rows")?
        };
        println!("hotseat takes {worst:.2} times as long as plain UDP (at most {GOAL})");
        if self.kept_pace_at_most {
            println!("{pads} pads at {hertz} Hz: {} frames lost (at most 0)", self.lost);
        } else {
            println!("{pads} pads at {hertz} Hz: this machine is too slow to say");
        }
        ensure!(worst <= GOAL, "hotseat is not fast enough");
        ensure!(self.lost == 0, "frames were lost");
        Ok(())
    }
}

/// What the next line says that begins with this.
pub(super) fn said(program: &mut Program, what: &str) -> Result<String> {
    program.wait_for(&format!("`{what}`"), soon(), |line| {
        line.text.strip_prefix(what).map(str::to_owned)
    })
}

/// Tells a program something, and returns what it answers.
pub(super) fn ask(program: &mut Program, line: &str, answer: &str) -> Result<String> {
    program.tell(line)?;
    said(program, answer)
}
