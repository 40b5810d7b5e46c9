//! A server in this process: QUIC and `ServerCore`, and a device is what the test is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hotseat_client::Fingerprint;
use hotseat_client::wire::control::Message;
use hotseat_client::wire::{ALPN, Action, Feedback, Kind, MAX_DATAGRAM, ServerCore, State};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What a client must say to be let in.
pub(crate) const TOKEN: &[u8] = b"open sesame";

/// A key and its certificate.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["hotseat".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self { certificate: made.cert.into(), key }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key().into()
    }
}

/// Something that a client did.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// `resumed`: the devices were kept for it. `early`: it said so before the handshake was done.
    Attached {
        resumed: bool,
        early: bool,
    },
    Plugged {
        slot: u8,
        profile: String,
    },
    /// What a datagram did to a device, and how the device is after it.
    Report {
        slot: u8,
        actions: Vec<Action>,
        state: Box<State>,
    },
    Unplugged {
        slot: u8,
    },
    Bye,
    Gone,
}

/// Something that the server is to do with its client.
pub(crate) enum Order {
    Feedback(u8, Feedback),
    Say(Message),
}

/// What outlives a connection, and here a server too.
#[derive(Default)]
pub(crate) struct Kept {
    core: Option<(ServerCore, Vec<(u8, u32)>)>,
    /// Whether a client may find its devices again.
    pub(crate) forgets: bool,
    /// Whether the token is good no more.
    pub(crate) expired: bool,
}

pub(crate) struct Server {
    endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    orders: tokio::sync::broadcast::Sender<Arc<Order>>,
}

impl Server {
    pub(crate) fn start(identity: &Identity, kept: &Arc<Mutex<Kept>>) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), identity, kept, ALPN, None)
    }

    pub(crate) fn start_at(
        address: SocketAddr,
        identity: &Identity,
        kept: &Arc<Mutex<Kept>>,
        alpn: &[u8],
        client: Option<&Identity>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.certificate.clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificates = vec![identity.certificate.clone()];
        let mut config = builder.with_single_cert(certificates, identity.key()).unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        config.max_early_data_size = u32::MAX;
        let crypto = Arc::new(QuicServerConfig::try_from(config).unwrap());
        let endpoint = Endpoint::server(quinn::ServerConfig::with_crypto(crypto), address).unwrap();
        let address = endpoint.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        let (orders, _) = tokio::sync::broadcast::channel(16);
        let (accepting, kept, orders2) = (endpoint.clone(), Arc::clone(kept), orders.clone());
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                let (kept, tell, orders) = (Arc::clone(&kept), tell.clone(), orders2.subscribe());
                let Ok(connecting) = incoming.accept() else { continue };
                tokio::spawn(async move {
                    let connection = match connecting.into_0rtt() {
                        Ok((connection, _)) => connection,
                        Err(connecting) => match connecting.await {
                            Ok(connection) => connection,
                            Err(_) => return,
                        },
                    };
                    serve(connection, &kept, &tell, orders).await;
                });
            }
        });
        Self { endpoint, address, seen, orders }
    }

    pub(crate) fn order(&self, order: Order) {
        assert!(self.orders.send(Arc::new(order)).is_ok(), "nobody is connected");
    }

    /// Ends, as a server that is stopped.
    pub(crate) async fn stop(self) {
        self.endpoint.close(0_u32.into(), b"");
        self.endpoint.wait_idle().await;
    }

    pub(crate) async fn next(&mut self) -> Seen {
        let seen = tokio::time::timeout(Duration::from_secs(30), self.seen.recv());
        seen.await.expect("the client does nothing").expect("the server runs")
    }

    /// The device as it is when it is so.
    pub(crate) async fn until(&mut self, is_so: impl Fn(&State) -> bool) -> Vec<Action> {
        let mut all = Vec::new();
        loop {
            if let Seen::Report { actions, state, .. } = self.next().await {
                all.extend(actions);
                if is_so(&state) {
                    return all;
                }
            }
        }
    }
}

