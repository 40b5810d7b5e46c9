//! The TOML form of a profile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::de::DeTable;

use super::contacts::{ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_SLOT, ABS_MT_TRACKING_ID};
use super::contacts::{ContactAxis, Contacts};
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
    #[error("line {line}: {key}: {message}")]
    Key {
        /// The line of the key, counted from 1; where the key itself is what is missing, the line of the
        /// table it belongs in.
        line: usize,
        /// The key of the profile, as `controls.lx`.
        key: String,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

/// Why a profile could not be read from a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The file is no profile.
    #[error("{} is not a profile", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        #[source]
        source: ProfileError,
    },
}

/// Reads a file, and a profile of it.
pub(crate) fn load_with<P>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<P, ProfileError>,
) -> Result<P, LoadError> {
    let text = fs::read_to_string(path)
        .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|source| LoadError::Profile { path: path.to_owned(), source })
}

/// What devices are made by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    #[default]
    Uinput,
    Uhid,
}

/// What a text says that its devices are made by; if it does not say that, uinput.
pub(crate) fn backend(text: &str) -> Backend {
    let table = DeTable::parse(text).ok();
    let value =
        table.and_then(|table| Some(table.get_ref().get("backend")?.get_ref().as_str()? == "uhid"));
    if value == Some(true) { Backend::Uhid } else { Backend::Uinput }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    backend: Backend,
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
    contacts: Option<ContactsTable>,
    #[serde(default)]
    leds: Vec<EventCode>,
    force_feedback: Option<ForceFeedback>,
    #[serde(default)]
    repeat: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactsTable {
    count: u8,
    axes: BTreeMap<String, Spec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForceFeedback {
    effects: Vec<EventCode>,
    max: u32,
}

pub(super) fn parse(text: &str) -> Result<Profile, ProfileError> {
    read(text, Document::check)
}

/// Reads a document and checks it; an error of either gets its line.
pub(crate) fn read<D: DeserializeOwned, P>(
    text: &str,
    check: impl FnOnce(D) -> Result<P, Invalid>,
) -> Result<P, ProfileError> {
    let document: D = toml::from_str(text).map_err(|error| {
        let line = line_at(text, error.span().map_or(0, |span| span.start));
        ProfileError::Line { line, message: error.message().to_owned() }
    })?;
    check(document).map_err(|Invalid { key, message }| {
        let line = line_at(text, offset_of_key(text, &key));
        ProfileError::Key { line, key, message }
    })
}

/// A [`ProfileError::Key`] whose line is not known yet.
#[derive(Debug)]
pub(crate) struct Invalid {
    key: String,
    message: String,
}

/// The line that a byte is in, counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Where a key such as `controls.lx` is written; if it is not, the table that it belongs in, or the start.
fn offset_of_key(text: &str, key: &str) -> usize {
    let mut offset = 0;
    let Ok(document) = DeTable::parse(text) else { return offset };
    let mut table = Some(document.get_ref());
    for part in key.split('.') {
        let found = table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == part));
        let Some((name, value)) = found else { break };
        offset = name.span().start;
        table = value.get_ref().as_table();
    }
    offset
}

impl Document {
    fn check(self) -> Result<Profile, Invalid> {
        if self.backend != Backend::Uinput {
            return Err(invalid("backend", "is of another kind of profile"));
        }
        if !spelled_with(&self.name, b'-') {
            return Err(invalid("name", "use a-z, 0-9 and -, and at least one of them"));
        }
        let contacts = match self.contacts {
            Some(table) => Some(contacts(table, &self.properties)?),
            None => None,
        };
        let controls = controls(self.controls, &self.keys, contacts.as_ref())?;
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
            contacts,
            leds: self.leds,
            effects,
            max_effects,
            repeat: self.repeat,
        })
    }
}

