//! Profiles of either kind.

use std::path::Path;

use crate::profile::{Backend, LoadError, backend, load_with};
use crate::{Profile, ProfileError, hid};

/// What a file describes: its key `backend` says which kind of device.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyProfile {
    /// Made by uinput, which is also meant where the file does not say.
    Uinput(Profile),
    /// Made by uhid, with a report descriptor.
    Uhid(hid::Profile),
}

impl AnyProfile {
    /// Reads a profile from a file.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names the file; its source names the line and says what is allowed there.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        load_with(path.as_ref(), Self::parse)
    }

    /// Reads a profile from TOML.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] names the line or the key and says what is allowed there.
    pub fn parse(toml: &str) -> Result<Self, ProfileError> {
        match backend(toml) {
            Backend::Uinput => Profile::parse(toml).map(Self::Uinput),
            Backend::Uhid => hid::Profile::parse(toml).map(Self::Uhid),
        }
    }

    /// What the profile is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Uinput(profile) => profile.name(),
            Self::Uhid(profile) => profile.name(),
        }
    }
}
