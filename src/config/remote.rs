//! `[remote]`: clients from afar (docs/remote.md).

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use serde::Deserialize;

use super::Applies;
use crate::remote::Fingerprint;

/// Clients from afar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Remote {
    /// Where they are listened for, over UDP; nowhere if not given.
    pub listen: Option<SocketAddr>,
    /// The server's key and certificate; made if it is not there.
    pub identity: PathBuf,
    /// The certificates of the clients that may come; any client, with a token, if there are none.
    pub client_fingerprints: Vec<Fingerprint>,
    /// The mark of outgoing packets, 0 to 63 (RFC 2474). 46, expedited forwarding (RFC 3246), is what Wi-Fi sends as voice
    /// (RFC 8325, section 4.3).
    #[serde(deserialize_with = "dscp")]
    pub dscp: u8,
    /// Connections at once.
    pub connections: usize,
    /// Those to one session.
    pub connections_per_session: usize,
    /// Those that have no session yet.
    pub half_open: usize,
    /// Of these, from one address.
    pub half_open_per_address: usize,
    /// Connections that one address may begin in a second.
    pub connects_per_address: NonZeroU32,
    /// Seconds that a connection has to get a session.
    pub attach_seconds: NonZeroU64,
    /// Datagrams of one connection in a second.
    pub datagrams_per_connection: NonZeroU32,
    /// Datagrams to one session in a second.
    pub datagrams_per_session: NonZeroU32,
    /// Bytes of input of one connection in a second.
    pub bytes_per_connection: NonZeroU32,
    /// Bytes of input to one session in a second.
    pub bytes_per_session: NonZeroU32,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            listen: None,
            identity: "/var/lib/hotseat/identity.pem".into(),
            client_fingerprints: Vec::new(),
            dscp: 46,
            connections: 256,
            connections_per_session: 16,
            half_open: 64,
            half_open_per_address: 16,
            connects_per_address: const { NonZeroU32::new(20).unwrap() },
            attach_seconds: const { NonZeroU64::new(10).unwrap() },
            datagrams_per_connection: const { NonZeroU32::new(4_000).unwrap() },
            datagrams_per_session: const { NonZeroU32::new(16_000).unwrap() },
            bytes_per_connection: const { NonZeroU32::new(4_000_000).unwrap() },
            bytes_per_session: const { NonZeroU32::new(16_000_000).unwrap() },
        }
    }
}

impl Remote {
    /// See `Config::compare`.
    pub(super) fn compare(&self, new: &Self) -> [(&'static str, Applies, bool); 14] {
        let Self {
            listen,
            identity,
            client_fingerprints,
            dscp,
            connections,
            connections_per_session,
            half_open,
            half_open_per_address,
            connects_per_address,
            attach_seconds,
            datagrams_per_connection,
            datagrams_per_session,
            bytes_per_connection,
            bytes_per_session,
        } = self;
        let pins = *client_fingerprints != new.client_fingerprints;
        let to_session = *connections_per_session != new.connections_per_session;
        let of_address = *half_open_per_address != new.half_open_per_address;
        let connects = *connects_per_address != new.connects_per_address;
        let datagrams = *datagrams_per_connection != new.datagrams_per_connection;
        let of_session = *datagrams_per_session != new.datagrams_per_session;
        let bytes = *bytes_per_connection != new.bytes_per_connection;
        let bytes_of_session = *bytes_per_session != new.bytes_per_session;
        [
            ("remote.listen", Applies::Restart, *listen != new.listen),
            ("remote.identity", Applies::Restart, *identity != new.identity),
            ("remote.client_fingerprints", Applies::Restart, pins),
            ("remote.dscp", Applies::Restart, *dscp != new.dscp),
            ("remote.connections", Applies::Now, *connections != new.connections),
            ("remote.connections_per_session", Applies::Now, to_session),
            ("remote.half_open", Applies::Now, *half_open != new.half_open),
            ("remote.half_open_per_address", Applies::Now, of_address),
            ("remote.connects_per_address", Applies::Now, connects),
            (
                "remote.attach_seconds",
                Applies::NextConnection,
                *attach_seconds != new.attach_seconds,
            ),
            ("remote.datagrams_per_connection", Applies::Now, datagrams),
            ("remote.datagrams_per_session", Applies::Now, of_session),
            ("remote.bytes_per_connection", Applies::Now, bytes),
            ("remote.bytes_per_session", Applies::Now, bytes_of_session),
        ]
    }

    /// See `Config::onto`.
    pub(super) fn onto(self, running: &Self) -> Self {
        Self {
            listen: running.listen,
            identity: running.identity.clone(),
            client_fingerprints: running.client_fingerprints.clone(),
            dscp: running.dscp,
            ..self
        }
    }
}

fn dscp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        dscp @ 0..=63 => Ok(dscp),
        other => {
            Err(serde::de::Error::custom(format!("{other} is no DSCP: it has six bits, 0 to 63")))
        }
    }
}
