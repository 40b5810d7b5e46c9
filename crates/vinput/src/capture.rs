//! Profiles of devices that are there.

mod hidraw;
mod names;
mod sys;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc::{self, input_absinfo};
use thiserror::Error;

use self::names::Names;
use crate::code::Property;
use crate::hid::DescriptorError;
use crate::profile::{ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_SLOT, ABS_MT_TRACKING_ID, Bus};
use crate::{EventCode, EventType, Profile, ProfileError};

/// Why no profile was made of a device.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The node, or what sysfs says of it, could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// It is no event node, and no hidraw node.
    #[error("{} is no node such as /dev/input/event0 or /dev/hidraw0", path.display())]
    NotANode {
        /// What was given.
        path: PathBuf,
    },
    /// The device is on a bus that profiles do not know.
    #[error("the device is on bus {bus:#06x}, which profiles do not know")]
    Bus {
        /// `BUS_*` of include/uapi/linux/input.h.
        bus: u16,
    },
    /// The device's report descriptor is none.
    #[error("the device's report descriptor is wrong")]
    Descriptor(#[source] DescriptorError),
    /// What was made of the device is no profile.
    #[error("no profile can be made of the device")]
    Profile(#[source] ProfileError),
}

/// Writes a profile of the device behind an event node ([`Profile`]) or hidraw node ([`hid::Profile`](crate::hid::Profile)),
/// as TOML, with what a profile cannot say in comments at its top. Nobody should touch the device meanwhile: where an
/// axis is, is taken for where it rests.
///
/// # Errors
///
/// [`CaptureError`].
pub fn capture(node: &Path, name: &str) -> Result<String, CaptureError> {
    let sysfs = sysfs_of(node)?;
    let is = |kind: &str| {
        let target = fs::read_link(&sysfs).ok();
        let name = target.as_deref().and_then(Path::file_name).map(|it| it.to_string_lossy());
        name.is_some_and(|name| name.starts_with(kind))
    };
    if is("hidraw") {
        return hidraw::capture(node, &sysfs, name);
    }
    if !is("event") {
        return Err(CaptureError::NotANode { path: node.to_owned() });
    }
    let found = Found::read(node, &sysfs)?;
    let mut text = found.write(name)?;
    let profile = Profile::parse(&text).map_err(CaptureError::Profile)?;

    let codes: BTreeSet<EventCode> = profile.codes().collect();
    let list = |codes: &mut dyn Iterator<Item = &EventCode>| {
        codes.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let lost = list(&mut found.codes.difference(&codes));
    let added = list(&mut codes.difference(&found.codes));
    let mut head = format!("# Captured from {}: {}.\n", node.display(), one_line(&found.name));
    for (what, codes) in [("Left out", lost), ("Added by [contacts]", added)] {
        if !codes.is_empty() {
            let _ = writeln!(head, "# {what}: {codes}.");
        }
    }
    head.push('\n');
    text.insert_str(0, &head);
    Ok(text)
}

/// What a device says of itself.
struct Found {
    name: String,
    id: [u16; 4],
    properties: Vec<Property>,
    /// Of the types that this crate knows, but `EV_SYN` and `EV_REP`.
    codes: BTreeSet<EventCode>,
    axes: Vec<(EventCode, input_absinfo)>,
    repeats: bool,
    max_effects: u32,
}

impl Found {
    fn read(node: &Path, sysfs: &Path) -> Result<Self, CaptureError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CaptureError::Read { path, source }
        };
        let file = File::open(node).map_err(failed(node))?;
        let device = sysfs.join("device");
        let text = |file: &str| {
            let path = device.join(file);
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
        };
        let id = |file| Ok(u16::from_str_radix(&text(file)?, 16).unwrap_or(0));

        let mut codes = BTreeSet::new();
        for (file, kind) in [
            ("key", EventType::Key),
            ("rel", EventType::Rel),
            ("abs", EventType::Abs),
            ("msc", EventType::Msc),
            ("sw", EventType::Sw),
            ("led", EventType::Led),
            ("snd", EventType::Snd),
            ("ff", EventType::Ff),
        ] {
            let bits = bits(&text(&format!("capabilities/{file}"))?);
            codes.extend(bits.map(|code| EventCode { kind, code }));
        }
        let mut axes = Vec::new();
        for code in codes.iter().filter(|code| code.kind == EventType::Abs) {
            axes.push((*code, sys::axis(file.as_fd(), code.code).map_err(failed(node))?));
        }
        let effects = sys::max_effects(file.as_fd()).map_err(failed(node))?;
        let types: Vec<_> = bits(&text("capabilities/ev")?).collect();
        Ok(Self {
            name: text("name")?,
            id: [id("id/bustype")?, id("id/vendor")?, id("id/product")?, id("id/version")?],
            properties: bits(&text("properties")?).map(Property).collect(),
            codes,
            axes,
            repeats: types.contains(&(EventType::Rep as u16)),
            max_effects: u32::try_from(effects).unwrap_or(0),
        })
    }

    fn write(&self, name: &str) -> Result<String, CaptureError> {
        let [bus, vendor, product, version] = self.id;
        let bus = bus_name(bus)?;
        let device_name = quote(&one_line(&self.name));
        let mut text = format!(
            "name = {}\ntitle = {device_name}\ndevice_name = {device_name}\nbus = \"{bus}\"\n\
             vendor = {vendor:#06x}\nproduct = {product:#06x}\nversion = {version:#06x}\n",
            quote(name)
        );
        let properties = self.properties.iter().filter_map(|property| property.name());
        list(&mut text, "properties", properties);

        let is_emulated = self.emulated();
        let controls = self.codes.iter().filter(|code| !is_emulated(**code));
        let (keys, others): (Vec<EventCode>, Vec<_>) = controls.copied().partition(|code| {
            code.kind == EventType::Key && code.name().is_some_and(|name| name.starts_with("KEY_"))
        });
        let key_names = keys.iter().filter(|code| code.code != 0).filter_map(|code| code.name());
        list(&mut text, "keys", key_names);
        let leds = others.iter().filter(|code| code.kind == EventType::Led);
        list(&mut text, "leds", leds.filter_map(|code| code.name()));
        if self.repeats && self.codes.iter().any(|code| code.kind == EventType::Key) {
            text.push_str("repeat = true\n");
        }
        self.write_controls(&mut text, &keys, &others);
        self.write_contacts(&mut text);
        let effects: Vec<_> = others.iter().filter(|code| code.kind == EventType::Ff).collect();
        if !effects.is_empty() {
            text.push_str("\n[force_feedback]\n");
            list(&mut text, "effects", effects.iter().filter_map(|code| code.name()));
            let _ = writeln!(text, "max = {}", self.max_effects);
        }
        Ok(text)
    }

    fn write_controls(&self, text: &mut String, keys: &[EventCode], others: &[EventCode]) {
        text.push_str("\n[controls]\n");
        let mut names = Names::new(&self.codes, keys, self.id[1]);
        let has =
            |name: &str| EventCode::from_name(name).is_some_and(|code| self.codes.contains(&code));
        for code in others {
            let shown = code.to_string();
            match code.kind {
                EventType::Key => {
                    let _ = writeln!(text, "{} = \"{shown}\"", names.of(*code));
                }
                EventType::Rel if shown.ends_with("WHEEL_HI_RES") => {
                    let coarse = shown.trim_end_matches("_HI_RES");
                    if !has(coarse) {
                        let _ = writeln!(text, "{} = \"{shown}\"", names.of(*code));
                    }
                }
                EventType::Rel => {
                    let fine = format!("{shown}_HI_RES");
                    let name = names.of(*code);
                    let _ = if has(&fine) {
                        writeln!(text, "{name} = {{ code = \"{shown}\", hi_res = \"{fine}\" }}")
                    } else {
                        writeln!(text, "{name} = \"{shown}\"")
                    };
                }
                EventType::Abs if code.code < ABS_MT_SLOT => {
                    if let Some(axis) = self.axis(code.code, names.is_place(*code)) {
                        let _ = writeln!(text, "{} = {axis}", names.of(*code));
                    }
                }
                _ => {}
            }
        }
    }

    fn write_contacts(&self, text: &mut String) {
        let Some(count) = self.contacts() else { return };
        let _ = write!(text, "\n[contacts]\ncount = {count}\n\n[contacts.axes]\n");
        for (code, _) in &self.axes {
            if code.code <= ABS_MT_SLOT || code.code == ABS_MT_TRACKING_ID {
                continue;
            }
            let name = match (code.code, code.name()) {
                (ABS_MT_POSITION_X, _) => "x".to_owned(),
                (ABS_MT_POSITION_Y, _) => "y".to_owned(),
                (_, Some(name)) => name.trim_start_matches("ABS_MT_").to_lowercase(),
                (number, None) => format!("axis{number:x}"),
            };
            if let Some(axis) = self.axis(code.code, false) {
                let _ = writeln!(text, "{name} = {axis}");
            }
        }
    }

    /// How many contacts the device tells apart, if it does so in slots.
    fn contacts(&self) -> Option<i32> {
        let has = |code| self.axes.iter().any(|(known, _)| known.code == code);
        let (_, slots) = self.axes.iter().find(|(code, _)| code.code == ABS_MT_SLOT)?;
        (has(ABS_MT_POSITION_X) && has(ABS_MT_POSITION_Y)).then_some(slots.maximum + 1)
    }

    /// Which codes follow from the contacts.
    fn emulated(&self) -> impl Fn(EventCode) -> bool + use<> {
        let pointer = self.properties.contains(&Property::POINTER);
        let touches = self.contacts().is_some();
        let pressure = self.codes.iter().any(|code| code.name() == Some("ABS_MT_PRESSURE"));
        move |code| {
            touches
                && match code.name() {
                    Some("BTN_TOUCH" | "ABS_X" | "ABS_Y") => true,
                    Some("ABS_PRESSURE") => pressure,
                    Some(name) => {
                        let tools = ["FINGER", "DOUBLETAP", "TRIPLETAP", "QUADTAP", "QUINTTAP"];
                        pointer && tools.iter().any(|tool| name == format!("BTN_TOOL_{tool}"))
                    }
                    None => false,
                }
        }
    }

    /// An axis as a profile has it, if it has a range.
    fn axis(&self, code: u16, is_place: bool) -> Option<String> {
        let (code, info) = self.axes.iter().find(|(known, _)| known.code == code)?;
        let input_absinfo { value, minimum: min, maximum: max, .. } = *info;
        if min >= max {
            return None;
        }
        let mut text = format!("{{ code = \"{code}\", min = {min}, max = {max}");
        if is_place {
            text.push_str(", position = true");
        } else if code.code < ABS_MT_SLOT && value != 0.clamp(min, max) {
            let _ = write!(text, ", rest = {}", value.clamp(min, max));
        }
        for (key, value) in
            [("fuzz", info.fuzz), ("flat", info.flat), ("resolution", info.resolution)]
        {
            if value != 0 {
                let _ = write!(text, ", {key} = {value}");
            }
        }
        text.push_str(" }");
        Some(text)
    }
}

