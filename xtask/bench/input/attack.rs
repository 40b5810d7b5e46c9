//! The attacker: a client that has a token for a session of its own, and means harm to the others.
//!
//! It says `ready`, is told `begin KIND`, says `done` when that goes on, and is told `end`: then it says `did COUNT`.

use std::io::stdin;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hotseat_client::wire::control::Message;
use hotseat_client::wire::{ALPN, MAX_DATAGRAM};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::send::say;
use believing::Believing;

#[path = "../../../tests/e2e/remote/believing.rs"]
mod believing;

/// How many connections are tried in a second.
const CONNECTS: u32 = 200;

/// How many of them are open, or begun, at once.
const MOST_OPEN: usize = 400;

/// Datagrams that are larger than any may be, in a second.
const OVERSIZED: u32 = 500;

/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an attack needs to know.
struct Attacker {
    endpoint: Endpoint,
    server: SocketAddr,
    session: String,
    token: String,
    /// How often it has done what it does.
    count: AtomicU64,
}

pub(super) fn run(address: &str, session: &str, token: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the attacker's runtime")?;
    let attacker = Arc::new(Attacker {
        endpoint: runtime.block_on(async { endpoint() })?,
        server: address.parse()?,
        session: session.to_owned(),
        token: token.to_owned(),
        count: AtomicU64::new(0),
    });
    say("ready")?;
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut lines = stdin().lines().map_while(Result::ok);
        lines.try_for_each(|line| told.send(line))
    });
    while let Some(line) = runtime.block_on(tell.recv()) {
        let kind = line.strip_prefix("begin ").with_context(|| format!("what is `{line}`?"))?;
        attacker.count.store(0, Relaxed);
        say("done")?;
        attack(&runtime, &attacker, kind, tell.recv())?;
        say(&format!("did {}", attacker.count.load(Relaxed)))?;
    }
    Ok(())
}

/// Attacks until something is said.
fn attack(
    runtime: &Runtime,
    attacker: &Arc<Attacker>,
    kind: &str,
    end: impl Future<Output = Option<String>>,
) -> Result<()> {
    let attacker = Arc::clone(attacker);
    runtime.block_on(async {
        let attack = async {
            match kind {
                "flood" => attacker.datagrams(None).await,
                "oversized" => attacker.datagrams(Some(OVERSIZED)).await,
                "half-open" => attacker.connect(&[]).await,
                "tokens" => {
                    let wrong = vec![b'0'; attacker.token.len()];
                    attacker.connect(&attacker.introduction(wrong)).await
                }
                _ => bail!("nobody knows the attack `{kind}`"),
            }
        };
        tokio::select! {
            attacked = attack => attacked,
            _ = end => Ok(()),
        }
    })
}

/// A handshake, and perhaps a word. Then it waits until the server has had enough.
async fn lurk(connecting: Connecting, word: Vec<u8>) {
    let Ok(connection) = connecting.await else { return };
    if !word.is_empty() {
        let Ok((mut send, _recv)) = connection.open_bi().await else { return };
        let _ = send.write_all(&word).await;
        let _ = send.stopped().await;
    }
    connection.closed().await;
}

impl Attacker {
    fn introduction(&self, token: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        Message::Hello { features: 0, name: "attacker".to_owned() }.write(&mut bytes);
        let session = self.session.clone();
        Message::Attach { session, token, resume: Vec::new() }.write(&mut bytes);
        bytes
    }

    /// Begins connections, whatever becomes of them.
    async fn connect(&self, word: &[u8]) -> Result<()> {
        let mut open = JoinSet::new();
        let mut ticks = interval(Duration::from_secs(1) / CONNECTS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            while open.try_join_next().is_some() {}
            if open.len() < MOST_OPEN {
                let connecting = self.endpoint.connect(self.server, "hotseat")?;
                open.spawn(lurk(connecting, word.to_owned()));
                self.count.fetch_add(1, Relaxed);
            }
        }
    }

    /// Sends datagrams that are too large, so many in a second; or any, as fast as they go. Where it is thrown out it comes
    /// back.
    async fn datagrams(&self, rate: Option<u32>) -> Result<()> {
        let junk = vec![0; if rate.is_some() { MAX_DATAGRAM + 1 } else { 1000 }];
        let mut ticks = rate.map(|rate| interval(Duration::from_secs(1) / rate));
        loop {
            let Ok(Ok((connection, _streams))) = timeout(PATIENCE, self.attach()).await else {
                continue;
            };
            loop {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                if connection.send_datagram_wait(junk.clone().into()).await.is_err() {
                    break;
                }
                self.count.fetch_add(1, Relaxed);
            }
        }
    }

    /// Comes as a player does.
    async fn attach(&self) -> Result<(Connection, (SendStream, RecvStream))> {
        let connection = self.endpoint.connect(self.server, "hotseat")?.await?;
        let (mut send, mut recv) = connection.open_bi().await?;
        send.write_all(&self.introduction(self.token.clone().into())).await?;
        let mut bytes = Vec::new();
        loop {
            let chunk = recv.read_chunk(4096, true).await?.context("the server has closed")?;
            bytes.extend_from_slice(&chunk.bytes);
            let mut rest = bytes.as_slice();
            while let Some(message) = Message::take(&mut rest)? {
                if let Message::Attached { nonce, .. } = message {
                    let mut ready = Vec::new();
                    Message::Ready { nonce }.write(&mut ready);
                    send.write_all(&ready).await?;
                    return Ok((connection, (send, recv)));
                }
            }
        }
    }
}

fn endpoint() -> Result<Endpoint> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believing))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
    let quic = QuicClientConfig::try_from(tls)?;
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(quic)));
    Ok(endpoint)
}
