//! Devices that have outlived an earlier daemon (docs/survive.md).
//!
//! They are taken over before anything else is touched: programs that wait for an answer to their rumble get it, and
//! what was held is released. Their sessions get them with their containers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use device_gate::{Container, ContainerError, Device as DeviceNumber, Kept as Staged};
use tracing::{info, warn};
use udev_forge::Sysfs;
use vinput::{uhid, uinput};

use super::Error;
use super::device::{Device, Resumed};
use super::journal::{Earlier, Intent, Known};
use super::plug::{Spec, SpecError, phys};
use crate::config::Config;
use crate::engine::chain;
use crate::keep::{Keep, KeptDevice, Memory, Stored};
use crate::profiles::Profile;

/// How often a device is tried that the daemon has not survived.
const TRIES: u32 = 2;

/// Devices by session and slot.
pub(crate) type Survivors = BTreeMap<(String, u8), Survivor>;

/// The same of those that are not taken over: what keeps them.
pub(crate) type Others = Vec<((String, u8), Option<OwnedFd>)>;

/// A device that was taken over and is not in its session yet.
#[derive(Debug)]
pub(crate) struct Survivor {
    pub(super) spec: Spec,
    /// Before the device, which it would keep.
    pub(crate) stored: Stored,
    pub(super) device: Device,
    pub(super) resumed: Resumed,
    /// What shows it in its container.
    pub(crate) staged: Staged,
}

