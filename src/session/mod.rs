//! Sessions: one actor each, and the steps it takes.
//!
//! A session's steps are plain blocking functions, each in the file of its name; the actor runs them in order
//! on tokio's blocking threads. Find a step of the plug by its file: [`plug`] lists them.

mod actor;
pub(crate) mod announced;
pub(crate) mod announcer;
mod callers;
pub(crate) mod client;
mod device;
mod door;
mod error;
mod feedback;
mod hand_off;
mod handle;
pub mod holders;
mod hosted;
mod inputs;
pub(crate) mod journal;
mod plan;
mod plug;
mod registry;
mod resume;
mod span;
mod state;
pub(crate) mod survivor;
mod unplug;
mod verify;
pub mod view;
mod wire;

pub(crate) use self::state::LAST_SLOT;
pub use client::Client;
pub(crate) use device::Device;
pub use error::Error;
pub use plug::Spec;
pub(crate) use registry::Returning;
pub use registry::{New, Sessions, Start};
pub(crate) use wire::button_named;
