//! A session's container, opened: the mounts are in place, the sockets stand in its network namespace.

use device_gate::{Attachment, Container};

use super::announcer::Announcer;
use super::error::Error;
use super::state::State;
use super::unplug;
use crate::engine::Engine;
use crate::runtime::ContainerRef;

/// An open door.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) reference: ContainerRef,
    pub(super) container: Container,
    pub(super) announcer: Announcer,
    attachment: Attachment,
}

/// Opens the door: from now on a plug needs to enter nothing.
pub(super) fn open(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
) -> Result<(), Error> {
    // Its end may not have been noticed yet.
    if state.door.as_ref().is_some_and(|door| !door.container.is_running()) {
        close(engine, state)?;
    }
    if let Some(door) = &mut state.door {
        // It was told before, by another name: by the hook of its start, by its user, by a label.
        if door.container.pid() == container.pid() {
            door.reference = reference;
            return Ok(());
        }
        return Err(Error::HasContainer {
            session: state.name.clone(),
            container: door.reference.to_string(),
        });
    }
    engine.claim(&state.name, &container)?;
    match open_claimed(engine, state, reference, container) {
        Ok(door) => {
            state.database.set_owner(door.announcer.credentials());
            state.door = Some(door);
            Ok(())
        }
        Err(error) => {
            engine.release(&state.name);
            Err(error)
        }
    }
}

fn open_claimed(
    engine: &Engine,
    state: &State,
    reference: ContainerRef,
    container: Container,
) -> Result<Door, Error> {
    let announcer = Announcer::open(&engine.config, &container)?;
    // Last: it is the step that shows in the container.
    let attachment = announcer.attach(&container, &state.dir).map_err(Error::Attach)?;
    Ok(Door { reference, container, announcer, attachment })
}

/// Closes the door: unplugs every device and takes the mounts away. Goes on after an error, and returns the
/// first one.
pub(super) fn close(engine: &Engine, state: &mut State) -> Result<(), Error> {
    let slots: Vec<u8> = state.slots.keys().copied().collect();
    let mut result = Ok(());
    let mut closings = Vec::new();
    for slot in slots {
        match unplug::unplug(engine, state, slot) {
            Ok(closing) => closings.push(closing),
            Err(error) => result = result.and(Err(error)),
        }
    }
    for closing in closings {
        closing.wait();
    }
    if let Some(door) = state.door.take() {
        engine.release(&state.name);
        // Nothing should be left; what a step that panicked forgot is.
        if let Ok(grants) = engine.grants() {
            let revoked = grants.revoke_all(door.container.cgroup().id());
            result = result.and(revoked.map_err(Error::Grant));
        }
        // The first process has ended, but others may live on in its mounts: they must not see what comes next.
        let ended = !door.container.is_running();
        match door.attachment.detach(&door.container, &state.dir) {
            Err(error) if !ended => result = result.and(Err(Error::Attach(error))),
            _ => {}
        }
    }
    result
}
