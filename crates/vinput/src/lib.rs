//! Virtual input devices on Linux: profiles, uinput, uhid, force feedback.
//!
//! A [`Profile`] describes a device model: its identity and its controls, by names like `south` or `lx`.
//! [`uinput::Device`] makes a device of that model in the kernel and says which [`Node`]s it has. A
//! [`Frame`] sets controls, and the device reports what is new. [`Feedback`] is what programs send back,
//! which a [`feedback::Player`] plays. A [`Reaper`] closes devices, which takes long, on a thread of its own.
//!
//! ```no_run
//! use vinput::{DeviceName, Feedback, Profile, Reaper, uinput::Device};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let profile = Profile::builtin("xbox-one").ok_or("no such profile")?;
//! let phys = DeviceName::new("example/pad0")?;
//! let pad = Device::create(profile, profile.device_name(), &phys)?;
//! for node in pad.nodes() {
//!     println!("/dev/{} is {}:{}", node.devname, node.major, node.minor);
//! }
//!
//! pad.write(&profile.frame(["south=1", "lx=-0.5"])?)?;
//! pad.neutral()?;
//!
//! // Whenever the device is readable:
//! while let Some(feedback) = pad.read_feedback()? {
//!     if let Feedback::Play { id, count } = feedback {
//!         println!("effect {id}, {count} times");
//!     }
//! }
//!
//! Reaper::new()?.close(pad).wait();
//! # Ok(()) }
//! ```
//!
//! [`uhid::Device`] is a pad with motion sensors, touchpad, lights and battery, driven by the kernel's
//! own driver for it. [`hid::Device`] is any other HID device, as a file describes it.
//!
//! The crate has no async runtime, and no threads but the reaper's and one for each pad of [`uhid`].
//! Both kinds of device can be watched by any event loop; writing and reading them never block,
//! dropping them does.

#![deny(missing_docs)]

#[cfg(test)]
mod allocations;
mod any;
#[cfg(test)]
mod c_header;
mod capture;
mod code;
mod event;
pub mod feedback;
pub mod hid;
mod input;
mod minors;
mod name;
mod node;
pub mod profile;
mod reaper;
mod snapshot;
mod state;
mod suggest;
pub mod uhid;
pub mod uinput;

pub use self::any::AnyProfile;
pub use self::capture::{CaptureError, capture};
pub use self::code::{EventCode, EventType};
pub use self::feedback::Feedback;
pub use self::input::{Frame, InputError};
pub use self::minors::MinorError;
pub use self::name::{DeviceName, NameError};
pub use self::node::{Node, SysfsError};
pub use self::profile::{Profile, ProfileError};
pub use self::reaper::{Closing, Reaper};
pub use self::snapshot::SnapshotError;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
