//! How the following goes, for `doctor`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::problem::Problem;
use crate::runtime::{ContainerRef, Runtime};

/// How many refused containers are remembered; the log has them all.
const REMEMBERED: usize = 32;

/// How the following of each runtime goes, and which containers could not be attached.
#[derive(Debug, Default)]
pub(crate) struct Following(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    runtimes: BTreeMap<Runtime, Result<(), String>>,
    refused: BTreeMap<String, Refused>,
}

/// A labelled container that was not attached.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// The session that its label names.
    pub(crate) session: String,
    /// Why.
    pub(crate) problem: Problem,
}

impl Following {
    pub(super) fn connected(&self, runtime: &Runtime) {
        self.state().runtimes.insert(runtime.clone(), Ok(()));
    }

    pub(super) fn disconnected(&self, runtime: &Runtime, why: String) {
        self.state().runtimes.insert(runtime.clone(), Err(why));
    }

    /// As if nothing were followed.
    pub(crate) fn forget(&self) {
        *self.state() = State::default();
    }

    pub(super) fn is_connected(&self, runtime: &Runtime) -> bool {
        self.state().runtimes.get(runtime).is_some_and(Result::is_ok)
    }

    /// Whether a runtime is followed now, or why not; `None` when it is not to be.
    pub(crate) fn of(&self, runtime: &Runtime) -> Option<Result<(), String>> {
        self.state().runtimes.get(runtime).cloned()
    }

    pub(super) fn adopted(&self, container: &ContainerRef) {
        self.state().refused.remove(&container.to_string());
    }

    pub(super) fn refused(&self, container: &ContainerRef, session: &str, problem: Problem) {
        let mut state = self.state();
        if state.refused.len() >= REMEMBERED {
            state.refused.pop_first();
        }
        let session = session.to_owned();
        state.refused.insert(container.to_string(), Refused { session, problem });
    }

    /// The containers that were not attached though their labels say so, by reference.
    pub(crate) fn all_refused(&self) -> BTreeMap<String, Refused> {
        self.state().refused.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
