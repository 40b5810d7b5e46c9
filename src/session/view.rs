//! What the API shows of a session.

use std::collections::BTreeSet;
use std::path::PathBuf;

use device_gate::ShownMount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::announcer::UdevMode;
use super::plug::PlugRequest;
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
    /// What its last container had when it ended, by slot: plugged again into the next one.
    pub waiting: Vec<Waiting>,
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
    /// The cgroups of others that were in its network namespace when it was attached, such as the other containers of
    /// its pod. Their programs hear of the session's devices; they cannot open them.
    pub network_shared_with: Vec<String>,
    /// Whether its cgroup holds processes from outside the container, so that devices work only where no device policy
    /// is in force.
    pub shares_cgroup: bool,
    /// Why it gets no hidraw nodes, if that is so; pads have their other nodes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub no_hidraw: Option<String>,
}

/// A device that waits for its session's next container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Its slot.
    pub slot: u8,
    /// Its profile.
    pub profile: String,
    /// The name that programs will show; the profile's if empty.
    pub name: String,
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
                network_shared_with: shown(&door.neighbours),
                shares_cgroup: door.container.shares_cgroup(),
                no_hidraw: door.no_links(),
            }),
            devices: state.slots.values().map(Device::of).collect(),
            waiting: state.waiting.iter().map(Waiting::of).collect(),
            mounts: state.shown.mounts().map(Mount::of).collect(),
        }
    }
}

/// Cgroups as people know them, from the root on.
fn shown(cgroups: &BTreeSet<PathBuf>) -> Vec<String> {
    cgroups.iter().map(|path| format!("/{}", path.display())).collect()
}

impl Waiting {
    fn of((&slot, request): (&u8, &PlugRequest)) -> Self {
        Self {
            slot,
            profile: request.profile.name().to_owned(),
            name: request.name.as_ref().map(ToString::to_string).unwrap_or_default(),
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
