//! One connection: made, attached, and its control stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hotseat_wire::control::Message;
use quinn::{
    AckFrequencyConfig, ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig,
    IdleTimeout, TokioRuntime, TransportConfig, VarInt,
};

use crate::control::{Inbox, Outbox};
use crate::socket;
use crate::tls::{self, Pins};
use crate::{Error, Options};

/// A path that says nothing for this long is dead, and another connection is tried.
const IDLE: Duration = Duration::from_secs(5);

/// What keeps a living path alive.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How long the server may take to say that the client is attached.
const ATTACH: Duration = Duration::from_secs(10);

/// How long a goodbye may take: the server unplugs the devices.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long the last packets may take.
const LAST_PACKETS: Duration = Duration::from_secs(1);

/// A datagram or two that wait for the congestion window; what is older than that is no news any more.
const DATAGRAM_BUFFER: usize = 4096;

/// Datagrams of feedback that wait for the client's task.
const FEEDBACK_BUFFER: usize = 64 * 1024;

/// The server acknowledges packets that come one after the other in one of so many (the ACK frequency extension of QUIC,
/// draft-ietf-quic-ack-frequency): it is not to send a packet for every second datagram. Datagrams say again what is lost
/// without being told of it.
const PACKETS_PER_ACK: VarInt = VarInt::from_u32(8);

/// What all connections of a client have in common.
#[derive(Debug)]
pub(crate) struct Connector {
    options: Options,
    config: ClientConfig,
    pins: Arc<Pins>,
}

/// A connection that is attached.
#[derive(Debug)]
pub(crate) struct Link {
    endpoint: Endpoint,
    pub(crate) connection: Connection,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    /// To find the devices again.
    pub(crate) resume: Vec<u8>,
}

impl Connector {
    pub(crate) fn new(mut options: Options) -> Result<Self, Error> {
        let (crypto, pins) = tls::config(&options.fingerprints, options.identity.take())?;
        let mut acknowledgements = AckFrequencyConfig::default();
        acknowledgements.ack_eliciting_threshold(PACKETS_PER_ACK);
        let mut transport = TransportConfig::default();
        transport
            .ack_frequency_config(Some(acknowledgements))
            .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
            .keep_alive_interval(Some(KEEP_ALIVE))
            // Before anything is measured: most players are nearer than the 333 ms of RFC 9002.
            .initial_rtt(Duration::from_millis(100))
            .datagram_send_buffer_size(DATAGRAM_BUFFER)
            .datagram_receive_buffer_size(Some(FEEDBACK_BUFFER))
            // The server opens no streams.
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(0));
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        Ok(Self { options, config, pins })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Connects and attaches. With `resume`, the devices are found as they were left.
    pub(crate) async fn connect(&self, resume: &[u8]) -> Result<Link, Error> {
        let address = &self.options.address;
        let look_up = |source| Error::LookUp { address: address.clone(), source };
        let found = tokio::net::lookup_host(address).await.map_err(look_up)?;
        let mut outcome = Err(look_up(io::ErrorKind::NotFound.into()));
        for remote in found {
            outcome = self.connect_to(remote, resume).await;
            // A server of two addresses may have one of them only on paper.
            if !matches!(outcome, Err(Error::Unreachable { .. } | Error::Socket(_))) {
                break;
            }
        }
        outcome
    }

