//! Work in another namespace: always on a thread of its own, which ends with the work.
//!
//! `setns(2)` and `setfsuid(2)` change the calling thread for good; on a pool's thread the next job would
//! run in a container.

use std::{panic, thread};

/// Runs `work` on a new thread and returns its result; a panic of `work` is passed on.
pub(crate) fn run<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        let handle = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)?;
        Ok(handle.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}
