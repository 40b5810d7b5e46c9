//! What the rules of udev, logind and libinput say about a device, subsystem by subsystem.

mod input;

use std::collections::BTreeSet;

use crate::device::SysDevice;
use crate::properties::Properties;

/// What the rules add to a device.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) properties: Properties,
    /// udevd's order is that of a hash table; here it is the alphabet's.
    pub(crate) tags: BTreeSet<&'static str>,
}

/// Applies the rules for the device's subsystem. A device of a subsystem without rules here is passed on
/// with nothing added, as udevd does with a hidraw node.
pub(crate) fn apply(device: &SysDevice) -> Outcome {
    match device.subsystem() {
        "input" => input::apply(device),
        _ => Outcome::default(),
    }
}
