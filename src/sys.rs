//! Descriptors in tokio's event loop.

#![expect(
    unsafe_code,
    reason = "tokio cannot see that a type keeps its descriptor for its whole life"
)]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::session::Device;

/// Waits for a descriptor to become readable.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and the same descriptor until it is dropped.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(watched?)
}

/// Waits for feedback of a device.
pub(crate) fn watch_device(device: Arc<Device>) -> io::Result<AsyncFd<Arc<Device>>> {
    // SAFETY: a Device never replaces or closes its file before it is dropped, and the Arc keeps it.
    let watched = unsafe { AsyncFd::register_with_interest(device, Interest::READABLE) };
    Ok(watched?)
}
