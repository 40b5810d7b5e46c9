//! Work in another namespace: always on a thread of its own, which ends with the work.
//!
//! `setns(2)` and `setfsuid(2)` change the calling thread for good; on a pool's thread the next job would
//! run in a container.

use std::sync::mpsc::{RecvTimeoutError, SendError, sync_channel};
use std::time::Duration;
use std::{io, panic, thread};

/// Runs `work` on a new thread and returns its result; a panic of `work` is passed on.
pub(crate) fn run<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let handle = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)?;
        Ok(handle.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}

/// How long file systems of a container may take: one in user space (FUSE) can take for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `work` on a new thread and returns its result, if it comes within [`PATIENCE`]. A thread that hangs in the
/// kernel cannot be ended: it is left behind, and hands a result that comes too late to `too_late`.
pub(crate) fn run_within<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
    too_late: impl FnOnce(T) + Send + 'static,
) -> io::Result<T> {
    // Without a buffer: a result is either received or handed to `too_late`.
    let (sender, receiver) = sync_channel(0);
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(SendError(result)) = sender.send(work()) {
            too_late(result);
        }
    })?;
    receiver.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
        RecvTimeoutError::Disconnected => io::Error::other("the thread panicked"),
    })
}
