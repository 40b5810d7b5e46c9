//! What a daemon that was killed has left is taken away, and its sessions come back (docs/recovery.md).
//!
//! The journal says what each session was to have. What there *is* is looked up in the world, so that nothing stays
//! even where the journal says nothing. Kernel devices and grants are not looked for: they ended with the process that
//! held them, or are in this one's hands already (docs/survive.md).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use device_gate::attach::{Swept, find_mounts, sweep};
use device_gate::{Container, ContainerError};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cdi;
use crate::engine::{Engine, chain};
use crate::events::{Cleaned, What};
use crate::fault;
use crate::metrics;
use crate::runtime::ContainerRef;
use crate::sandbox;
use crate::session::announced;
use crate::session::journal::{Attached, Goal, Kept};
use crate::session::{Client, Returning, Sessions, Spec};

/// How long the looks into containers may take together. Each has a time of its own, but of containers that do not answer
/// there may be many, and the daemon is to be ready in time (`TimeoutStartSec=` of hotseat.service).
const SWEEPING: Duration = Duration::from_secs(30);

/// How long the daemon waits for the containers of its sessions before it answers callers. One may hang.
const CONTAINERS: Duration = Duration::from_secs(5);

/// Takes away what an earlier daemon left, and brings its sessions back. What containers are slow to do goes on beside. The
/// answer stands for the clients of the earlier daemon, whose grace time begins when it is dropped: they cannot come back
/// before they are answered.
pub async fn recover(sessions: &Arc<Sessions>) -> Vec<Client> {
    let engine = Arc::clone(sessions.engine());
    let cleaned = tokio::task::spawn_blocking(move || clean(&engine)).await;
    let Ok(returning) = cleaned.inspect_err(|error| error!(%error, "the recovery broke off"))
    else {
        forget_survivors(sessions).await;
        return Vec::new();
    };
    fault::point("recover.cleaned");
    let mut clients = Vec::new();
    // At once: the container of one may not answer for a while.
    let mut under_way = JoinSet::new();
    for Returning { name, container, devices, rules, grace } in returning {
        match sessions.bring_back(&name, devices, rules, grace, container.is_some()).await {
            Ok(client) => clients.push(client),
            Err(error) => {
                error!(session = name, error = chain(&error), "the session is not back");
                continue;
            }
        }
        under_way.spawn(bring_back(Arc::clone(sessions), name, container));
    }
    let of_all = Arc::clone(sessions);
    let mut end = tokio::spawn(async move {
        under_way.join_all().await;
        forget_survivors(&of_all).await;
    });
    if tokio::time::timeout(CONTAINERS, &mut end).await.is_err() {
        warn!("a container does not answer; its session follows when it does");
    }
    clients
}

/// What of an earlier daemon's devices no session has by now is closed.
async fn forget_survivors(sessions: &Sessions) {
    let engine = Arc::clone(sessions.engine());
    let forgotten = tokio::task::spawn_blocking(move || engine.forget_survivors()).await;
    let _ = forgotten.inspect_err(|error| error!(%error, "the recovery broke off"));
}

/// Takes away all that an earlier daemon left, and says which sessions come back. May itself be killed at any
/// instruction: it starts anew then.
fn clean(engine: &Engine) -> Vec<Returning> {
    say_what_was_found(engine);
    let until = Instant::now() + SWEEPING;
    let mut returning = Vec::new();
    let known = engine.earlier.sessions();
    // Also of sessions that the journal has lost.
    let staged = engine.staging.cleared().keys();
    for name in staged.filter(|name| !known.contains_key(*name)) {
        clean_session(engine, name, &Kept::default(), None, until);
        remove(engine, name);
    }
    for (name, kept) in known {
        match kept.goal() {
            Some(goal) => returning.push(settle(engine, name, kept, goal, until)),
            None => {
                clean_session(engine, name, kept, None, until);
                remove(engine, name);
            }
        }
        fault::point("recover.settled");
    }
    tell("cgroups", sandbox::sweep());
    sweep_cdi(engine);
    returning
}

