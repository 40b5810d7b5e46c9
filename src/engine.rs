//! What all sessions share.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use device_gate::{Container, Grants, Staging, StagingError};
use tokio::sync::watch;
use udev_forge::{Hwdb, Stamp, StampError};
use vinput::Reaper;

use crate::config::Config;
use crate::events::Events;
use crate::fault;
use crate::follow::Following;
use crate::host::Host;
use crate::keep::Keep;
use crate::limits::{Count, Rates};
use crate::remote::{self, Tokens};
use crate::session::Error;
use crate::session::journal::{self, Earlier, Journal, JournalError};
use crate::session::survivor::{self, Survivor, Survivors};

/// The daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The staging file system could not be mounted.
    #[error("no staging file system for device nodes")]
    Stage(#[source] StagingError),
    /// The journal could not be read or written.
    #[error("no journal")]
    Journal(#[source] JournalError),
    /// The thread that closes devices could not be started.
    #[error("no thread to close devices")]
    Reaper(#[source] io::Error),
}

/// Grants cannot be given on this host; the daemon runs all the same, so that `doctor` can say so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GrantsUnavailable(String);

/// The daemon's resources: the grants, the staging file system, the reaper thread, the journal.
#[derive(Debug)]
pub struct Engine {
    /// Nodes and records that show up in containers.
    pub staging: Staging,
    /// Closes kernel devices, which takes tens of milliseconds.
    pub reaper: Reaper,
    /// What is being done, in case we do not live to finish it.
    pub journal: Journal,
    /// What an earlier daemon left there.
    pub(crate) earlier: Earlier,
    /// What happened, for whoever watches.
    pub events: Arc<Events>,
    /// What outlives this process.
    pub(crate) keep: Arc<Keep>,
    /// What has outlived an earlier one, and is not in its session yet.
    survivors: Mutex<Survivors>,
    /// Plugged devices, those of them that are made through uhid, and who watches events.
    pub(crate) devices: Count,
    pub(crate) whole_pads: Count,
    pub(crate) watchers: Count,
    /// Requests, by the time since `started`.
    pub(crate) rates: Rates,
    pub(crate) started: Instant,
    /// Replaced as a whole when it is read again.
    config: watch::Sender<Arc<Config>>,
    grants: Result<Arc<Grants>, String>,
    claims: Mutex<HashMap<String, Claim>>,
    last_seqnum: AtomicU64,
    hwdb: Mutex<Arc<Hwdb>>,
    /// Who may come from afar, and whether anybody can.
    pub(crate) tokens: Tokens,
    pub(crate) remote: remote::State,
    /// How the following of labelled containers goes.
    pub(crate) following: Following,
    /// The host's own devices.
    pub(crate) host: Host,
}

impl Engine {
    /// Takes possession of the host: reads what an earlier daemon left, mounts the staging file system, chooses how
    /// devices are granted.
    ///
    /// # Errors
    ///
    /// [`StartError`]. A kernel on which nothing can be granted is no reason not to start: see
    /// [`Engine::grants`].
    ///
    /// `passed` is what systemd has passed from its descriptor store.
    pub fn start(config: Config, passed: Vec<(String, OwnedFd)>) -> Result<Self, StartError> {
        // First: with a journal that a newer daemon wrote, nothing is touched.
        let earlier = journal::read(&config.journal).map_err(StartError::Journal)?;
        fault::point("recover.read");
        let (keep, kept) = Keep::new(passed);
        let (survivors, others) = survivor::take_over(&config, &earlier, &keep, kept.devices);
        fault::point("recover.taken-over");
        let taken = match take(&config, &earlier, &survivors) {
            Ok(taken) => taken,
            Err(error) => {
                survivors.values().for_each(|survivor| survivor.stored.memory().settle());
                // They are for the next one.
                mem::forget(survivors);
                return Err(error);
            }
        };
        let (staging, journal, reaper) = taken;
        let grants = choose_grants(kept.grants, &survivors).map(Arc::new);
        keep.store_grants(grants.as_ref().ok().and_then(|grants| grants.lasting()));
        let host = Host::new(grants.as_ref().ok(), survivors.values().flat_map(Survivor::numbers));
        // Nobody is granted their numbers any more.
        keep.forget(others.iter().map(|((session, slot), _)| (session.as_str(), *slot)));
        reaper.close(others).wait();
        let engine = Self {
            devices: Count::default(),
            whole_pads: Count::default(),
            watchers: Count::default(),
            rates: Rates::default(),
            started: Instant::now(),
            tokens: Tokens::load(&config.journal),
            remote: remote::State::default(),
            config: watch::Sender::new(Arc::new(config)),
            staging,
            reaper,
            journal,
            earlier,
            events: Arc::default(),
            keep,
            survivors: Mutex::new(survivors),
            grants,
            claims: Mutex::default(),
            last_seqnum: AtomicU64::new(0),
            hwdb: Mutex::default(),
            following: Following::default(),
            host,
        };
        // Read now, so that no plug has to wait for it.
        engine.hwdb();
        Ok(engine)
    }

    /// The configuration as it is now. A step that asks for several keys asks for it once.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// Replaces the configuration. What needs a restart must be as it was.
    pub(crate) fn set_config(&self, config: Config) {
        self.config.send_replace(Arc::new(config));
    }

    /// The configuration, for those who wait until it is replaced.
    pub(crate) fn watch_config(&self) -> watch::Receiver<Arc<Config>> {
        self.config.subscribe()
    }

    /// The grants.
    ///
    /// # Errors
    ///
    /// Why there can be none on this host, when that is so.
    pub fn grants(&self) -> Result<&Grants, GrantsUnavailable> {
        self.grants.as_deref().map_err(|why| GrantsUnavailable(why.clone()))
    }

    /// The devices of a session that have outlived an earlier daemon; whoever gets them has them.
    pub(crate) fn survivors_of(&self, session: &str) -> Vec<(u8, Survivor)> {
        let mut survivors = self.survivors.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = survivors.extract_if(.., |(name, _), _| name == session);
        slots.map(|((_, slot), survivor)| (slot, survivor)).collect()
    }

    /// The slots of a session whose devices have outlived an earlier daemon.
    pub(crate) fn slots_of_survivors(&self, session: &str) -> BTreeSet<u8> {
        let survivors = self.survivors.lock().unwrap_or_else(PoisonError::into_inner);
        survivors.keys().filter(|(name, _)| name == session).map(|&(_, slot)| slot).collect()
    }

    /// At the end of the recovery: nobody has a use for what of an earlier daemon is not in its session by now.
    pub(crate) fn forget_survivors(&self) {
        self.forget_inherited(None);
        let left = mem::take(&mut *self.survivors.lock().unwrap_or_else(PoisonError::into_inner));
        for ((session, slot), survivor) in left {
            self.close_survivor(&session, slot, survivor);
        }
    }

    /// The same for one session, whose slots are about to be plugged anew: what is there of an earlier daemon has their
    /// names in the store, and their addresses.
    pub(crate) fn forget_survivors_of(&self, session: &str) {
        for (slot, survivor) in self.survivors_of(session) {
            self.forget_inherited(Some(&survivor.numbers().collect::<Vec<_>>()));
            self.close_survivor(session, slot, survivor);
        }
    }

    /// Takes back what an earlier daemon has granted and this one has not, before the numbers are somebody else's.
    pub(crate) fn forget_inherited(&self, of: Option<&[device_gate::Device]>) {
        if let Ok(grants) = self.grants()
            && let Err(error) = grants.forget_inherited(of)
        {
            tracing::error!(error = chain(&error), "an earlier daemon's grants hold on");
        }
    }

    fn close_survivor(&self, session: &str, slot: u8, survivor: Survivor) {
        tracing::warn!(session, slot, "the session did not get its device again; it is closed");
        if let Err(error) = self.staging.forget(session, &survivor.staged) {
            tracing::warn!(session, error = chain(&error), "what showed it stays");
        }
        survivor.numbers().for_each(|number| self.host.give_number(number));
        self.reaper.close(survivor).wait();
    }

    /// Now, with the number of the next event: after the kernel's last one, and after all that were taken here
    /// before. For messages about what the kernel has not said, or not yet, such as a device's end.
    pub(crate) fn stamp(&self) -> Result<Stamp, StampError> {
        let now = Stamp::now()?;
        let next = |last: u64| now.seqnum.max(last) + 1;
        let last = match self.last_seqnum.fetch_update(Relaxed, Relaxed, |last| Some(next(last))) {
            Ok(last) | Err(last) => last,
        };
        Ok(Stamp { seqnum: next(last), ..now })
    }

    /// The host's hardware database as it is now.
    pub(crate) fn hwdb(&self) -> Arc<Hwdb> {
        let mut hwdb = self.hwdb.lock().unwrap_or_else(PoisonError::into_inner);
        if !hwdb.is_current() {
            // Without it devices work; only what it would add is missing.
            *hwdb = Arc::new(Hwdb::of_system().unwrap_or_else(|error| {
                tracing::warn!(error = chain(&error), "no hardware database");
                Hwdb::in_place_of_systems()
            }));
        }
        Arc::clone(&hwdb)
    }

    /// Notes that a container is `session`'s. Two sessions in one network namespace would hear each other's
    /// devices; one in the other's cgroup, or below it, could open them. A cgroup that a container only shares is no
    /// session's: nothing is granted to it.
    pub(crate) fn claim(&self, session: &str, container: &Container) -> Result<(), Error> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        check_claims(&claims, session, container)?;
        claims.insert(session.to_owned(), Claim::of(container));
        Ok(())
    }

    /// Whether [`Engine::claim`] would work now.
    pub(crate) fn may_claim(&self, session: &str, container: &Container) -> Result<(), Error> {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        check_claims(&claims, session, container)
    }

    /// The session whose container this is.
    pub(crate) fn session_of(&self, container: &Container) -> Option<String> {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let cgroup = container.cgroup().path();
        claims.iter().find(|(_, claim)| claim.cgroup == cgroup).map(|(name, _)| name.clone())
    }

    /// Forgets the claim.
    pub(crate) fn release(&self, session: &str) {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }

    /// Whether a kernel device can be made here at all.
    pub(crate) fn uinput_path() -> &'static Path {
        Path::new(vinput::uinput::DEFAULT_PATH)
    }
}

