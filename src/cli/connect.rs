//! `hotseat connect`: this machine's devices, a script or a record, in a session of a server.

mod abilities;
mod axis;
mod battery;
mod controls;
mod devices;
mod lights;
mod mapping;
mod output;
mod replay;
mod script;
mod snapshot;
mod status;
mod sys;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use hotseat_client::{Client, Error, Event, Events, Fingerprint, Identity, Options};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::devices::Devices;
use self::output::Running;
use self::replay::Recording;
use self::script::Script;
use self::status::{INTERVAL, Since, Status};

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// The server: HOST:PORT.
    address: String,
    /// The session.
    #[arg(long)]
    session: String,
    /// The token that `hotseat token` made on the server. Others on this machine can see a command line: HOTSEAT_TOKEN or
    /// --token-file keeps it from them.
    #[arg(long, env = "HOTSEAT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The SHA-256 of the server's certificate, as `hotseat token` shows it; may be given several times.
    #[arg(long = "fingerprint", value_name = "F", required = true)]
    fingerprints: Vec<Fingerprint>,
    /// An event node to forward, such as one of /dev/input/by-id; may be given several times. All pads, also those that
    /// come later, if not given.
    #[arg(long = "device", value_name = "NODE", conflicts_with_all = ["script", "replay"])]
    devices: Vec<PathBuf>,
    /// Take the devices for this alone: programs of this machine hear nothing of them meanwhile.
    #[arg(long, conflicts_with_all = ["script", "replay"])]
    grab: bool,
    /// The slot of the first device; the others come after it. For players who share a session.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=31), conflicts_with_all = ["script", "replay"])]
    slot: u8,
    /// How many datagrams a second there are at most.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Play what this file says instead of devices: lines such as `plug 0 xbox-one`, `0 south=1 lx=-0.5`, `wait 100ms`.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    script: Option<PathBuf>,
    /// Play this record of evemu-record or libinput record instead of devices.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// A certificate for servers that want one, and those that vouch for it (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Print what happens as JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// What is played.
enum Source {
    Devices { named: Vec<PathBuf>, grab: bool, first_slot: u8 },
    Script(Script),
    Replay(Recording),
}

impl Source {
    async fn play(self, client: Client, status: Status, running: Running) -> Result<()> {
        match self {
            Self::Devices { named, grab, first_slot } => {
                Devices::new(client, named, grab, first_slot, status, running).forward().await
            }
            Self::Script(script) => script.play(&client, status).await,
            Self::Replay(recording) => recording.play(&client, status).await,
        }
    }
}

pub(super) fn run(args: ConnectArgs) -> Result<ExitCode> {
    let source = source(&args)?;
    let options = options(&args)?;
    let runtime = super::runtime()?;
    runtime.block_on(connect(options, source, Status::new(args.json)))?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be played, before anybody is told of it.
fn source(args: &ConnectArgs) -> Result<Source> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let wrong = |path: &Path| format!("{} is not understood", path.display());
    Ok(match (&args.script, &args.replay) {
        (Some(path), _) => {
            Source::Script(Script::parse(&read(path)?).with_context(|| wrong(path))?)
        }
        (None, Some(path)) => {
            Source::Replay(Recording::parse(&read(path)?).with_context(|| wrong(path))?)
        }
        (None, None) => {
            Source::Devices { named: args.devices.clone(), grab: args.grab, first_slot: args.slot }
        }
    })
}

fn options(args: &ConnectArgs) -> Result<Options> {
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => fs::read_to_string(path)
            .with_context(|| format!("cannot read the token in {}", path.display()))?,
        (None, None) => anyhow::bail!("no token: give HOTSEAT_TOKEN, --token-file or --token"),
    };
    let [first, others @ ..] = args.fingerprints.as_slice() else {
        anyhow::bail!("no fingerprint of the server is given")
    };
    let mut options = Options::new(&args.address, *first, &args.session, token.trim());
    options.fingerprints.extend(others);
    options.rate = args.rate;
    options.name = concat!("hotseat ", env!("CARGO_PKG_VERSION")).to_owned();
    if let (Some(certificate), Some(key)) = (&args.certificate, &args.key) {
        let wrong = |path: &Path| format!("cannot read {}", path.display());
        let certificates = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .with_context(|| wrong(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).with_context(|| wrong(key))?;
        options.identity = Some(Identity { certificates, key });
    }
    Ok(options)
}

/// Plays until the source ends, the connection cannot be made again, or a signal comes.
async fn connect(options: Options, source: Source, status: Status) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let (session, address) = (options.session.clone(), options.address.clone());
    let client = Client::connect(options).await?;
    status.attached(&session, &address);
    let shown = show(&client, status);
    let (running, mut all_ended) = mpsc::channel(1);
    let outcome = tokio::select! {
        outcome = source.play(client.clone(), status, running) => outcome,
        ended = shown => Err(ended),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    status.clear();
    client.close().await;
    // Real pads come to rest, unless a driver hangs.
    let _late = tokio::time::timeout(LAST_WORDS, all_ended.recv()).await;
    outcome
}

/// How long drivers have for what devices are told at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Shows what happens until the client ends. Returns why it did.
async fn show(client: &Client, status: Status) -> anyhow::Error {
    let mut events: Events = client.events();
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut since = Since::now(client.statistics());
    ticks.tick().await;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Ended(error)) => return anyhow::Error::new(Ended(error)),
                Some(event) => status.event(&event),
                None => return Error::Closed.into(),
            },
            _ = ticks.tick() => {
                let now = client.statistics();
                status.statistics(&since, &now);
                since = Since::now(now);
            }
        }
    }
}

/// The client has ended, and why.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Ended(std::sync::Arc<Error>);

/// What may help, if the client knows.
pub(super) fn hint(error: &anyhow::Error) -> &'static str {
    let known = error.chain().find_map(|cause| match cause.downcast_ref::<Ended>() {
        Some(Ended(error)) => Some(error.hint()),
        None => cause.downcast_ref::<Error>().map(Error::hint),
    });
    known.unwrap_or_default()
}
