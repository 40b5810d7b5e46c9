//! The plug: a device comes into being, and into the container. The order is the product (docs/plug.md).

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use device_gate::{Access, Device as DeviceNumber, NewNode};
use udev_forge::{Axis, Forged, KernelEvents, Stamp, Sysfs};
use vinput::{DeviceName, NameError, Node};

use super::announced;
use super::device::{Device, Resumed};
use super::door::Door;
use super::error::Error;
use super::feedback::Answering;
use super::journal::{End, Intent, Known, Operation};
use super::state::{Part, Plugged, State, Timings};
use super::survivor;
use super::{hosted, span, unplug, verify};
use crate::engine::{Engine, chain};
use crate::events::What;
use crate::fault;
use crate::limits::{LimitError, Taken};
use crate::profiles::{self, Backend, Profile, ProfilesError};
use crate::{metrics, problem};

/// What a slot is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The device's model.
    pub profile: Profile,
    /// Its name; the profile's if not given.
    pub name: Option<DeviceName>,
}

/// What a slot was to have is no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    /// Its profile is gone, or cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfilesError),
    /// It has a name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Spec {
    /// What the journal knows.
    pub(crate) fn of(profiles: &Path, known: &Known) -> Result<Self, SpecError> {
        let profile = profiles::find(profiles, &known.profile)?;
        let name = known.name.clone().map(DeviceName::new).transpose()?;
        Ok(Self { profile, name })
    }

    /// What the kernel is to call it.
    pub(super) fn device_name(&self) -> Result<DeviceName, Error> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => self.profile.device_name().map_err(Error::DeviceName),
        }
    }

    /// What the journal knows it by.
    pub(super) fn known(&self) -> Known {
        let name = self.name.as_ref().map(ToString::to_string);
        Known { profile: self.profile.name().to_owned(), name }
    }
}

/// Plugs a device into a slot, which is empty. On an error everything that was done is undone. Watchers are told either
/// way. One that takes the place of another which was there has its part of the limits `taken`.
pub(super) fn plug(
    engine: &Engine,
    state: &mut State,
    slot: u8,
    spec: Spec,
    taken: Option<Arc<Vec<Taken>>>,
) -> Result<(), Error> {
    let profile = spec.profile.name().to_owned();
    match plug_journaled(engine, state, slot, spec, taken) {
        Ok(took) => {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            engine.events.publish(&state.name, What::Plugged { slot, profile, us });
            Ok(())
        }
        Err(error) => {
            tell_failed(engine, &state.name, profile, &error);
            Err(error)
        }
    }
}

/// Tells watchers of a plug that failed, or was not begun.
pub(super) fn tell_failed(engine: &Engine, session: &str, profile: String, error: &Error) {
    let (code, detail) = (problem::code(error).to_owned(), chain(error));
    engine.events.publish(session, What::PlugFailed { profile, code, detail });
}

/// Before anything is begun: what the limits allow is less than what the kernel has.
pub(super) fn take(
    engine: &Engine,
    state: &State,
    profile: &Profile,
) -> Result<Arc<Vec<Taken>>, LimitError> {
    let config = engine.config();
    let limit = config.limits.devices_per_session;
    if state.slots.len() >= limit {
        return Err(LimitError::DevicesOfSession { session: state.name.clone(), limit });
    }
    let limit = config.limits.devices;
    let mut taken = vec![engine.devices.take(limit).ok_or(LimitError::Devices { limit })?];
    if profile.backend() == Backend::Uhid {
        let limit = config.limits.whole_pads;
        taken.push(engine.whole_pads.take(limit).ok_or(LimitError::WholePads { limit })?);
    }
    Ok(Arc::new(taken))
}

/// The same for a device that is there already: a limit that was lowered takes nothing away.
pub(super) fn take_anyway(engine: &Engine, backend: Backend) -> Arc<Vec<Taken>> {
    let whole_pads = (backend == Backend::Uhid).then_some(&engine.whole_pads);
    let counts = [&engine.devices].into_iter().chain(whole_pads);
    Arc::new(counts.filter_map(|count| count.take(usize::MAX)).collect())
}

