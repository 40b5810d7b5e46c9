//! Descriptors: in tokio's event loop, and from systemd.

#![expect(
    unsafe_code,
    reason = "tokio cannot see that a type keeps its descriptor for its whole life, nor Rust who owns a number"
)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// The descriptors that systemd has passed, with their names: sockets of `.socket` units and what is in the descriptor
/// store (sd_listen_fds_with_names(3)). Only the first call gets them.
pub(crate) fn passed_by_systemd() -> io::Result<Vec<(String, OwnedFd)>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    // SAFETY: systemd has left them open for this process and no other part of it; they are taken once.
    let own = |(fd, name)| (name, unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(sd_notify::listen_fds_with_names()?.map(own).collect())
}
