//! Hotseat: a hotplug server for virtual input devices.
//!
//! The daemon makes game pads, keyboards and pointers for remote sessions and lets each appear in that
//! session's running container and in no other. ARCHITECTURE.md is the way in; in short, from the outside:
//!
//! - [`cli`]: the command line, which talks to the daemon over
//! - [`api`]: HTTP on a Unix socket, which asks
//! - [`session`]: one actor per session, which plugs and unplugs with
//! - [`engine`]: what all sessions share,
//! - [`events`] and [`metrics`]: what happened, and
//! - [`remote`]: clients over QUIC.
//! - [`host`]: real devices of the host, for sessions whose rules ask for them;
//! - [`runtime`]: who a container is; [`follow`] attaches containers by their label.

mod admission;
pub mod api;
pub mod cdi;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod engine;
pub mod events;
pub mod fault;
pub mod follow;
pub mod host;
mod keep;
pub mod limits;
pub mod metrics;
pub mod problem;
pub mod profiles;
pub mod recovery;
pub mod reload;
pub mod remote;
pub mod runtime;
pub mod sandbox;
pub mod session;
pub mod setup;
mod sys;
