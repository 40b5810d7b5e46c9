//! The TOML form of a profile.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::control::Spec;
use super::{Bus, Control, ControlKind, Profile};
use crate::code::Property;
use crate::{DeviceName, EventCode, EventType};

/// Most effects a device can hold: `FF_MAX_EFFECTS` (include/uapi/linux/input.h).
const MAX_EFFECTS: u32 = 0x60;

/// Why a profile could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A line is not TOML, or not what belongs there.
    #[error("line {line}: {message}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// Each line is fine, but they do not fit together.
    #[error("{key}: {message}")]
    Key {
        /// The key of the profile, as `controls.lx`.
        key: String,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    title: String,
    device_name: DeviceName,
    bus: Bus,
    vendor: u16,
    product: u16,
    version: u16,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(default)]
    controls: BTreeMap<String, Spec>,
    #[serde(default)]
    keys: Vec<Spec>,
    #[serde(default)]
    leds: Vec<EventCode>,
    force_feedback: Option<ForceFeedback>,
    #[serde(default)]
    repeat: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForceFeedback {
    effects: Vec<EventCode>,
    max: u32,
}

pub(super) fn parse(text: &str) -> Result<Profile, ProfileError> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        ProfileError::Line { line, message: error.message().to_owned() }
    })?;
    document.check()
}

impl Document {
    fn check(self) -> Result<Profile, ProfileError> {
        if !spelled_with(&self.name, b'-') {
            return Err(invalid("name", "use a-z, 0-9 and -, and at least one of them"));
        }
        let controls = controls(self.controls, &self.keys)?;
        if self.repeat && !controls.iter().any(|control| control.kind() == ControlKind::Key) {
            return Err(invalid("repeat", "there are no keys to repeat"));
        }
        expect_type(&self.leds, EventType::Led, "leds", "LED_*")?;
        let (effects, max_effects) = match self.force_feedback {
            None => (Vec::new(), 0),
            Some(ForceFeedback { effects, max }) => {
                expect_type(&effects, EventType::Ff, "force_feedback.effects", "FF_*")?;
                if effects.is_empty() {
                    return Err(invalid("force_feedback.effects", "list at least one FF_* code"));
                }
                if !(1..=MAX_EFFECTS).contains(&max) {
                    let message = format!("must be from 1 to {MAX_EFFECTS}, not {max}");
                    return Err(invalid("force_feedback.max", message));
                }
                (effects, max)
            }
        };
        Ok(Profile {
            name: self.name,
            title: self.title,
            device_name: self.device_name,
            bus: self.bus,
            vendor: self.vendor,
            product: self.product,
            version: self.version,
            properties: self.properties,
            controls,
            leds: self.leds,
            effects,
            max_effects,
            repeat: self.repeat,
        })
    }
}

/// The controls of both tables, sorted by code.
fn controls(named: BTreeMap<String, Spec>, keys: &[Spec]) -> Result<Vec<Control>, ProfileError> {
    let mut controls = Vec::with_capacity(named.len() + keys.len());
    for (name, spec) in named {
        if !spelled_with(&name, b'_') {
            return Err(invalid(format!("controls.{name}"), "use a-z, 0-9 and _ for the name"));
        }
        controls.push(Control { name, spec });
    }
    for spec in keys {
        let Some(name) = spec.code.name().and_then(|name| name.strip_prefix("KEY_")) else {
            return Err(invalid("keys", format!("takes KEY_* codes, not {}", spec.code)));
        };
        let name = name.to_lowercase();
        if controls.iter().any(|control| control.name == name) {
            return Err(invalid("keys", format!("there is a control {name:?} already")));
        }
        controls.push(Control { name, spec: *spec });
    }
    if controls.is_empty() {
        return Err(invalid("controls", "name at least one control, here or in `keys`"));
    }
    controls.sort_by_key(Control::code);
    let mut codes = BTreeMap::new();
    for control in &controls {
        for code in control.codes() {
            if let Some(other) = codes.insert(code, &control.name) {
                let message = format!("{code} is the code of {other:?} already");
                return Err(invalid(format!("controls.{}", control.name), message));
            }
        }
    }
    Ok(controls)
}

fn expect_type(
    codes: &[EventCode],
    kind: EventType,
    key: &str,
    family: &str,
) -> Result<(), ProfileError> {
    match codes.iter().find(|code| code.kind != kind) {
        Some(other) => Err(invalid(key, format!("takes {family} codes, not {other}"))),
        None => Ok(()),
    }
}

fn invalid(key: impl Into<String>, message: impl Into<String>) -> ProfileError {
    ProfileError::Key { key: key.into(), message: message.into() }
}

/// Whether a name has only small letters, digits and this other character, and is not empty.
fn spelled_with(name: &str, other: u8) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == other;
    !name.is_empty() && name.bytes().all(fits)
}
