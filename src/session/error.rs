//! Everything that can go wrong with a session, by the operation that failed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use device_gate::{ContainerError, GrantError, StagingError, attach::AttachError};
use rustix::io::Errno;
use udev_forge::database::DatabaseError;
use udev_forge::{InjectError, MonitorError, OpenError, ReadError, SendError, StampError};
use vinput::uinput::{CreateError, WriteError};
use vinput::{InputError, NameError, uhid};

use super::journal::JournalError;
use super::verify::VerifyError;
use crate::cdi::CdiError;
use crate::engine::GrantsUnavailable;
use crate::events::PositionError;
use crate::host::RuleError;
use crate::host::device::TellError;
use crate::limits::LimitError;
use crate::profiles::ProfilesError;
use crate::runtime::{RefError, ResolveError};

/// A request to a session failed; nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The processes of this host could not be looked at.
    #[error("could not look who has the device open")]
    Holders(#[source] io::Error),
    /// The id of an event is not one.
    #[error("there is no such event")]
    EventId(#[source] PositionError),
    /// There may be no more of something.
    #[error(transparent)]
    Limit(LimitError),
    /// A session of that name is there already.
    #[error("there is a session `{name}` already")]
    SessionExists {
        /// The name.
        name: String,
    },
    /// There is no session of that name.
    #[error("there is no session `{name}`")]
    SessionNotFound {
        /// The name.
        name: String,
    },
    /// The name cannot be a session's.
    #[error(
        "`{name}` cannot name a session: use 1 to 32 lower-case letters, digits and `-`, starting with a \
         letter or digit"
    )]
    SessionName {
        /// The name.
        name: String,
    },
    /// The container reference is not one.
    #[error("the container reference is not valid")]
    Reference(#[source] RefError),
    /// The container could not be found or used.
    #[error("could not use the container")]
    Resolve(#[source] ResolveError),
    /// The session has a container already.
    #[error("session `{session}` already has the container `{container}`")]
    HasContainer {
        /// The session.
        session: String,
        /// Its container.
        container: String,
    },
    /// The session has no container to plug into.
    #[error("session `{session}` has no running container")]
    NoContainer {
        /// The session.
        session: String,
    },
    /// The session could not be moved to another container.
    #[error("could not move session `{session}`: {now}")]
    NotMoved {
        /// The session.
        session: String,
        /// Where it is now.
        now: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// Another session's container has the same network namespace.
    #[error("the container shares its network namespace with session `{other}`")]
    NetworkShared {
        /// The other session.
        other: String,
    },
    /// Another session's container has the same cgroup, or one above or below it.
    #[error("the container shares its cgroup with session `{other}`")]
    CgroupShared {
        /// The other session.
        other: String,
    },
    /// The session could not be made a CDI device.
    #[error("could not make the session a CDI device")]
    Cdi(#[source] CdiError),
    /// The staged directories could not be prepared.
    #[error("could not prepare the session's device directory")]
    Stage(#[source] StagingError),
    /// The staged directories could not be shown in the container.
    #[error("could not attach to the container")]
    Attach(#[source] AttachError),
    /// No message can be sent into the container's network namespace.
    #[error("could not open the container's door for udev messages")]
    OpenSender(#[source] SendError),
    /// No listener can be opened there.
    #[error("could not open a listener in the container's network namespace")]
    OpenMonitor(#[source] MonitorError),
    /// No event can be injected there.
    #[error("could not open a way to inject events into the container")]
    OpenInjector(#[source] InjectError),
    /// It could not be told whether the container has a udevd.
    #[error("could not look for a udevd in the container")]
    LookForUdevd(#[source] io::Error),
    /// There is no profile of that name, or it cannot be used.
    #[error(transparent)]
    Profile(ProfilesError),
    /// The device name cannot be given to the kernel.
    #[error("the device name is not valid")]
    DeviceName(#[source] NameError),
    /// The slot is outside the range.
    #[error("there is no slot {slot}: slots are 0 to {last}")]
    NoSuchSlot {
        /// The slot.
        slot: u8,
        /// The last one.
        last: u8,
    },
    /// The slot has a device.
    #[error("slot {slot} already has a device (`{profile}`)")]
    SlotTaken {
        /// The slot.
        slot: u8,
        /// The profile of the device in it.
        profile: String,
    },
    /// Every slot has a device.
    #[error("every slot of session `{session}` has a device")]
    NoFreeSlot {
        /// The session.
        session: String,
    },
    /// The slot is empty.
    #[error("slot {slot} of session `{session}` is empty")]
    SlotEmpty {
        /// The session.
        session: String,
        /// The slot.
        slot: u8,
    },
    /// The journal could not be written, so nothing was begun.
    #[error("could not write the journal")]
    Journal(#[source] JournalError),
    /// The kernel device could not be made.
    #[error("could not create the kernel device")]
    Create(#[source] CreateError),
    /// The kernel did not make the pad, or no driver took it.
    #[error("could not create the pad")]
    CreatePad(#[source] uhid::CreateError),
    /// The kernel device could not be looked at.
    #[error("could not read what the kernel made")]
    ReadDevice(#[source] ReadError),
    /// An event node did not tell its axes.
    #[error("could not ask a node for its axes")]
    ReadAxes(#[source] io::Error),
    /// The number or time of an event could not be read.
    #[error("could not read the kernel's event number")]
    Stamp(#[source] StampError),
    /// The kernel's events could not be listened to.
    #[error("cannot listen to the kernel's events about devices")]
    KernelEvents(#[source] OpenError),
    /// This host cannot grant devices.
    #[error("devices cannot be granted to containers on this host")]
    GrantsUnavailable(#[source] GrantsUnavailable),
    /// A grant failed.
    #[error("could not grant the device to the container")]
    Grant(#[source] GrantError),
    /// A database record could not be written or removed.
    #[error("could not update the container's udev database")]
    Database(#[source] DatabaseError),
    /// A node could not be placed or removed.
    #[error("could not update the container's device nodes")]
    Node(#[source] StagingError),
    /// The link in the container's /dev that leads to a node could not be made or removed.
    #[error("could not update the links in the container's /dev")]
    Link(#[source] AttachError),
    /// A message could not be sent.
    #[error("could not announce the device in the container")]
    Announce(#[source] SendError),
    /// What a container is told could not be kept, or forgotten.
    #[error("could not keep what the container is told")]
    KeepAnnounced(#[source] io::Error),
    /// An event could not be injected.
    #[error("could not announce the device to the container's udevd")]
    Inject(#[source] InjectError),
    /// The device is there but cannot be used from inside.
    #[error("the device does not work from inside the container")]
    Verify(#[source] VerifyError),
    /// The container's device policy would have to be changed for others too.
    #[error(
        "the device policy of cgroup `{cgroup}` keeps the device from the container, and it is not the container's \
         alone: a grant to it would be one to others"
    )]
    CgroupNotOwn {
        /// Its directory.
        cgroup: PathBuf,
    },
    /// The events sent to a device are not valid.
    #[error("the input is not valid for this device")]
    Input(#[source] InputError),
    /// The kernel device did not take a frame.
    #[error("could not write to the kernel device")]
    Write(#[source] WriteError),
    /// The kernel did not take a pad's report.
    #[error("could not send the input")]
    WritePad(#[source] uhid::WriteError),
    /// The devices of the host cannot be watched.
    #[error("the devices of the host cannot be watched: {why}")]
    WatchHost {
        /// Why.
        why: String,
    },
    /// A container cannot be told of a device of the host.
    #[error("could not put together what the container is told of the device")]
    Tell(#[source] TellError),
    /// The device went while it was being brought in; another one may be at its place.
    #[error("`{path}` is not there any more")]
    HostGone {
        /// The device's path.
        path: String,
    },
    /// Another session has the device, or is to have it alone.
    #[error("session `{other}` has `{path}`")]
    HostTaken {
        /// The device's path.
        path: String,
        /// The other session.
        other: String,
    },
    /// The container can have no nodes outside of /dev/input.
    #[error("the container has no place for `{path}`: {why}")]
    NoPlace {
        /// The device's path.
        path: String,
        /// Why.
        why: String,
    },
    /// The owner that a rule gives to a node is nobody on the host.
    #[error("could not find out who in the container is to own the node")]
    Owner(#[source] ContainerError),
    /// The rule cannot be one.
    #[error("the rule is not valid")]
    Rule(#[source] RuleError),
    /// The session has no such rule of its own.
    #[error("session `{session}` has no rule {id} of its own")]
    RuleNotFound {
        /// The session.
        session: String,
        /// The rule.
        id: String,
    },
    /// A step of the session panicked: a bug. Its kernel devices are gone.
    #[error("the session was lost to an internal error")]
    Lost,
    /// Another request said something else of the slot meanwhile.
    #[error("another request took the device of slot {slot} back")]
    Withdrawn {
        /// The slot.
        slot: u8,
    },
    /// The plug was tried, more than once where that could help.
    #[error(transparent)]
    Tried(Arc<Self>),
    /// The session's actor ended while the request waited.
    #[error("session `{name}` is being removed")]
    Removed {
        /// The session.
        name: String,
    },
}

/// What the kernel says when it lacks something now that it may have in a moment (errno(3)).
const PASSING: [Errno; 10] = [
    Errno::AGAIN,
    Errno::BUSY,
    Errno::CONNREFUSED,
    Errno::INTR,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::TIMEDOUT,
    Errno::USERS,
];

impl Error {
    /// Whether the same may work in a moment.
    pub(super) fn is_passing(&self) -> bool {
        // The last pad of this address is still being closed, perhaps by another session.
        if let Self::CreatePad(uhid::CreateError::DuplicateMac { .. }) = self {
            return true;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let code = match error.downcast_ref::<io::Error>() {
                Some(error) => error.raw_os_error(),
                None => error.downcast_ref::<Errno>().map(|errno| errno.raw_os_error()),
            };
            if code.is_some_and(|code| PASSING.iter().any(|errno| errno.raw_os_error() == code)) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lacks_for_a_moment_is_tried_again() {
        let stamp = |code| Error::ReadAxes(io::Error::from_raw_os_error(code));
        assert!(stamp(Errno::NOBUFS.raw_os_error()).is_passing());
        assert!(!stamp(Errno::PERM.raw_os_error()).is_passing());
        let full = Error::NoFreeSlot { session: "s".to_owned() };
        assert!(!full.is_passing());
    }
}
