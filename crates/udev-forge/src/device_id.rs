//! The names of records.

use std::fmt;
use std::str::FromStr;

use crate::names;
use crate::properties::Properties;

/// Text that is not the id of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a device id", .0.escape_debug())]
pub struct DeviceIdError(String);

/// By what udev's database knows a device: `c13:69` for a character device, `b8:0` for a block device,
/// `n2` for a network interface, `+input:input20` for anything else
/// (`sd_device_get_device_id` in systemd's src/libsystemd/sd-device/sd-device.c).
///
/// Always a valid file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(String);

impl DeviceId {
    /// The id of the device of which the kernel says this.
    pub(crate) fn of_kernel(kernel: &Properties) -> Result<Self, DeviceIdError> {
        let value = |key| kernel.get(key).unwrap_or_default();
        let subsystem = value("SUBSYSTEM");
        if let Some(major) = kernel.get("MAJOR") {
            let kind = if subsystem == "block" { 'b' } else { 'c' };
            return format!("{kind}{major}:{}", value("MINOR")).parse();
        }
        let sysname = value("DEVPATH").rsplit('/').next().unwrap_or_default();
        format!("+{subsystem}:{sysname}").parse()
    }

    /// The id, which is the record's file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the device has a node.
    pub(crate) fn has_node(&self) -> bool {
        self.0.starts_with(['b', 'c'])
    }

    /// Whether the device has a record even when there is nothing to say about it.
    pub(crate) fn always_recorded(&self) -> bool {
        !self.0.starts_with('+')
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        // As the kernel and udevd write it, so that a device has one name only.
        let number =
            |digits: &str| digits.parse::<u32>().is_ok_and(|number| number.to_string() == digits);
        let both = |rest: &str, valid: fn(&str) -> bool| {
            rest.split_once(':').is_some_and(|(left, right)| valid(left) && valid(right))
        };
        let valid = match text.split_at_checked(1) {
            Some(("b" | "c", rest)) => both(rest, number),
            Some(("n", rest)) => number(rest),
            Some(("+", rest)) => both(rest, |part| !part.is_empty()) && names::is_file_name(text),
            _ => false,
        };
        if valid { Ok(Self(text.to_owned())) } else { Err(DeviceIdError(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_in_run_udev_data_are_taken() {
        for id in ["c13:69", "b8:0", "n2", "+leds:input30:rgb:indicator", "+drivers:usb:xpad"] {
            assert_eq!(id.parse::<DeviceId>().unwrap().to_string(), id);
        }
    }

    #[test]
    fn the_id_is_that_of_the_node_or_else_of_the_name() {
        let id = |pairs: &[(&str, &str)]| {
            let mut kernel = Properties::new();
            pairs.iter().for_each(|(key, value)| kernel.put(key, value));
            DeviceId::of_kernel(&kernel).unwrap().to_string()
        };
        let parent = [("SUBSYSTEM", "input"), ("DEVPATH", "/devices/virtual/input/input20")];
        assert_eq!(id(&parent), "+input:input20");
        assert_eq!(id(&[("SUBSYSTEM", "input"), ("MAJOR", "13"), ("MINOR", "69")]), "c13:69");
        assert_eq!(id(&[("SUBSYSTEM", "block"), ("MAJOR", "8"), ("MINOR", "0")]), "b8:0");
    }

    #[test]
    fn nothing_that_leaves_the_directory_is_an_id() {
        let long = format!("+input:{}", "x".repeat(255));
        for id in [
            "", "c", "c13", "c13:+9", "c13:069", "c13:6\n", "n", "x1:2", "+input", "+:a", "+input:",
        ] {
            assert!(id.parse::<DeviceId>().is_err(), "{id}");
        }
        for id in ["+input:../../etc/passwd", "+a/b:c", &long] {
            assert!(id.parse::<DeviceId>().is_err(), "{id}");
        }
    }
}