/// The staging file system, the journal and the reaper.
fn take(
    config: &Config,
    earlier: &Earlier,
    survivors: &Survivors,
) -> Result<(Staging, Journal, Reaper), StartError> {
    let reaper = Reaper::new().map_err(StartError::Reaper)?;
    let kept = survivor::all_staged(survivors);
    let staging = Staging::mount(&config.stage, &kept).map_err(StartError::Stage)?;
    fault::point("recover.staged");
    let journal = Journal::go_on(&config.journal, earlier).map_err(StartError::Journal)?;
    Ok((staging, journal, reaper))
}

/// What of a container belongs to one session alone.
#[derive(Debug)]
struct Claim {
    network: u64,
    cgroup: PathBuf,
    /// Whether others are in the cgroup, who are no part of the container.
    shared: bool,
}

impl Claim {
    fn of(container: &Container) -> Self {
        Self {
            network: container.network_inode(),
            cgroup: container.cgroup().path().to_owned(),
            shared: container.shares_cgroup(),
        }
    }

    /// Whether a grant to its cgroup is one to the other too.
    fn takes_in(&self, other: &Self) -> bool {
        !self.shared && other.cgroup.starts_with(&self.cgroup)
    }
}

fn check_claims(
    claims: &HashMap<String, Claim>,
    session: &str,
    container: &Container,
) -> Result<(), Error> {
    let new = Claim::of(container);
    for (other, claim) in claims.iter().filter(|(other, _)| *other != session) {
        if claim.network == new.network {
            return Err(Error::NetworkShared { other: other.clone() });
        }
        if claim.takes_in(&new) || new.takes_in(claim) {
            return Err(Error::CgroupShared { other: other.clone() });
        }
    }
    Ok(())
}

/// Finds out how devices can be granted here, or says in one line why they cannot. What an earlier daemon has granted of
/// the survivors holds on.
fn choose_grants(map: Option<OwnedFd>, survivors: &Survivors) -> Result<Grants, String> {
    let numbers: Vec<_> = survivors.values().flat_map(Survivor::numbers).collect();
    let chosen = Grants::resume(map, &numbers).map_err(|error| chain(&error));
    match &chosen {
        Ok(grants) => {
            let back_ends: Vec<_> = grants.back_ends().iter().map(ToString::to_string).collect();
            tracing::info!(back_ends = back_ends.join(", "), "grants");
        }
        Err(why) => tracing::error!(why, "no device can be granted to a container on this host"),
    }
    chosen
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
