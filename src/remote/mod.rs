//! Clients from afar: players whose devices come over QUIC (docs/remote.md, docs/protocol.md).
//!
//! One task for each connection. It knows its player by a token, takes the player's [seat](seat), and carries bytes to
//! [`hotseat_wire::ServerCore`] and changes from there to the session.

mod admission;
mod attach;
mod control;
mod endpoint;
mod error;
mod feedback;
mod identity;
mod play;
mod seat;
mod socket;
mod tokens;
mod wishes;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Connecting, Connection, Endpoint, Incoming, VarInt};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, debug, error, info, info_span};

use crate::config;
use crate::engine::{Engine, chain};
use crate::metrics;
use crate::problem::Problem;
use crate::session::Sessions;

use self::admission::{Admission, Place};
use self::control::{Reader, Writer};
pub(crate) use self::error::TokenError;
use self::error::{ListenError, Refusal};
use self::identity::Identity;
pub use self::identity::{Fingerprint, FingerprintError};
use self::seat::{Seat, Seats};
pub use self::tokens::Token;
pub(crate) use self::tokens::{Scope, Tokens};

/// How long the last words to a client may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long players who have gone may take to be unplugged when the daemon ends.
const LAST_UNPLUGS: Duration = Duration::from_secs(5);

/// The codes with which connections are closed (docs/remote.md).
const CLOSED: VarInt = VarInt::from_u32(0);
const REFUSED: VarInt = VarInt::from_u32(1);

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// It is lost; the player may come back.
    Lost,
    /// The player goes.
    Bye,
    /// It is ended from here.
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whether clients can come.
#[derive(Debug, Clone, Default)]
pub(crate) enum Listening {
    /// It is not wanted.
    #[default]
    No,
    /// It is wanted, and this is why they cannot.
    Failed(String),
    /// Here, by this fingerprint.
    Yes(SocketAddr, Fingerprint),
}

/// Makes a token for a session, and says what it is, where it is good and whom to believe there.
pub(crate) async fn add_token(
    sessions: &Sessions,
    session: &str,
    scope: Scope,
) -> Result<NewToken, Problem> {
    let engine = Arc::clone(sessions.engine());
    let Listening::Yes(address, fingerprint) = engine.remote.get() else {
        return Err(TokenError::NotListening.into());
    };
    sessions.show(session)?;
    let name = session.to_owned();
    let add = move || engine.tokens.add(&name, scope);
    let added = tokio::task::spawn_blocking(add).await.map_err(|_| TokenError::Lost)?;
    let (token, secret) = added?;
    // It may have been removed meanwhile, and its tokens before this one was there.
    if sessions.show(session).is_err() {
        sessions.forget_tokens().await;
    }
    sessions.show(session)?;
    Ok(NewToken { token, secret, address, fingerprint })
}

/// A token that was made.
#[derive(Debug)]
pub(crate) struct NewToken {
    pub(crate) token: Token,
    pub(crate) secret: String,
    /// Where the daemon listens.
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
}

/// [`Listening`], as it is now.
#[derive(Debug, Default)]
pub(crate) struct State(Mutex<Listening>);

impl State {
    pub(crate) fn get(&self) -> Listening {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, listening: Listening) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = listening;
    }
}

/// What all connections have in common.
#[derive(Debug)]
struct Server {
    sessions: Arc<Sessions>,
    seats: Seats,
    admission: Admission,
}

/// A thread of their own, for all clients: what they send waits for nothing else that the daemon does. More than one would
/// wake each other for every packet, and the endpoint takes them one by one all the same.
#[derive(Debug)]
struct Thread(Option<Runtime>);

impl Thread {
    fn start() -> std::io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("hotseat-remote").enable_all();
        runtime.build().map(|runtime| Self(Some(runtime)))
    }

    /// Does something whose tasks are to run there.
    fn enter<T>(&self, does: impl FnOnce() -> T) -> T {
        let _there = self.0.as_ref().map(Runtime::enter);
        does()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Waiting for it would block the thread that we are on.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The endpoint, and who serves it.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    accepting: JoinHandle<()>,
    _thread: Thread,
}

