//! Step 7: the plug is done only when it works from inside.

use device_gate::probe::{ProbeError, open_in_container};
use rustix::io::Errno;
use udev_forge::{Monitor, MonitorError};

use super::announcer::Announcer;
use super::door::Door;
use super::error::Error;
use super::state::{Part, Plugged};

/// The device cannot be used from inside.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A node does not open in the container.
    #[error("a node does not open in the container")]
    Open(#[source] ProbeError),
    /// Our own listener in the container's network namespace failed.
    #[error("the listener in the container's network namespace failed")]
    Listen(#[source] MonitorError),
    /// Our own listener heard fewer messages than were sent.
    #[error("{missing} of {sent} messages did not arrive in the container's network namespace")]
    NotHeard {
        /// How many were sent.
        sent: usize,
        /// How many of them were not heard.
        missing: usize,
    },
}

/// Opens each node as the container's root would, and looks whether each forged message arrived (of an injected
/// event the kernel has said so already). `false` means that
/// it could not be tried: nothing can run in the container now, because it is paused or at its process limit, or it
/// floods its own network namespace.
pub(super) fn verify(door: &Door, plugged: &Plugged) -> Result<bool, Error> {
    let mut verified = match door.announcer.monitor() {
        Some(monitor) => {
            let devpath = |part: &Part| part.forged.add_message().devpath().to_owned();
            let sent = plugged.parts.iter().map(devpath).collect();
            heard(monitor, sent).map_err(Error::Verify)?
        }
        None => true,
    };
    verified &= opens(door, plugged)?;
    Ok(verified)
}

/// Opens each node as the container's root would. `false` as above.
pub(super) fn opens(door: &Door, plugged: &Plugged) -> Result<bool, Error> {
    let mut opened = true;
    for node in plugged.nodes() {
        match open_in_container(&door.container, &format!("/dev/{}", node.devname)) {
            Ok(()) => {}
            Err(ProbeError::Refused { source, .. })
                if door.container.shares_cgroup()
                    && source.raw_os_error() == Some(Errno::PERM.raw_os_error()) =>
            {
                let cgroup = door.container.cgroup().path().to_owned();
                return Err(Error::CgroupNotOwn { cgroup });
            }
            Err(error @ ProbeError::Refused { .. }) => {
                return Err(Error::Verify(VerifyError::Open(error)));
            }
            Err(error) => {
                tracing::warn!(%error, "the device could not be tried from inside");
                opened = false;
            }
        }
    }
    Ok(opened)
}

/// Empties the listener's queue of what others sent, so that what comes now has room.
pub(super) fn forget(announcer: &Announcer) {
    let Some(monitor) = announcer.monitor() else { return };
    for _ in 0..QUEUE {
        if let Ok(None) = monitor.try_recv() {
            break;
        }
    }
}

/// More than the receive buffer holds: somebody in the container who sends as fast as we read cannot keep us.
const QUEUE: usize = 4096;

/// Whether messages of these devices were heard. A message is in every listener's queue when `sendmsg` returns, so nothing
/// is waited for.
pub(super) fn heard(monitor: &Monitor, mut missing: Vec<String>) -> Result<bool, VerifyError> {
    let sent = missing.len();
    for _ in 0..QUEUE {
        match monitor.try_recv() {
            Ok(Some(received)) => missing.retain(|devpath| devpath != received.message.devpath()),
            Ok(None) => break,
            // The container has flooded its own network namespace; that proves nothing either way.
            Err(MonitorError::Overflow) => return Ok(false),
            // Anybody in there may send garbage to the group.
            Err(MonitorError::Message(_) | MonitorError::NotBroadcast) => {}
            Err(error) => return Err(VerifyError::Listen(error)),
        }
    }
    if missing.is_empty() {
        Ok(true)
    } else {
        Err(VerifyError::NotHeard { sent, missing: missing.len() })
    }
}
