//! A client that says whatever it is told to, and believes any server.

use std::net::SocketAddr;
use std::sync::Arc;

use hotseat_client::wire::control::Message;
use hotseat_client::wire::{ALPN, Change, ClientCore, MAX_DATAGRAM};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, ZeroRttAccepted,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::PORT;
use super::believing::Believing;

/// A certificate and its key.
pub(super) type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// An endpoint of a client.
pub(super) fn endpoint(identity: Option<Identity>) -> Endpoint {
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believing));
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
    };
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = true;
    let quic = QuicClientConfig::try_from(tls).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(quic)));
    endpoint
}

/// A connection with its control stream.
pub(super) struct Raw {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    recv: RecvStream,
    bytes: Vec<u8>,
    /// What it resumes with.
    pub(super) resume: Vec<u8>,
}

impl Raw {
    pub(super) async fn connect(endpoint: &Endpoint) -> Result<Self, ConnectionError> {
        let address = SocketAddr::from(([127, 0, 0, 1], PORT));
        let connection = endpoint.connect(address, "hotseat").unwrap().await?;
        let (send, recv) = connection.open_bi().await?;
        Ok(Self { connection, send, recv, bytes: Vec::new(), resume: Vec::new() })
    }

    /// Says with the first packets who it is, where it was before with this endpoint; and whether those were taken.
    pub(super) async fn attach_early(
        endpoint: &Endpoint,
        address: SocketAddr,
        token: &Value,
        resume: &[u8],
    ) -> (Self, ZeroRttAccepted) {
        let connecting = endpoint.connect(address, "hotseat").unwrap();
        let (connection, is_accepted) = connecting.into_0rtt().unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        let mut raw = Self { connection, send, recv, bytes: Vec::new(), resume: Vec::new() };
        let text = |name: &str| token[name].as_str().unwrap();
        raw.ask_for(text("session"), text("token"), resume).await;
        (raw, is_accepted)
    }

    pub(super) async fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        // It may be closed already; then that is what is heard.
        let _ = self.send.write_all(&bytes).await;
    }

    /// The next message; `None` when the connection has ended.
    pub(super) async fn hear(&mut self) -> Option<Message> {
        loop {
            let mut rest = self.bytes.as_slice();
            let message = Message::take(&mut rest).unwrap();
            self.bytes = rest.to_vec();
            if message.is_some() {
                return message;
            }
            let chunk = self.recv.read_chunk(4096, true).await.ok()??;
            self.bytes.extend_from_slice(&chunk.bytes);
        }
    }

    /// The code of the next error.
    pub(super) async fn error(&mut self) -> String {
        loop {
            match self.hear().await {
                Some(Message::Error { code, .. }) => return code,
                Some(_) => {}
                None => return "the connection ended without a word".to_owned(),
            }
        }
    }

    pub(super) async fn ask_for(&mut self, session: &str, token: &str, resume: &[u8]) {
        self.say(&Message::Hello { features: 0, name: "raw".to_owned() }).await;
        let (session, token) = (session.to_owned(), token.as_bytes().to_vec());
        self.say(&Message::Attach { session, token, resume: resume.to_vec() }).await;
    }

    /// The nonce with which the server answers an attach.
    pub(super) async fn nonce(&mut self) -> Option<[u8; 16]> {
        loop {
            if let Message::Attached { nonce, resume, .. } = self.hear().await? {
                self.resume = resume;
                return Some(nonce);
            }
        }
    }

    /// Attaches as it should be done.
    pub(super) async fn attach(endpoint: &Endpoint, token: &Value, resume: &[u8]) -> Self {
        let mut raw = Self::connect(endpoint).await.unwrap();
        let text = |name: &str| token[name].as_str().unwrap();
        raw.ask_for(text("session"), text("token"), resume).await;
        let nonce = raw.nonce().await.unwrap();
        raw.say(&Message::Ready { nonce }).await;
        raw
    }

    pub(super) async fn plug(&mut self, slot: u8, profile: &str) {
        self.say(&Message::Plug { slot, profile: profile.to_owned() }).await;
    }

    /// The next device that is there: slot, epoch, kinds.
    pub(super) async fn plugged(&mut self) -> Option<(u8, u8, u32)> {
        loop {
            match self.hear().await? {
                Message::PlugOk { slot, epoch, kinds } => return Some((slot, epoch, kinds)),
                Message::Error { code, text, .. } => panic!("{code}: {text}"),
                _ => {}
            }
        }
    }
}

/// A datagram that says this of a device.
pub(super) fn datagram((slot, epoch, kinds): (u8, u8, u32), change: &Change) -> Vec<u8> {
    let mut core = ClientCore::new(std::time::Duration::ZERO);
    core.plugged(slot, epoch, kinds);
    core.apply(slot, change);
    let mut buffer = [0; MAX_DATAGRAM];
    core.poll_transmit(std::time::Duration::ZERO, &mut buffer).unwrap().to_vec()
}