impl Listener {
    /// Listens where the configuration says. Without that, or if it cannot be done, which is logged and what `doctor` says,
    /// nobody comes.
    pub async fn start(sessions: &Arc<Sessions>) -> Option<Self> {
        let engine = sessions.engine();
        let config = engine.config();
        let address = config.remote.listen?;
        match open(&config.remote, address).await {
            Ok((thread, endpoint, fingerprint)) => {
                let address = endpoint.local_addr().unwrap_or(address);
                info!(%address, %fingerprint, "listening for clients from afar");
                engine.remote.set(Listening::Yes(address, fingerprint));
                let accepting = thread.enter(|| {
                    let server = Server::new(Arc::clone(sessions));
                    tokio::spawn(server.accept(endpoint.clone()))
                });
                Some(Self { endpoint, accepting, _thread: thread })
            }
            Err(error) => {
                let why = chain(&error);
                error!(why, "no client from afar can come");
                engine.remote.set(Listening::Failed(why));
                None
            }
        }
    }

    /// Closes every connection, as if it was lost: the clients may come back to the next daemon.
    pub async fn stop(self) {
        self.endpoint.close(CLOSED, b"the server stops");
        // Ends when every connection has let go of its session. A container may keep one from unplugging what it had.
        let accepting = self.accepting.abort_handle();
        if tokio::time::timeout(LAST_UNPLUGS, self.accepting).await.is_err() {
            accepting.abort();
        }
        let _ = tokio::time::timeout(LAST_WORDS, self.endpoint.wait_idle()).await;
    }
}

async fn open(
    config: &config::Remote,
    address: SocketAddr,
) -> Result<(Thread, Endpoint, Fingerprint), ListenError> {
    let path = config.identity.clone();
    let identity = tokio::task::spawn_blocking(move || Identity::load(&path)).await;
    let identity = identity.map_err(|_| ListenError::Lost)?.map_err(ListenError::Identity)?;
    let thread = Thread::start().map_err(ListenError::Thread)?;
    let endpoint = thread.enter(|| endpoint::open(config, address, &identity))?;
    Ok((thread, endpoint, identity.fingerprint()))
}

impl Server {
    fn new(sessions: Arc<Sessions>) -> Arc<Self> {
        let (seats, admission) = (Seats::default(), Admission::default());
        let server = Arc::new(Self { sessions, seats, admission });
        // The players of an earlier daemon.
        for (token, hash, slots) in server.engine().tokens.seats() {
            let owned: Vec<_> = slots.keys().copied().collect();
            let seat = Arc::new(Seat::new(hash, token, slots));
            server.seats.add(&seat);
            server.seats.own(&seat, owned.into_iter());
            server.expect_back(seat);
        }
        server
    }

    fn engine(&self) -> &Arc<Engine> {
        self.sessions.engine()
    }

    /// Time, as the engine's other limits count it.
    fn now(&self) -> Duration {
        self.engine().started.elapsed()
    }

