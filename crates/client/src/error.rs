//! What can go wrong.

use std::io;

use hotseat_wire::DecodeError;
use quinn::{ConnectError, ConnectionError, ReadError, VarInt, WriteError};
use thiserror::Error;

use crate::Fingerprint;

/// An operation that failed. [`hint`](Self::hint) says what may help.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of the server could not be looked up.
    #[error("`{address}` could not be looked up")]
    LookUp {
        /// The address as it was given.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A socket could not be made.
    #[error("a UDP socket could not be opened")]
    Socket(#[source] io::Error),
    /// The client's own certificate, or its key, cannot be used.
    #[error("the client's certificate cannot be used")]
    Identity(#[source] rustls::Error),
    /// No fingerprint was given, or the certificate is good for nothing else.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The address cannot be connected to.
    #[error("`{address}` is no address to connect to")]
    Address {
        /// The address as it was given.
        address: String,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// Nobody answered.
    #[error("the server at `{address}` does not answer")]
    Unreachable {
        /// The address as it was given.
        address: String,
    },
    /// Somebody answered who is not the server that was meant.
    #[error("the server at `{address}` has another certificate, {seen}")]
    WrongFingerprint {
        /// The address as it was given.
        address: String,
        /// What it has.
        seen: Fingerprint,
    },
    /// Somebody answered who speaks QUIC, but not this protocol.
    #[error("the server at `{address}` does not speak hotseat/1")]
    OtherProtocol {
        /// The address as it was given.
        address: String,
    },
    /// The server wants a certificate of the client, or another one.
    #[error("the server at `{address}` does not accept this client's certificate")]
    CertificateRefused {
        /// The address as it was given.
        address: String,
        /// Why.
        #[source]
        source: ConnectionError,
    },
    /// The connection could not be made for another reason.
    #[error("the connection to `{address}` could not be made")]
    Connect {
        /// The address as it was given.
        address: String,
        /// Why.
        #[source]
        source: ConnectionError,
    },
    /// The server is there, but did not say whether this client is attached.
    #[error("the server does not answer the attach")]
    AttachTimeout,
    /// The server said no: to the connection, or to a slot.
    #[error("the server refused: {text}")]
    Refused {
        /// Which problem; stable, those of the API.
        code: String,
        /// Words for people.
        text: String,
    },
    /// The slot has a device already.
    #[error("slot {0} has a device already")]
    SlotTaken(u8),
    /// There is no slot of this number.
    #[error("there is no slot {0}")]
    NoSuchSlot(u8),
    /// The device went away before it was there.
    #[error("the device of slot {0} was unplugged by the server")]
    Unplugged(u8),
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost(#[source] ConnectionError),
    /// The control stream could not be read.
    #[error("the control stream could not be read")]
    Read(#[source] ReadError),
    /// The control stream could not be written.
    #[error("the control stream could not be written")]
    Write(#[source] WriteError),
    /// The server ended the control stream.
    #[error("the server ended the control stream")]
    StreamEnded,
    /// A message of the server is not as the protocol has it.
    #[error("the server's message is not understood")]
    Message(#[source] DecodeError),
    /// The server takes no datagrams.
    #[error("the server takes no datagrams")]
    NoDatagrams,
    /// The server said goodbye.
    #[error("the server closed the connection for good")]
    ServerLeft,
    /// The client was closed here.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// What may help, for people; empty where there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LookUp { .. } | Self::Address { .. } => {
                "an address is HOST:PORT, such as games.example.org:47800"
            }
            Self::Unreachable { .. } => {
                "is `listen` set under [remote] in the server's configuration, and may UDP pass to that port?"
            }
            Self::WrongFingerprint { .. } => {
                "if the server was set up anew, take the fingerprint that `hotseat token` shows there; if not, this is another server"
            }
            Self::OtherProtocol { .. } => "is it the port of Hotseat's [remote]?",
            Self::CertificateRefused { .. } => {
                "the server wants a client certificate whose fingerprint is in its configuration"
            }
            Self::Identity(_) => "the key must be that of the first certificate",
            Self::Refused { code, .. } => refused(code),
            Self::SlotTaken(_) => "unplug it first, or take another slot",
            Self::NoSuchSlot(_) => "slots are 0 to 63",
            _ => "",
        }
    }

    /// Whether the same may work a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::LookUp { .. }
            | Self::Socket(_)
            | Self::Unreachable { .. }
            | Self::Connect { .. }
            | Self::AttachTimeout
            | Self::Read(_)
            | Self::Write(_)
            | Self::StreamEnded => true,
            // The server's words may not have come through, but that it does not want us has.
            Self::Lost(ConnectionError::ApplicationClosed(close)) => {
                close.error_code != REFUSED || close.reason.starts_with(b"too-many-")
            }
            Self::Lost(_) => true,
            // docs/protocol.md: there is room again at some time.
            Self::Refused { code, .. } => code.starts_with("too-many-"),
            _ => false,
        }
    }
}

/// With this a server closes a connection that it does not want to see again (docs/remote.md).
const REFUSED: VarInt = VarInt::from_u32(1);

/// What may help where the server has refused.
fn refused(code: &str) -> &'static str {
    match code {
        code if code.contains("token") => "make a token on the server with `hotseat token SESSION`",
        "session-not-found" | "no-session" => {
            "`hotseat session ls` on the server lists its sessions"
        }
        "profile-not-allowed" => "the token is for other profiles: `hotseat token --profile`",
        "taken-over" => "somebody plays with the same token, and came later",
        code if code.starts_with("too-many-") => "try again later, or raise the server's limits",
        "unknown-profile" => "`hotseat profiles` on the server lists what can be plugged",
        "slot-taken" => "somebody else plugged a device into this slot of the session",
        "no-container" => "the session has no container yet",
        _ => "",
    }
}