    async fn connect_to(&self, remote: SocketAddr, resume: &[u8]) -> Result<Link, Error> {
        let address = &self.options.address;
        let socket = socket::open(remote).map_err(Error::Socket)?;
        let config = EndpointConfig::default();
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime)
            .map_err(Error::Socket)?;
        let connecting = endpoint
            // The name is never looked at: the certificate is known.
            .connect_with(self.config.clone(), remote, "hotseat")
            .map_err(|source| Error::Address { address: address.clone(), source })?;
        let (connection, early) = match connecting.into_0rtt() {
            Ok((connection, accepted)) => (connection, Some(accepted)),
            Err(connecting) => (connecting.await.map_err(|error| self.not_connected(error))?, None),
        };
        let attach = async {
            let mut stream = self.open(&connection, resume).await;
            if let Some(accepted) = early
                && !accepted.await
            {
                // What was said too early is not heard.
                stream = self.open(&connection, resume).await;
            }
            let (inbox, outbox) = stream?;
            let mut link = Link { endpoint, connection, inbox, outbox, resume: Vec::new() };
            link.attached().await?;
            Ok(link)
        };
        let attached = tokio::time::timeout(ATTACH, attach).await;
        attached.unwrap_or(Err(Error::AttachTimeout)).map_err(|error| match error {
            // A certificate of ours is judged after the handshake is done for us.
            Error::Lost(lost) => self.not_connected(lost),
            other => other,
        })
    }

    /// Opens the control stream and says who is there.
    async fn open(&self, connection: &Connection, resume: &[u8]) -> Result<(Inbox, Outbox), Error> {
        let Options { session, token, name, .. } = &self.options;
        let (send, recv) = connection.open_bi().await.map_err(Error::Lost)?;
        let mut outbox = Outbox::new(send);
        outbox.say(&Message::Hello { features: 0, name: name.clone() });
        let (session, token) = (session.clone(), token.0.clone());
        outbox.say(&Message::Attach { session, token, resume: resume.to_vec() });
        outbox.write().await?;
        Ok((Inbox::new(recv), outbox))
    }

    /// Why there is no connection, in the words of somebody who wanted one.
    fn not_connected(&self, source: ConnectionError) -> Error {
        let address = self.options.address.clone();
        if let Some(seen) = self.pins.take_refused() {
            return Error::WrongFingerprint { address, seen };
        }
        let code = match &source {
            ConnectionError::TimedOut => return Error::Unreachable { address },
            ConnectionError::TransportError(error) => u64::from(error.code),
            ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
            _ => 0,
        };
        // RFC 9001, section 4.8: 0x100 and the alert's number of RFC 8446, section 6.
        match code.checked_sub(0x100) {
            Some(NO_APPLICATION_PROTOCOL) => Error::OtherProtocol { address },
            Some(
                BAD_CERTIFICATE..=UNKNOWN_CERTIFICATE
                | UNKNOWN_CA..=ACCESS_DENIED
                | DECRYPT_ERROR
                | CERTIFICATE_REQUIRED,
            ) => Error::CertificateRefused { address, source },
            _ => Error::Connect { address, source },
        }
    }
}

// Alerts of TLS (RFC 8446, section 6.2; RFC 7301, section 3.2).
const BAD_CERTIFICATE: u64 = 42;
const UNKNOWN_CERTIFICATE: u64 = 46;
const UNKNOWN_CA: u64 = 48;
const ACCESS_DENIED: u64 = 49;
/// A signature does not fit the certificate.
const DECRYPT_ERROR: u64 = 51;
const CERTIFICATE_REQUIRED: u64 = 116;
const NO_APPLICATION_PROTOCOL: u64 = 120;

impl Link {
    /// Waits until the server says that the client is attached, and answers that it is there.
    async fn attached(&mut self) -> Result<(), Error> {
        loop {
            match self.inbox.next().await? {
                Message::Attached { resume, nonce, .. } => {
                    self.resume = resume;
                    self.outbox.say(&Message::Ready { nonce });
                    break;
                }
                Message::Error { code, text, .. } => return Err(Error::Refused { code, text }),
                Message::Bye => return Err(Error::ServerLeft),
                _ => {}
            }
        }
        if self.connection.max_datagram_size().is_none() {
            return Err(Error::NoDatagrams);
        }
        Ok(())
    }

    /// Goes on from another port, as on another network.
    pub(crate) fn rebind(&self) -> Result<(), Error> {
        let socket = socket::open(self.connection.remote_address()).map_err(Error::Socket)?;
        self.endpoint.rebind_abstract(socket).map_err(Error::Socket)
    }

    /// Says goodbye, and waits for a moment until the server has done what that takes, and closes the connection.
    pub(crate) async fn leave(mut self) {
        self.outbox.say(&Message::Bye);
        let bye = async {
            let _lost = self.outbox.write().await;
            self.connection.closed().await
        };
        // Without it the devices are gone after the grace time, too.
        let _late = tokio::time::timeout(GOODBYE, bye).await;
        self.connection.close(VarInt::from_u32(0), b"");
        let _late = tokio::time::timeout(LAST_PACKETS, self.endpoint.wait_idle()).await;
    }
}
