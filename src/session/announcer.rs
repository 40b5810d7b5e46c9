//! How a container's programs learn of devices (docs/receivers.md).

use std::fmt;
use std::path::PathBuf;

use device_gate::attach::AttachError;
use device_gate::{Attachment, Container, SessionDir, attach, attach_nodes};
use serde::{Deserialize, Serialize};
use udev_forge::{Action, Credentials, Forged, Injector, Message, Monitor, Sender, Stamp, udevd};
use utoipa::ToSchema;

use super::error::Error;
use crate::config::Config;

/// How a container's programs learn of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UdevMode {
    /// No udevd works in the container: we make the messages and the database that it would make.
    Forge,
    /// A udevd works in the container, and hears no events of the kernel: we have the kernel repeat them, and it
    /// does the rest.
    Inject,
    /// A udevd works in the container, and hears the kernel's own events of every device of the host.
    Kernel,
}

impl fmt::Display for UdevMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forge => "forge",
            Self::Inject => "inject",
            Self::Kernel => "kernel",
        })
    }
}

impl UdevMode {
    /// The mode for a container as it is now.
    pub(crate) fn of(container: &Container) -> Result<Self, Error> {
        let net = PathBuf::from(format!("/proc/{}/net", container.pid()));
        let has_udevd = udevd::is_in(&net).map_err(Error::LookForUdevd)?;
        Ok(match (has_udevd, container.hears_the_kernel()) {
            (false, _) => Self::Forge,
            (true, false) => Self::Inject,
            (true, true) => Self::Kernel,
        })
    }
}

/// The way to the container's programs, in the mode that was right when the session was attached.
#[derive(Debug)]
pub(super) struct Announcer {
    /// The container's root, as numbered here: older libudevs and every udevd listen to no one else.
    credentials: Credentials,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Forge { sender: Sender, monitor: Monitor },
    Inject(Injector),
    Kernel,
}

impl Announcer {
    pub(super) fn open(config: &Config, container: &Container) -> Result<Self, Error> {
        let network = container.network_namespace();
        let way = match UdevMode::of(container)? {
            UdevMode::Forge => Way::Forge {
                sender: Sender::open_in(network)
                    .map_err(Error::OpenSender)?
                    .libudev_zero(config.libudev_zero),
                monitor: Monitor::open_in(network).map_err(Error::OpenMonitor)?,
            },
            UdevMode::Inject => {
                Way::Inject(Injector::open_in(network).map_err(Error::OpenInjector)?)
            }
            UdevMode::Kernel => Way::Kernel,
        };
        let (uid, gid) = container.root_ids();
        Ok(Self { credentials: Credentials { uid, gid }, way })
    }

    /// The container's root, as numbered here.
    pub(super) fn credentials(&self) -> Credentials {
        self.credentials
    }

    pub(super) fn mode(&self) -> UdevMode {
        match self.way {
            Way::Forge { .. } => UdevMode::Forge,
            Way::Inject(_) => UdevMode::Inject,
            Way::Kernel => UdevMode::Kernel,
        }
    }

    /// Whether /run/udev is ours to fill.
    pub(super) fn forges(&self) -> bool {
        self.mode() == UdevMode::Forge
    }

    /// Our listener for what we forge.
    pub(super) fn monitor(&self) -> Option<&Monitor> {
        match &self.way {
            Way::Forge { monitor, .. } => Some(monitor),
            Way::Inject(_) | Way::Kernel => None,
        }
    }

    /// Shows the session's directories in the container; /run/udev is a udevd's own.
    pub(super) fn attach(
        &self,
        container: &Container,
        dir: &SessionDir,
    ) -> Result<Attachment, AttachError> {
        if self.forges() { attach(container, dir) } else { attach_nodes(container, dir) }
    }

    /// Says that the device is there.
    pub(super) fn add(&self, forged: &Forged) -> Result<(), Error> {
        match &self.way {
            Way::Forge { .. } => self.forge(Some(forged.add_message())),
            Way::Inject(injector) => self.inject(injector, forged, Action::Add),
            Way::Kernel => Ok(()),
        }
    }

    /// Says that a driver has taken the device, if one has: some clients of udev wait for that.
    pub(super) fn bind(&self, forged: &Forged, stamp: Stamp) -> Result<(), Error> {
        self.forge(forged.bind_message(stamp))
    }

    /// Says that the driver has let go of it.
    pub(super) fn unbind(&self, forged: &Forged, stamp: Stamp) -> Result<(), Error> {
        self.forge(forged.unbind_message(stamp))
    }

    /// Sends what a container without a udevd is to hear.
    fn forge(&self, message: Option<Message>) -> Result<(), Error> {
        match (&self.way, message) {
            (Way::Forge { sender, .. }, Some(message)) => {
                sender.send(&message, &self.credentials).map_err(Error::Announce)
            }
            _ => Ok(()),
        }
    }

    /// Says that the device is gone; `stamp` is that of a forged message.
    pub(super) fn remove(&self, forged: &Forged, stamp: Stamp) -> Result<(), Error> {
        match &self.way {
            Way::Forge { .. } => self.forge(Some(forged.remove_message(stamp))),
            Way::Inject(injector) => self.inject(injector, forged, Action::Remove),
            Way::Kernel => Ok(()),
        }
    }

    fn inject(&self, injector: &Injector, forged: &Forged, action: Action) -> Result<(), Error> {
        injector.inject(&forged.uevent(action), &self.credentials).map_err(Error::Inject)
    }
}
