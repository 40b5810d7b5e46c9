//! Limits: how many there are of something, and how fast requests come (docs/configuration.md, "Limits").

mod rates;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use rates::{Rates, Whose};

/// There may be no more of something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Of sessions.
    #[error("there are {limit} sessions, and there may be no more")]
    Sessions {
        /// `limits.sessions`.
        limit: usize,
    },
    /// Of devices, of all sessions.
    #[error("{limit} devices are plugged on this host, and there may be no more")]
    Devices {
        /// `limits.devices`.
        limit: usize,
    },
    /// Of one session's devices.
    #[error("session `{session}` has {limit} devices, and may have no more")]
    DevicesOfSession {
        /// The session.
        session: String,
        /// `limits.devices_per_session`.
        limit: usize,
    },
    /// Of devices through uhid.
    #[error("{limit} whole pads are plugged on this host, and there may be no more")]
    WholePads {
        /// `limits.whole_pads`.
        limit: usize,
    },
    /// Of those who watch events.
    #[error("{limit} watch events, and there may be no more")]
    Watchers {
        /// `limits.watchers`.
        limit: usize,
    },
}

/// How many there are of something that ends by itself.
#[derive(Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more, if there are fewer than `limit` now.
    pub(crate) fn take(&self, limit: usize) -> Option<Taken> {
        let more = |count: usize| (count < limit).then_some(count + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Taken(Arc::clone(&self.0)))
    }

    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// One of those that are counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_the_limit_also_when_it_is_lowered() {
        let count = Count::default();
        let mut taken: Vec<_> = (0..3).map(|_| count.take(3).unwrap()).collect();
        assert!(count.take(3).is_none());
        // What is there stays; there is room again when fewer than the new limit are left.
        taken.pop();
        assert!(count.take(2).is_none());
        taken.pop();
        taken.push(count.take(2).unwrap());
        assert!(count.take(2).is_none());
        drop(taken);
        assert!(count.is_none());
    }
}
