//! HID devices of the user's own: a report descriptor, an identity, and names for what its reports have.
//!
//! What [`uhid`](crate::uhid) knows as models, a file can describe here: any HID device that the kernel's
//! hid-generic handles, or another driver that asks it no questions of its own. It gets the event nodes that the
//! driver makes of the descriptor, and its hidraw node.
//!
//! ```no_run
//! use vinput::hid::{Device, Profile};
//! use vinput::{DeviceName, Reaper, uhid::Mac};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let profile = Profile::load("/etc/hotseat/profiles/my-pad.toml")?;
//! let phys = DeviceName::new("example/pad0")?;
//! let mac = Mac::derived_from("example/pad0");
//! let pad = Device::create(&profile.into(), None, &phys, mac)?;
//!
//! pad.write(&pad.profile().frame(["button1=1", "lx=-0.5"])?)?;
//! pad.neutral()?;
//!
//! // Whenever the device is readable:
//! while let Some(output) = pad.take_output() {
//!     println!("{output:?}");
//! }
//!
//! Reaper::new()?.close(pad).wait();
//! # Ok(()) }
//! ```
//!
//! # The file
//!
//! | key | meaning |
//! |---|---|
//! | `backend` | `"uhid"` |
//! | `name`, `title`, `device_name`, `bus`, `vendor`, `product`, `version` | as in [`profile`](crate::profile) |
//! | `report_descriptor` | its bytes in hexadecimal, with white space as one likes |
//! | `driver` | the kernel's driver that is to take it, like `"hid-generic"`; if left out, the first that does |
//! | `[controls]` | name = usage, or name = { usage = …, … }; if left out, what can be named is |
//!
//! A usage is a number with its page in the upper half, as `0x90001` for the first button. A table has `usage` and
//! may have `nth` (which of several with that usage, counted from 1 in the order of the descriptor), `axis` (`"x"`
//! or `"y"` of a hat switch, whose two directions are two controls), and for an axis `rest` or `position`, as in
//! [`Axis`](crate::profile::Axis).

mod control;
mod descriptor;
mod device;
mod frame;
mod names;
mod output;
mod profile;
mod snapshot;
mod state;

pub use self::control::{Control, ControlKind, HatAxis};
pub(crate) use self::control::{Spec, rest_of};
pub use self::descriptor::{Descriptor, DescriptorError, Report, ReportKind};
pub use self::device::Device;
pub use self::frame::Frame;
pub(crate) use self::names::name_all;
pub use self::output::Output;
pub use self::profile::Profile;
pub(crate) use self::profile::{controls_table, descriptor_lines};
pub use self::snapshot::Snapshot;
