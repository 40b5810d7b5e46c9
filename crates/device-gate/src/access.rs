//! What may be opened, and how.

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

/// Block or character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A block device; `BPF_DEVCG_DEV_BLOCK` in `include/uapi/linux/bpf.h`.
    Block,
    /// A character device; `BPF_DEVCG_DEV_CHAR`.
    Char,
}

impl DeviceKind {
    /// The number that device-cgroup programs see in the low half of `access_type`.
    pub(crate) const fn bpf(self) -> u32 {
        match self {
            Self::Block => 1,
            Self::Char => 2,
        }
    }

    /// The letter of the device cgroup.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Block => 'b',
            Self::Char => 'c',
        }
    }
}

/// One device: kind, major, minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// Block or character.
    pub kind: DeviceKind,
    /// Major number (12 bits in the kernel's `dev_t`).
    pub major: u32,
    /// Minor number (20 bits; input devices do exceed 255: `event32` is 13:256).
    pub minor: u32,
}

impl Device {
    /// The character device `major:minor`.
    pub const fn char(major: u32, minor: u32) -> Self {
        Self { kind: DeviceKind::Char, major, minor }
    }

    /// The block device `major:minor`.
    pub const fn block(major: u32, minor: u32) -> Self {
        Self { kind: DeviceKind::Block, major, minor }
    }
}

/// `c 13:69`, as in `devices.allow` of cgroup v1.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.kind.letter(), self.major, self.minor)
    }
}

/// What one grant is for: a device, or every minor number of a major one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Devices {
    /// Block or character.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
}

impl Devices {
    /// Every device of a major number: a grant that also holds for what is not plugged in yet.
    pub const fn any_minor(kind: DeviceKind, major: u32) -> Self {
        Self { kind, major, minor: None }
    }
}

impl From<Device> for Devices {
    fn from(Device { kind, major, minor }: Device) -> Self {
        Self { kind, major, minor: Some(minor) }
    }
}

/// `c 13:69`, or `c 166:*`, as in `devices.allow` of cgroup v1.
impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            Some(minor) => Device { kind: self.kind, major: self.major, minor }.fmt(f),
            None => write!(f, "{} {}:*", self.kind.letter(), self.major),
        }
    }
}

/// A set of accesses, with the letters of the device cgroup: `r`, `w`, `m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Access(u32);

impl Access {
    /// Make a node with `mknod(2)`; `BPF_DEVCG_ACC_MKNOD`.
    pub const MKNOD: Self = Self(1);
    /// Open for reading; `BPF_DEVCG_ACC_READ`.
    pub const READ: Self = Self(2);
    /// Open for writing; `BPF_DEVCG_ACC_WRITE`.
    pub const WRITE: Self = Self(4);

    /// The bits as device-cgroup programs see them in the high half of `access_type`.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether every access of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Both sets, as `|` has it, where only constants will do.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Access {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (access, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.contains(access) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Letters that are not a set of accesses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a set of device accesses: use the letters r (read), w (write), m (mknod)")]
pub struct AccessError(String);

impl FromStr for Access {
    type Err = AccessError;

    fn from_str(letters: &str) -> Result<Self, AccessError> {
        let mut access = Self::default();
        for letter in letters.chars() {
            access = access
                | match letter {
                    'r' => Self::READ,
                    'w' => Self::WRITE,
                    'm' => Self::MKNOD,
                    _ => return Err(AccessError(letters.to_owned())),
                };
        }
        if access == Self::default() {
            return Err(AccessError(letters.to_owned()));
        }
        Ok(access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_round_trip_in_the_order_of_the_device_cgroup() {
        for letters in ["r", "w", "m", "rw", "rm", "wm", "rwm"] {
            assert_eq!(letters.parse::<Access>().unwrap().to_string(), letters);
        }
        assert_eq!("mwr".parse::<Access>().unwrap().to_string(), "rwm");
    }

    #[test]
    fn any_minor_is_a_star() {
        assert_eq!(Devices::any_minor(DeviceKind::Char, 166).to_string(), "c 166:*");
        assert_eq!(Devices::from(Device::block(8, 300)).to_string(), "b 8:300");
    }

    #[test]
    fn other_letters_and_the_empty_set_are_refused() {
        for letters in ["", "x", "rwx", "R"] {
            assert_eq!(letters.parse::<Access>(), Err(AccessError(letters.to_owned())));
        }
    }
}
