//! A device that has outlived an earlier daemon comes back into its slot (docs/survive.md).

use std::sync::Arc;

use device_gate::StagingError;
use udev_forge::KernelEvents;

use super::error::Error;
use super::feedback::Answering;
use super::state::{Part, Plugged, State, Timings};
use super::survivor::Survivor;
use super::{plug, unplug, verify};
use crate::engine::Engine;

/// Puts a device into its slot that has outlived an earlier daemon, which plugged it. What programs see of it stays as it
/// is, and nothing is announced. On an error it is unplugged.
pub(super) fn resume(
    engine: &Engine,
    state: &mut State,
    slot: u8,
    survivor: Survivor,
) -> Result<(), Error> {
    let mut timings = Timings::start();
    let Survivor { spec, stored, device, resumed, staged } = survivor;
    let device = Arc::new(device);
    let memory = Arc::clone(stored.memory());
    let read = spec.device_name().and_then(|name| {
        let taken = plug::take(engine, state, &spec.profile).map_err(Error::Limit)?;
        let events = KernelEvents::listen().map_err(Error::KernelEvents)?;
        let parts = plug::read_parts(engine, state.door()?, &spec.profile, &device, &events)?;
        Ok((name, taken, parts))
    });
    let (name, taken, parts) = match read {
        Ok(read) => read,
        Err(error) => {
            // The first error is the one to report.
            let _ = engine.staging.forget(&state.name, &staged);
            engine.reaper.close((stored, device)).wait();
            return Err(error);
        }
    };
    let answering = Answering::start(
        Arc::clone(&engine.events),
        state.name.clone(),
        slot,
        Arc::clone(&device),
        resumed,
        Some(Arc::clone(&memory)),
    );
    timings.done("resumed");
    let mut plugged = Plugged {
        slot,
        name,
        answering,
        profile: spec.profile,
        stored: Some(stored),
        device,
        announced: parts.len(),
        bound: parts.iter().any(|part| part.forged.is_bound()),
        parts,
        timings,
        verified: false,
        taken,
    };
    match stay(engine, state, &plugged) {
        Ok(verified) => {
            plugged.verified = verified;
            memory.settle();
            state.inputs.add(&plugged);
            state.slots.insert(slot, plugged);
            Ok(())
        }
        Err(error) => {
            let (closing, _) = unplug::take_away(engine, state, plugged);
            closing.wait();
            Err(error)
        }
    }
}

/// Steps 3 to 7 of one that is there: only what is missing is made.
fn stay(engine: &Engine, state: &State, plugged: &Plugged) -> Result<bool, Error> {
    let door = state.door()?;
    plug::grant(engine, state, plugged)?;
    if door.announcer.forges() {
        let missing = |part: &&Part| !state.database.has(&part.forged);
        for part in plugged.parts.iter().filter(missing) {
            state.database.write(&part.forged).map_err(Error::Database)?;
        }
    }
    let (uid, gid) = door.container.root_ids();
    let mode = engine.config().node_mode;
    for node in plugged.nodes() {
        match state.dir.place(&plug::new_node(node, mode, uid, gid)) {
            // Of another device's it would have been cleared.
            Ok(()) | Err(StagingError::Exists { .. }) => {}
            Err(error) => return Err(Error::Node(error)),
        }
        door.keep_link(node)?;
    }
    verify::opens(door, plugged)
}