/// Why a device of an earlier daemon is not taken over. It is closed, and what its slot is to have is plugged anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// Half of it is missing.
    #[error("the descriptor store has not all of it")]
    Incomplete,
    /// Its session is not to have it.
    #[error("its session is not to have it")]
    NotWanted,
    /// Something was under way with it.
    #[error("the daemon ended while something was being done to it")]
    Interrupted,
    /// There is nobody who could have it open.
    #[error("its container cannot be opened")]
    Container(#[source] ContainerError),
    /// What it was made from is not there.
    #[error("what it was made from is not there")]
    Spec(#[source] SpecError),
    /// A name of it is none.
    #[error("it has no name")]
    Name(#[source] Error),
    /// What its slot is to have is something else, or its profile has changed.
    #[error("it was made from another profile")]
    OtherProfile,
    /// It is the reason for that, perhaps.
    #[error("the daemon ended {TRIES} times when it took it over")]
    Deadly,
    /// Its memory cannot be written.
    #[error("it cannot be noted that it is taken over")]
    Memory(#[source] io::Error),
    /// Its descriptor is not that of the device.
    #[error("the kernel's device cannot be taken over")]
    Uinput(#[from] uinput::AdoptError),
    /// The same.
    #[error("the kernel's device cannot be taken over")]
    Uhid(#[from] uhid::AdoptError),
    /// The kernel's device cannot be looked at.
    #[error("the kernel's device cannot be read")]
    Read(#[source] udev_forge::ReadError),
}

/// Takes over what can be, and says which others there are. Those are as they were: still in the store, still open.
pub(crate) fn take_over(
    config: &Config,
    earlier: &Earlier,
    keep: &Arc<Keep>,
    kept: BTreeMap<(String, u8), KeptDevice>,
) -> (Survivors, Others) {
    let mut survivors = Survivors::new();
    let mut others = Others::new();
    for ((session, slot), KeptDevice { device, memory }) in kept {
        // It is to be closed later, whatever becomes of this one.
        let duplicate = device.as_ref().and_then(|device| device.try_clone().ok());
        match take_one(config, earlier, keep, (&session, slot), device, memory) {
            Ok(survivor) => {
                info!(session, slot, "a device of the earlier daemon is taken over");
                survivors.insert((session, slot), survivor);
            }
            Err(why) => {
                let why = chain(&why);
                warn!(session, slot, why, "a device of the earlier daemon is not taken over");
                others.push(((session, slot), duplicate));
            }
        }
    }
    (survivors, others)
}

fn take_one(
    config: &Config,
    earlier: &Earlier,
    keep: &Arc<Keep>,
    (session, slot): (&str, u8),
    device: Option<OwnedFd>,
    memory: Option<OwnedFd>,
) -> Result<Survivor, NotTaken> {
    let (device, memory) = device.zip(memory).ok_or(NotTaken::Incomplete)?;
    let known = wanted(earlier, session, slot)?;
    let spec = Spec::of(&config.profiles, &known).map_err(NotTaken::Spec)?;
    let fingerprint = fingerprint(&spec).map_err(NotTaken::Name)?;
    let memory = Memory::open(memory, fingerprint).ok_or(NotTaken::OtherProfile)?;
    if memory.begin().map_err(NotTaken::Memory)? >= TRIES {
        return Err(NotTaken::Deadly);
    }
    let phys = phys(session, slot).map_err(NotTaken::Name)?;
    let (device, resumed) = Device::adopt(device, &spec.profile, &phys, &memory.snapshot())?;
    let staged = match staged(&device) {
        Ok(staged) => staged,
        Err(error) => {
            // Closed with the others, when its grants are taken back.
            device.leave();
            return Err(NotTaken::Read(error));
        }
    };
    let stored = keep.hold(session, slot, memory);
    Ok(Survivor { spec, stored, device, resumed, staged })
}

/// What the slot is to have, if that is what it had, wholly and in its container.
fn wanted(earlier: &Earlier, session: &str, slot: u8) -> Result<Known, NotTaken> {
    let kept = earlier.sessions().get(session).ok_or(NotTaken::NotWanted)?;
    let mut goal = kept.goal().ok_or(NotTaken::NotWanted)?;
    let known = goal.slots.remove(&slot).ok_or(NotTaken::NotWanted)?;
    let container = goal.container.ok_or(NotTaken::NotWanted)?.identity();
    let concerns = |intent: &Intent| match intent {
        Intent::Plug(other, _) | Intent::Unplug(other) => *other == slot,
        Intent::Attach(attached) => !attached.is(&container),
        Intent::Add { .. } | Intent::Remove | Intent::Leave | Intent::Move => true,
    };
    if kept.under_way().iter().any(concerns) {
        return Err(NotTaken::Interrupted);
    }
    Container::open_again(&container).map_err(NotTaken::Container)?;
    Ok(known)
}

/// What shows the device in its container.
fn staged(device: &Device) -> Result<Staged, udev_forge::ReadError> {
    let number = |node: &vinput::Node| DeviceNumber::char(node.major, node.minor);
    let nodes = device.nodes().iter().map(|node| (node.devname.clone(), number(node))).collect();
    let sysfs = Sysfs::new();
    let mut staged = Staged { nodes, ..Staged::default() };
    for syspath in sysfs.tree(device.syspath())? {
        staged.records.insert(sysfs.read(&syspath)?.device_id().as_str().to_owned());
    }
    Ok(staged)
}

impl Survivor {
    /// The numbers of its nodes.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = DeviceNumber> {
        self.staged.nodes.values().copied()
    }
}

/// What is to stay in the staging file systems, by session.
pub(crate) fn all_staged(survivors: &Survivors) -> BTreeMap<String, Staged> {
    let mut all = BTreeMap::<String, Staged>::new();
    for ((session, _), survivor) in survivors {
        let staged = all.entry(session.clone()).or_default();
        staged.nodes.extend(survivor.staged.nodes.clone());
        staged.records.extend(survivor.staged.records.iter().cloned());
    }
    all
}

/// What tells a device from one that the same words would make by now, of another version of its profile: all that the
/// kernel was told of it.
pub(super) fn fingerprint(spec: &Spec) -> Result<u64, Error> {
    let mut text = format!("{}\n{}\n", spec.profile.name(), spec.device_name()?);
    // Writing to a string cannot fail.
    let _ = match &spec.profile {
        Profile::Uinput(profile) => describe(&mut text, profile),
        Profile::Uhid(model) => write!(text, "{:?}", model.descriptor()),
        Profile::Hid(profile) => {
            let id = [profile.vendor(), profile.product(), profile.version()];
            let (bus, driver) = (profile.bus() as u16, profile.driver());
            write!(text, "{bus} {id:?} {driver:?} {:?}", profile.descriptor().as_bytes())
        }
    };
    Ok(fnv1a(text.as_bytes()))
}

fn describe(text: &mut String, profile: &vinput::Profile) -> std::fmt::Result {
    let id = [profile.bus() as u16, profile.vendor(), profile.product(), profile.version()];
    let properties: Vec<u16> = profile.properties().collect();
    let contacts = profile.contacts().map(|contacts| contacts.count());
    write!(text, "{id:?} {properties:?} {contacts:?} {}", profile.repeat())?;
    write!(text, " {}", profile.max_effects())?;
    let codes = profile.codes();
    for code in codes.chain(profile.leds().iter().copied()).chain(profile.effects().iter().copied())
    {
        write!(text, " {}:{}", code.kind as u16, code.code)?;
    }
    for (code, axis) in profile.axes() {
        let range = [axis.min, axis.max, axis.fuzz, axis.flat, axis.resolution];
        write!(text, " {}={range:?}", code.code)?;
    }
    Ok(())
}

/// The hash of Fowler, Noll and Vo, which is the same in every version of this program (RFC 9923).
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use vinput::DeviceName;

    use super::*;

    fn of(toml: &str) -> u64 {
        let profile = Profile::Uinput(Arc::new(vinput::Profile::parse(toml).unwrap()));
        fingerprint(&Spec { profile, name: None }).unwrap()
    }

    #[test]
    fn whatever_the_kernel_is_told_changes_the_fingerprint() {
        let toml = include_str!("../../assets/profiles/xbox-one.toml");
        let same = of(toml);
        assert_eq!(of(&format!("{toml}\n# Another comment.\n")), same);
        let profile = Profile::Uinput(Arc::new(vinput::Profile::parse(toml).unwrap()));
        let name = Some(DeviceName::new("another name").unwrap());
        assert_ne!(fingerprint(&Spec { profile, name }).unwrap(), same);
        for (from, to) in [("32767", "32766"), ("0x045e", "0x045f"), ("0x0408", "0x0409")] {
            assert!(toml.contains(from), "{from}");
            assert_ne!(of(&toml.replace(from, to)), same, "{from}");
        }
    }

    #[test]
    fn the_hash_is_the_one_that_is_named() {
        // The test vectors of RFC 9923 (and of the authors' own page).
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
