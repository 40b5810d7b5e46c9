//! A rule: which devices of the host the container of a session gets, and how.

mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use words::{Any, Kind, Letters, Minor, MinorError, Mode, ModeError, Word};

/// A rule that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It names nothing, and so means every device.
    #[error(
        "the rule means every device of the host: narrow it, or say `danger = [\"everything\"]`"
    )]
    Everything,
    /// A minor number without a major one.
    #[error("a minor number means nothing without `major`")]
    MinorWithoutMajor,
    /// Something that is to be hexadecimal digits.
    #[error("`{key}` is `{value}`, not {digits} hexadecimal digits")]
    NotHex {
        /// The key.
        key: &'static str,
        /// What it says.
        value: String,
        /// How many there have to be.
        digits: usize,
    },
    /// A link that cannot be one.
    #[error(
        "`{link}` is no place for a link: it is a path below /dev, not in /dev/input or /dev/hotseat"
    )]
    Link {
        /// The link.
        link: String,
    },
    /// A rule of the configuration says of no session that it is its.
    #[error("the rule names no session: `session = \"NAME\"`, or `\"*\"` for every session")]
    NoSession,
    /// A rule of a session's own says of which session it is.
    #[error("the rule is of the session that it is added to: leave `session` out")]
    SessionGiven,
}

/// Which devices of the host a session gets, and how. Everything that it says of a device has to be so. Patterns are those
/// of fnmatch(3): `*`, `?`, `[...]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The sessions whose rule it is, as a pattern of their names. Only in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The subsystem, such as `tty`, `usb` or `rtc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
    /// Character or block device.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The major number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// The minor number, or `any`, as when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<Minor>,
    /// Pattern of the node's path below /dev, such as `ttyACM*` or `bus/usb/*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devname: Option<String>,
    /// The vendor of the USB device that it is or belongs to: four hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The product of that USB device: four hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Pattern of that USB device's serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The class of the USB interface that it belongs to, or of one of its own: two hexadecimal digits, such as `0b` for a
    /// smart card reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_class: Option<String>,
    /// Pattern of a driver of the device or of one of its parents, such as `cdc_acm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Properties as the host's udev has them, such as `ID_MODEL`, each with a pattern of its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub property: BTreeMap<String, String>,
    /// A tag of the host's udev.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the container may do: letters `r` (read), `w` (write), `m` (make nodes of it).
    #[schema(value_type = String, example = "rw")]
    pub access: Letters,
    /// The node's owner, as the container numbers its users; its root if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// The node's group, as the container numbers its groups; its root's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// The node's permission bits in octal, such as `0660`; as configured (`node_mode`) if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mode: Option<Mode>,
    /// More names of the node below /dev, such as `zigbee`, beside those that the host's udev has for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Whether no other session has the device while this one has it.
    pub exclusive: bool,
    /// Whether a session without such a device is worth a warning. Its container starts all the same.
    pub required: bool,
    /// The dangers that are meant: without their words no dangerous device is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub danger: Vec<Word>,
}

impl Rule {
    /// Whether it can be a rule.
    ///
    /// # Errors
    ///
    /// [`RuleError`]: what is wrong with it.
    pub fn check(&self) -> Result<(), RuleError> {
        if !self.narrows() && !self.danger.contains(&Word::Everything) {
            return Err(RuleError::Everything);
        }
        if matches!(self.minor, Some(Minor::Number(_))) && self.major.is_none() {
            return Err(RuleError::MinorWithoutMajor);
        }
        hex("vendor", self.vendor.as_deref(), 4)?;
        hex("product", self.product.as_deref(), 4)?;
        hex("interface_class", self.interface_class.as_deref(), 2)?;
        match self.links.iter().find(|link| !is_link(link)) {
            Some(link) => Err(RuleError::Link { link: link.clone() }),
            None => Ok(()),
        }
    }

    /// As a rule of the configuration, which says whose it is.
    ///
    /// # Errors
    ///
    /// [`RuleError`].
    pub fn check_configured(&self) -> Result<(), RuleError> {
        if self.session.is_none() {
            return Err(RuleError::NoSession);
        }
        self.check()
    }

    /// As a rule of a session's own.
    ///
    /// # Errors
    ///
    /// [`RuleError`].
    pub fn check_own(&self) -> Result<(), RuleError> {
        if self.session.is_some() {
            return Err(RuleError::SessionGiven);
        }
        self.check()
    }