fn say_what_was_found(engine: &Engine) {
    let earlier = &engine.earlier;
    metrics::found(earlier.interrupted().len(), earlier.corrupt().is_some());
    if let Some(why) = earlier.corrupt() {
        error!(
            why,
            "which sessions an earlier daemon had is not known; what it left is taken away"
        );
    }
    if earlier.is_of_another_boot() {
        info!("the host was started anew since; sessions come back without their containers");
    }
    for interrupted in earlier.interrupted() {
        warn!(interrupted, "an earlier daemon ended during this; its traces are taken away");
    }
}

/// Prepares a session to come back. From here on the journal says that it is to have nothing but this.
fn settle(engine: &Engine, name: &str, kept: &Kept, mut goal: Goal, until: Instant) -> Returning {
    let container = goal.container.as_ref().and_then(|attached| open_again(name, attached));
    if container.is_none() {
        goal.container = None;
    }
    clean_session(engine, name, kept, Some(&goal), until);
    let devices = goal.slots.iter().filter_map(|(&slot, known)| {
        Spec::of(&engine.config().profiles, known)
            .inspect_err(|why| {
                let why = chain(why);
                warn!(
                    session = name,
                    slot, why, "a device of an earlier daemon cannot be plugged again"
                );
            })
            .ok()
            .map(|spec| (slot, (spec, goal.clients.contains(&slot))))
    });
    let devices: BTreeMap<_, _> = devices.collect();
    goal.slots.retain(|slot, _| devices.contains_key(slot));
    let rules = goal.rules.clone();
    let grace = goal.grace_ms.map(Duration::from_millis);
    if let Err(error) = engine.journal.settle(name, Kept::settled(goal)) {
        error!(error = chain(&error), "the journal has a gap");
    }
    Returning { name: name.to_owned(), container, devices, rules, grace }
}

/// The container, if it still runs.
fn open_again(session: &str, attached: &Attached) -> Option<(ContainerRef, Container)> {
    let reference: ContainerRef = attached.reference.parse().ok()?;
    match Container::open_again(&attached.identity()) {
        Ok(container) => Some((reference, container)),
        Err(ContainerError::NotRunning { .. }) => {
            info!(session, container = %reference, "the container of an earlier daemon's session has ended");
            None
        }
        Err(error) => {
            let error = chain(&error);
            warn!(session, container = %reference, error, "the container cannot be opened again");
            None
        }
    }
}

/// Takes away what is left of a session in containers that it is not to have. One without a goal is to be nowhere; one
/// that comes back may be what containers were started with.
fn clean_session(engine: &Engine, name: &str, kept: &Kept, goal: Option<&Goal>, until: Instant) {
    let path = engine.staging.path_of(name);
    let staged = engine.staging.cleared().get(name).copied().unwrap_or_default();
    let mut cleaned = Cleaned {
        nodes: staged.nodes,
        records: staged.records,
        tags: staged.tags,
        ..Cleaned::default()
    };
    // Of a device that lives on, nothing is taken back.
    let stays = engine.slots_of_survivors(name);
    let keeps = goal.and_then(|goal| goal.container.as_ref());
    // Its file system goes last: where it is not there, nothing is.
    let touched = if path.exists() { kept.touched() } else { &[] };
    let mut skipped = each_until(until, touched, |attached| {
        let Ok(container) = Container::open_again(&attached.identity()) else { return };
        take_back(engine, name, &path, &stays, &container);
        if !keeps.is_some_and(|keeps| keeps.is(&attached.identity())) {
            add(&mut cleaned, sweep_container(name, &container, &path, &attached.made));
        }
    });
    if goal.is_none() && path.exists() {
        skipped += each_until(until, showing(name, &path), |pid| {
            if let Ok(container) = Container::open(pid) {
                take_back(engine, name, &path, &stays, &container);
                add(&mut cleaned, sweep_container(name, &container, &path, &[]));
            }
        });
    }
    if skipped > 0 {
        let why = "containers that were looked at before them took too long";
        warn!(
            session = name,
            skipped, why, "what an earlier daemon left in containers stays there"
        );
    }
    announced::clear(&path, &stays);
    fault::point("recover.swept");
    publish(engine, name, cleaned);
}

/// Does the work for each, as long as there is time, and says for how many there was none.
fn each_until<T>(
    until: Instant,
    all: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T),
) -> usize {
    let mut skipped = 0;
    for one in all {
        if Instant::now() < until {
            work(one);
        } else {
            skipped += 1;
        }
    }
    skipped
}

