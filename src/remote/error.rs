//! Why a client from afar is turned away, and what goes wrong with tokens.

use std::io;
use std::net::SocketAddr;

use hotseat_wire::DecodeError;
use hotseat_wire::control::Message;

use super::identity::IdentityError;
use crate::engine::chain;
use crate::problem::Problem;
use crate::session::Error;

/// No client from afar can come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The server has no key.
    #[error("no identity for clients from afar")]
    Identity(#[source] IdentityError),
    /// The key or the certificate is of no use.
    #[error("the identity cannot be used")]
    Tls(#[source] rustls::Error),
    /// TLS cannot be used for QUIC.
    #[error("no TLS for QUIC")]
    Quic(#[source] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The kernel had no random bytes.
    #[error("the kernel gave no random bytes")]
    Random,
    /// The socket could not be opened.
    #[error("could not listen at {address} (UDP)")]
    Socket {
        /// `remote.listen`.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no thread for them.
    #[error("could not start a thread for clients from afar")]
    Thread(#[source] io::Error),
    /// A panic: a bug.
    #[error("the identity was not read, for an internal error")]
    Lost,
}

/// A request about tokens failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// There is no such token.
    #[error("there is no token `{id}`")]
    NotFound {
        /// Its id.
        id: String,
    },
    /// The session has enough.
    #[error("session `{session}` has {limit} tokens, and may have no more")]
    TooMany {
        /// The session.
        session: String,
        /// How many there may be.
        limit: usize,
    },
    /// Nobody listens for clients from afar.
    #[error("the daemon does not listen for clients from afar")]
    NotListening,
    /// The kernel had no random bytes.
    #[error("the kernel gave no random bytes")]
    Random,
    /// They could not be written down.
    #[error("could not write the tokens down")]
    Write(#[source] io::Error),
    /// A panic: a bug.
    #[error("an internal error")]
    Lost,
}

/// Why a client, or one of its wishes, is turned away.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The token is unknown, or of another session.
    #[error("this token is not one for this session")]
    Token,
    /// It was good once.
    #[error("this token is over")]
    Expired,
    /// It was taken back.
    #[error("this token was revoked, or its session removed")]
    Revoked,
    /// There is no room.
    #[error("there are as many clients as there may be")]
    TooManyConnections,
    /// It did not say in time what it wants.
    #[error("no session was attached in time")]
    AttachTimeout,
    /// The connection cannot carry input.
    #[error("the connection takes no datagrams (RFC 9221)")]
    NoDatagrams,
    /// What was said makes no sense.
    #[error("a message is malformed: {0}")]
    Malformed(DecodeError),
    /// What was said does not belong here.
    #[error("this message does not belong here")]
    Unexpected,
    /// The answer to the nonce is wrong.
    #[error("this is not the nonce that was given")]
    Nonce,
    /// The client does not read what it is told.
    #[error("the control stream is not read")]
    NotRead,
    /// It sends far too much.
    #[error("far more input than allowed")]
    TooManyDatagrams,
    /// The same player has come by another connection.
    #[error("the same player has come by another connection")]
    TakenOver,
    /// The token does not allow the profile.
    #[error("this token does not allow the profile `{profile}`")]
    Profile {
        /// The profile.
        profile: String,
    },
    /// The slot is somebody else's.
    #[error("slot {slot} is somebody else's")]
    SlotTaken {
        /// The slot.
        slot: u8,
    },
    /// The slot is not this player's.
    #[error("slot {slot} is not one of this player's")]
    SlotEmpty {
        /// The slot.
        slot: u8,
    },
    /// The session says no.
    #[error(transparent)]
    Session(#[from] Error),
    /// The server has no random bytes.
    #[error("the server cannot make a nonce")]
    Random(#[source] TokenError),
}

impl Refusal {
    /// What it is called, for programs; the API's codes (docs/remote.md).
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Token => "token-refused",
            Self::Expired => "token-expired",
            Self::Revoked => "token-revoked",
            Self::TooManyConnections => "too-many-connections",
            Self::AttachTimeout => "attach-timeout",
            Self::NoDatagrams => "no-datagrams",
            Self::Malformed(_) => "malformed-message",
            Self::Unexpected => "unexpected-message",
            Self::Nonce => "wrong-nonce",
            Self::NotRead => "not-read",
            Self::TooManyDatagrams => "too-many-datagrams",
            Self::TakenOver => "taken-over",
            Self::Profile { .. } => "profile-not-allowed",
            Self::SlotTaken { .. } => "slot-taken",
            Self::SlotEmpty { .. } => "slot-empty",
            Self::Session(error) => crate::problem::code(error),
            Self::Random(_) => "internal",
        }
    }

    /// As the client is told: about a slot, or the connection, which ends then.
    pub(super) fn into_message(self, slot: Option<u8>) -> Message {
        let code = self.code().to_owned();
        let text = match self {
            Self::Session(error) => {
                let Problem { detail, hint, .. } = error.into();
                format!("{detail}; {hint}")
            }
            other => chain(&other),
        };
        Message::Error { slot, fatal: slot.is_none(), code, text }
    }
}