    async fn accept(self: Arc<Self>, endpoint: Endpoint) {
        let mut connections = JoinSet::new();
        loop {
            let incoming = tokio::select! {
                Some(_) = connections.join_next() => continue,
                incoming = endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { break };
            let config = self.engine().config();
            let limits = &config.remote;
            let (address, now) = (incoming.remote_address(), self.now());
            let is_shown = incoming.remote_address_validated();
            let may_begin = || self.admission.may_begin(address.ip(), is_shown, limits, now);
            if !is_shown && (self.admission.is_crowded(limits) || !may_begin()) {
                // It comes again, from where it says it is (RFC 9000, section 8.1.2).
                let _ = incoming.retry();
                continue;
            }
            if is_shown && !may_begin() {
                // It says so again a little later, and may be in time then.
                metrics::remote_refused("too-fast");
                incoming.ignore();
                continue;
            }
            match self.admission.take(address.ip(), limits) {
                Some(place) => {
                    let serve = Arc::clone(&self).serve(incoming, place);
                    connections.spawn(serve.instrument(info_span!("remote", %address)));
                }
                None => {
                    metrics::remote_refused(Refusal::TooManyConnections.code());
                    incoming.refuse();
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }

    /// A connection, from its first packet to its last.
    async fn serve(self: Arc<Self>, incoming: Incoming, place: Place) {
        let config = self.engine().config();
        let until = Instant::now() + Duration::from_secs(config.remote.attach_seconds.get());
        let knows_clients = !config.remote.client_fingerprints.is_empty();
        let Ok(connecting) = incoming.accept() else { return };
        let Ok(Some(connection)) = timeout_at(until, handshake(connecting, knows_clients)).await
        else {
            metrics::remote_refused("handshake");
            return;
        };
        // Only the client opens streams, and only one.
        let Ok(Ok((send, recv))) = timeout_at(until, connection.accept_bi()).await else {
            debug!("a client says nothing");
            metrics::remote_refused(Refusal::AttachTimeout.code());
            connection.close(REFUSED, Refusal::AttachTimeout.code().as_bytes());
            return;
        };
        let (mut reader, mut writer) = (Reader::new(recv), Writer::new(send));
        let attached = attach::attach(&self, place, &mut reader, &mut writer);
        let attached = timeout_at(until, attached).await;
        let end = match attached.unwrap_or(Err(Refusal::AttachTimeout.into())) {
            Ok(attached) => {
                play::play(&self, &connection, attached, &mut reader, &mut writer).await
            }
            Err(end) => end,
        };
        if let End::Refused(Refusal::TooManyDatagrams) = end {
            self.admission.shut_out(connection.remote_address().ip(), self.now());
        }
        farewell(&connection, &mut writer, end).await;
    }

    /// Waits for the player of a seat that nobody has, and forgets it after the session's grace time.
    fn expect_back(self: &Arc<Self>, seat: Arc<Seat>) {
        let grace = self.sessions.show(&seat.token.session).map_or(0, |it| it.grace_seconds);
        let server = Arc::clone(self);
        tokio::spawn(async move {
            if Seats::expire(&seat, Duration::from_secs(grace)).await {
                server.forget(&seat).await;
            }
        });
    }

    /// A slot of a seat's is another player's now. A seat without any is nobody's to come back to.
    async fn rob(&self, seat: &Arc<Seat>, slot: u8) {
        match seat.lose(slot) {
            Some(slots) if slots.is_empty() => self.forget(seat).await,
            Some(slots) => wishes::note(self.engine(), seat, &slots).await,
            None => {}
        }
    }

    /// Nobody comes back to a seat.
    async fn forget(&self, seat: &Arc<Seat>) {
        self.seats.forget(seat);
        wishes::note(self.engine(), seat, &tokens::Slots::new()).await;
    }
}

/// Where clients have to show a certificate, nothing is heard before they have; otherwise an attach may come with the first
/// packet of a player who was here before.
async fn handshake(connecting: Connecting, knows_clients: bool) -> Option<Connection> {
    if knows_clients {
        return connecting.await.ok();
    }
    match connecting.into_0rtt() {
        Ok((connection, _)) => Some(connection),
        Err(connecting) => connecting.await.ok(),
    }
}

/// Says why, and closes the connection.
async fn farewell(connection: &Connection, writer: &mut Writer, end: End) {
    let (code, reason) = match end {
        End::Lost => {
            connection.close(CLOSED, b"");
            return;
        }
        End::Bye => (CLOSED, ""),
        End::Refused(refusal) => {
            let code = refusal.code();
            debug!(error = chain(&refusal), "a client is turned away");
            metrics::remote_refused(code);
            // One who does not read what there is does not read this.
            let _ = writer.say(&refusal.into_message(None));
            (REFUSED, code)
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, writer.end()).await;
    connection.close(code, reason.as_bytes());
}
