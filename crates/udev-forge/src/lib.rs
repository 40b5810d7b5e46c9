//! udev messages and database records exactly as systemd-udevd makes them, for places where no udevd
//! runs: containers.
//!
//! A program in a container finds input devices through libudev: it lists what `/sys` and the records in
//! `/run/udev/data` say, and listens for messages on a netlink socket. Where no udevd runs there are
//! neither records nor messages. This crate makes both, so that every libudev takes them for genuine:
//!
//! 1. [`SysDevice`] reads what sysfs says about a device;
//! 2. [`Forged`] adds what udevd's rules would say: classes ([`input_id`]), properties, tags;
//! 3. [`Database`](database::Database) writes the [`Record`] into the directory that is the container's
//!    `/run/udev`;
//! 4. [`Sender`] sends the [`Message`] into the container's network namespace;
//! 5. [`Monitor`], in the same namespace, receives it back as proof.
//!
//! ```no_run
//! use std::fs::File;
//! use std::os::fd::AsFd;
//! use std::path::Path;
//! use udev_forge::database::Database;
//! use udev_forge::{Credentials, Forged, Hwdb, Sender, Stamp, SysDevice};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::open(Path::new("/run/hotseat/alice/udev"))?;
//! let netns = File::open("/proc/4711/ns/net")?;
//! let sender = Sender::open_in(netns.as_fd())?;
//! let container_root = Credentials { uid: 100_000, gid: 100_000 };
//!
//! let device = SysDevice::read(Path::new("/sys/class/input/event5"))?;
//! let forged = Forged::add(&device, &Hwdb::of_system()?, Stamp::now()?);
//! database.write(&forged)?;
//! sender.send(&forged.add_message(), &container_root)?;
//!
//! // The device goes: the record first, then the message.
//! database.remove(&forged)?;
//! sender.send(&forged.remove_message(Stamp::now()?), &container_root)?;
//! # Ok(())
//! # }
//! ```
//!
//! A container in which a udevd works ([`udevd`]) needs neither: an [`Injector`] makes the kernel repeat its
//! [`Uevent`] there, and that udevd does the rest.
//!
//! libudev listens only if `/run/udev/control` exists when the program starts; making it is left to
//! whoever prepares the container. Rules exist for input devices and what comes with them (`hid`,
//! `hidraw`, `leds`, `power_supply`), for USB devices and for serial lines; of a device of another
//! subsystem is said what the kernel says.

#![deny(missing_docs)]

pub mod database;
mod device;
mod device_id;
mod forged;
pub mod glob;
pub mod hash;
mod hwdb;
mod injector;
mod input_codes;
pub mod input_id;
mod kernel;
mod message;
mod monitor;
mod names;
mod netlink;
mod parse;
mod path_id;
mod properties;
mod record;
mod rules;
mod sender;
mod stamp;
mod sys;
mod sysfs;
mod tags;
mod text;
pub mod udevd;
mod uevent;
mod usb_id;

pub use device::{Axis, Input, ReadError, SysDevice};
pub use device_id::{DeviceId, DeviceIdError};
pub use forged::{Forged, Parts, PartsError};
pub use hwdb::{Hwdb, HwdbError};
pub use injector::{InjectError, Injector};
pub use kernel::KernelEvents;
pub use message::{Action, Message, ParseError};
pub use monitor::{Monitor, MonitorError, Received};
pub use netlink::{Credentials, OpenError};
pub use properties::{Properties, PropertyError};
pub use record::{Record, RecordError};
pub use sender::{SendError, Sender};
pub use stamp::{Stamp, StampError};
pub use sysfs::Sysfs;
pub use uevent::Uevent;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
