//! What happened, for whoever watches: `/v1/events` and `hotseat watch`.
//!
//! Events are numbered. The last [`KEPT`] of them are kept, so that a watcher that was away is told what it
//! missed, or that it missed more than that. What programs tell a device (rumble, lights) is passed on to who is
//! there and not kept: a program in a container decides how much of it there is, and the newest is what counts.

mod feedback;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;

pub use feedback::Feedback;

/// How many events a watcher may miss and still be told.
const KEPT: usize = 4096;

/// How many pieces of feedback a slow watcher may be behind before it loses the oldest.
const FEEDBACK: usize = 256;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// When, in milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// To which session.
    pub session: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Its name is the event's type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// The session was added.
    SessionAdded,
    /// The session was removed, and everything it had.
    SessionRemoved,
    /// The session has a container.
    Attached {
        /// Which.
        container: String,
    },
    /// The session's container ended, or was taken from it; its devices were unplugged.
    Detached {
        /// Which.
        container: String,
    },
    /// A device works from inside the container.
    Plugged {
        /// Its slot.
        slot: u8,
        /// Its profile.
        profile: String,
        /// How long that took, in microseconds.
        us: u64,
    },
    /// A device could not be plugged; nothing of it is left.
    PlugFailed {
        /// The profile.
        profile: String,
        /// The code of the problem, as the API gives it.
        code: String,
        /// What happened and why.
        detail: String,
    },
    /// A device is gone.
    Unplugged {
        /// Its slot.
        slot: u8,
    },
    /// A device of the host works from inside the container.
    HostPlugged {
        /// Its path.
        path: String,
    },
    /// A device of the host that a rule means could not be brought in; nothing of it is left in the container.
    HostPlugFailed {
        /// Its path.
        path: String,
        /// The code of the problem, as the API gives it.
        code: String,
        /// What happened and why.
        detail: String,
    },
    /// A device of the host is not in the container any more.
    HostUnplugged {
        /// Its path.
        path: String,
    },
    /// An earlier daemon was killed, and this was left of the session; it is taken away.
    Cleaned(Cleaned),
    /// The session of an earlier daemon is back.
    Recovered {
        /// Its container, if that still runs.
        container: Option<String>,
        /// The slots whose devices are plugged again.
        devices: Vec<u8>,
        /// The slots whose devices wait for a container.
        waiting: Vec<u8>,
    },
    /// A program told a device to do something. Not kept: it has no id.
    Feedback {
        /// The device's slot.
        slot: u8,
        /// What.
        feedback: Feedback,
    },
}

/// How much was left of a session by a daemon that was killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cleaned {
    /// Device nodes.
    pub nodes: usize,
    /// Records of udev's database.
    pub records: usize,
    /// Entries in its index of tags.
    pub tags: usize,
    /// Mounts in containers that the session has no more.
    pub mounts: usize,
    /// Links to nodes in them.
    pub links: usize,
    /// Directories that were made in them.
    pub directories: usize,
}

impl What {
    /// Its name, as in the `event` member.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SessionAdded => "session-added",
            Self::SessionRemoved => "session-removed",
            Self::Attached { .. } => "attached",
            Self::Detached { .. } => "detached",
            Self::Plugged { .. } => "plugged",
            Self::PlugFailed { .. } => "plug-failed",
            Self::Unplugged { .. } => "unplugged",
            Self::HostPlugged { .. } => "host-plugged",
            Self::HostPlugFailed { .. } => "host-plug-failed",
            Self::HostUnplugged { .. } => "host-unplugged",
            Self::Cleaned(_) => "cleaned",
            Self::Recovered { .. } => "recovered",
            Self::Feedback { .. } => "feedback",
        }
    }
}

impl Event {
    fn now(session: &str, what: What) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self { time_ms, session: session.to_owned(), what }
    }
}

/// Where a watcher is in the row of events: the daemon's life, and how many of its events have been seen.
///
/// Written `LIFE-NUMBER`; a number alone would mean other events after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    life: u64,
    number: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{}", self.life, self.number)
    }
}

impl std::str::FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let parsed = text.split_once('-').and_then(|(life, number)| {
            Some(Self { life: u64::from_str_radix(life, 16).ok()?, number: number.parse().ok()? })
        });
        parsed.ok_or_else(|| PositionError(text.to_owned()))
    }
}

