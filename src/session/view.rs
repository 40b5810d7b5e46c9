//! What the API shows of a session.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use device_gate::ShownMount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::announcer::UdevMode;
use super::callers::Failures;
use super::error::Error;
use super::hosted::Hosted;
use super::plan::{Condition, Plan};
use super::plug::Spec;
use super::state::{Plugged, State};
use crate::engine::chain;
use crate::host::view::{HostedView, RuleView};
use crate::problem;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Its container, if it has one.
    pub container: Option<ContainerView>,
    /// Its devices, by slot.
    pub devices: Vec<Device>,
    /// What it should have and does not have, or not yet, by slot.
    pub waiting: Vec<Waiting>,
    /// Devices of the host that it has, or should have, by its rules.
    pub host_devices: Vec<HostedView>,
    /// Its rules about the host's devices, in the order in which they count.
    pub rules: Vec<RuleView>,
    /// How long a device outlives the client that declared it, in seconds.
    pub grace_seconds: u64,
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

/// A device that its session should have and does not have, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Its slot.
    pub slot: u8,
    /// Its profile.
    pub profile: String,
    /// The name that programs will show; the profile's if empty.
    pub name: String,
    /// What keeps it.
    pub condition: Waits,
    /// Why the last try failed, if one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<Failure>,
}

/// What a device waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// The session's next container.
    Container,
    /// Its turn: it is being plugged, or will be tried again in a moment.
    Turn,
    /// Somebody who declares it again, or the next container: it was tried and does not work in this one.
    Retry,
}

/// Why a device could not be plugged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The code of the problem.
    pub code: String,
    /// What happened and why.
    pub detail: String,
}

/// What became of a declaration: the device works, or it waits for the session's next container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Declared {
    /// It works.
    Plugged(Device),
    /// There is no container.
    Waiting(Waiting),
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
    pub(super) fn of(state: &State, plan: &Plan<Spec>, failures: &Failures) -> Self {
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
            waiting: plan
                .wanted()
                .filter_map(|(slot, _, spec)| {
                    Waiting::of(slot, spec, plan.condition(slot), failures.get(&slot))
                })
                .collect(),
            host_devices: state.hosted.values().map(hosted).collect(),
            // The actor knows them.
            rules: Vec::new(),
            grace_seconds: state.grace.as_secs(),
            mounts: state.shown.mounts().map(Mount::of).collect(),
        }
    }
}

impl Session {
    /// The device of a slot.
    pub(super) fn device(&self, slot: u8) -> Result<Device, Error> {
        let device = self.devices.iter().find(|device| device.slot == slot);
        device.cloned().ok_or_else(|| Error::SlotEmpty { session: self.name.clone(), slot })
    }

    /// What a slot waits for.
    pub(super) fn waiting(&self, slot: u8) -> Result<Waiting, Error> {
        let waiting = self.waiting.iter().find(|waiting| waiting.slot == slot);
        waiting.cloned().ok_or_else(|| Error::SlotEmpty { session: self.name.clone(), slot })
    }
}

/// Cgroups as people know them, from the root on.
fn shown(cgroups: &BTreeSet<PathBuf>) -> Vec<String> {
    cgroups.iter().map(|path| format!("/{}", path.display())).collect()
}

/// A device of the host that is in the container.
fn hosted(hosted: &Hosted) -> HostedView {
    let links = hosted.links.iter().map(|link| format!("/dev/{link}")).collect();
    HostedView { links, verified: hosted.verified, ..HostedView::of(&hosted.device) }
}

impl Waiting {
    /// `None` for what is plugged.
    fn of(
        slot: u8,
        spec: &Spec,
        condition: Condition,
        failure: Option<&Arc<Error>>,
    ) -> Option<Self> {
        let condition = match condition {
            Condition::Plugged | Condition::Empty => return None,
            Condition::Waiting => Waits::Container,
            Condition::Changing => Waits::Turn,
            Condition::Failed => Waits::Retry,
        };
        let failure = failure.map(|error| Failure {
            code: problem::code(error).to_owned(),
            detail: chain(&**error),
        });
        let name = spec.name.as_ref().map(ToString::to_string).unwrap_or_default();
        let profile = spec.profile.name().to_owned();
        Some(Self { slot, profile, name, condition, failure })
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
