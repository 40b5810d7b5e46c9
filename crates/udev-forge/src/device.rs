//! What is known of a device before the rules.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::device_id::{DeviceId, DeviceIdError};
use crate::input_codes::{ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_X, ABS_Y};
use crate::input_id::Capabilities;
use crate::properties::Properties;
use crate::sysfs::{Object, Sysfs};
use crate::{names, sys};

/// Why a device could not be read from sysfs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The path or a file below it could not be read. `NotFound` and `ENODEV`: the device is gone.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path does not lie in sysfs, or not below `/sys/devices` as a device should.
    #[error("{} is not the path of a device in {}", syspath.display(), sysfs.display())]
    NotADevice {
        /// The path, links followed.
        syspath: PathBuf,
        /// Where sysfs was expected.
        sysfs: PathBuf,
    },
    /// Subsystem and name do not make a device id.
    #[error("no id for {}", syspath.display())]
    Id {
        /// The path.
        syspath: PathBuf,
        /// Why.
        #[source]
        source: DeviceIdError,
    },
    /// An attribute that is not in the kernel's format.
    #[error("`{}` is not a value for {}", value.escape_debug(), path.display())]
    Malformed {
        /// The attribute.
        path: PathBuf,
        /// What it says.
        value: String,
    },
}

/// A device as sysfs describes it, and its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysDevice {
    id: DeviceId,
    kernel: Properties,
    devnum: Option<(u32, u32)>,
    axes: Vec<Axis>,
    machine: Arc<str>,
    /// The device itself, its parent and so on.
    chain: Vec<Arc<Object>>,
}

/// What is known of an input device or, for its event, js and mouse nodes, of the device they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Input {
    /// What it can do, and its bus.
    pub capabilities: Capabilities,
    /// `capabilities/ev`, as the kernel writes it.
    pub(crate) ev: String,
    /// `id/vendor`.
    pub vendor: u16,
    /// `id/product`.
    pub product: u16,
    /// `name`; whoever made the device chose it.
    pub name: String,
    /// `phys`, where the device is plugged in; often empty.
    pub phys: String,
}

/// What an event node says of one of its absolute axes (`struct input_absinfo` in linux/input.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the kernel's structure")]
pub struct Axis {
    /// The axis, such as `ABS_X`, 0.
    pub code: u16,
    pub minimum: i32,
    pub maximum: i32,
    pub fuzz: i32,
    /// In units per millimetre for a position; 0 is unknown.
    pub resolution: i32,
}

impl SysDevice {
    /// Reads the device at `syspath`, a directory in `/sys/devices` or a link to one.
    ///
    /// # Errors
    ///
    /// As [`Sysfs::read`].
    pub fn read(syspath: &Path) -> Result<Self, ReadError> {
        Sysfs::new().read(syspath)
    }

    pub(crate) fn of_chain(
        syspath: &Path,
        chain: Vec<Arc<Object>>,
        devnum: Option<(u32, u32)>,
        machine: Arc<str>,
    ) -> Result<Self, ReadError> {
        let not_a_device = || ReadError::Io {
            path: syspath.join("subsystem"),
            source: io::ErrorKind::NotFound.into(),
        };
        let own = chain.first().filter(|own| !own.subsystem.is_empty());
        let kernel = kernel_properties(own.ok_or_else(not_a_device)?, devnum);
        let id = DeviceId::of_kernel(&kernel)
            .map_err(|source| ReadError::Id { syspath: syspath.to_owned(), source })?;
        Ok(Self { id, kernel, devnum, axes: Vec::new(), machine, chain })
    }

    /// Says what the event node knows of its axes, which sysfs does not: udev wants the size of a
    /// surface, and libinput the noise of its positions.
    ///
    /// A device that was made by the caller has the axes it was made with; for any other there is
    /// [`read_axes`](Self::read_axes).
    pub fn set_axes(&mut self, axes: impl IntoIterator<Item = Axis>) {
        self.axes = axes.into_iter().collect();
    }

