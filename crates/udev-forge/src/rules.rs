//! What the rules of udev, logind and libinput say about a device.
//!
//! One file here for each subject; [`apply`] calls them in the order of the rule files of systemd 257,
//! which is also the order of the properties. Left out are rules for other subsystems than those named
//! in the crate's documentation, what only runs programs or changes the device, the names and owners of
//! nodes, and `ID_SEAT`: what the host does to keep a device from its own seat is no business of the
//! container's.

mod defaults;
mod event;
mod input;
mod libinput;
mod security;
mod serial;
mod systemd;
mod uaccess;

use std::collections::BTreeSet;

use crate::device::SysDevice;
use crate::hwdb::Hwdb;
use crate::properties::Properties;
use event::Event;

/// What the rules add to a device.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) properties: Properties,
    /// udevd's order is that of a hash table; here it is the alphabet's.
    pub(crate) tags: BTreeSet<&'static str>,
    /// Links to the node, relative to /dev.
    pub(crate) devlinks: BTreeSet<String>,
}

/// Applies the rules.
pub(crate) fn apply(device: &SysDevice, hwdb: &Hwdb) -> Outcome {
    let mut event = Event::new(device, hwdb);
    defaults::apply(&mut event);
    input::evdev(&mut event);
    security::fido_id(&mut event);
    input::input_id(&mut event);
    input::persistent_input(&mut event);
    serial::apply(&mut event);
    libinput::libwacom(&mut event);
    input::joystick(&mut event);
    input::mouse(&mut event);
    input::power_switch(&mut event);
    input::touchpad(&mut event);
    uaccess::uaccess(&mut event);
    uaccess::seat(&mut event);
    libinput::device_groups(&mut event);
    libinput::fuzz(&mut event);
    systemd::apply(&mut event);
    event.into_outcome()
}
