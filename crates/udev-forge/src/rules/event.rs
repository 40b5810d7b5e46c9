//! The state of a device while the rules go over it.

use super::Outcome;
use crate::device::{Input, SysDevice};
use crate::hwdb::Hwdb;
use crate::names;
use crate::path_id::path_id;
use crate::properties::Properties;
use crate::sysfs::Object;
use crate::text::replace_unusual;
use crate::usb_id::usb_id;

pub(super) struct Event<'a> {
    pub(super) device: &'a SysDevice,
    hwdb: &'a Hwdb,
    outcome: Outcome,
}

impl<'a> Event<'a> {
    pub(super) fn new(device: &'a SysDevice, hwdb: &'a Hwdb) -> Self {
        Self { device, hwdb, outcome: Outcome::default() }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        self.outcome
    }

    /// `SUBSYSTEM==`.
    pub(super) fn is_in(&self, subsystem: &str) -> bool {
        self.device.subsystem() == subsystem
    }

    /// `KERNEL=="name*"`.
    pub(super) fn is_named(&self, beginning: &str) -> bool {
        self.device.sysname().starts_with(beginning)
    }

    /// `KERNEL=="name[0-9]*"`.
    pub(super) fn is_numbered(&self, name: &str) -> bool {
        let rest = self.device.sysname().strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// `ENV{DEVTYPE}=="usb_device"`, which none but the devices of USB have.
    pub(super) fn is_usb_device(&self) -> bool {
        self.is_in("usb") && self.get("DEVTYPE") == "usb_device"
    }

    /// `SUBSYSTEMS==`: the nearest in the device's chain that is on the bus.
    pub(super) fn on_bus(&self, subsystem: &str) -> Option<&'a Object> {
        let mut chain = self.device.chain().iter();
        chain.find(|object| object.subsystem == subsystem).map(|object| &**object)
    }

    /// `ATTRS{name}`: of all in the chain that have the attribute.
    pub(super) fn attributes(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.device.chain().iter().filter_map(move |object| object.attribute(name))
    }

    /// The input device that this is or belongs to, for `input` only.
    pub(super) fn input(&self) -> Option<&'a Input> {
        self.device.input().filter(|_| self.is_in("input"))
    }

    /// `ENV{key}`; what is not there is empty.
    pub(super) fn get(&self, key: &str) -> &str {
        let rules = self.outcome.properties.get(key);
        rules.or_else(|| self.device.kernel_properties().get(key)).unwrap_or_default()
    }

    /// `ENV{key}=="?*"`.
    pub(super) fn has(&self, key: &str) -> bool {
        !self.get(key).is_empty()
    }

    /// `ENV{key}="value"`.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.outcome.properties.put(key, value);
    }

    /// `ENV{key}=""`.
    pub(super) fn unset(&mut self, key: &str) {
        self.outcome.properties.remove(key);
    }

    /// `TAG+="tag"`.
    pub(super) fn tag(&mut self, tag: &'static str) {
        self.outcome.tags.insert(tag);
    }

    /// `TAG=="tag"`.
    pub(super) fn is_tagged(&self, tag: &str) -> bool {
        self.outcome.tags.contains(tag)
    }

    /// `SYMLINK+="link"`, of a device that has a node. What cannot be below /dev is no link (`device_add_devlink` in systemd's
    /// src/libsystemd/sd-device/sd-device.c): parts of its name may come from whoever made the device.
    pub(super) fn link(&mut self, link: &str) {
        if self.device.devnum().is_none() {
            return;
        }
        // `udev_rule_apply_token_to_event` in systemd's src/udev/udev-rules.c
        let link = replace_unusual(&link.replace(' ', "_"), "/");
        self.outcome.devlinks.extend(names::simplified(&link));
    }

    /// `IMPORT{builtin}="hwdb 'key'"`: whether the database knows the key.
    pub(super) fn import_hwdb(&mut self, key: &str) -> bool {
        let found: Properties = self.hwdb.lookup(key);
        for (key, value) in found.iter() {
            self.set(key, value);
        }
        !found.is_empty()
    }

    /// `IMPORT{builtin}="hwdb --subsystem=SUBSYSTEM --lookup-prefix=PREFIX"`: whether the database knows
    /// the modalias of the device or of one of its parents (`udev_builtin_hwdb_search` in systemd's
    /// src/udev/udev-builtin-hwdb.c).
    pub(super) fn import_hwdb_of(&mut self, subsystem: Option<&str>, prefix: &str) -> bool {
        for object in self.device.chain() {
            if subsystem.is_some_and(|subsystem| object.subsystem != subsystem) {
                continue;
            }
            let modalias = object.uevent.get("MODALIAS").map(str::to_owned);
            // The parents of a USB device are hubs.
            let is_last = object.subsystem == "usb" && object.devtype() == "usb_device";
            let modalias =
                if is_last { modalias.or_else(|| usb_modalias(object)) } else { modalias };
            if modalias.is_some_and(|modalias| self.import_hwdb(&format!("{prefix}{modalias}"))) {
                return true;
            }
            if is_last {
                return false;
            }
        }
        false
    }

    /// `IMPORT{builtin}="path_id"`.
    pub(super) fn import_path_id(&mut self) {
        let Some(id) = path_id(self.device.chain()) else { return };
        if let Some(path) = id.with_usb_revision {
            self.set("ID_PATH_WITH_USB_REVISION", &path);
        }
        self.set("ID_PATH", &id.path);
        self.set("ID_PATH_TAG", &id.tag);
    }

    /// `IMPORT{builtin}="usb_id"`: whether the device is one of USB.
    pub(super) fn import_usb_id(&mut self) -> bool {
        let Some(id) = usb_id(self.device.chain()) else { return false };
        if !self.has("ID_BUS") {
            self.set("ID_BUS", "usb");
            for (key, value) in &id.identity {
                self.set(&format!("ID_{key}"), value);
            }
        }
        for (key, value) in &id.identity {
            self.set(&format!("ID_USB_{key}"), value);
        }
        for (key, value) in &id.usb_only {
            self.set(key, value);
        }
        true
    }
}

/// What stands for the modalias of a USB device, which has none of its own.
fn usb_modalias(device: &Object) -> Option<String> {
    let number = |name| u16::from_str_radix(device.attribute(name)?, 16).ok();
    let (vendor, product) = (number("idVendor")?, number("idProduct")?);
    let name = device.attribute("product").unwrap_or_default();
    Some(format!("usb:v{vendor:04X}p{product:04X}:{name}"))
}