/// A process of each container that shows the session.
fn showing(session: &str, path: &Path) -> Vec<u32> {
    find_mounts(path).unwrap_or_else(|error| {
        let error = chain(&error);
        warn!(session, error, "which containers show an earlier daemon's session is not known");
        Vec::new()
    })
}

/// Tells the container's programs that the devices are gone.
fn take_back(
    engine: &Engine,
    session: &str,
    path: &Path,
    stays: &BTreeSet<u8>,
    container: &Container,
) {
    if let Err(error) = announced::take_back(engine, path, stays, container) {
        let (pid, error) = (container.pid(), chain(&error));
        warn!(
            session,
            pid, error, "programs are not told that an earlier daemon's devices are gone"
        );
    }
}

fn sweep_container(session: &str, container: &Container, path: &Path, made: &[String]) -> Swept {
    sweep(container, path, made).unwrap_or_else(|error| {
        let (pid, error) = (container.pid(), chain(&error));
        warn!(session, pid, error, "what an earlier daemon left in a container stays there");
        Swept::default()
    })
}

fn add(cleaned: &mut Cleaned, swept: Swept) {
    cleaned.mounts += swept.mounts;
    cleaned.links += swept.links;
    cleaned.directories += swept.directories;
}

fn publish(engine: &Engine, session: &str, cleaned: Cleaned) {
    if cleaned == Cleaned::default() {
        return;
    }
    let Cleaned { nodes, records, tags, mounts, links, directories } = cleaned;
    warn!(
        session,
        nodes, records, tags, mounts, links, directories, "an earlier daemon left these"
    );
    for (what, count) in [
        ("nodes", nodes),
        ("records", records),
        ("tags", tags),
        ("mounts", mounts),
        ("links", links),
        ("directories", directories),
    ] {
        metrics::cleaned(what, count);
    }
    engine.events.publish(session, What::Cleaned(cleaned));
}

/// Takes the directories of a session away that does not come back.
fn remove(engine: &Engine, name: &str) {
    if engine.staging.path_of(name).exists()
        && let Err(error) = engine.staging.remove(name)
    {
        warn!(session = name, error = chain(&error), "the session's directories stay");
    }
    if let Err(error) = engine.journal.removed(name) {
        error!(error = chain(&error), "the journal has a gap");
    }
}

fn sweep_cdi(engine: &Engine) {
    let config = engine.config();
    let Some(directory) = &config.cdi_dir else { return };
    match cdi::sweep(&directory.join(cdi::FILE)) {
        Ok(removed) => tell("files", usize::from(removed)),
        Err(error) => warn!(error = chain(&error), "a half-written CDI specification stays"),
    }
}

fn tell(what: &'static str, count: usize) {
    if count > 0 {
        warn!(what, count, "an earlier daemon left these");
    }
    metrics::cleaned(what, count);
}

/// Brings a session back into its container, if that still runs, with its devices: those that have outlived the earlier
/// daemon, and new ones for the rest.
async fn bring_back(
    sessions: Arc<Sessions>,
    name: String,
    container: Option<(ContainerRef, Container)>,
) {
    if let Some((reference, container)) = container
        && let Err(error) = sessions.attach_again(&name, reference, container).await
    {
        warn!(
            session = name,
            error = chain(&error),
            "the session does not have its container again"
        );
    }
    let Ok(session) = sessions.show(&name) else { return };
    metrics::brought_back(&session);
    let container = session.container.map(|container| container.reference);
    let devices: Vec<_> = session.devices.iter().map(|device| device.slot).collect();
    let waiting: Vec<_> = session.waiting.iter().map(|waiting| waiting.slot).collect();
    info!(session = name, container, ?devices, ?waiting, "the session is back");
    sessions.engine().events.publish(&name, What::Recovered { container, devices, waiting });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_takes_all_the_time_keeps_the_others_from_being_waited_for() {
        let mut done = Vec::new();
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(each_until(later, 1..=3, |one| done.push(one)), 0);
        assert_eq!(each_until(Instant::now(), 4..=6, |one| done.push(one)), 3);
        assert_eq!(done, [1, 2, 3]);
    }
}
