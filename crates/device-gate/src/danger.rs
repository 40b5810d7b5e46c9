//! Devices behind which there is more than themselves.

use std::fmt;
use std::fs;
use std::str::FromStr;

use crate::access::{DeviceKind, Devices};

/// Why a device is not granted unless somebody says the word for it ([`Grants::grant_despite`]).
///
/// Numbers are those of Documentation/admin-guide/devices.txt; where the kernel gives them out as it goes, the names
/// in `/proc/devices` tell.
///
/// [`Grants::grant_despite`]: crate::Grants::grant_despite
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Danger {
    /// Disks: every block device, and what talks to disks behind their file systems' backs (sg, bsg, nvme, raw, mtd,
    /// ubi, rpmb).
    Disk,
    /// The memory of the machine and of its processors: mem, port, kmsg (major 1), msr, ndctl, dax, uio.
    Memory,
    /// The host's screen and keyboard: virtual consoles (4:0 to 4:63, major 7), `/dev/console`, the frame
    /// buffer.
    Console,
    /// Major 10, a mixture: virtual machines, network tunnels, and uinput, which makes devices of its own. And what can
    /// reset the machine by another major: watchdogs, IPMI.
    Misc,
    /// More input devices than one: any minor of input or hidraw, and `mice`, in which all mice are. Other sessions'
    /// devices and the host's own keyboard are among them.
    AllInput,
}

/// Every danger and its word.
const WORDS: [(Danger, &str); 5] = [
    (Danger::Disk, "disk"),
    (Danger::Memory, "memory"),
    (Danger::Console, "console"),
    (Danger::Misc, "misc"),
    (Danger::AllInput, "all-input"),
];

/// The word with which a rule permits it.
impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(danger, _)| danger == self).map_or("", |(_, word)| word);
        f.write_str(word)
    }
}

/// Not one of the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a danger: there are disk, memory, console, misc and all-input")]
pub struct DangerError(String);

impl FromStr for Danger {
    type Err = DangerError;

    fn from_str(word: &str) -> Result<Self, DangerError> {
        let found = WORDS.iter().find(|(_, known)| *known == word);
        found.map(|(danger, _)| *danger).ok_or_else(|| DangerError(word.to_owned()))
    }
}

impl Devices {
    /// What makes these devices dangerous to grant; `None` is the ordinary case. Reads `/proc/devices` for a character
    /// device whose major number means nothing by itself.
    pub fn danger(&self) -> Option<Danger> {
        self.danger_by(|major| {
            let table = fs::read_to_string("/proc/devices").unwrap_or_default();
            name_of(&table, major).map(str::to_owned)
        })
    }

    fn danger_by(&self, name_of: impl FnOnce(u32) -> Option<String>) -> Option<Danger> {
        if self.kind == DeviceKind::Block {
            return Some(Danger::Disk);
        }
        match (self.major, self.minor) {
            (1 | 202, _) => Some(Danger::Memory),
            (4, None | Some(0..=63)) | (5, None | Some(1)) | (7 | 29, _) => Some(Danger::Console),
            (10, _) => Some(Danger::Misc),
            (13, None | Some(63)) => Some(Danger::AllInput),
            (21 | 90 | 162, _) => Some(Danger::Disk),
            // "RESERVED FOR DYNAMIC ASSIGNMENT".
            (major @ (234..=254 | 384..=511), minor) => match name_of(major)?.as_str() {
                "bsg" | "nvme" | "nvme-generic" | "rpmb" => Some(Danger::Disk),
                name if name.starts_with("ubi") => Some(Danger::Disk),
                "ndctl" | "dax" | "uio" => Some(Danger::Memory),
                "ipmidev" | "watchdog" => Some(Danger::Misc),
                "hidraw" if minor.is_none() => Some(Danger::AllInput),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The name of a character major in the text of `/proc/devices` (proc_devices(5)).
fn name_of(table: &str, major: u32) -> Option<&str> {
    let characters = table.lines().take_while(|line| *line != "Block devices:");
    characters.into_iter().find_map(|line| {
        let (number, name) = line.trim_start().split_once(' ')?;
        (number.parse() == Ok(major)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Device;

    const TABLE: &str = "Character devices:\n  1 mem\n 13 input\n166 ttyACM\n240 hidraw\n241 bsg\n243 uio\n244 watchdog\n245 ubi0\n\n\
                         Block devices:\n  8 sd\n242 nvme\n";

    fn danger(devices: impl Into<Devices>) -> Option<Danger> {
        devices.into().danger_by(|major| name_of(TABLE, major).map(str::to_owned))
    }

    #[test]
    fn what_sessions_use_is_no_danger() {
        let fine = [
            (13, 64),
            (13, 256),
            (13, 1),
            (240, 3),
            (166, 0),
            (188, 1),
            (4, 64),
            (116, 2),
            (242, 0),
            (5, 0),
        ];
        for (major, minor) in fine {
            assert_eq!(danger(Device::char(major, minor)), None, "{major}:{minor}");
        }
        assert_eq!(danger(Devices::any_minor(DeviceKind::Char, 166)), None);
    }

    #[test]
    fn more_than_the_device_itself_is_a_danger() {
        let any = |major| Devices::any_minor(DeviceKind::Char, major);
        let cases = [
            (Devices::from(Device::block(8, 0)), Danger::Disk),
            (Device::char(21, 0).into(), Danger::Disk),
            (Device::char(241, 0).into(), Danger::Disk),
            (Device::char(245, 1).into(), Danger::Disk),
            (Device::char(1, 1).into(), Danger::Memory),
            (Device::char(243, 0).into(), Danger::Memory),
            (Device::char(244, 0).into(), Danger::Misc),
            (Device::char(5, 1).into(), Danger::Console),
            (Device::char(4, 1).into(), Danger::Console),
            (any(4), Danger::Console),
            (Device::char(10, 223).into(), Danger::Misc),
            (Device::char(13, 63).into(), Danger::AllInput),
            (any(13), Danger::AllInput),
            (any(240), Danger::AllInput),
        ];
        for (devices, expected) in cases {
            assert_eq!(danger(devices), Some(expected), "{devices}");
        }
    }

    #[test]
    fn words_round_trip() {
        for (danger, word) in WORDS {
            assert_eq!(word.parse(), Ok(danger));
            assert_eq!(danger.to_string(), word);
        }
        assert_eq!("everything".parse::<Danger>(), Err(DangerError("everything".to_owned())));
    }
}
