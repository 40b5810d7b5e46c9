//! The unplug: the plug backwards. Also its rollback: every step tolerates what is not there.

use device_gate::Device as DeviceNumber;
use vinput::Closing;

use super::error::Error;
use super::journal::{End, Operation};
use super::state::{Plugged, State};
use crate::engine::Engine;

/// Unplugs the device of a slot. For the container it is gone when this returns; the kernel may still be
/// closing it, which [`Closing`] waits for.
pub(super) fn unplug(engine: &Engine, state: &mut State, slot: u8) -> Result<Closing, Error> {
    state.slot(slot)?;
    let journal = &engine.journal;
    journal.intend(Operation::Unplug, &state.name, slot).map_err(Error::Journal)?;
    let Some(plugged) = state.slots.remove(&slot) else {
        return Err(Error::SlotEmpty { session: state.name.clone(), slot });
    };
    let (closing, result) = take_away(engine, state, plugged);
    let end = if result.is_ok() { End::Done } else { End::Incomplete };
    let journaled = journal.end(Operation::Unplug, &state.name, slot, end).map_err(Error::Journal);
    result.and(journaled).map(|()| closing)
}

/// Removes every trace of a device, whatever of it there is. Goes on after an error, and returns the first.
pub(super) fn take_away(
    engine: &Engine,
    state: &State,
    plugged: Plugged,
) -> (Closing, Result<(), Error>) {
    let mut result = Ok(());
    let mut note = |outcome: Result<(), Error>| {
        if result.is_ok() {
            result = outcome;
        }
    };

    // Nodes go before the messages: some programs look whether the node is still there.
    for node in plugged.nodes() {
        note(state.dir.remove_node(&node.devname).map_err(Error::Node));
    }
    // The kernel takes tens of milliseconds; programs that hold the device open see its end then.
    let Plugged { device, answering, parts, announced, .. } = plugged;
    answering.stop();
    let closing = engine.reaper.close(device);
    for part in parts.iter().rev() {
        note(state.database.remove(&part.forged).map_err(Error::Database));
    }
    if let Some(door) = &state.door {
        for part in parts[..announced].iter().rev() {
            note(engine.stamp().map_err(Error::Stamp).and_then(|stamp| {
                let message = part.forged.remove_message(stamp.seqnum);
                door.sender.send(&message, &door.credentials).map_err(Error::Announce)
            }));
        }
        if let Ok(grants) = engine.grants() {
            let cgroup = door.container.cgroup().id();
            for node in parts.iter().filter_map(|part| part.node.as_ref()) {
                let number = DeviceNumber::char(node.major, node.minor);
                note(grants.revoke(cgroup, number).map_err(Error::Grant));
            }
        }
    }
    (closing, result)
}
