//! A session's container, opened: the mounts are in place, the sockets stand in its network namespace.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use device_gate::attach::{AttachError, Found, examine};
use device_gate::{Attachment, Container, keep_link, link_node, unlink_node};

use vinput::Node;

use super::announcer::{Announcer, UdevMode};
use super::error::Error;
use super::journal::{End, Intent, Operation};
use super::state::State;
use super::{hosted, span, unplug};
use crate::engine::{Engine, chain};
use crate::events::What;
use crate::fault;
use crate::runtime::ContainerRef;

/// An open door.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) reference: ContainerRef,
    pub(super) container: Container,
    pub(super) announcer: Announcer,
    /// Cgroups of others in its network namespace when it was attached.
    pub(super) neighbours: BTreeSet<PathBuf>,
    attachment: Attachment,
    /// Whether its file systems have not answered since it was last said to [`try_again`](Self::try_again).
    hangs: Cell<bool>,
}

impl Door {
    /// What did not answer may do so now.
    pub(super) fn try_again(&self) {
        self.hangs.set(false);
    }

    /// Whether the container can have a node: one whose place is /dev itself needs a link there.
    pub(super) fn shows(&self, node: &Node) -> bool {
        !needs_link(&node.devname) || self.attachment.no_links().is_none()
    }

    /// Why it has no nodes whose place is /dev itself, if that is so.
    pub(super) fn no_links(&self) -> Option<String> {
        self.attachment.no_links().map(|error| chain(error))
    }

    /// Makes the link to a placed node that needs one.
    pub(super) fn link(&self, node: &Node) -> Result<(), Error> {
        self.link_path(&node.devname)
    }

    /// Makes the link at a path below /dev to what is staged for it.
    pub(super) fn link_path(&self, path: &str) -> Result<(), Error> {
        if !needs_link(path) {
            return Ok(());
        }
        // As with an unlink: it is not waited for again and again.
        if self.hangs.get() {
            return Err(Error::Link(AttachError::Hangs));
        }
        let linked = link_node(&self.container, path);
        self.hangs.set(matches!(linked, Err(AttachError::Hangs)));
        linked.map_err(Error::Link)
    }

    /// The same for a node that an earlier daemon placed.
    pub(super) fn keep_link(&self, node: &Node) -> Result<(), Error> {
        if !needs_link(&node.devname) {
            return Ok(());
        }
        keep_link(&self.container, &node.devname).map_err(Error::Link)
    }

    /// Removes it. A container that did not answer is not waited for once more: closing the door removes every link.
    pub(super) fn unlink(&self, node: &Node) -> Result<(), Error> {
        self.unlink_path(&node.devname)
    }

    /// The same for the link at a path below /dev.
    pub(super) fn unlink_path(&self, path: &str) -> Result<(), Error> {
        // A container that has ended took its /dev along.
        if !needs_link(path) || self.hangs.get() || !self.container.is_running() {
            return Ok(());
        }
        let unlinked = unlink_node(&self.container, path);
        self.hangs.set(matches!(unlinked, Err(AttachError::Hangs)));
        unlinked.map_err(Error::Link)
    }
}

/// Whether what has its place there, below /dev, shows by a link: /dev/input is the session's own, all else the container's.
fn needs_link(path: &str) -> bool {
    !path.starts_with("input/")
}

/// Opens the door: from now on a plug needs to enter nothing. Says whether it was not open to that container already.
pub(super) fn open(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
) -> Result<bool, Error> {
    let _span = span::attach(&reference).entered();
    // Its end may not have been noticed yet.
    if state.door.as_ref().is_some_and(|door| !door.container.is_running()) {
        leave(engine, state).1?;
    }
    if let Some(door) = &mut state.door {
        // It was told before, by another name: by the hook of its start, by its user, by a label.
        if door.container.pid() == container.pid() {
            door.reference = reference;
            return Ok(false);
        }
        return Err(Error::HasContainer {
            session: state.name.clone(),
            container: door.reference.to_string(),
        });
    }
    engine.claim(&state.name, &container)?;
    fault::point("attach.claimed");
    match open_claimed(engine, state, reference, container) {
        Ok(door) => {
            state.database.set_owner(door.announcer.credentials());
            let container = door.reference.to_string();
            engine.events.publish(&state.name, What::Attached { container });
            state.door = Some(door);
            Ok(true)
        }
        Err(error) => {
            engine.release(&state.name);
            Err(error)
        }
    }
}

fn open_claimed(
    engine: &Engine,
    state: &mut State,
    reference: ContainerRef,
    container: Container,
) -> Result<Door, Error> {
    let announcer = Announcer::open(&engine.config(), &container)?;
    // To be told, not to be relied on: others may come later.
    let neighbours = container.network_neighbours().unwrap_or_default();
    // A container that an earlier daemon had attached may show them still.
    if state.must_renew || (state.dir.is_inherited() && !is_shown(state, &container)?) {
        renew(state)?;
    }
    fault::point("attach.opened");
    // Last: it is the step that shows in the container.
    let attachment = match mount(engine, state, &announcer, &reference, &container) {
        Ok(attachment) => attachment,
        Err(error) => {
            // Some of it may have shown for a moment. The first error is the one to report.
            let _ = renew(state);
            return Err(error);
        }
    };
    if let Some(error) = attachment.no_links() {
        tracing::warn!(
            session = state.name,
            error = chain(error),
            "the container gets no hidraw nodes"
        );
    }
    Ok(Door { reference, container, announcer, neighbours, attachment, hangs: Cell::default() })
}

