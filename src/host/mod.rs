//! Real devices of the host, for sessions whose rules ask for them (docs/host-devices.md).
//!
//! [`watch`] knows what devices the host has, as its udevd sees them where there is one; a [`rule`] says which of them a
//! session gets, and [`matching`] why, or why not. Everything here is level-triggered: an event only says where to look
//! again, so none that is lost, doubled or late makes anything wrong. What a session has and is to have is compared by its
//! actor (src/session/actor/host.rs).

mod claims;
pub mod device;
pub mod matching;
mod numbers;
pub mod rule;
pub mod view;
pub mod watch;

pub(crate) use claims::Claim;
pub use device::HostDevice;
pub use matching::{Mismatch, Wanted, wanted};
pub use rule::{Rule, RuleError};
pub use watch::{Host, HostError, View};
