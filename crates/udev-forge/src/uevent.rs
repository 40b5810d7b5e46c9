//! Messages as the kernel broadcasts them (`kobject_uevent_env` in lib/kobject_uevent.c).

use crate::message::{Action, append};
use crate::names;
use crate::properties::Properties;

/// An event of the kernel, for a udevd to work on. The kernel numbers it when it is injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    action: Action,
    /// As in [`SysDevice::kernel_properties`](crate::SysDevice::kernel_properties).
    kernel: Properties,
}

impl Uevent {
    /// What the kernel takes at most, in bytes: `UEVENT_BUFFER_SIZE`, of which `uevent_net_broadcast` needs up
    /// to 28 for the number and 16 for netlink's header (lib/kobject_uevent.c, linux/kobject.h).
    pub const SIZE_LIMIT: usize = 2048 - 28 - 16;

    pub(crate) fn new(action: Action, kernel: Properties) -> Self {
        Self { action, kernel }
    }

    /// What happened.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The device's path in sysfs, without `/sys`.
    pub fn devpath(&self) -> &str {
        self.kernel.get("DEVPATH").unwrap_or_default()
    }

    /// The message without its number: `ACTION@DEVPATH`, and then the properties, with `DEVNAME` relative to
    /// /dev and everything about the node behind the subsystem.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = format!("{}@{}\0", self.action, self.devpath()).into_bytes();
        append(&mut message, "ACTION", self.action.as_str());
        for key in FIRST {
            if let Some(value) = self.kernel.get(key) {
                append(&mut message, key, names::kernel_value(key, value));
            }
        }
        for (key, value) in self.kernel.iter().filter(|(key, _)| !FIRST.contains(key)) {
            append(&mut message, key, value);
        }
        message
    }
}

/// What the kernel says first, in its order (`kobject_uevent_env`, `dev_uevent` in drivers/base/core.c).
const FIRST: [&str; 7] =
    ["DEVPATH", "SUBSYSTEM", "MAJOR", "MINOR", "DEVNAME", "DEVMODE", "DEVTYPE"];
