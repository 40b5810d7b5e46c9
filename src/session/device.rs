//! A kernel device of either backend.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hotseat_wire::Change;
use vinput::feedback::{self, Player};
use vinput::uhid::{self, Mac, State};
use vinput::{DeviceName, Feedback, Frame, InputError, Node, hid, uinput};

use super::error::Error;
use super::survivor::NotTaken;
use super::wire;
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
        /// What a client's changes are to it.
        wire: Mutex<wire::Named<Frame>>,
    },
    /// Made by uhid, and taken by the kernel's own driver.
    Uhid {
        /// The device.
        device: uhid::Device,
        /// What its controls were set to, and what a client's changes are to it.
        state: Mutex<(State, wire::Pad)>,
    },
    /// Made by uhid, as a file of the user's describes it.
    Hid {
        /// The device.
        device: hid::Device,
        /// What a client's changes are to it.
        wire: Mutex<wire::Named<hid::Frame>>,
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
                Ok((Self::uinput(profile, device), Resumed { player, feedback }))
            }
            Profile::Uhid(model) => {
                let snapshot = uhid::Snapshot::parse(snapshot).unwrap_or_default();
                let device = uhid::Device::adopt(descriptor, *model, mac_of(phys), &snapshot)?;
                Ok((Self::uhid(device), Resumed::default()))
            }
            Profile::Hid(profile) => {
                let snapshot = hid::Snapshot::parse(snapshot).unwrap_or_default();
                let device = hid::Device::adopt(descriptor, profile, mac_of(phys), &snapshot)?;
                Ok((Self::hid(device), Resumed::default()))
            }
        }
    }

    /// What keeps the device while a duplicate of it is open somewhere.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Uinput { device, .. } => device.as_fd(),
            Self::Uhid { device, .. } => device.descriptor(),
            Self::Hid { device, .. } => device.descriptor(),
        }
    }

    /// Whether what programs upload is played here.
    pub(super) fn has_player(&self) -> bool {
        matches!(self, Self::Uinput { .. })
    }

    /// What the next daemon is to know of it; of a device of uinput its player knows that.
    pub(super) fn snapshot(&self, player: Option<&Player>) -> Vec<u8> {
        match self {
            Self::Uinput { .. } => {
                player.map(|player| player.snapshot().to_bytes()).unwrap_or_default()
            }
            Self::Uhid { device, .. } => device.snapshot().to_bytes(),
            Self::Hid { device, .. } => device.snapshot().to_bytes(),
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
                Ok(Self::uinput(profile, device))
            }
            Profile::Uhid(model) => {
                let device = uhid::Device::create(*model, name, phys, mac_of(phys));
                let device = device.map_err(Error::CreatePad)?;
                Ok(Self::uhid(device))
            }
            Profile::Hid(profile) => {
                let device = hid::Device::create(profile, Some(name), phys, mac_of(phys));
                let device = device.map_err(Error::CreatePad)?;
                Ok(Self::hid(device))
            }
        }
    }

    /// Ends this process's part in it. The device lives as long as its descriptor is open elsewhere.
    pub(super) fn leave(self) {
        match self {
            Self::Uinput { .. } => {}
            Self::Uhid { device, .. } => device.leave(),
            Self::Hid { device, .. } => device.leave(),
        }
    }

    fn uinput(profile: &Arc<vinput::Profile>, device: uinput::Device) -> Self {
        let wire = Mutex::new(wire::Named::of_uinput(profile));
        Self::Uinput { profile: Arc::clone(profile), device, wire }
    }

    fn uhid(device: uhid::Device) -> Self {
        let battery = device.snapshot().battery();
        let state = State { battery, ..State::NEUTRAL };
        Self::Uhid { device, state: Mutex::new((state, wire::Pad::default())) }
    }

    fn hid(device: hid::Device) -> Self {
        let wire = Mutex::new(wire::Named::of_hid(device.profile()));
        Self::Hid { device, wire }
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
            Self::Hid { device, .. } => device.nodes(),
        }
    }

    /// Sends one frame of inputs such as `south=1`: one short write.
    pub(super) fn send(&self, inputs: &[String]) -> Result<(), Error> {
        match self {
            Self::Uinput { profile, device, .. } => {
                let frame: Result<Frame, InputError> = profile.frame(inputs);
                device.write(&frame.map_err(Error::Input)?).map_err(Error::Write)
            }
            Self::Uhid { device, state } => {
                let (state, _) = &mut *locked(state);
                device.model().apply(state, inputs).map_err(Error::Input)?;
                device.set(state).map_err(Error::WritePad)
            }
            Self::Hid { device, .. } => {
                let frame = device.profile().frame(inputs).map_err(Error::Input)?;
                device.write(&frame).map_err(Error::WritePad)
            }
        }
    }

    /// Makes changes that programs are to see at once: one short write, and nothing is allocated.
    pub(super) fn change(&self, changes: &[Change]) -> Result<(), Error> {
        match self {
            Self::Uinput { profile, device, wire } => {
                let written = locked(wire).change(profile, changes, |frame| device.write(frame));
                written.map_err(Error::Write)
            }
            Self::Uhid { device, state } => {
                let (state, pad) = &mut *locked(state);
                changes.iter().for_each(|change| pad.apply(state, change));
                device.set(state).map_err(Error::WritePad)
            }
            Self::Hid { device, wire } => {
                let profile = device.profile();
                let written = locked(wire).change(profile, changes, |frame| device.write(frame));
                written.map_err(Error::WritePad)
            }
        }
    }

    /// Bits of the kinds of frame that it takes ([`hotseat_wire::Kind::bit`]).
    pub(super) fn kinds(&self) -> u32 {
        match self {
            Self::Uinput { wire, .. } => locked(wire).kinds(),
            Self::Uhid { device, .. } => wire::Pad::kinds(device.model()),
            Self::Hid { wire, .. } => locked(wire).kinds(),
        }
    }

    /// Lets go of everything: buttons and keys up, sticks centred, touches lifted.
    pub(super) fn release(&self) -> Result<(), Error> {
        match self {
            Self::Uinput { device, wire, .. } => {
                locked(wire).release();
                device.neutral().map_err(Error::Write)
            }
            Self::Uhid { device, state } => {
                let (state, pad) = &mut *locked(state);
                *state = State { battery: state.battery, ..State::NEUTRAL };
                pad.release();
                device.neutral().map_err(Error::WritePad)
            }
            Self::Hid { device, wire } => {
                locked(wire).release();
                device.neutral().map_err(Error::WritePad)
            }
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
