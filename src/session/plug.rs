//! The plug: a device comes into being, and into the container. The order is the product (docs/plug.md).

use std::path::Path;
use std::sync::Arc;

use device_gate::{Access, Device as DeviceNumber, NewNode};
use udev_forge::{Forged, SysDevice};
use vinput::{DeviceName, Profile, uinput};

use super::error::Error;
use super::feedback::Answering;
use super::journal::{End, Operation};
use super::state::{Part, Plugged, State, Timings};
use super::{unplug, verify};
use crate::engine::Engine;

/// What is to be plugged.
#[derive(Debug, Clone)]
pub struct PlugRequest {
    /// The device's model.
    pub profile: Arc<Profile>,
    /// Its slot; the lowest free one if not given.
    pub slot: Option<u8>,
    /// Its name; the profile's if not given.
    pub name: Option<DeviceName>,
}

/// Plugs a device and returns its slot. On an error everything that was done is undone.
pub(super) fn plug(engine: &Engine, state: &mut State, request: PlugRequest) -> Result<u8, Error> {
    let slot = state.choose_slot(request.slot)?;
    state.door()?;
    engine.grants().map_err(Error::GrantsUnavailable)?;

    let journal = &engine.journal;
    journal.intend(Operation::Plug, &state.name, slot).map_err(Error::Journal)?;
    match plug_slot(engine, state, slot, request) {
        Ok(plugged) => {
            state.slots.insert(slot, plugged);
            // It is plugged, whatever the journal says.
            unplug::note(journal.end(Operation::Plug, &state.name, slot, End::Done));
            Ok(slot)
        }
        Err(error) => {
            unplug::note(journal.end(Operation::Plug, &state.name, slot, End::RolledBack));
            Err(error)
        }
    }
}

fn plug_slot(
    engine: &Engine,
    state: &State,
    slot: u8,
    request: PlugRequest,
) -> Result<Plugged, Error> {
    let mut timings = Timings::start();
    let device = Arc::new(create(&state.name, slot, &request)?);
    let parts = match read_parts(engine, &device) {
        Ok(parts) => parts,
        Err(error) => {
            engine.reaper.close(device).wait();
            return Err(error);
        }
    };
    timings.done("created");

    let PlugRequest { profile, name, .. } = request;
    let mut plugged = Plugged {
        slot,
        name: name.unwrap_or_else(|| profile.device_name().clone()),
        answering: Answering::start(state.name.clone(), slot, Arc::clone(&device), &profile),
        profile,
        device,
        parts,
        announced: 0,
        timings,
        verified: false,
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

/// Step 2: the kernel device. Its nodes exist when this returns (see `vinput::uinput`).
fn create(session: &str, slot: u8, request: &PlugRequest) -> Result<uinput::Device, Error> {
    // The host's udev rules know our devices by this prefix (assets/udev/72-hotseat.rules).
    let phys = DeviceName::new(format!("hotseat/{session}/{slot}")).map_err(Error::DeviceName)?;
    let name = request.name.as_ref().unwrap_or_else(|| request.profile.device_name());
    uinput::Device::create(&request.profile, name, &phys).map_err(Error::Create)
}

/// What udev would say of the input device and of each node.
fn read_parts(engine: &Engine, device: &uinput::Device) -> Result<Vec<Part>, Error> {
    let forge = |syspath: &Path| {
        let sys_device = SysDevice::read(syspath).map_err(Error::ReadDevice)?;
        Ok(Forged::add(&sys_device, engine.stamp().map_err(Error::Stamp)?))
    };
    let mut parts = vec![Part { forged: forge(device.syspath())?, node: None }];
    for node in device.nodes() {
        parts.push(Part { forged: forge(&node.syspath)?, node: Some(node.clone()) });
    }
    Ok(parts)
}

/// Steps 3 to 7.
fn appear(engine: &Engine, state: &State, plugged: &mut Plugged) -> Result<(), Error> {
    grant(engine, state, plugged)?;
    plugged.timings.done("granted");
    record(state, plugged)?;
    plugged.timings.done("recorded");
    place(engine, state, plugged)?;
    plugged.timings.done("placed");
    announce(state, plugged)?;
    plugged.timings.done("announced");
    plugged.verified = verify::verify(state.door()?, plugged).map_err(Error::Verify)?;
    plugged.timings.done("verified");
    Ok(())
}

/// Step 3: the container's cgroup may open each node's exact number.
fn grant(engine: &Engine, state: &State, plugged: &Plugged) -> Result<(), Error> {
    let grants = engine.grants().map_err(Error::GrantsUnavailable)?;
    let cgroup = state.door()?.container.cgroup().id();
    for node in plugged.nodes() {
        grants
            .grant(cgroup, DeviceNumber::char(node.major, node.minor), Access::READ | Access::WRITE)
            .map_err(Error::Grant)?;
    }
    Ok(())
}

/// Step 4: the database, which programs read as soon as they hear of a device.
fn record(state: &State, plugged: &Plugged) -> Result<(), Error> {
    for part in &plugged.parts {
        state.database.write(&part.forged).map_err(Error::Database)?;
    }
    Ok(())
}

/// Step 5: the nodes, in the order of their announcement.
fn place(engine: &Engine, state: &State, plugged: &Plugged) -> Result<(), Error> {
    let (uid, gid) = state.door()?.container.root_ids();
    for node in plugged.nodes() {
        let new = NewNode {
            path: &node.devname,
            device: DeviceNumber::char(node.major, node.minor),
            mode: engine.config.node_mode,
            uid,
            gid,
        };
        engine.staging.place(&state.dir, &new).map_err(Error::Node)?;
    }
    Ok(())
}

/// Step 6: the messages, parent before child.
fn announce(state: &State, plugged: &mut Plugged) -> Result<(), Error> {
    let door = state.door()?;
    verify::forget(door);
    for part in &plugged.parts {
        door.sender.send(&part.forged.add_message(), &door.credentials).map_err(Error::Announce)?;
        plugged.announced += 1;
    }
    Ok(())
}
