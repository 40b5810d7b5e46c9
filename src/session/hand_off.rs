//! The hand-off: a session goes to another container, with its devices (docs/plug.md).
//!
//! A device is never handed over as it is: what a program has open stays open when its grant is revoked, and the old
//! container would go on reading. Its kernel device is destroyed, which nobody survives, and one of the same identity
//! is made in the same slot for the new container.

use device_gate::Container;

use super::error::Error;
use super::plug::Spec;
use super::state::State;
use super::{door, plug};
use crate::engine::{Engine, chain};
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
    let (old, closed) = door::close(engine, state);
    // What could not be taken away may be used there still.
    closed.map_err(|error| not_moved(state, error))?;

    let Err(error) = settle(engine, state, reference, container, devices) else { return Ok(()) };
    let (_, closed) = door::close(engine, state);
    let back = closed.and_then(|()| match old {
        Some((reference, container)) => settle(engine, state, reference, container, devices),
        None => Ok(()),
    });
    if let Err(error) = back {
        let (session, error) = (&state.name, chain(&error));
        tracing::warn!(session, error, "the session has no container now");
        let _ = door::close(engine, state);
    }
    Err(not_moved(state, error))
}

/// Opens the door and plugs every device there.
fn settle(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
    devices: &[(u8, Spec)],
) -> Result<(), Error> {
    door::open(engine, state, reference, container)?;
    for (slot, spec) in devices {
        plug::plug(engine, state, *slot, spec.clone())?;
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