/// Returns how long it took.
fn plug_journaled(
    engine: &Engine,
    state: &mut State,
    slot: u8,
    spec: Spec,
    taken: Option<Arc<Vec<Taken>>>,
) -> Result<Duration, Error> {
    let _span = span::plug(state, slot, spec.profile.name()).entered();
    let door = state.door()?;
    door.try_again();
    let runtime = door.reference.runtime();
    engine.grants().map_err(Error::GrantsUnavailable)?;
    let taken = match taken {
        Some(taken) => taken,
        None => take(engine, state, &spec.profile).map_err(Error::Limit)?,
    };

    let journal = &engine.journal;
    fault::point("plug.begin");
    journal.intend(&state.name, Intent::Plug(slot, spec.known())).map_err(Error::Journal)?;
    fault::point("plug.intended");
    match plug_slot(engine, state, slot, spec, taken) {
        Ok(plugged) => {
            let took = plugged.timings.total();
            metrics::plugged(runtime, &plugged.timings.steps);
            state.inputs.add(&plugged);
            state.slots.insert(slot, plugged);
            // It is plugged, whatever the journal says.
            unplug::note(journal.end(&state.name, Operation::Plug, End::Done));
            fault::point("plug.ended");
            Ok(took)
        }
        Err(error) => {
            unplug::note(journal.end(&state.name, Operation::Plug, End::RolledBack));
            Err(error)
        }
    }
}

fn plug_slot(
    engine: &Engine,
    state: &mut State,
    slot: u8,
    spec: Spec,
    taken: Arc<Vec<Taken>>,
) -> Result<Plugged, Error> {
    let mut timings = Timings::start();
    let door = state.door()?;
    let (name, fingerprint) = (spec.device_name()?, survivor::fingerprint(&spec)?);
    let profile = spec.profile;
    let events = KernelEvents::listen().map_err(Error::KernelEvents)?;
    let device = Arc::new(create(&state.name, slot, &profile, &name)?);
    fault::point("plug.created");
    // Before anybody may open it: a number that is granted is that of a device that outlives us.
    let stored = engine.keep.store(&state.name, slot, device.descriptor(), fingerprint);
    fault::point("plug.stored");
    let parts = match read_parts(engine, door, &profile, &device, &events) {
        Ok(parts) => parts,
        Err(error) => {
            engine.reaper.close((stored, device)).wait();
            return Err(error);
        }
    };
    timings.done("created");
    fault::point("plug.read");
    hosted::make_way(engine, state, parts.iter().filter_map(|part| part.node.as_ref()));

    let mut plugged = Plugged {
        slot,
        name,
        answering: Answering::start(
            Arc::clone(&engine.events),
            state.inputs.told().clone(),
            state.name.clone(),
            slot,
            Arc::clone(&device),
            Resumed::default(),
            stored.as_ref().map(|stored| Arc::clone(stored.memory())),
        ),
        profile,
        stored,
        device,
        parts,
        announced: 0,
        bound: false,
        timings,
        verified: false,
        taken,
    };
    match appear(engine, state, &mut plugged) {
        Ok(()) => Ok(plugged),
        Err(error) => {
            let (closing, _) = unplug::take_away(engine, state, plugged);
            closing.wait();
            Err(error)
        }
    }
}

/// Step 2: the kernel device. Its nodes exist when this returns.
fn create(session: &str, slot: u8, profile: &Profile, name: &DeviceName) -> Result<Device, Error> {
    Device::create(profile, name, &phys(session, slot)?)
}

/// The host's udev rules know our devices by this prefix (assets/udev/72-hotseat.rules).
pub(super) fn phys(session: &str, slot: u8) -> Result<DeviceName, Error> {
    DeviceName::new(format!("hotseat/{session}/{slot}")).map_err(Error::DeviceName)
}

/// What udev would say of the device, of each node, and of what else is below it, such as lamps.
pub(super) fn read_parts(
    engine: &Engine,
    door: &Door,
    profile: &Profile,
    device: &Device,
    events: &KernelEvents,
) -> Result<Vec<Part>, Error> {
    let seqnums = events.added();
    let sysfs = Sysfs::new();
    let hwdb = engine.hwdb();
    let mut parts = Vec::new();
    for syspath in sysfs.tree(device.syspath()).map_err(Error::ReadDevice)? {
        let mut sys_device = sysfs.read(&syspath).map_err(Error::ReadDevice)?;
        let node = device.nodes().iter().find(|node| node.syspath == syspath && door.shows(node));
        let node = node.cloned();
        if sys_device.devnum().is_some() && node.is_none() {
            // A node that the container does not get.
            continue;
        }
        if let Profile::Uinput(profile) = profile {
            sys_device.set_axes(axes(profile));
        } else if let Some(node) = device.node_with_axes(&syspath) {
            sys_device.read_axes(node.as_fd()).map_err(Error::ReadAxes)?;
            engine.reaper.close(node);
        }
        let stamp = match seqnums.get(sys_device.devpath()) {
            Some(&seqnum) => Stamp::now().map(|now| Stamp { seqnum, ..now }),
            None => engine.stamp(),
        };
        let stamp = stamp.map_err(Error::Stamp)?;
        let forged = Forged::add(&sys_device, &hwdb, stamp);
        parts.push(Part { forged, node });
    }
    Ok(parts)
}

