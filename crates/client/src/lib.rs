#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod client;
mod control;
mod driver;
mod error;
mod event;
mod link;
mod options;
mod play;
mod slots;
mod socket;
mod tls;

pub use self::client::{Client, Device};
pub use self::error::Error;
pub use self::event::{Event, Events};
pub use self::options::{Fingerprint, FingerprintError, Identity, Options, Token};
pub use self::play::Statistics;
pub use hotseat_wire as wire;
