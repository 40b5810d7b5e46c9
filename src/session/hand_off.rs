//! The hand-off: a session goes to another container, with its devices (docs/plug.md).
//!
//! A device is never handed over as it is: what a program has open stays open when its grant is revoked, and the old
//! container would go on reading. Its kernel device is destroyed, which nobody survives, and one of the same identity
//! is made in the same slot for the new container.

use std::collections::BTreeMap;
use std::sync::Arc;

use device_gate::Container;

use super::error::Error;
use super::journal::{End, Intent, Operation};
use super::plug::Spec;
use super::state::State;
use super::{door, plug, unplug};
use crate::engine::{Engine, chain};
use crate::fault;
use crate::limits::Taken;
use crate::runtime::ContainerRef;

/// Moves the session, and plugs these into its slots there. When that fails it is back in the old container, with its
/// devices made anew; if even that fails, it has no container.
pub(super) fn hand_off(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
    devices: &[(u8, Spec)],
) -> Result<(), Error> {
    // What can be known beforehand disturbs nobody.
    door::check(engine, state, &reference, &container)?;
    engine.journal.intend(&state.name, Intent::Move).map_err(Error::Journal)?;
    fault::point("move.intended");
    let moved = hand_over(engine, state, reference, container, devices);
    let end = if moved.is_ok() { End::Done } else { End::RolledBack };
    unplug::note(engine.journal.end(&state.name, Operation::Move, end));
    fault::point("move.ended");
    moved
}

fn hand_over(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
    devices: &[(u8, Spec)],
) -> Result<(), Error> {
    // Whatever the limits are by now, and whoever else wants a place: what is there goes along.
    let places = places(state, devices);
    let (old, closed) = door::leave(engine, state);
    fault::point("move.left");
    // What could not be taken away may be used there still.
    closed.map_err(|error| not_moved(state, error))?;

    let Err(error) = settle(engine, state, reference, container, devices, &places) else {
        return Ok(());
    };
    let (_, closed) = door::leave(engine, state);
    let back = closed.and_then(|()| match old {
        Some((reference, container)) => {
            settle(engine, state, reference, container, devices, &places)
        }
        None => Ok(()),
    });
    if let Err(error) = back {
        let (session, error) = (&state.name, chain(&error));
        tracing::warn!(session, error, "the session has no container now");
        let _ = door::leave(engine, state);
    }
    Err(not_moved(state, error))
}

/// What the devices have of the limits, by slot.
type Places = BTreeMap<u8, Arc<Vec<Taken>>>;

/// A device of another kind counts for other limits.
fn places(state: &State, devices: &[(u8, Spec)]) -> Places {
    let place = |(slot, spec): &(u8, Spec)| {
        let plugged = state.slots.get(slot)?;
        let is_alike = plugged.profile.backend() == spec.profile.backend();
        is_alike.then(|| (*slot, Arc::clone(&plugged.taken)))
    };
    devices.iter().filter_map(place).collect()
}

/// Opens the door and plugs every device there.
fn settle(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
    devices: &[(u8, Spec)],
    places: &Places,
) -> Result<(), Error> {
    door::open(engine, state, reference, container)?;
    fault::point("move.opened");
    for (slot, spec) in devices {
        plug::plug(engine, state, *slot, spec.clone(), places.get(slot).cloned())?;
    }
    Ok(())
}

fn not_moved(state: &State, error: Error) -> Error {
    let now = match &state.door {
        Some(door) => format!("it is back in `{}`", door.reference),
        None => "it has no container now, and its devices wait for the next one".to_owned(),
    };
    Error::NotMoved { session: state.name.clone(), now, source: Box::new(error) }
}