/// The axes that the device was made with. To ask its node would take as long as closing that.
fn axes(profile: &vinput::Profile) -> impl Iterator<Item = Axis> {
    profile.axes().map(|(code, axis)| Axis {
        code: code.code,
        minimum: axis.min,
        maximum: axis.max,
        fuzz: axis.fuzz,
        resolution: axis.resolution,
    })
}

/// Steps 3 to 7.
fn appear(engine: &Engine, state: &State, plugged: &mut Plugged) -> Result<(), Error> {
    grant(engine, state, plugged)?;
    plugged.timings.done("granted");
    fault::point("plug.granted");
    record(state, plugged)?;
    plugged.timings.done("recorded");
    fault::point("plug.recorded");
    place(engine, state, plugged)?;
    plugged.timings.done("placed");
    fault::point("plug.placed");
    announce(engine, state, plugged)?;
    plugged.timings.done("announced");
    fault::point("plug.announced");
    plugged.verified = verify::verify(state.door()?, plugged)?;
    plugged.timings.done("verified");
    fault::point("plug.verified");
    Ok(())
}

/// Step 3: the container's cgroup may open each node's exact number. One that others are in too is given nothing:
/// where no device policy is in force it needs none, as for a sandbox in a login session.
pub(super) fn grant(engine: &Engine, state: &State, plugged: &Plugged) -> Result<(), Error> {
    let grants = engine.grants().map_err(Error::GrantsUnavailable)?;
    let container = &state.door()?.container;
    if container.shares_cgroup() {
        return Ok(());
    }
    for node in plugged.nodes() {
        let number = DeviceNumber::char(node.major, node.minor);
        engine.host.take_number(grants, number).map_err(Error::Grant)?;
        let access = Access::READ | Access::WRITE;
        grants.grant(container, number, access).map_err(Error::Grant)?;
        fault::point("plug.granted-one");
    }
    Ok(())
}

/// Step 4: the database, which programs read as soon as they hear of a device. A udevd writes its own.
fn record(state: &State, plugged: &Plugged) -> Result<(), Error> {
    if !state.door()?.announcer.forges() {
        return Ok(());
    }
    for part in &plugged.parts {
        state.database.write(&part.forged).map_err(Error::Database)?;
        fault::point("plug.recorded-one");
    }
    Ok(())
}

/// Step 5: the nodes, in the order of their announcement.
fn place(engine: &Engine, state: &State, plugged: &Plugged) -> Result<(), Error> {
    let door = state.door()?;
    let (uid, gid) = door.container.root_ids();
    let mode = engine.config().node_mode;
    for node in plugged.nodes() {
        state.dir.place(&new_node(node, mode, uid, gid)).map_err(Error::Node)?;
        fault::point("plug.placed-one");
        door.link(node)?;
        fault::point("plug.linked-one");
    }
    Ok(())
}

pub(super) fn new_node(node: &Node, mode: u32, uid: u32, gid: u32) -> NewNode<'_> {
    let device = DeviceNumber::char(node.major, node.minor);
    NewNode { path: &node.devname, device, mode, uid, gid }
}

/// Step 6: the messages, parent before child; then, as the kernel does it, that the driver is there.
fn announce(engine: &Engine, state: &State, plugged: &mut Plugged) -> Result<(), Error> {
    let announcer = &state.door()?.announcer;
    announced::keep(state, plugged)?;
    fault::point("plug.kept");
    verify::forget(announcer);
    for part in &plugged.parts {
        announcer.add(&part.forged)?;
        plugged.announced += 1;
        fault::point("plug.announced-one");
    }
    for part in plugged.parts.iter().filter(|part| part.forged.is_bound()) {
        announcer.bind(&part.forged, engine.stamp().map_err(Error::Stamp)?)?;
        plugged.bound = true;
    }
    Ok(())
}
