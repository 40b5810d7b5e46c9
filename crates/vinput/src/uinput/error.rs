//! What can go wrong with a device.

use std::io;
use std::path::{Path, PathBuf};

use nix::libc;
use thiserror::Error;

use crate::minors::MinorError;
use crate::node::SysfsError;

/// Why a device was not created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// uinput is not there.
    #[error("there is no uinput at {}; load it with `modprobe uinput`", path.display())]
    NotFound {
        /// Where it was expected.
        path: PathBuf,
        /// What `open(2)` said.
        #[source]
        source: io::Error,
    },
    /// uinput may not be used.
    #[error(
        "may not open {}; run as root, or as a user who may read and write it", path.display()
    )]
    PermissionDenied {
        /// Where it is.
        path: PathBuf,
        /// What `open(2)` said.
        #[source]
        source: io::Error,
    },
    /// uinput cannot be opened for another reason.
    #[error("cannot open {}", path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// What `open(2)` said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a step.
    #[error(transparent)]
    Ioctl(#[from] IoctlError),
    /// There is no number for its nodes. Nothing was made.
    #[error(transparent)]
    Minors(#[from] MinorError),
    /// The device's nodes could not be found.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
    /// The kernel made the device but no `event*` node. The device is destroyed again.
    #[error(
        "the kernel made {sysname} without an event node; \
         unplug other input devices to free a minor number, or load it with `modprobe evdev`"
    )]
    NoEventNode {
        /// The kernel's name of the device.
        sysname: String,
    },
}

impl CreateError {
    pub(super) fn from_open(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        // ENODEV and ENXIO: a node that was made in advance, and no driver behind it.
        match (source.kind(), source.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(libc::ENODEV | libc::ENXIO)) => {
                Self::NotFound { path, source }
            }
            (io::ErrorKind::PermissionDenied, _) => Self::PermissionDenied { path, source },
            _ => Self::Open { path, source },
        }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self, Self::Ioctl(error) if error.is_interrupted())
    }
}

/// Why a device was not taken over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The kernel knows no device behind the descriptor.
    #[error(transparent)]
    Ioctl(#[from] IoctlError),
    /// What the kernel says of the device could not be found.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
    /// It is not the device that is meant.
    #[error("{sysname} is not the device that is meant: it is {found}, not {expected}")]
    OtherDevice {
        /// The kernel's name of the device.
        sysname: String,
        /// Bus, vendor, product, version and `phys` of the one that is meant.
        expected: String,
        /// The same of this one.
        found: String,
    },
    /// Not everything could be let go of.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Programs that wait could not be answered.
    #[error(transparent)]
    Feedback(#[from] FeedbackError),
}

/// The kernel refused an ioctl.
#[derive(Debug, Error)]
#[error("{name} ({number:#010x}) failed")]
pub struct IoctlError {
    /// Its name in include/uapi/linux/uinput.h.
    pub name: &'static str,
    /// Its request number.
    pub number: u32,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

impl IoctlError {
    pub(super) fn is_interrupted(&self) -> bool {
        self.source.kind() == io::ErrorKind::Interrupted
    }
}

/// Why a frame was not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The kernel refused it.
    #[error("cannot write to the device")]
    Write(#[source] io::Error),
    /// The kernel took a part of it, which uinput does not do.
    #[error("the kernel took {written} of {length} bytes of a frame")]
    Short {
        /// How many bytes it took.
        written: usize,
        /// How many the frame has.
        length: usize,
    },
}

/// Why feedback was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FeedbackError {
    /// The kernel refused to give it.
    #[error("cannot read from the device")]
    Read(#[source] io::Error),
    /// The kernel refused the answer to an upload or an erasure.
    #[error(transparent)]
    Answer(#[from] IoctlError),
}
