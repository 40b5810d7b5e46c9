//! The players: each has a pad, which changes so many times a second.
//!
//! They say `ready` when the pads are there, are told `go HERTZ MILLISECONDS`, and say `sent COUNT`, of all of them, when
//! that is over. Players are not in step: the pads change one after the other, as evenly as there is time for.

use std::io::{BufRead, Write, stdin, stdout};
use std::net::{TcpStream, UdpSocket};
use std::num::NonZeroU64;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hotseat_client::wire::{Axes, Change};
use hotseat_client::{Client, Device, Options};
use rustix::thread::set_current_timer_slack;

use super::{RECORD, Way, clock};

/// What a client may send at most, and more than the 250 of one that is not told: what is new is not to wait.
const RATE: u32 = 1000;

/// After the last frame, until none is on its way any more.
const AFTER: Duration = Duration::from_millis(300);

pub(super) fn quic(
    address: &str,
    fingerprint: &str,
    session: &str,
    token: &str,
    count: u8,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("starting the client's runtime")?;
    let mut players: Vec<(Client, Device)> = Vec::new();
    for slot in 0..count {
        let mut options = Options::new(address, fingerprint.parse()?, session, token);
        options.rate = RATE;
        players.push(runtime.block_on(async {
            let client = Client::connect(options).await?;
            let pad = client.plug(slot, "gamepad").await?;
            anyhow::Ok((client, pad))
        })?);
    }
    play(count, |player, number| {
        let (_, pad) = &players[usize::from(player)];
        let [lx, ly, rx, ry] = clock::axes(number);
        let (left_stick, right_stick) = ([lx, ly], [rx, ry]);
        pad.change(Change::Axes(Axes { left_stick, right_stick, ..Axes::default() }));
        Ok(())
    })?;
    for (client, _) in players {
        runtime.block_on(client.close());
    }
    Ok(())
}

pub(super) fn plain(way: Way, address: &str, count: u8) -> Result<()> {
    let players = (0..count).map(|_| Socket::connect(way, address));
    let mut players = players.collect::<Result<Vec<_>>>()?;
    play(count, |pad, number| {
        let mut record = [0; RECORD];
        record[0] = pad;
        for (to, axis) in record[1..].chunks_exact_mut(2).zip(clock::axes(number)) {
            to.copy_from_slice(&axis.to_le_bytes());
        }
        players[usize::from(pad)].send(&record)
    })
}

/// The way to the least server.
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Socket {
    fn connect(way: Way, address: &str) -> Result<Self> {
        Ok(match way {
            Way::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.connect(address)?;
                Self::Udp(socket)
            }
            Way::Tcp => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Self::Tcp(stream)
            }
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Udp(socket) => drop(socket.send(bytes)?),
            Self::Tcp(stream) => stream.write_all(bytes)?,
        }
        Ok(())
    }
}

/// Has `change` say that a pad has changed, each as often as it is told, until the input ends.
fn play(pads: u8, mut change: impl FnMut(u8, u64) -> Result<()>) -> Result<()> {
    // A sleep is to end when it should, not up to 50 microseconds later (prctl(2), PR_SET_TIMERSLACK).
    set_current_timer_slack(NonZeroU64::new(1)).context("setting the timer slack")?;
    say("ready")?;
    let mut number = 0;
    for line in stdin().lock().lines() {
        let line = line?;
        let told = line.strip_prefix("go ").and_then(|rest| rest.split_once(' '));
        let (hertz, length) = told.with_context(|| format!("nobody knows what `{line}` is"))?;
        let step = Duration::from_secs(1) / hertz.parse()? / pads.into();
        let end = Instant::now() + Duration::from_millis(length.parse()?);
        let mut next = Instant::now();
        let mut sent = 0;
        while next < end {
            number += 1;
            for pad in 0..pads {
                sleep(next.saturating_duration_since(Instant::now()));
                change(pad, number)?;
                sent += 1;
                // A machine that is too slow for the rate misses changes, it does not make up for them.
                next = (next + step).max(Instant::now());
            }
        }
        sleep(AFTER);
        say(&format!("sent {sent}"))?;
    }
    Ok(())
}

pub(super) fn say(line: &str) -> Result<()> {
    println!("{line}");
    Ok(stdout().flush()?)
}