/// One client, from its first message to the end of its connection.
async fn serve(
    connection: Connection,
    kept: &Mutex<Kept>,
    tell: &mpsc::UnboundedSender<Seen>,
    mut orders: tokio::sync::broadcast::Receiver<Arc<Order>>,
) {
    let Ok((mut send, recv)) = connection.accept_bi().await else { return };
    let early = recv.is_0rtt();
    let mut inbox = Inbox { recv, bytes: Vec::new() };
    let Some(Message::Hello { .. }) = inbox.next().await else { return };
    let Some(Message::Attach { token, resume, .. }) = inbox.next().await else { return };
    if token != TOKEN || kept.lock().unwrap().expired {
        let (code, text) = ("token-refused".to_owned(), "the token is not known".to_owned());
        say(&mut send, &Message::Error { slot: None, fatal: true, code, text }).await;
        let _ = send.finish();
        let _ = send.stopped().await;
        return;
    }
    let nonce = [7; 16];
    say(&mut send, &Message::Attached { resume: b"again".to_vec(), nonce, grace_ms: 1000 }).await;
    assert_eq!(inbox.next().await, Some(Message::Ready { nonce }), "the nonce comes back");

    let found = kept.lock().unwrap().core.take().filter(|_| resume == b"again");
    tell.send(Seen::Attached { resumed: found.is_some(), early }).unwrap();
    let (mut core, mut devices) = found.unwrap_or_else(|| (ServerCore::new(), Vec::new()));
    let start = Instant::now();
    let epochs: Vec<_> = core.plugged().collect();
    for (slot, epoch) in epochs {
        let kinds = devices.iter().find(|device| device.0 == slot).unwrap().1;
        say(&mut send, &Message::PlugOk { slot, epoch, kinds }).await;
        for message in core.resume(start.elapsed(), slot) {
            say(&mut send, &message).await;
        }
    }
    let mut buffer = [0; MAX_DATAGRAM];
    let mut bye = false;
    loop {
        while let Some(datagram) = core.poll_transmit(start.elapsed(), &mut buffer) {
            let _ = connection.send_datagram(datagram.to_vec().into());
        }
        let wakes_at = start + core.next_timeout().unwrap_or(Duration::from_secs(60));
        tokio::select! {
            datagram = connection.read_datagram() => {
                let Ok(datagram) = datagram else { break };
                let actions = core.handle(start.elapsed(), &datagram).unwrap().to_vec();
                report(tell, &core, &actions);
            }
            message = inbox.next() => match message {
                Some(Message::Plug { slot, profile }) => {
                    let epoch = core.plugged().find(|device| device.0 == slot);
                    let kinds = match profile.as_str() {
                        "no-such-profile" => {
                            let code = "unknown-profile".to_owned();
                            let text = format!("there is no profile `{profile}`");
                            let error = Message::Error { slot: Some(slot), fatal: false, code, text };
                            say(&mut send, &error).await;
                            continue;
                        }
                        "mouse" => Kind::Mouse.bit(),
                        _ => Kind::Gamepad.bit() | Kind::Touch.bit(),
                    };
                    let epoch = match epoch {
                        Some((_, epoch)) => epoch,
                        None => {
                            devices.push((slot, kinds));
                            tell.send(Seen::Plugged { slot, profile }).unwrap();
                            core.plug(slot, kinds).unwrap()
                        }
                    };
                    say(&mut send, &Message::PlugOk { slot, epoch, kinds }).await;
                }
                Some(Message::Unplug { slot }) => {
                    core.unplug(slot);
                    devices.retain(|device| device.0 != slot);
                    tell.send(Seen::Unplugged { slot }).unwrap();
                }
                Some(Message::Bye) => {
                    tell.send(Seen::Bye).unwrap();
                    bye = true;
                    break;
                }
                Some(other) => panic!("a client does not say {other:?}"),
                None => break,
            },
            order = orders.recv() => match order.as_deref() {
                Ok(Order::Feedback(slot, feedback)) => {
                    if let Some(message) = core.feedback(start.elapsed(), *slot, *feedback) {
                        say(&mut send, &message).await;
                    }
                }
                Ok(Order::Say(message)) => say(&mut send, message).await,
                Err(_) => break,
            },
            () = tokio::time::sleep_until(wakes_at) => {
                let actions = core.handle_timeout(start.elapsed()).to_vec();
                report(tell, &core, &actions);
            }
        }
    }
    let actions = core.disconnected().to_vec();
    report(tell, &core, &actions);
    let mut kept = kept.lock().unwrap();
    kept.core = (!bye && !kept.forgets).then_some((core, devices));
    let _ = tell.send(Seen::Gone);
}

/// Tells the test what was done to each device.
fn report(tell: &mpsc::UnboundedSender<Seen>, core: &ServerCore, actions: &[Action]) {
    let slot_of = |action: &Action| match action {
        Action::Change { slot, .. } | Action::Sync { slot } => *slot,
    };
    for of_one in actions.chunk_by(|a, b| slot_of(a) == slot_of(b)) {
        let slot = slot_of(&of_one[0]);
        let state = Box::new(*core.state(slot).unwrap());
        let _ = tell.send(Seen::Report { slot, actions: of_one.to_vec(), state });
    }
}

async fn say(send: &mut SendStream, message: &Message) {
    let mut bytes = Vec::new();
    message.write(&mut bytes);
    let _ = send.write_all(&bytes).await;
}

struct Inbox {
    recv: RecvStream,
    bytes: Vec<u8>,
}

impl Inbox {
    async fn next(&mut self) -> Option<Message> {
        loop {
            let mut rest = self.bytes.as_slice();
            let message = Message::take(&mut rest).unwrap();
            let taken = self.bytes.len() - rest.len();
            self.bytes.drain(..taken);
            if message.is_some() {
                return message;
            }
            let chunk = self.recv.read_chunk(4096, true).await.ok()??;
            self.bytes.extend_from_slice(&chunk.bytes);
        }
    }
}
