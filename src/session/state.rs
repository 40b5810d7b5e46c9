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
use super::plug::PlugRequest;
use crate::profiles::Profile;

/// The last slot: as many devices as the kernel names `event0` to `event31` without dynamic minors.
pub(super) const LAST_SLOT: u8 = 31;

/// One session, as its actor owns it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) name: String,
    /// Before `dir`: it has to be gone when that goes.
    pub(super) shown: Shown,
    pub(super) dir: SessionDir,
    pub(super) database: Database,
    pub(super) door: Option<Door>,
    pub(super) slots: BTreeMap<u8, Plugged>,
    /// What was in slots that are empty now, because their container ended: it is plugged again into the next one.
    pub(super) waiting: BTreeMap<u8, PlugRequest>,
}

/// A device in its slot, and every trace of it.
#[derive(Debug)]
pub(super) struct Plugged {
    pub(super) slot: u8,
    pub(super) profile: Profile,
    pub(super) name: DeviceName,
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
}

/// One kernel object of a device, made ready for the container.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) forged: Forged,
    /// `None` for the input device itself, which has no node.
    pub(super) node: Option<Node>,
}

impl State {
    pub(super) fn door(&self) -> Result<&Door, Error> {
        match &self.door {
            Some(door) if door.container.is_running() => Ok(door),
            _ => Err(Error::NoContainer { session: self.name.clone() }),
        }
    }

    pub(super) fn slot(&self, slot: u8) -> Result<&Plugged, Error> {
        self.slots.get(&slot).ok_or_else(|| Error::SlotEmpty { session: self.name.clone(), slot })
    }

    /// The slot asked for, or the lowest free one.
    pub(super) fn choose_slot(&self, asked: Option<u8>) -> Result<u8, Error> {
        match asked {
            Some(slot) if slot > LAST_SLOT => Err(Error::NoSuchSlot { slot, last: LAST_SLOT }),
            Some(slot) => match self.slots.get(&slot) {
                Some(plugged) => {
                    Err(Error::SlotTaken { slot, profile: plugged.profile.name().to_owned() })
                }
                None => match self.waiting.get(&slot) {
                    Some(waiting) => {
                        Err(Error::SlotTaken { slot, profile: waiting.profile.name().to_owned() })
                    }
                    None => Ok(slot),
                },
            },
            None => (0..=LAST_SLOT)
                .find(|slot| !self.slots.contains_key(slot) && !self.waiting.contains_key(slot))
                .ok_or_else(|| Error::NoFreeSlot { session: self.name.clone() }),
        }
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
        self.steps.push((step, self.start.elapsed()));
    }
}

impl Plugged {
    /// What would plug the same into the same slot.
    pub(super) fn request(&self) -> PlugRequest {
        PlugRequest {
            profile: self.profile.clone(),
            slot: Some(self.slot),
            name: Some(self.name.clone()),
        }
    }

    /// The nodes, in the order in which they are placed and announced.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.parts.iter().filter_map(|part| part.node.as_ref())
    }
}