/// Whether the container shows the session's directories already.
fn is_shown(state: &State, container: &Container) -> Result<bool, Error> {
    let spots = examine(container, Some(state.dir.path())).map_err(Error::Attach)?;
    Ok(spots.iter().any(|spot| matches!(spot.found, Ok(Found::Attached))))
}

/// Gives the session new directories: what still holds the old ones open, in a container that it has left, sees nothing
/// of what comes next (docs/security.md).
fn renew(state: &mut State) -> Result<(), Error> {
    // If it fails, the next container must not get what is left.
    state.must_renew = true;
    state.dir.renew().and_then(|()| state.shown.renew(&state.dir)).map_err(Error::Stage)?;
    state.must_renew = false;
    Ok(())
}

/// Shows the session's directories in the container. Which directories are made for that is journaled before, so that
/// whoever takes the mounts away knows.
fn mount(
    engine: &Engine,
    state: &State,
    announcer: &Announcer,
    reference: &ContainerRef,
    container: &Container,
) -> Result<Attachment, Error> {
    let (journal, session) = (&engine.journal, &state.name);
    let spots = examine(container, Some(state.dir.path())).map_err(Error::Attach)?;
    let missing = spots.iter().filter(|spot| matches!(spot.found, Ok(Found::Nothing)));
    let missing = missing.map(|spot| spot.path.to_owned());
    let attached = journal.attached(session, reference, &container.identity(), missing);
    let made = attached.made.clone();
    journal.intend(session, Intent::Attach(attached)).map_err(Error::Journal)?;
    fault::point("attach.intended");
    match announcer.attach(container, &state.dir) {
        Ok(mut attachment) => {
            attachment.also_made(&made);
            fault::point("attach.mounted");
            unplug::note(journal.end(session, Operation::Attach, End::Done));
            fault::point("attach.ended");
            Ok(attachment)
        }
        Err(error) => {
            unplug::note(journal.end(session, Operation::Attach, End::RolledBack));
            Err(Error::Attach(error))
        }
    }
}

/// Closes the door of a container that has ended, or is to be left. What the session should have waits for the next one.
pub(super) fn leave(
    engine: &Engine,
    state: &mut State,
) -> (Option<(ContainerRef, Container)>, Result<(), Error>) {
    unplug::note(engine.journal.intend(&state.name, Intent::Leave));
    fault::point("leave.intended");
    let closed = close(engine, state);
    let end = if closed.1.is_ok() { End::Done } else { End::Incomplete };
    unplug::note(engine.journal.end(&state.name, Operation::Leave, end));
    fault::point("leave.ended");
    closed
}

/// Closes the door for good: the session is to be gone.
pub(super) fn remove(engine: &Engine, state: &mut State) -> Result<(), Error> {
    unplug::note(engine.journal.intend(&state.name, Intent::Remove));
    fault::point("remove.intended");
    let closed = close(engine, state).1;
    fault::point("remove.closed");
    closed
}

/// Notes that it is, with its directories.
pub(super) fn removed(engine: &Engine, session: &str) {
    fault::point("remove.deleted");
    unplug::note(engine.journal.end(session, Operation::Remove, End::Done));
    fault::point("remove.ended");
}

/// Says beforehand why the session could not go to that container, as far as that can be seen.
pub(super) fn check(
    engine: &Engine,
    state: &State,
    reference: &ContainerRef,
    container: &Container,
) -> Result<(), Error> {
    if let Some(door) = &state.door
        && door.container.is_running()
        && door.container.pid() == container.pid()
    {
        return Err(Error::HasContainer {
            session: state.name.clone(),
            container: reference.to_string(),
        });
    }
    engine.may_claim(&state.name, container)?;
    let forges = UdevMode::of(container)? == UdevMode::Forge;
    for spot in examine(container, Some(state.dir.path())).map_err(Error::Attach)? {
        if !spot.is_optional && (forges || spot.path != "/run/udev") {
            spot.found.map_err(Error::Attach)?;
        }
    }
    Ok(())
}

/// Closes the door: unplugs every device, takes the mounts away and leaves the directories behind. Goes on after an
/// error, and returns the first one, and the container that the session had.
pub(super) fn close(
    engine: &Engine,
    state: &mut State,
) -> (Option<(ContainerRef, Container)>, Result<(), Error>) {
    let slots: Vec<u8> = state.slots.keys().copied().collect();
    let mut result = Ok(());
    let mut closings = Vec::new();
    if let Some(door) = &state.door {
        door.try_again();
    }
    result = result.and(hosted::take_all_out(engine, state));
    for slot in slots {
        match unplug::take_out(engine, state, slot) {
            Ok(closing) => closings.push(closing),
            Err(error) => result = result.and(Err(error)),
        }
    }
    for closing in closings {
        closing.wait();
    }
    fault::point("leave.unplugged");
    let mut closed = None;
    if let Some(door) = state.door.take() {
        let Door { reference, container, attachment, .. } = door;
        engine.events.publish(&state.name, What::Detached { container: reference.to_string() });
        // Nothing should be left; what a step that panicked forgot is.
        if let Ok(grants) = engine.grants()
            && !container.shares_cgroup()
        {
            let revoked = grants.revoke_all(&container);
            result = result.and(revoked.map_err(Error::Grant));
        }
        fault::point("leave.revoked");
        let ended = !container.is_running();
        match attachment.detach(&container) {
            Err(error) if !ended => result = result.and(Err(Error::Attach(error))),
            _ => {}
        }
        fault::point("leave.unmounted");
        result = result.and(renew(state));
        // Last: until then it is not to be another session's.
        engine.release(&state.name);
        closed = Some((reference, container));
    }
    (closed, result)
}
