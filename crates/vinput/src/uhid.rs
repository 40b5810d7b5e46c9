//! Pads made through the kernel's uhid: a HID device in user space, to which the kernel's own driver
//! for that pad attaches.
//!
//! So a pad is all that a real one is: gamepad, motion sensors, touchpad, battery, lights and a hidraw
//! node, and programs that talk to the pad themselves find one that answers. docs/uhid.md has the
//! mechanism.
//!
//! ```no_run
//! use vinput::uhid::{Button, Device, Mac, Model, State};
//! use vinput::{DeviceName, Reaper};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::DualSense;
//! let name = DeviceName::new(model.device_name())?;
//! let phys = DeviceName::new("example/pad0")?;
//! let pad = Device::create(model, &name, &phys, Mac::derived_from("example/pad0"))?;
//!
//! pad.set(&State { buttons: Button::South.into(), gyro: [0.0, 1.5, 0.0], ..State::NEUTRAL })?;
//! pad.neutral()?;
//!
//! // Whenever the pad is readable:
//! while let Some(feedback) = pad.take_feedback() {
//!     println!("{feedback:?}");
//! }
//!
//! Reaper::new()?.close(pad).wait();
//! # Ok(()) }
//! ```
//!
//! Sources: include/uapi/linux/uhid.h for the interface, drivers/hid/uhid.c for what it does; each
//! model's file names those of its protocol.

pub(crate) mod abi;
mod adopt;
pub(crate) mod channel;
mod controls;
mod core;
mod crc;
mod dualsense;
mod dualshock4;
mod error;
mod feature;
mod feedback;
mod mac;
mod model;
mod pad;
mod playstation;
mod reservation;
mod snapshot;
mod state;
mod switch;
mod watch;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

pub(crate) use self::channel::Ready;
use self::core::Core;
pub use self::error::{AdoptError, CreateError, WriteError};
pub use self::feedback::{Feedback, MuteLed, Trigger};
pub use self::mac::{Mac, MacError};
pub use self::model::Model;
pub(crate) use self::reservation::Reservation;
pub use self::snapshot::Snapshot;
pub use self::state::{Battery, Button, Buttons, STANDARD_GRAVITY, State, Touch};
pub(crate) use self::watch::{Bound, Wanted, Watch, bound_by, check_host};
use crate::node::SysfsError;
use crate::{DeviceName, Node};

/// Where uhid is.
pub const DEFAULT_PATH: &str = "/dev/uhid";

/// How long the driver has. hid-playstation needs milliseconds, hid-nintendo a tenth of a second; but
/// udevd may have to load it first.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A virtual pad. It exists as long as this value, unless it is [left](Self::leave) to another process.
///
/// A thread of its own answers the driver and programs, and repeats the pad's state every few
/// milliseconds, as a real pad does. Methods take `&self` and may be called from several threads.
///
/// Dropping it destroys the pad and **blocks for tens of milliseconds**; see [`Reaper`](crate::Reaper).
/// Until that is done its address is taken: a pad that is to take its place has to wait.
#[derive(Debug)]
pub struct Device {
    core: Arc<Core>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
    model: Model,
    mac: Mac,
    driver: String,
    syspath: PathBuf,
    nodes: Vec<Node>,
    /// Whether it is not to be destroyed.
    is_left: bool,
    /// Dropped after the core, with which the pad goes.
    _reservation: Reservation,
}

impl Device {
    /// Makes a pad. When this returns, its driver has taken it and all its nodes exist; the host's udev
    /// may still be about to set their permissions.
    ///
    /// Waits for the kernel, for up to ten seconds where the driver is missing.
    ///
    /// `phys` marks the pad, for udev rules and for people, with its first 63 bytes. `mac` must be one
    /// that no other device of the host has.
    ///
    /// # Errors
    ///
    /// [`CreateError`] says what is missing or which step failed. No pad is left behind.
    pub fn create(
        model: Model,
        name: &DeviceName,
        phys: &DeviceName,
        mac: Mac,
    ) -> Result<Self, CreateError> {
        let Ready { file, watch, reservation } = Ready::new(mac, model.input_devices())?;
        let create = abi::Create {
            name: name.as_str(),
            phys: &phys_that_fits(phys),
            uniq: &mac.to_string(),
            bus: model.bus() as u16,
            vendor: model.vendor(),
            product: model.product(),
            version: model.version(),
            descriptor: model.descriptor(),
        };
        let refused = |source| CreateError::Refused { device: model.to_string(), source };
        channel::write(&file, &create.encode()).map_err(refused)?;

        let core = Core::new(file, model, mac).map_err(CreateError::Thread)?;
        let (core, thread) = Self::start(core).map_err(CreateError::Thread)?;
        // From here on, dropping the device ends the thread.
        let mut device = Self {
            core,
            thread: Some(thread),
            model,
            mac,
            driver: String::new(),
            syspath: PathBuf::new(),
            nodes: Vec::new(),
            is_left: false,
            _reservation: reservation,
        };
        let wanted = Wanted { device: model.name(), drivers: model.drivers(), uniq: mac };
        let Bound { syspath, driver } = watch.wait(wanted, &device.core.stopped, PATIENCE)?;
        device.nodes = input_nodes(&syspath)?;
        device.nodes.extend(hidraw_nodes(&syspath)?);
        (device.syspath, device.driver) = (syspath, driver);
        Ok(device)
    }