/// A text that is no event's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of an event")]
pub struct PositionError(String);

/// What a watcher is given next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An event, and where the watcher is after it. Feedback leaves it where it was.
    Event(Arc<Event>, Option<Position>),
    /// Events are missing here: they are no longer kept, or were those of an earlier daemon. Whoever keeps a picture of
    /// the sessions has to ask for them anew.
    Missed(Position),
}

/// How far the daemon is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// How many events there have been.
    count: u64,
    /// Whether there will be no more.
    ended: bool,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    /// How many there have been; the last of `events` is this one.
    count: u64,
}

/// All events of this daemon's life.
#[derive(Debug)]
pub struct Events {
    life: u64,
    kept: Mutex<Kept>,
    progress: watch::Sender<Progress>,
    feedback: broadcast::Sender<Arc<Event>>,
}

impl Events {
    /// None yet.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            life: since.as_secs(),
            kept: Mutex::default(),
            progress: watch::Sender::default(),
            feedback: broadcast::Sender::new(FEEDBACK),
        }
    }

    /// Tells every watcher, now or when it comes back.
    pub fn publish(&self, session: &str, what: What) {
        let event = Arc::new(Event::now(session, what));
        let mut kept = self.kept();
        kept.events.push_back(event);
        if kept.events.len() > KEPT {
            kept.events.pop_front();
        }
        kept.count += 1;
        self.progress.send_modify(|progress| progress.count = kept.count);
    }

    /// Tells every watcher that is there.
    pub fn feedback(&self, session: &str, slot: u8, feedback: Feedback) {
        // Most of the time nobody is.
        if self.feedback.receiver_count() > 0 {
            let what = What::Feedback { slot, feedback };
            let _ = self.feedback.send(Arc::new(Event::now(session, what)));
        }
    }

    /// There will be no more: watchers are let go when they have seen what there is.
    pub fn end(&self) {
        self.progress.send_modify(|progress| progress.ended = true);
    }

    /// Watches from now on, or from where a watcher was.
    pub fn watch(self: &Arc<Self>, from: Option<Position>) -> Watcher {
        let progress = self.progress.subscribe();
        let here = Position { life: self.life, number: progress.borrow().count };
        let (seen, missed) = match from {
            None => (here.number, false),
            Some(from) if from.life == self.life => (from.number.min(here.number), false),
            Some(_) => (0, true),
        };
        let feedback = self.feedback.subscribe();
        Watcher { events: Arc::clone(self), progress, feedback, seen, missed }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// One who watches.
#[derive(Debug)]
pub struct Watcher {
    events: Arc<Events>,
    progress: watch::Receiver<Progress>,
    feedback: broadcast::Receiver<Arc<Event>>,
    seen: u64,
    missed: bool,
}

impl Watcher {
    /// Where the watcher is.
    pub fn position(&self) -> Position {
        Position { life: self.events.life, number: self.seen }
    }

    /// The next event, as soon as there is one; `None` when there will be no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Next> {
        loop {
            // Before the look: what is published after it is a change that is waited for.
            let ended = self.progress.borrow_and_update().ended;
            if let Some(next) = self.kept() {
                return Some(next);
            }
            if ended {
                return None;
            }
            tokio::select! {
                // The sender is ours: it does not go away.
                _ = self.progress.changed() => {}
                // An error means that we were too slow. Only the newest feedback counts, and it is still to come.
                feedback = self.feedback.recv() => if let Ok(event) = feedback {
                    return Some(Next::Event(event, None));
                },
            }
        }
    }

    /// The next kept event, if it has happened.
    fn kept(&mut self) -> Option<Next> {
        let kept = self.events.kept();
        let oldest = kept.count - kept.events.len() as u64;
        if self.missed || self.seen < oldest {
            self.missed = false;
            self.seen = self.seen.max(oldest);
            let here = Position { life: self.events.life, number: self.seen };
            return Some(Next::Missed(here));
        }
        let index = usize::try_from(self.seen - oldest).ok()?;
        let event = Arc::clone(kept.events.get(index)?);
        self.seen += 1;
        Some(Next::Event(event, Some(Position { life: self.events.life, number: self.seen })))
    }
}

#[cfg(test)]
mod tests;
