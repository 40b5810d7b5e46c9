//! Sessions: one actor each, and the steps it takes.
//!
//! A session's steps are plain blocking functions, each in the file of its name; the actor runs them in order
//! on tokio's blocking threads. Find a step of the plug by its file: [`plug`] lists them.

mod actor;
pub(crate) mod announcer;
mod device;
mod door;
mod error;
mod feedback;
pub(crate) mod journal;
mod plug;
mod registry;
mod state;
mod unplug;
mod verify;
pub mod view;

pub(crate) use device::Device;
pub use error::Error;
pub use plug::PlugRequest;
pub use registry::{Sessions, Start};
