//! The QUIC endpoint: its socket, its TLS, what it lets a peer do before it has said who it is.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hotseat_wire::ALPN;
use hotseat_wire::control::MAX_MESSAGE;
use nix::sys::socket::{setsockopt, sockopt};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{AckFrequencyConfig, ConnectionId, ConnectionIdGenerator, TokioRuntime};
use quinn::{Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use ring::hmac;
use ring::rand::SystemRandom;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use socket2::{Domain, Protocol, Socket, Type};

use super::error::ListenError;
use super::identity::{Fingerprint, Identity};
use super::socket::Marked;
use crate::config;

/// How often a connection on which nothing happens is heard of, and after how long one is given up: four of these may be
/// lost. What is held is let go of long before (docs/protocol.md, "Dead-man").
const KEEP_ALIVE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(8);

/// The kernel's queue of packets, which all connections share: a fifth of a second of 64 pads at 1000 Hz. Its own is a few
/// milliseconds of them, which is how long a busy processor lets anybody wait.
const KERNEL: usize = 4 * 1024 * 1024;

/// Datagrams that wait to be read: a burst. The oldest ones go first, as what is newer says more.
const RECEIVE: usize = 32 * 1024;

/// Datagrams that wait to be sent: what is older than this on a bad line is of no use to anybody.
const SEND: usize = 8 * 1024;

/// Before a round trip is measured (quinn's own guess is 333 ms): how long the first lost packet is waited for.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// A client that knows how (draft-ietf-quic-ack-frequency) acknowledges packets that come one after the other in one of so
/// many: each of its packets is work here, and feedback that is lost is said again without being told of it.
const PACKETS_PER_ACK: VarInt = VarInt::from_u32(8);

/// The room of the control stream: some of the longest messages.
#[expect(clippy::cast_possible_truncation, reason = "16 KiB")]
const STREAM: VarInt = VarInt::from_u32(4 * MAX_MESSAGE as u32);

/// Opens it.
pub(super) fn open(
    config: &config::Remote,
    address: SocketAddr,
    identity: &Identity,
) -> Result<Endpoint, ListenError> {
    let tls = tls(config, identity)?;
    let quic = QuicServerConfig::try_from(tls).map_err(ListenError::Quic)?;
    let mut server = ServerConfig::with_crypto(Arc::new(quic));
    server
        .migration(true)
        // What is not accepted yet: more are refused, with little kept of each.
        .max_incoming(config.half_open)
        .incoming_buffer_size(16 * 1024)
        .incoming_buffer_size_total(1024 * 1024)
        .transport_config(Arc::new(transport()));
    // The next daemon knows by these that a packet is of a connection of this one, and tells the client that it is over
    // (RFC 9000, section 10.3), which need not wait until it has heard nothing for long.
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &identity.derive("hotseat stateless reset"));
    let ids = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
    let ids = Ids { key: ids.map_err(|_| ListenError::Random)?, count: 0 };
    let mut endpoint = EndpointConfig::new(Arc::new(reset_key));
    endpoint.cid_generator(move || Box::new(ids.clone()));
    let failed = |source| ListenError::Socket { address, source };
    let socket = socket(address).and_then(|socket| Marked::new(socket, config.dscp));
    let (socket, runtime) = (socket.map_err(failed)?, Arc::new(TokioRuntime));
    Endpoint::new_with_abstract_socket(endpoint, Some(server), socket, runtime).map_err(failed)
}

/// Connection ids that nobody can guess. None is refused by its looks, as quinn's own generator does with those of the last
/// daemon: their packets are to be answered.
#[derive(Clone)]
struct Ids {
    key: hmac::Key,
    count: u64,
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.count += 1;
        let id = hmac::sign(&self.key, &self.count.to_le_bytes());
        ConnectionId::new(&id.as_ref()[..self.cid_len()])
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn transport() -> TransportConfig {
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(PACKETS_PER_ACK);
    let mut transport = TransportConfig::default();
    transport
        .ack_frequency_config(Some(acknowledgements))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(STREAM)
        .receive_window(STREAM)
        .send_window(64 * 1024)
        .datagram_receive_buffer_size(Some(RECEIVE))
        .datagram_send_buffer_size(SEND)
        .initial_rtt(INITIAL_RTT)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok());
    transport
}

fn tls(config: &config::Remote, identity: &Identity) -> Result<rustls::ServerConfig, ListenError> {
    // Named: with another one among the dependencies, rustls would not choose.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ListenError::Tls)?;
    let builder = if config.client_fingerprints.is_empty() {
        builder.with_no_client_auth()
    } else {
        let pinned = config.client_fingerprints.clone();
        builder.with_client_cert_verifier(Arc::new(Pinned { pinned, provider }))
    };
    let chain = vec![identity.certificate.clone()];
    let mut tls =
        builder.with_single_cert(chain, identity.key.clone_key()).map_err(ListenError::Tls)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // All or nothing in QUIC (RFC 9001, section 4.6.1). What comes so is not taken for input (docs/protocol.md).
    tls.max_early_data_size = u32::MAX;
    Ok(tls)
}

fn socket(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // `[::]` is for IPv4 too.
        socket.set_only_v6(false)?;
    }
    // Beyond net.core.rmem_max, where we may (socket(7)). Less than that is less patient.
    if setsockopt(&socket, sockopt::RcvBufForce, &KERNEL).is_err() {
        let _ = setsockopt(&socket, sockopt::RcvBuf, &KERNEL);
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Lets those clients in whose certificates are known, whoever has signed them.
#[derive(Debug)]
struct Pinned {
    pinned: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.pinned.contains(&Fingerprint::of(certificate)) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