    /// Whether it says more of a device than its type.
    fn narrows(&self) -> bool {
        let words = [
            &self.subsystem,
            &self.devname,
            &self.vendor,
            &self.product,
            &self.serial,
            &self.interface_class,
            &self.driver,
            &self.tag,
        ];
        let narrows = |word: &&Option<String>| word.as_deref().is_some_and(|word| word != "*");
        self.major.is_some() || !self.property.is_empty() || words.iter().any(narrows)
    }
}

fn hex(key: &'static str, value: Option<&str>, digits: usize) -> Result<(), RuleError> {
    match value {
        Some(value)
            if value.len() != digits || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            Err(RuleError::NotHex { key, value: value.to_owned(), digits })
        }
        _ => Ok(()),
    }
}

/// Whether a link may be there: outside of what is mounted in the container.
pub(crate) fn is_link(link: &str) -> bool {
    let is_name = |part: &str| {
        let is_fine = |char: char| !char.is_whitespace() && !char.is_control() && char != '\\';
        !part.is_empty() && !part.starts_with('.') && part.chars().all(is_fine)
    };
    let first = link.split('/').next().unwrap_or_default();
    link.split('/').all(is_name)
        && link.split('/').count() <= 4
        && !["input", "hotseat"].contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_words_of_a_rule_are_read_and_written() {
        let text = "session = \"gateway\"\nsubsystem = \"tty\"\ntype = \"character\"\nmajor = 166\nminor = \"any\"\n\
                    vendor = \"1cf1\"\nproduct = \"0030\"\nserial = \"DE*\"\naccess = \"rwm\"\nmode = \"0660\"\n\
                    group = 20\nlinks = [\"zigbee\"]\nexclusive = true\n[property]\nID_MODEL = \"ConBee*\"\n";
        let read = rule(text);
        assert_eq!(read.check_configured(), Ok(()));
        assert_eq!(read.minor, Some(Minor::Any(Any::Any)));
        assert_eq!(read.access.0.to_string(), "rwm");
        assert_eq!(read.mode, Some(Mode(0o660)));
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&written).unwrap(), read);
        assert!(written.contains(r#""mode":"0660""#), "{written}");
        assert!(toml::from_str::<Rule>("subsytem = \"tty\"").is_err());
        assert!(toml::from_str::<Rule>("minor = \"some\"").is_err());
    }

    #[test]
    fn a_rule_that_means_everything_has_to_say_so() {
        for text in
            ["", "type = \"char\"", "devname = \"*\"", "minor = \"any\"", "danger = [\"disk\"]"]
        {
            assert_eq!(rule(text).check(), Err(RuleError::Everything), "{text}");
        }
        assert_eq!(rule("danger = [\"everything\"]").check(), Ok(()));
        assert_eq!(rule("major = 166").check(), Ok(()));
    }

    #[test]
    fn what_can_never_match_is_refused() {
        assert_eq!(
            rule("subsystem = \"tty\"\nminor = 0").check(),
            Err(RuleError::MinorWithoutMajor)
        );
        for text in ["vendor = \"1cf\"", "product = \"003g\"", "interface_class = \"b\""] {
            assert!(matches!(rule(text).check(), Err(RuleError::NotHex { .. })), "{text}");
        }
        assert_eq!(rule("vendor = \"1CF1\"").check(), Ok(()));
    }

    #[test]
    fn a_link_stays_in_dev_and_out_of_what_is_mounted_there() {
        for link in ["zigbee", "serial/by-id/usb-x-if00", "rtc"] {
            assert!(is_link(link), "{link}");
        }
        for link in [
            "",
            "/dev/x",
            "../x",
            "a/../b",
            "input/x",
            "hotseat/x",
            "a b",
            "a\n",
            "a\\x2fb",
            "a/b/c/d/e",
            "a/",
        ] {
            assert!(!is_link(link), "{link}");
        }
    }

    #[test]
    fn whose_a_rule_is_is_said_in_the_configuration_and_nowhere_else() {
        let own = rule("major = 166");
        assert_eq!(own.check_configured(), Err(RuleError::NoSession));
        assert_eq!(own.check_own(), Ok(()));
        let configured = rule("session = \"*\"\nmajor = 166");
        assert_eq!(configured.check_own(), Err(RuleError::SessionGiven));
    }
}