/// Where sysfs has the node of a device.
fn sysfs_of(node: &Path) -> Result<PathBuf, CaptureError> {
    let metadata = fs::metadata(node);
    let metadata =
        metadata.map_err(|source| CaptureError::Read { path: node.to_owned(), source })?;
    let (major, minor) = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
    Ok(PathBuf::from(format!("/sys/dev/char/{major}:{minor}")))
}

/// What profiles call a bus.
fn bus_name(bus: u16) -> Result<String, CaptureError> {
    let known = Bus::ALL.into_iter().find(|known| *known as u16 == bus);
    Ok(format!("{:?}", known.ok_or(CaptureError::Bus { bus })?).to_lowercase())
}

/// The bits of a bitmap as sysfs prints it: hexadecimal words of `unsigned long`, the highest first.
fn bits(text: &str) -> impl Iterator<Item = u16> + use<> {
    let width = u16::try_from(usize::BITS).unwrap_or(64);
    let words: Vec<usize> = text
        .split_ascii_whitespace()
        .rev()
        .map(|word| usize::from_str_radix(word, 16).unwrap_or(0))
        .collect();
    (0_u16..).zip(words).flat_map(move |(index, word)| {
        (0..width).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index * width + bit)
    })
}

/// `key = ["A", "B"]` in lines of a readable length; nothing for an empty list.
fn list<'a>(text: &mut String, key: &str, items: impl Iterator<Item = &'a str>) {
    let items: Vec<_> = items.map(|item| format!("\"{item}\"")).collect();
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "{key} = [");
    for line in items.chunks(5) {
        let _ = writeln!(text, "    {},", line.join(", "));
    }
    text.push_str("]\n");
}

