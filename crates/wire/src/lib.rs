#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bytes;
mod change;
mod client;
pub mod control;
mod error;
pub mod feedback;
pub mod input;
mod list;
pub mod moonlight;
mod names;
mod serial;
mod server;
mod set;
mod state;

pub use self::change::{Axes, Battery, Change, Contact, Motion, Pen, Place};
pub use self::client::{ClientCore, Statistics};
pub use self::error::DecodeError;
pub use self::feedback::Feedback;
pub use self::input::Kind;
pub use self::list::List;
pub use self::names::{button, joystick, pen};
pub use self::server::{Action, ServerCore};
pub use self::set::Set;
pub use self::state::State;

use std::time::Duration;

/// The version of the protocol; the first byte of every datagram.
pub const VERSION: u8 = 1;

/// The name of the protocol in TLS (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"hotseat/1";

/// The largest datagram: what every path of the internet takes in one QUIC packet (RFC 9000, section 14: 1200 bytes),
/// less the packet's own bytes.
pub const MAX_DATAGRAM: usize = 1150;

/// How many slots a session can have.
pub const MAX_SLOTS: u8 = 64;

/// How many edges a frame has room for. A player makes 8 in the time of a bad round trip; the rest is for a link that
/// stands still for a second.
pub const MAX_EDGES: usize = 32;

/// How many fingers a frame has room for, those that went up included.
pub const MAX_CONTACTS: usize = 16;

/// How often a client says at least what is not at rest.
pub const HEARTBEAT: Duration = Duration::from_millis(50);

/// After which time without a frame the server lets go of all that is held: this, or four round trips.
pub const DEAD_MAN: Duration = Duration::from_millis(250);
