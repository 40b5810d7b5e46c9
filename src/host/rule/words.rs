//! The words of a rule: types, numbers, letters, dangers.

use std::fmt;
use std::str::FromStr;

use device_gate::{Access, Danger, DeviceKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// The type of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A character device.
    #[serde(alias = "character")]
    #[value(alias = "character")]
    Char,
    /// A block device.
    Block,
}

impl From<DeviceKind> for Kind {
    fn from(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Block => Self::Block,
            DeviceKind::Char => Self::Char,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Char => "char",
            Self::Block => "block",
        })
    }
}

/// A minor number, or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Minor {
    /// This one.
    Number(u32),
    /// The word `any`.
    Any(Any),
}

/// The word `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Any {
    /// Whichever.
    Any,
}

/// Neither a number nor `any`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a minor number: give a number, or `any`")]
pub struct MinorError(String);

impl FromStr for Minor {
    type Err = MinorError;

    fn from_str(text: &str) -> Result<Self, MinorError> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text == "any" => Ok(Self::Any(Any::Any)),
            Err(_) => Err(MinorError(text.to_owned())),
        }
    }
}

/// A danger that is meant (`device_gate::Danger`), or that everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Disks: every block device, and what talks to disks behind their file systems' backs.
    Disk,
    /// The memory of the machine and of its processors.
    Memory,
    /// The host's screen and keyboard.
    Console,
    /// Major 10, a mixture: virtual machines, network tunnels, uinput.
    Misc,
    /// A node in which all mice are.
    AllInput,
    /// The rule may mean every device; one that is dangerous needs its own word all the same.
    Everything,
}

impl From<Danger> for Word {
    fn from(danger: Danger) -> Self {
        match danger {
            Danger::Disk => Self::Disk,
            Danger::Memory => Self::Memory,
            Danger::Console => Self::Console,
            Danger::Misc => Self::Misc,
            Danger::AllInput => Self::AllInput,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Console => "console",
            Self::Misc => "misc",
            Self::AllInput => "all-input",
            Self::Everything => "everything",
        })
    }
}

/// Letters of the device cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letters(pub Access);

impl Default for Letters {
    fn default() -> Self {
        Self(Access::READ.or(Access::WRITE))
    }
}

impl FromStr for Letters {
    type Err = device_gate::AccessError;

    fn from_str(letters: &str) -> Result<Self, Self::Err> {
        letters.parse().map(Self)
    }
}

impl Serialize for Letters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Letters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let letters = String::deserialize(deserializer)?;
        letters.parse().map_err(serde::de::Error::custom)
    }
}

/// Permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

/// Not permission bits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a file mode: write permission bits in octal, such as \"0660\"")]
pub struct ModeError(String);

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err(ModeError(text.to_owned())),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
