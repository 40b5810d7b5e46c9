//! What a session has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use device_gate::{SessionDir, Shown};
use udev_forge::{Forged, database::Database};
use vinput::{DeviceName, Node};

use super::device::Device;
use super::door::Door;
use super::error::Error;
use super::feedback::Answering;
use super::hosted::Hosted;
use super::inputs::Inputs;
use crate::keep::Stored;
use crate::limits::Taken;
use crate::profiles::Profile;

/// The last slot: as many devices as the kernel names `event0` to `event31` without dynamic minors.
pub(crate) const LAST_SLOT: u8 = 31;

/// One session, as its actor owns it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) name: String,
    /// Before `dir`: it has to be gone when that goes.
    pub(super) shown: Shown,
    pub(super) dir: SessionDir,
    /// Whether the directories are to be made anew before a container gets them: that failed when the last one was left.
    pub(super) must_renew: bool,
    pub(super) database: Database,
    pub(super) door: Option<Door>,
    pub(super) slots: BTreeMap<u8, Plugged>,
    /// Devices of the host, by devpath: parents before their children.
    pub(super) hosted: BTreeMap<String, Hosted>,
    /// Those of the slots that take input.
    pub(super) inputs: Inputs,
    /// How long a device outlives the client that declared it.
    pub(super) grace: Duration,
}

/// A device in its slot, and every trace of it.
#[derive(Debug)]
pub(super) struct Plugged {
    pub(super) slot: u8,
    pub(super) profile: Profile,
    pub(super) name: DeviceName,
    /// Where it outlives us. Before the device, which it would keep.
    pub(super) stored: Option<Stored>,
    pub(super) device: Arc<Device>,
    pub(super) answering: Answering,
    /// The input device first, then its nodes: parent before child.
    pub(super) parts: Vec<Part>,
    /// How many of the parts have been announced.
    pub(super) announced: usize,
    /// Whether that a driver is there has been announced.
    pub(super) bound: bool,
    pub(super) timings: Timings,
    /// Whether it was tried from inside; a paused container cannot be.
    pub(super) verified: bool,
    /// Its part of what the configuration's limits allow; shared with the device that takes its place at a move.
    pub(super) taken: Arc<Vec<Taken>>,
}

/// One kernel object of a device, made ready for the container.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) forged: Forged,
    /// `None` for the input device itself, which has no node.
    pub(super) node: Option<Node>,
}

impl Plugged {
    /// Writes down what the next daemon is to know and only this one does: how a pad's battery is, where levers stand. Of
    /// a device of uinput the kernel knows it, and its player's part is written whenever it changes.
    pub(super) fn remember(&self) {
        let Some(stored) = self.stored.as_ref().filter(|_| !self.device.has_player()) else {
            return;
        };
        if let Err(error) = stored.memory().remember(&self.device.snapshot(None)) {
            tracing::warn!(slot = self.slot, %error, "what was set will not outlive the daemon");
        }
    }
}

impl State {
    pub(super) fn door(&self) -> Result<&Door, Error> {
        match &self.door {
            Some(door) if door.container.is_running() => Ok(door),
            _ => Err(Error::NoContainer { session: self.name.clone() }),
        }
    }

    /// The container that it is attached to, as it was called, if it has one.
    pub(super) fn container(&self) -> Option<String> {
        self.door.as_ref().map(|door| door.reference.to_string())
    }
}

/// When each step was done, from the start of the request.
#[derive(Debug, Clone)]
pub(super) struct Timings {
    start: Instant,
    pub(super) steps: Vec<(&'static str, Duration)>,
}

impl Timings {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), steps: Vec::new() }
    }

    /// From the start to the end of the last step.
    pub(super) fn total(&self) -> Duration {
        self.steps.last().map(|&(_, elapsed)| elapsed).unwrap_or_default()
    }

    pub(super) fn done(&mut self, step: &'static str) {
        let elapsed = self.start.elapsed();
        tracing::debug!(step, ?elapsed, "done");
        self.steps.push((step, elapsed));
    }
}

impl Plugged {
    /// The nodes, in the order in which they are placed and announced.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.parts.iter().filter_map(|part| part.node.as_ref())
    }
}