/// A text as a TOML string.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A name as a device of ours may have it.
fn one_line(name: &str) -> String {
    let clean: String = name.chars().filter(|character| !character.is_control()).collect();
    let ends = clean.char_indices().map(|(at, it)| at + it.len_utf8());
    let end = ends.take_while(|length| *length <= crate::DeviceName::MAX).max();
    match end {
        Some(end) => clean[..end].to_owned(),
        None => "Unnamed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_is_read_from_its_lowest_word() {
        assert_eq!(bits("107030000 0").collect::<Vec<_>>(), [80, 81, 88, 89, 90, 96]);
        assert_eq!(bits("0").count(), 0);
    }

    #[test]
    fn a_name_that_does_not_fit_is_cut_between_letters() {
        assert_eq!(one_line(&"ö".repeat(60)), "ö".repeat(39));
        assert_eq!(one_line("a\nb"), "ab");
        assert_eq!(one_line(""), "Unnamed");
    }

    #[test]
    fn what_is_no_event_node_is_refused() {
        let error = capture(Path::new("/dev/null"), "test").unwrap_err();
        let expected = "/dev/null is no node such as /dev/input/event0 or /dev/hidraw0";
        assert_eq!(error.to_string(), expected);
        let error = capture(Path::new("/nonexistent"), "test").unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent");
    }

    #[test]
    fn texts_are_quoted_for_toml() {
        assert_eq!(quote(r#"a "b" \ c"#), r#""a \"b\" \\ c""#);
    }
}
