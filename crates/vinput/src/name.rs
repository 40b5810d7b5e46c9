//! Names that the kernel, udev and programs show.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of a device, or its `phys` text: 1 to 79 bytes without control characters.
///
/// A name ends up, unescaped, in lines of the kernel's uevents and of udev's database, so nothing that
/// could end such a line is let in. `phys` has the same rules here; the kernel itself allows more.
///
/// ```
/// use vinput::DeviceName;
///
/// assert!(DeviceName::new("Pad of Ann").is_ok());
/// assert!(DeviceName::new("Pad\nE:ID_SEAT=seat0").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

/// Why a text is not a [`DeviceName`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing in it; the kernel refuses such names (`uinput_dev_setup`).
    #[error("the name is empty; give 1 to {max} bytes", max = DeviceName::MAX)]
    Empty,
    /// It does not fit.
    #[error("the name has {length} bytes, at most {max} fit; shorten it", max = DeviceName::MAX)]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It has a character that could end a line or upset a terminal.
    #[error("the name has the control character {character:?} at byte {position}; remove it")]
    ControlCharacter {
        /// The first such character.
        character: char,
        /// Where it starts, in bytes.
        position: usize,
    },
}

impl DeviceName {
    /// Most bytes in a name: `UINPUT_MAX_NAME_SIZE` (include/uapi/linux/uinput.h) less the NUL.
    pub const MAX: usize = 79;

    /// Checks the text.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which rule it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX {
            return Err(NameError::TooLong { length: text.len() });
        }
        match text.char_indices().find(|(_, character)| character.is_control()) {
            Some((position, character)) => Err(NameError::ControlCharacter { character, position }),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for DeviceName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_79_bytes_fits_and_one_of_80_does_not() {
        assert_eq!(DeviceName::new("x".repeat(79)).unwrap().as_str().len(), 79);
        let error = DeviceName::new("x".repeat(80)).unwrap_err();
        assert_eq!(error.to_string(), "the name has 80 bytes, at most 79 fit; shorten it");
    }

    #[test]
    fn bytes_are_counted_not_characters() {
        assert_eq!(DeviceName::new("ö".repeat(40)).unwrap_err(), NameError::TooLong { length: 80 });
        assert!(DeviceName::new("ö".repeat(39)).is_ok());
    }

    #[test]
    fn an_empty_name_is_refused() {
        let error = DeviceName::new("").unwrap_err();
        assert_eq!(error.to_string(), "the name is empty; give 1 to 79 bytes");
    }

    #[test]
    fn nothing_that_could_end_a_line_is_let_in() {
        for character in ['\n', '\r', '\0', '\t', '\x1b', '\x7f', '\u{85}'] {
            let error = DeviceName::new(format!("Pad{character}")).unwrap_err();
            assert_eq!(error, NameError::ControlCharacter { character, position: 3 });
        }
        let error = DeviceName::new("a\nb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the name has the control character '\\n' at byte 1; remove it"
        );
    }

    proptest::proptest! {
        #[test]
        fn a_name_never_holds_more_than_one_line(text: String) {
            if let Ok(name) = DeviceName::new(text) {
                proptest::prop_assert_eq!(name.as_str().lines().count(), 1);
                proptest::prop_assert!(name.as_str().len() <= DeviceName::MAX);
            }
        }
    }
}