/// The controls of all tables: those of the device, sorted by code, then those of each contact.
fn controls(
    named: BTreeMap<String, Spec>,
    keys: &[Spec],
    contacts: Option<&Contacts>,
) -> Result<Vec<Control>, Invalid> {
    let mut controls = Vec::with_capacity(named.len() + keys.len());
    for (name, spec) in named {
        let key = format!("controls.{name}");
        if !spelled_with(&name, b'_') {
            return Err(invalid(key, "use a-z, 0-9 and _ for the name"));
        }
        if is_of_contacts(spec.code) {
            return Err(invalid(key, format!("{} belongs in [contacts.axes]", spec.code)));
        }
        controls.push(Control::new(name, spec, None));
    }
    for spec in keys {
        let Some(name) = spec.code.name().and_then(|name| name.strip_prefix("KEY_")) else {
            return Err(invalid("keys", format!("takes KEY_* codes, not {}", spec.code)));
        };
        let name = name.to_lowercase();
        if controls.iter().any(|control| control.name == name) {
            return Err(invalid("keys", format!("there is a control {name:?} already")));
        }
        controls.push(Control::new(name, *spec, None));
    }
    if controls.is_empty() && contacts.is_none() {
        return Err(invalid("controls", "name at least one control, here or in `keys`"));
    }
    controls.sort_by_key(Control::code);
    for (place, control) in (0..).zip(&mut controls) {
        control.input.place = place;
    }
    let emulated = contacts.into_iter().flat_map(|contacts| &contacts.emulated);
    let mut codes: BTreeMap<EventCode, &str> =
        emulated.map(|(code, _)| (*code, "contacts")).collect();
    for control in &controls {
        for code in control.codes() {
            if let Some(other) = codes.insert(code, &control.name) {
                let message = format!("{code} is the code of {other:?} already");
                return Err(invalid(format!("controls.{}", control.name), message));
            }
        }
    }
    let of_contacts = contacts.map(Contacts::controls).unwrap_or_default();
    let clash = of_contacts.iter().find(|new| controls.iter().any(|old| old.name == new.name));
    if let Some(Control { name, .. }) = clash {
        return Err(invalid(format!("controls.{name}"), "is the name of a contact's control"));
    }
    controls.extend(of_contacts);
    Ok(controls)
}

/// Most contacts of a device: as many as fingers, pens and toes will ever need at once.
const MAX_CONTACTS: u8 = 32;

fn contacts(table: ContactsTable, properties: &[Property]) -> Result<Contacts, Invalid> {
    let ContactsTable { count, axes } = table;
    if !(1..=MAX_CONTACTS).contains(&count) {
        let message = format!("must be from 1 to {MAX_CONTACTS}, not {count}");
        return Err(invalid("contacts.count", message));
    }
    let mut known: Vec<ContactAxis> = Vec::with_capacity(axes.len());
    for (name, spec) in axes {
        let key = format!("contacts.axes.{name}");
        if !spelled_with(&name, b'_') {
            return Err(invalid(key, "use a-z, 0-9 and _ for the name"));
        }
        let code = spec.code;
        let ControlKind::Absolute(axis) = spec.kind else {
            return Err(invalid(key, format!("takes ABS_MT_* codes, not {code}")));
        };
        if !is_of_contacts(code) || [ABS_MT_SLOT, ABS_MT_TRACKING_ID].contains(&code.code) {
            let message = format!("takes ABS_MT_* codes but SLOT and TRACKING_ID, not {code}");
            return Err(invalid(key, message));
        }
        if known.iter().any(|other| other.code == code) {
            return Err(invalid(key, format!("another axis has {code} already")));
        }
        known.push(ContactAxis { name, code, axis });
    }
    known.sort_by_key(|axis| axis.code);
    for place in [ABS_MT_POSITION_X, ABS_MT_POSITION_Y] {
        if !known.iter().any(|axis| axis.code.code == place) {
            let message = "needs ABS_MT_POSITION_X and ABS_MT_POSITION_Y";
            return Err(invalid("contacts.axes", message));
        }
    }
    Ok(Contacts::new(count, known, properties.contains(&Property::POINTER)))
}

/// Whether the code is one that a device reports per contact.
fn is_of_contacts(code: EventCode) -> bool {
    code.kind == EventType::Abs && code.code >= ABS_MT_SLOT
}

fn expect_type(
    codes: &[EventCode],
    kind: EventType,
    key: &str,
    family: &str,
) -> Result<(), Invalid> {
    match codes.iter().find(|code| code.kind != kind) {
        Some(other) => Err(invalid(key, format!("takes {family} codes, not {other}"))),
        None => Ok(()),
    }
}

pub(crate) fn invalid(key: impl Into<String>, message: impl Into<String>) -> Invalid {
    Invalid { key: key.into(), message: message.into() }
}

/// Whether a name has only small letters, digits and this other character, and is not empty.
pub(crate) fn spelled_with(name: &str, other: u8) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == other;
    !name.is_empty() && name.bytes().all(fits)
}
