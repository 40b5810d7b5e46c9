//! What can go wrong with a pad.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use thiserror::Error;

use super::mac::Mac;
use crate::minors::MinorError;
use crate::node::SysfsError;

/// Why a pad was not created. None is left behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// uhid is not there.
    #[error("there is no uhid at {}; load it with `modprobe uhid`", path.display())]
    NotFound {
        /// Where it was expected.
        path: PathBuf,
        /// What `open(2)` said.
        #[source]
        source: io::Error,
    },
    /// uhid may not be used.
    #[error("may not open {}; run as root, or as a user who may read and write it", path.display())]
    PermissionDenied {
        /// Where it is.
        path: PathBuf,
        /// What `open(2)` said.
        #[source]
        source: io::Error,
    },
    /// uhid cannot be opened for another reason.
    #[error("cannot open {}", path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// What `open(2)` said.
        #[source]
        source: io::Error,
    },
    /// Another pad on this host has the address. The driver would refuse this one (`EEXIST` from
    /// `ps_devices_list_add`), or programs would mix them up.
    #[error("{} has the address {mac} already; give each pad its own", other.display())]
    DuplicateMac {
        /// The address.
        mac: Mac,
        /// The other device's directory in sysfs; /dev/uhid for a pad that this process is just making
        /// or closing.
        other: PathBuf,
    },
    /// The kernel has no numbers left for the pad's event nodes.
    #[error(transparent)]
    Minors(MinorError),
    /// The kernel has no hidraw node left for the pad.
    #[error("all {max} hidraw nodes of this host are taken; unplug other HID devices")]
    NoHidraw {
        /// How many the kernel has: `HIDRAW_MAX_DEVICES`.
        max: usize,
    },
    /// Messages of the kernel about devices cannot be received.
    #[error("cannot listen for the kernel's device messages")]
    Listen(#[source] io::Error),
    /// The kernel refused the description of the pad.
    #[error("the kernel refused the {device}")]
    Refused {
        /// What people call it.
        device: String,
        /// What `write(2)` said.
        #[source]
        source: io::Error,
    },
    /// The thread that answers for the pad, or what it needs, cannot be had.
    #[error("cannot start the thread of the pad")]
    Thread(#[source] io::Error),
    /// No driver took the pad but the generic one, with which it is no proper gamepad.
    #[error(
        "the kernel has no driver for the {device}: {found} took it after {waited:?}; \
         load it with `modprobe hid-{driver}`"
    )]
    DriverMissing {
        /// What people call it.
        device: String,
        /// The driver that should have taken it, without `hid-`.
        driver: String,
        /// The driver that took it.
        found: String,
        /// How long a better one was waited for.
        waited: Duration,
    },
    /// The driver gave up on the pad. The kernel's log says why.
    #[error("the kernel's driver gave up on the {device}; see the kernel's log (`dmesg`)")]
    DriverFailed {
        /// What people call it.
        device: String,
    },
    /// No driver took the pad in time.
    #[error("the kernel had no {device} ready after {waited:?}; see the kernel's log (`dmesg`)")]
    TimedOut {
        /// What people call it.
        device: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The pad's nodes could not be found.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
    /// The kernel made the pad without a node that it should have.
    #[error(
        "the kernel made {} without its {what} node; unplug other devices to free a number",
        syspath.display()
    )]
    NoNode {
        /// The directory of the device that lacks it.
        syspath: PathBuf,
        /// `event` or `hidraw`.
        what: &'static str,
    },
}

impl CreateError {
    pub(crate) fn from_open(path: &Path, source: io::Error) -> Self {
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
}

/// Why a device was not taken over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// This process has the device already, or is closing it.
    #[error("the device with the address {mac} is this process's already")]
    Taken {
        /// The address.
        mac: Mac,
    },
    /// None of the right drivers has it: it was not ready yet when it was left, or its driver was unloaded since.
    #[error("no driver has the device with the address {mac}; make it anew")]
    NotBound {
        /// The address.
        mac: Mac,
    },
    /// Its nodes could not be found.
    #[error(transparent)]
    Nodes(CreateError),
    /// The thread that answers for it, or what it needs, cannot be had.
    #[error("cannot start the thread of the device")]
    Thread(#[source] io::Error),
    /// The kernel takes no report by the descriptor: there is no device behind it.
    #[error("the kernel takes no report of the device; make it anew")]
    Write(#[source] io::Error),
}

/// Why a state was not reported.
#[derive(Debug, Error)]
#[error("cannot write to the pad")]
pub struct WriteError(#[from] pub(super) io::Error);