    /// Has a thread answer for the pad.
    fn start(core: Core) -> io::Result<(Arc<Core>, JoinHandle<()>)> {
        let core = Arc::new(core);
        let looping = Arc::clone(&core);
        let builder = thread::Builder::new().name("hotseat-uhid".to_owned());
        let thread = builder.spawn(move || looping.run())?;
        Ok((core, thread))
    }

    /// Which pad it is.
    #[must_use]
    pub fn model(&self) -> Model {
        self.model
    }

    /// Its address, which is also its `uniq`.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The kernel's driver that has it: `playstation`.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Its directory in sysfs: `/sys/devices/virtual/misc/uhid/0003:054C:0CE6.0005`.
    #[must_use]
    pub fn syspath(&self) -> &Path {
        &self.syspath
    }

    /// Its nodes: those of the gamepad, of the motion sensors, of the touchpad (`event*`, `js*`,
    /// `mouse*` each), and `hidraw*` last. Lights and battery have none; they are in `leds` and
    /// `power_supply` of [`syspath`](Self::syspath).
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Sets all controls. What is so already is not reported again; a change is reported with a single
    /// `write(2)`, by Switch pads with their next report (within 12 ms). Does not allocate, and does
    /// not wait but for a report that the pad's thread is just writing.
    ///
    /// # Errors
    ///
    /// [`WriteError`], if the kernel does not take the report; it always should.
    pub fn set(&self, state: &State) -> Result<(), WriteError> {
        Ok(self.core.set(state)?)
    }

    /// Lets go of everything ([`State::NEUTRAL`]); the battery stays as it is.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn neutral(&self) -> Result<(), WriteError> {
        Ok(self.core.neutral()?)
    }

    /// Takes the next thing that the pad was told, or `None` if there is none. Does not block. When
    /// there is something, the pad is readable ([`AsFd`]).
    ///
    /// Of each kind only the newest is kept, so nobody has to hurry, and nothing is answered by this:
    /// the pad's thread has done that already.
    #[must_use]
    pub fn take_feedback(&self) -> Option<Feedback> {
        self.core.take_feedback()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.core.end();
        // It does not panic; if it did, the pad would be gone all the same.
        let _ = self.thread.take().map(JoinHandle::join);
        if !self.is_left {
            // Closing would leave it to whoever has a duplicate of the descriptor. An error means that it is gone.
            let _ = channel::write(&self.core.file, &abi::destroy());
        }
    }
}

/// Readable when there may be feedback.
impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.news.as_fd()
    }
}

/// For event loops that ask for it, as `tokio::io::unix::AsyncFd` does.
impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        self.core.news.as_fd().as_raw_fd()
    }
}

/// As much of the text as the kernel takes, whole characters.
pub(crate) fn phys_that_fits(phys: &DeviceName) -> String {
    let mut text = phys.as_str().to_owned();
    text.truncate(text.floor_char_boundary(abi::PHYS_MAX));
    text
}

/// The nodes of a HID device's input devices, in the order in which the driver made these.
pub(crate) fn input_nodes(syspath: &Path) -> Result<Vec<Node>, CreateError> {
    let folder = syspath.join("input");
    let failed = |source| SysfsError { path: folder.clone(), source };
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        inputs.push(entry.map_err(failed)?.path());
    }
    inputs.sort_by_key(|path| number_of(path));
    let mut nodes = Vec::new();
    for syspath in inputs {
        let of_input = Node::of_device(&syspath)?;
        if !of_input.iter().any(Node::is_event) {
            return Err(CreateError::NoNode { syspath, what: "event" });
        }
        nodes.extend(of_input);
    }
    Ok(nodes)
}

/// The hidraw node of a HID device.
pub(crate) fn hidraw_nodes(syspath: &Path) -> Result<Vec<Node>, CreateError> {
    // There is no such folder where the kernel had no number left.
    let hidraw = syspath.join("hidraw");
    if !hidraw.exists() {
        return Err(CreateError::NoNode { syspath: syspath.to_owned(), what: "hidraw" });
    }
    Ok(Node::of_device(&hidraw)?)
}

/// The number in `input12`.
fn number_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("input")?.parse().ok()
}
