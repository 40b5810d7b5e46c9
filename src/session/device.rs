//! A kernel device of either backend.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use vinput::feedback::{self, Player};
use vinput::uhid::{self, Mac, State};
use vinput::{DeviceName, Feedback, Frame, InputError, Node, hid, uinput};

use super::error::Error;
use super::survivor::NotTaken;
use crate::profiles::Profile;

/// A device that exists as long as this value; dropping it blocks.
#[derive(Debug)]
pub(crate) enum Device {
    /// Made by uinput.
    Uinput {
        /// What it can do.
        profile: Arc<vinput::Profile>,
        /// The device.
        device: uinput::Device,
    },
    /// Made by uhid, and taken by the kernel's own driver.
    Uhid {
        /// The device.
        device: uhid::Device,
        /// What its controls were set to.
        state: Mutex<State>,
    },
    /// Made by uhid, as a file of the user's describes it.
    Hid {
        /// The device.
        device: hid::Device,
    },
}

/// Where what programs said to a device goes on, which an earlier daemon made.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    /// Plays what they had uploaded.
    pub(super) player: Option<Player>,
    /// What they said while no daemon was there.
    pub(super) feedback: Vec<Feedback>,
}

impl Device {
    /// Takes over a device that an earlier daemon made. A snapshot that makes no sense is none.
    pub(super) fn adopt(
        descriptor: OwnedFd,
        profile: &Profile,
        phys: &DeviceName,
        snapshot: &[u8],
    ) -> Result<(Self, Resumed), NotTaken> {
        match profile {
            Profile::Uinput(profile) => {
                let uinput::Adopted { device, feedback } =
                    uinput::Device::adopt(descriptor, profile, phys)?;
                let snapshot = feedback::Snapshot::parse(snapshot).unwrap_or_default();
                let player = Some(Player::resume(profile, &snapshot, Instant::now()));
                let device = Self::Uinput { profile: Arc::clone(profile), device };
                Ok((device, Resumed { player, feedback }))
            }
            Profile::Uhid(model) => {
                let snapshot = uhid::Snapshot::parse(snapshot).unwrap_or_default();
                let device = uhid::Device::adopt(descriptor, *model, mac_of(phys), &snapshot)?;
                let device = Self::Uhid { device, state: Mutex::new(State::NEUTRAL) };
                Ok((device, Resumed::default()))
            }
            Profile::Hid(profile) => {
                let snapshot = hid::Snapshot::parse(snapshot).unwrap_or_default();
                let device = hid::Device::adopt(descriptor, profile, mac_of(phys), &snapshot)?;
                Ok((Self::Hid { device }, Resumed::default()))
            }
        }
    }

    /// What keeps the device while a duplicate of it is open somewhere.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Uinput { device, .. } => device.as_fd(),
            Self::Uhid { device, .. } => device.descriptor(),
            Self::Hid { device } => device.descriptor(),
        }
    }

    /// What the next daemon is to know of it; of a device of uinput its player knows that.
    pub(super) fn snapshot(&self, player: Option<&Player>) -> Vec<u8> {
        match self {
            Self::Uinput { .. } => {
                player.map(|player| player.snapshot().to_bytes()).unwrap_or_default()
            }
            Self::Uhid { device, .. } => device.snapshot().to_bytes(),
            Self::Hid { device } => device.snapshot().to_bytes(),
        }
    }

    /// Makes the device. Its nodes exist when this returns.
    pub(super) fn create(
        profile: &Profile,
        name: &DeviceName,
        phys: &DeviceName,
    ) -> Result<Self, Error> {
        match profile {
            Profile::Uinput(profile) => {
                let device = uinput::Device::create(profile, name, phys).map_err(Error::Create)?;
                Ok(Self::Uinput { profile: Arc::clone(profile), device })
            }
            Profile::Uhid(model) => {
                let device = uhid::Device::create(*model, name, phys, mac_of(phys));
                let device = device.map_err(Error::CreatePad)?;
                Ok(Self::Uhid { device, state: Mutex::new(State::NEUTRAL) })
            }
            Profile::Hid(profile) => {
                let device = hid::Device::create(profile, Some(name), phys, mac_of(phys));
                let device = device.map_err(Error::CreatePad)?;
                Ok(Self::Hid { device })
            }
        }
    }

    /// Its directory in sysfs, below which everything is that belongs to it.
    pub(super) fn syspath(&self) -> &Path {
        match self {
            Self::Uinput { device, .. } => device.syspath(),
            Self::Uhid { device, .. } => device.syspath(),
            Self::Hid { device, .. } => device.syspath(),
        }
    }

    /// Its nodes.
    pub(super) fn nodes(&self) -> &[Node] {
        match self {
            Self::Uinput { device, .. } => device.nodes(),
            Self::Uhid { device, .. } => device.nodes(),
            Self::Hid { device } => device.nodes(),
        }
    }

    /// Sends one frame of inputs such as `south=1`: one short write.
    pub(super) fn send(&self, inputs: &[String]) -> Result<(), Error> {
        match self {
            Self::Uinput { profile, device } => {
                let frame: Result<Frame, InputError> = profile.frame(inputs);
                device.write(&frame.map_err(Error::Input)?).map_err(Error::Write)
            }
            Self::Uhid { device, state, .. } => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                device.model().apply(&mut state, inputs).map_err(Error::Input)?;
                device.set(&state).map_err(Error::WritePad)
            }
            Self::Hid { device, .. } => {
                let frame = device.profile().frame(inputs).map_err(Error::Input)?;
                device.write(&frame).map_err(Error::WritePad)
            }
        }
    }

    /// Lets go of everything: buttons and keys up, sticks centred, touches lifted.
    pub(super) fn release(&self) -> Result<(), Error> {
        match self {
            Self::Uinput { device, .. } => device.neutral().map_err(Error::Write),
            Self::Uhid { device, state } => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                *state = State::NEUTRAL;
                device.neutral().map_err(Error::WritePad)
            }
            Self::Hid { device } => device.neutral().map_err(Error::WritePad),
        }
    }

    /// The event node, to ask it for its axes; `None` where they are known without.
    pub(super) fn node_with_axes(&self, syspath: &Path) -> Option<File> {
        if matches!(self, Self::Uinput { .. }) {
            return None;
        }
        let node = self.nodes().iter().find(|node| node.syspath == syspath && node.is_event())?;
        File::open(Path::new("/dev").join(&node.devname)).ok()
    }
}

/// The address of the pad that is marked so.
fn mac_of(phys: &DeviceName) -> Mac {
    Mac::derived_from(&format!("{}/{phys}", machine_id()))
}

/// What tells this host from others (machine-id(5)). With it a pad's address is the same for a slot each time,
/// by which games remember it, and yet nobody else can say it first: hardware that a player plugs in could, as its
/// serial number, and the slot would get no pad.
fn machine_id() -> String {
    fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

/// Readable when a program has sent something back.
impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Uinput { device, .. } => device.as_raw_fd(),
            Self::Uhid { device, .. } => device.as_raw_fd(),
            Self::Hid { device, .. } => device.as_raw_fd(),
        }
    }
}
