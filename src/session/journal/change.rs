//! What a line of the journal says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use device_gate::Identity;
use serde::{Deserialize, Serialize};

use super::kept::Kept;
use crate::host::Rule;
use crate::runtime::ContainerRef;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    /// The boot that all of it is about.
    Boot(String),
    /// All that is known of a session; whatever was known before counts no more.
    Session { name: String, kept: Box<Kept> },
    /// Something is about to be done.
    Intent { session: String, intent: Intent },
    /// It has ended.
    End { session: String, operation: Operation, end: End },
    /// A slot is to have this, whether or not there is a container, as long as its client is there or for good.
    Declared { session: String, slot: u8, known: Known, client: bool },
    /// A slot is to be empty.
    Withdrawn { session: String, slot: u8 },
    /// The session's own rules about the host's devices are these.
    Rules { session: String, rules: BTreeMap<u32, Rule> },
    /// What was under way will never end.
    Lost { session: String },
}

/// What is about to be done to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Intent {
    /// The session is made, and attached if its container was given with it.
    Add { grace_ms: Option<u64> },
    /// All of it is taken away.
    Remove,
    /// A container's door is opened.
    Attach(Attached),
    /// The container's door is closed; what is plugged waits for the next one.
    Leave,
    /// It goes to another container with its devices.
    Move,
    /// A device is plugged.
    Plug(u8, Known),
    /// A device is unplugged. That its slot is to be empty has been noted before.
    Unplug(u8),
}

/// The same without what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Add,
    Remove,
    Attach,
    Leave,
    Move,
    Plug,
    Unplug,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    Done,
    /// It failed and was undone.
    RolledBack,
    /// Something could not be taken away.
    Incomplete,
}

/// A container that a session is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attached {
    /// The reference that it was found by.
    pub(crate) reference: String,
    /// Its first process.
    pub(crate) pid: u32,
    /// When that started: a number is used again, at another time.
    pub(crate) start_time: u64,
    /// The directory of its cgroup.
    pub(crate) cgroup: PathBuf,
    /// The cgroup's id, which is never used again.
    pub(crate) cgroup_id: u64,
    /// Whether others are in the cgroup.
    pub(crate) shares_cgroup: bool,
    /// The directories in it that are made for the session's mounts.
    pub(crate) made: Vec<String>,
}

/// A device that a slot has, or is to have: what plugs it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The profile's name.
    pub(crate) profile: String,
    /// The device's own name; the profile's if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<String>,
}

impl Attached {
    pub(crate) fn new(reference: &ContainerRef, identity: &Identity, made: Vec<String>) -> Self {
        let Identity { pid, start_time, cgroup, cgroup_id, shares_cgroup } = identity.clone();
        let reference = reference.to_string();
        Self { reference, pid, start_time, cgroup, cgroup_id, shares_cgroup, made }
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            start_time: self.start_time,
            cgroup: self.cgroup.clone(),
            cgroup_id: self.cgroup_id,
            shares_cgroup: self.shares_cgroup,
        }
    }

    /// Whether both are the same life of the same container.
    pub(crate) fn is(&self, other: &Identity) -> bool {
        self.pid == other.pid && self.start_time == other.start_time
    }
}

impl Intent {
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Add { .. } => Operation::Add,
            Self::Remove => Operation::Remove,
            Self::Attach(_) => Operation::Attach,
            Self::Leave => Operation::Leave,
            Self::Move => Operation::Move,
            Self::Plug(..) => Operation::Plug,
            Self::Unplug(_) => Operation::Unplug,
        }
    }

    /// Whether it brings something into the world that was not there: such a thing is not done unless the journal has
    /// it. What takes something away is done all the same.
    pub(super) fn adds(&self) -> bool {
        matches!(self, Self::Add { .. } | Self::Attach(_) | Self::Move | Self::Plug(..))
    }
}

/// As it is told to people.
impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { .. } => f.write_str("add"),
            Self::Remove => f.write_str("remove"),
            Self::Attach(attached) => write!(f, "attach to `{}`", attached.reference),
            Self::Leave => f.write_str("detach"),
            Self::Move => f.write_str("move"),
            Self::Plug(slot, _) => write!(f, "plug of slot {slot}"),
            Self::Unplug(slot) => write!(f, "unplug of slot {slot}"),
        }
    }
}
