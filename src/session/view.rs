//! What the API shows of a session.

use device_gate::ShownMount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::announcer::UdevMode;
use super::state::{Plugged, State};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Its container, if it has one.
    pub container: Option<ContainerView>,
    /// Its devices, by slot.
    pub devices: Vec<Device>,
    /// What a container can be started with so that it is ready before its first program, as `docker run -v` has it.
    pub mounts: Vec<Mount>,
}

/// A directory of the host, and where it is to be in a container, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mount {
    /// Its path on the host.
    pub source: String,
    /// Its path in the container.
    pub target: String,
}

/// A session's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContainerView {
    /// The reference it was attached by.
    pub reference: String,
    /// Its first process, as numbered on the host.
    pub pid: u32,
    /// How its programs learn of devices.
    pub udev: UdevMode,
}

/// A plugged device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its slot.
    pub slot: u8,
    /// Its profile.
    pub profile: String,
    /// The kernel's name for it, which programs show.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Whether each node was opened from inside the container. `false` only where nothing can run in it,
    /// such as when it is paused.
    pub verified: bool,
    /// When each step of the plug was done.
    pub steps: Vec<Step>,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its path in the container.
    pub path: String,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// A step of the plug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// `created`, `granted`, `recorded`, `placed`, `announced`, `verified`.
    pub step: String,
    /// Microseconds from the start of the plug to its end.
    pub us: u64,
}

impl Session {
    pub(super) fn of(state: &State) -> Self {
        Self {
            name: state.name.clone(),
            container: state.door.as_ref().map(|door| ContainerView {
                reference: door.reference.to_string(),
                pid: door.container.pid(),
                udev: door.announcer.mode(),
            }),
            devices: state.slots.values().map(Device::of).collect(),
            mounts: state.shown.mounts().map(Mount::of).collect(),
        }
    }
}

impl Mount {
    fn of(shown: ShownMount) -> Self {
        Self { source: shown.source.display().to_string(), target: shown.target.to_owned() }
    }
}

impl Device {
    pub(super) fn of(plugged: &Plugged) -> Self {
        let nodes = plugged.nodes().map(|node| Node {
            path: format!("/dev/{}", node.devname),
            major: node.major,
            minor: node.minor,
        });
        let steps = plugged.timings.steps.iter().map(|&(step, elapsed)| Step {
            step: step.to_owned(),
            us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        });
        Self {
            slot: plugged.slot,
            profile: plugged.profile.name().to_owned(),
            name: plugged.name.to_string(),
            nodes: nodes.collect(),
            verified: plugged.verified,
            steps: steps.collect(),
        }
    }
}
