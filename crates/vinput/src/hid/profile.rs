//! The TOML form of a HID device.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::control::{Control, Spec};
use super::descriptor::Descriptor;
use super::names::name_all;
use crate::profile::{
    Backend, Bus, Invalid, LoadError, ProfileError, invalid, load_with, read, spelled_with,
};
use crate::{DeviceName, EventCode};

/// Most controls of a device.
const MAX_CONTROLS: usize = 1024;

/// A HID device that a file describes. Immutable and checked; the module's page has the keys of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    name: String,
    title: String,
    device_name: DeviceName,
    bus: Bus,
    vendor: u16,
    product: u16,
    version: u16,
    driver: Option<String>,
    descriptor: Descriptor,
    controls: Vec<Control>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    backend: Backend,
    name: String,
    title: String,
    device_name: DeviceName,
    bus: Bus,
    vendor: u16,
    product: u16,
    version: u16,
    driver: Option<String>,
    report_descriptor: String,
    controls: Option<BTreeMap<String, Short>>,
}

/// A control as a file has it: a usage, or a table.
struct Short(Spec);

impl Profile {
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
        read(toml, Document::check)
    }

    /// What the profile is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call the device.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The kernel name of its devices, where no other is given.
    #[must_use]
    pub fn device_name(&self) -> &DeviceName {
        &self.device_name
    }

    /// The bus its devices claim to be on.
    #[must_use]
    pub fn bus(&self) -> Bus {
        self.bus
    }

    /// The vendor's number.
    #[must_use]
    pub fn vendor(&self) -> u16 {
        self.vendor
    }

    /// The vendor's number for the model.
    #[must_use]
    pub fn product(&self) -> u16 {
        self.product
    }

    /// The model's version; some drivers add 0x8000 to what programs see.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The kernel's driver that is to take its devices, by its name in /sys/bus/hid/drivers; whichever does, if
    /// none is named.
    #[must_use]
    pub fn driver(&self) -> Option<&str> {
        self.driver.as_deref()
    }

    /// Its report descriptor.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Everything a client can set.
    #[must_use]
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// The control of this name.
    #[must_use]
    pub fn control(&self, name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.name == name)
    }
}

impl Document {
    fn check(self) -> Result<Profile, Invalid> {
        if self.backend != Backend::Uhid {
            return Err(invalid("backend", "must be \"uhid\" where there is a report descriptor"));
        }
        if !spelled_with(&self.name, b'-') {
            return Err(invalid("name", "use a-z, 0-9 and -, and at least one of them"));
        }
        // A name of a directory in sysfs.
        let is_driver =
            |it: &String| !it.is_empty() && it.len() < 64 && !it.contains(['/', '\0', '\n']);
        if !self.driver.iter().all(is_driver) {
            return Err(invalid(
                "driver",
                "use a name of /sys/bus/hid/drivers, like \"hid-generic\"",
            ));
        }
        let bytes = bytes(&self.report_descriptor);
        let descriptor =
            bytes.and_then(|bytes| Descriptor::parse(&bytes).map_err(|it| it.to_string()));
        let descriptor = descriptor.map_err(|message| invalid("report_descriptor", message))?;
        let specs = match self.controls {
            Some(named) => named.into_iter().map(|(name, Short(spec))| (name, spec)).collect(),
            None => name_all(&descriptor),
        };
        if specs.len() > MAX_CONTROLS {
            return Err(invalid("controls", format!("name at most {MAX_CONTROLS}")));
        }
        let mut controls: Vec<Control> = Vec::with_capacity(specs.len());
        for (index, (name, spec)) in specs.into_iter().enumerate() {
            let key = format!("controls.{name}");
            if !spelled_with(&name, b'_') {
                return Err(invalid(key, "use a-z, 0-9 and _ for the name"));
            }
            let (place, kind) = spec.resolve(&descriptor).map_err(|it| invalid(&key, it))?;
            if let Some(other) = controls.iter().find(|it| (it.place, it.kind) == (place, kind)) {
                return Err(invalid(key, format!("{:?} is the same already", other.name)));
            }
            controls.push(Control { name, usage: spec.usage, place, kind, index });
        }
        Ok(Profile {
            name: self.name,
            title: self.title,
            device_name: self.device_name,
            bus: self.bus,
            vendor: self.vendor,
            product: self.product,
            version: self.version,
            driver: self.driver,
            descriptor,
            controls,
        })
    }
}

/// Pairs of hexadecimal digits, with white space between them as one likes.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.chars().filter(|it| !it.is_whitespace());
    let digits =
        digits.map(|it| it.to_digit(16).ok_or_else(|| format!("{it:?} is no hexadecimal digit")));
    let digits: Vec<u32> = digits.collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("{} hexadecimal digits are no whole bytes", digits.len()));
    }
    Ok(pairs.iter().filter_map(|[high, low]| u8::try_from(high << 4 | low).ok()).collect())
}

/// By hand, because serde's untagged enums cannot say what is wrong with either form.
impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Short;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a usage such as 0x90001, page and number, or a table with `usage`")
            }

            fn visit_i64<E: de::Error>(self, usage: i64) -> Result<Short, E> {
                let wrong = |_| E::custom(format!("{usage} is no usage; write it like 0x90001"));
                Ok(Short(Spec::of(u32::try_from(usage).map_err(wrong)?)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Short, E> {
                let message = match EventCode::from_name(text) {
                    Some(_) => {
                        format!("{text} is a code of evdev; a HID device has usages like 0x90001")
                    }
                    None => format!("{text:?} is no usage; write a number like 0x90001"),
                };
                Err(E::custom(message))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Short, A::Error> {
                Ok(Short(Spec::deserialize(MapAccessDeserializer::new(map))?))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// A descriptor as [`Profile::parse`] reads it.
pub(crate) fn descriptor_lines(bytes: &[u8]) -> String {
    let mut text = String::from("report_descriptor = \"\"\"\n");
    for line in bytes.chunks(16) {
        let bytes: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(text, "{}", bytes.join(" "));
    }
    text.push_str("\"\"\"\n");
    text
}

/// The table of controls as [`Profile::parse`] reads it.
pub(crate) fn controls_table(controls: &[(String, Spec)]) -> String {
    let mut text = String::from("[controls]\n");
    for (name, spec) in controls {
        let Spec { usage, nth, axis, rest, position } = spec;
        let mut more = String::new();
        if let Some(nth) = nth {
            let _ = write!(more, ", nth = {nth}");
        }
        if let Some(axis) = axis {
            let _ = write!(more, ", axis = \"{}\"", format!("{axis:?}").to_lowercase());
        }
        if let Some(rest) = rest {
            let _ = write!(more, ", rest = {rest}");
        }
        if *position {
            more.push_str(", position = true");
        }
        let _ = if more.is_empty() {
            writeln!(text, "{name} = {usage:#x}")
        } else {
            writeln!(text, "{name} = {{ usage = {usage:#x}{more} }}")
        };
    }
    text
}

#[cfg(test)]
pub(super) mod tests;
