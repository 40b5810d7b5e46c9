//! The unplug: the plug backwards. Also its rollback: every step tolerates what is not there.

use device_gate::Device as DeviceNumber;
use vinput::Closing;

use super::announced;
use super::error::Error;
use super::journal::{End, Intent, JournalError, Operation};
use super::span;
use super::state::{Plugged, State};
use crate::engine::{Engine, chain};
use crate::events::What;
use crate::fault;
use crate::keep::Stored;

/// Unplugs the device of a slot. For the container it is gone when this returns; the kernel may still be
/// closing it, which [`Closing`] waits for. A journal that cannot be written does not keep a device plugged.
pub(super) fn unplug(engine: &Engine, state: &mut State, slot: u8) -> Result<Closing, Error> {
    if !state.slots.contains_key(&slot) {
        return Err(Error::SlotEmpty { session: state.name.clone(), slot });
    }
    let journal = &engine.journal;
    note(journal.intend(&state.name, Intent::Unplug(slot)));
    fault::point("unplug.intended");
    if let Some(door) = &state.door {
        door.try_again();
    }
    let result = take_out(engine, state, slot);
    let end = if result.is_ok() { End::Done } else { End::Incomplete };
    note(journal.end(&state.name, Operation::Unplug, end));
    fault::point("unplug.ended");
    result
}

/// The unplug itself, for whoever has journaled what it is a part of.
pub(super) fn take_out(engine: &Engine, state: &mut State, slot: u8) -> Result<Closing, Error> {
    let Some(plugged) = state.slots.remove(&slot) else {
        return Err(Error::SlotEmpty { session: state.name.clone(), slot });
    };
    let _span = span::unplug(state, slot, plugged.profile.name()).entered();
    state.inputs.remove(slot);
    let (closing, result) = take_away(engine, state, plugged);
    engine.events.publish(&state.name, What::Unplugged { slot });
    result.map(|()| closing)
}

/// What only the log needs to know.
pub(super) fn note(journaled: Result<(), JournalError>) {
    if let Err(error) = journaled {
        tracing::error!(error = chain(&error), "the journal has a gap");
    }
}

/// Removes every trace of a device, whatever of it there is. Goes on after an error, and returns the first.
pub(super) fn take_away(
    engine: &Engine,
    state: &State,
    plugged: Plugged,
) -> (Closing, Result<(), Error>) {
    let mut result = Ok(());
    let mut keep_first = |outcome: Result<(), Error>| {
        if result.is_ok() {
            result = outcome;
        }
    };

    // Nodes go before the messages: some programs look whether the node is still there.
    for node in plugged.nodes() {
        if let Some(door) = &state.door {
            keep_first(door.unlink(node));
            fault::point("unplug.unlinked-one");
        }
        keep_first(state.dir.remove_node(&node.devname).map_err(Error::Node));
        fault::point("unplug.removed-one");
    }
    fault::point("unplug.removed");
    // Grants go before the device: its numbers are anybody's as soon as the kernel has let go of it.
    if let (Some(door), Ok(grants)) = (&state.door, engine.grants())
        && !door.container.shares_cgroup()
    {
        for node in plugged.nodes() {
            let number = DeviceNumber::char(node.major, node.minor);
            keep_first(grants.revoke(&door.container, number).map_err(Error::Grant));
        }
    }
    for node in plugged.nodes() {
        engine.host.give_number(DeviceNumber::char(node.major, node.minor));
    }
    fault::point("unplug.revoked");
    // The kernel takes tens of milliseconds; programs that hold the device open see its end then.
    let slot = plugged.slot;
    let Plugged { stored, device, answering, parts, announced, bound, taken, .. } = plugged;
    answering.stop();
    // In this order: what is in the store is not closed, and the kernel has a device until it is. And now: the next
    // device of the slot has the same name there.
    let closing = engine.reaper.close((stored.map(Stored::let_go), device, taken));
    fault::point("unplug.closing");
    for part in parts.iter().rev() {
        keep_first(state.database.remove(&part.forged).map_err(Error::Database));
    }
    fault::point("unplug.forgotten");
    if let Some(door) = &state.door {
        for part in parts[..announced].iter().rev() {
            let stamp = || engine.stamp().map_err(Error::Stamp);
            if bound && part.forged.is_bound() {
                keep_first(stamp().and_then(|stamp| door.announcer.unbind(&part.forged, stamp)));
            }
            keep_first(stamp().and_then(|stamp| door.announcer.remove(&part.forged, stamp)));
        }
    }
    keep_first(announced::forget(state, slot));
    fault::point("unplug.announced");
    (closing, result)
}
