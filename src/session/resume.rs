//! A device that has outlived an earlier daemon comes back into its slot (docs/survive.md).

use std::sync::Arc;

use device_gate::{Kept as Staged, StagingError};
use udev_forge::KernelEvents;

use super::error::Error;
use super::feedback::Answering;
use super::state::{LAST_SLOT, Part, Plugged, State, Timings};
use super::survivor::Survivor;
use super::{announced, plug, unplug, verify};
use crate::engine::{Engine, chain};

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
        let events = KernelEvents::listen().map_err(Error::KernelEvents)?;
        let parts = plug::read_parts(engine, state.door()?, &spec.profile, &device, &events)?;
        Ok((name, parts))
    });
    let (name, parts) = match read {
        Ok(read) => read,
        Err(error) => {
            take_away(engine, state, slot, &staged);
            engine.reaper.close((stored, device)).wait();
            return Err(error);
        }
    };
    let answering = Answering::start(
        Arc::clone(&engine.events),
        state.inputs.told().clone(),
        state.name.clone(),
        slot,
        Arc::clone(&device),
        resumed,
        Some(Arc::clone(&memory)),
    );
    timings.done("resumed");
    let taken_of = spec.profile.backend();
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
        taken: plug::take_anyway(engine, taken_of),
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

/// Takes away what shows a device of an earlier daemon, of which not even the nodes could be read. The numbers are anybody's
/// when it is closed, and programs are told. The error that led here is the one to report.
fn take_away(engine: &Engine, state: &State, slot: u8, staged: &Staged) {
    let _ = engine.staging.forget(&state.name, staged);
    engine.forget_inherited(Some(&staged.nodes.values().copied().collect::<Vec<_>>()));
    staged.nodes.values().for_each(|number| engine.host.give_number(*number));
    let others = (0..=LAST_SLOT).filter(|&other| other != slot).collect();
    let told = state
        .door()
        .and_then(|door| announced::take_back(engine, state.dir.path(), &others, &door.container));
    if let Err(error) = told.and_then(|()| announced::forget(state, slot)) {
        let (session, error) = (&state.name, chain(&error));
        tracing::warn!(session, slot, error, "programs may not know that a device is gone");
    }
}

/// Steps 3 to 7 of one that is there: only what is missing is made.
fn stay(engine: &Engine, state: &State, plugged: &Plugged) -> Result<bool, Error> {
    let door = state.door()?;
    plug::grant(engine, state, plugged)?;
    // The file systems may be new ones.
    announced::keep(state, plugged)?;
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