    /// [`set_axes`](Self::set_axes) with what the open event `node` says.
    ///
    /// Closing an event node takes the kernel tens of milliseconds (`evdev_detach_client` in
    /// drivers/input/evdev.c): leave that to a thread that nobody waits for.
    ///
    /// # Errors
    ///
    /// The error of `EVIOCGABS`: `ENOTTY` when `node` is no event node, `ENODEV` when its device is gone.
    pub fn read_axes(&mut self, node: BorrowedFd<'_>) -> io::Result<()> {
        let Some(abs) = self.input().map(|input| input.capabilities.abs.clone()) else {
            return Ok(());
        };
        let positions = [ABS_X, ABS_Y, ABS_MT_POSITION_X, ABS_MT_POSITION_Y];
        let there = positions.into_iter().filter(|code| abs.has(*code));
        self.axes = there.map(|code| sys::axis(node, code)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The device's id in the database.
    pub fn device_id(&self) -> &DeviceId {
        &self.id
    }

    /// The path in sysfs, without `/sys`.
    pub fn devpath(&self) -> &str {
        self.kernel.get("DEVPATH").unwrap_or_default()
    }

    /// The subsystem, such as `input`.
    pub fn subsystem(&self) -> &str {
        self.kernel.get("SUBSYSTEM").unwrap_or_default()
    }

    /// The last component of the devpath, such as `event5`.
    pub fn sysname(&self) -> &str {
        self.devpath().rsplit('/').next().unwrap_or_default()
    }

    /// The node's absolute path in /dev, if there is a node.
    pub fn devname(&self) -> Option<&str> {
        self.kernel.get("DEVNAME")
    }

    /// Major and minor number of the node, if there is one.
    pub fn devnum(&self) -> Option<(u32, u32)> {
        self.devnum
    }

    /// The driver that is bound to the device, such as `playstation`.
    pub fn driver(&self) -> Option<&str> {
        self.own().and_then(|own| own.driver.as_deref())
    }

    /// What the kernel says in its events, in the order of udev's messages: `DEVPATH` and `SUBSYSTEM`,
    /// the keys of the `uevent` file with an absolute `DEVNAME`, `MAJOR` and `MINOR`. Without `DRIVER`:
    /// a device that has just been added has none yet.
    pub fn kernel_properties(&self) -> &Properties {
        &self.kernel
    }

    /// The input device that this is or belongs to.
    pub fn input(&self) -> Option<&Input> {
        self.chain.iter().find_map(|object| object.input.as_ref())
    }

    /// The device itself, its parent and so on.
    pub(crate) fn chain(&self) -> &[Arc<Object>] {
        &self.chain
    }

    pub(crate) fn own(&self) -> Option<&Object> {
        self.chain.first().map(|own| &**own)
    }

    pub(crate) fn axis(&self, code: u16) -> Option<&Axis> {
        self.axes.iter().find(|axis| axis.code == code)
    }

    /// The modalias of the machine.
    pub(crate) fn machine(&self) -> &str {
        &self.machine
    }
}

/// What the kernel says in an event. Where the `uevent` file says what is known better, it is not believed.
fn kernel_properties(own: &Object, devnum: Option<(u32, u32)>) -> Properties {
    const OURS: [&str; 13] = [
        "ACTION",
        "CURRENT_TAGS",
        "DEVLINKS",
        "DEVPATH",
        "DRIVER",
        "MAJOR",
        "MINOR",
        "SEQNUM",
        "SUBSYSTEM",
        "SYNTH_UUID",
        "TAGS",
        "UDEV_DATABASE_VERSION",
        "USEC_INITIALIZED",
    ];
    let mut kernel = Properties::new();
    kernel.put("DEVPATH", &own.devpath);
    kernel.put("SUBSYSTEM", &own.subsystem);
    for (key, value) in own.uevent.iter().filter(|(key, _)| !OURS.contains(key)) {
        // What is empty does not arrive: libudev takes it for a property to delete.
        if value.is_empty() {
            continue;
        }
        if key != "DEVNAME" {
            kernel.put(key, value);
        } else if let Some(path) = names::dev_path(value).filter(|_| devnum.is_some()) {
            kernel.put(key, &path);
        }
    }
    if let Some((major, minor)) = devnum {
        kernel.put("MAJOR", &major.to_string());
        kernel.put("MINOR", &minor.to_string());
    }
    kernel
}
