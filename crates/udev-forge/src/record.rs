//! Database records: the files in `/run/udev/data`.

use crate::device_id::DeviceId;
use crate::properties::Properties;
use crate::{names, tags};

/// Why a text is not a database record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The last line has no line feed; libudev would not see it.
    #[error("the last line of a record has no line feed")]
    Unterminated,
    /// A line that libudev would not understand.
    #[error("`{}` is not a line of a record", .0.escape_debug())]
    Line(String),
}

/// What udev's database knows of one device, beyond what sysfs says
/// (`device_update_db` in systemd's src/libsystemd/sd-device/device-private.c).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(crate) id: DeviceId,
    /// Paths relative to /dev.
    pub(crate) devlinks: Vec<String>,
    pub(crate) priority: i32,
    pub(crate) usec_initialized: u64,
    pub(crate) properties: Properties,
    pub(crate) tags: Vec<String>,
    pub(crate) current_tags: Vec<String>,
}

impl Record {
    /// A record that says only that the device is initialised.
    pub fn empty(id: DeviceId) -> Self {
        Self {
            id,
            devlinks: Vec::new(),
            priority: 0,
            usec_initialized: 0,
            properties: Properties::new(),
            tags: Vec::new(),
            current_tags: Vec::new(),
        }
    }

    /// The device.
    pub fn device_id(&self) -> &DeviceId {
        &self.id
    }

    /// The record's name in `/run/udev/data`.
    pub fn file_name(&self) -> &str {
        self.id.as_str()
    }

    /// Links to the node, relative to /dev.
    pub fn devlinks(&self) -> &[String] {
        &self.devlinks
    }

    /// When the device was first initialised, in microseconds of `CLOCK_MONOTONIC`; 0 is unknown.
    pub fn usec_initialized(&self) -> u64 {
        self.usec_initialized
    }

    /// The stored properties.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Every tag the device ever had (`G:`).
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// The tags of the last event (`Q:`).
    pub fn current_tags(&self) -> &[String] {
        &self.current_tags
    }

    /// The text of the file: lines in systemd's order, each ended by a line feed.
    ///
    /// Empty when there is nothing to say but that the device is initialised. Properties beginning with
    /// a dot are never stored, nor are empty ones: reading an empty value deletes the property.
    pub fn text(&self) -> String {
        let properties = self
            .properties
            .iter()
            .filter(|(key, value)| !key.starts_with('.') && !value.is_empty());
        let properties: Vec<String> =
            properties.map(|(key, value)| format!("E:{key}={value}\n")).collect();
        let mut text = String::new();
        if self.id.has_node() {
            text.extend(self.devlinks.iter().map(|link| format!("S:{link}\n")));
            if self.priority != 0 {
                text += &format!("L:{}\n", self.priority);
            }
        }
        if text.is_empty()
            && properties.is_empty()
            && self.tags.is_empty()
            && self.current_tags.is_empty()
        {
            return text;
        }
        if self.usec_initialized > 0 {
            text += &format!("I:{}\n", self.usec_initialized);
        }
        text.extend(properties);
        text.extend(self.tags.iter().map(|tag| format!("G:{tag}\n")));
        text.extend(self.current_tags.iter().map(|tag| format!("Q:{tag}\n")));
        text += "V:1\n";
        text
    }

    /// Reads the text of the file of `id`; lines of kinds not known here are skipped.
    ///
    /// # Errors
    ///
    /// [`RecordError`] for the first line that libudev would skip as malformed.
    pub fn parse(id: DeviceId, text: &str) -> Result<Self, RecordError> {
        let mut record = Self::empty(id);
        let mut versioned = false;
        for line in text.split_inclusive('\n') {
            let line = line.strip_suffix('\n').ok_or(RecordError::Unterminated)?;
            let bad = || RecordError::Line(line.to_owned());
            let (kind, value) = line.split_once(':').ok_or_else(bad)?;
            let valid = match kind {
                "S" => record.add_devlink(value),
                "L" => value.parse().map(|number| record.priority = number).is_ok(),
                "I" => value.parse().map(|number| record.usec_initialized = number).is_ok(),
                "E" => record.add_property(value),
                "G" => add_tag(&mut record.tags, value),
                "Q" => add_tag(&mut record.tags, value) && add_tag(&mut record.current_tags, value),
                "V" => {
                    versioned = true;
                    value.parse::<u32>().is_ok()
                }
                _ => kind.len() == 1,
            };
            if !valid {
                return Err(bad());
            }
        }
        if !versioned {
            // Before systemd 247 there was no difference.
            record.current_tags.clone_from(&record.tags);
        }
        Ok(record)
    }

    fn add_devlink(&mut self, link: &str) -> bool {
        let valid = names::is_clean_path(&format!("/{link}"));
        if valid {
            self.devlinks.push(link.to_owned());
        }
        valid
    }

    fn add_property(&mut self, pair: &str) -> bool {
        match pair.split_once('=') {
            Some((key, "")) => {
                self.properties.remove(key);
                true
            }
            Some((key, value)) => self.properties.set(key, value).is_ok(),
            None => false,
        }
    }
}

fn add_tag(tags: &mut Vec<String>, tag: &str) -> bool {
    let valid = tags::is_tag(tag);
    if valid && !tags.iter().any(|known| known == tag) {
        tags.push(tag.to_owned());
    }
    valid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> DeviceId {
        text.parse().unwrap()
    }

    /// Made by udevadm 252 over device models of umockdev.
    const PAD_EVENT: &str = "I:2798422893\nE:ID_INPUT=1\nE:ID_INPUT_JOYSTICK=1\nE:ID_SERIAL=noserial\n\
        G:uaccess\nG:seat\nQ:uaccess\nQ:seat\nV:1\n";
    const GOLDEN: [(&str, &str); 5] = [
        ("c13:69", PAD_EVENT),
        (
            "c13:0",
            "I:2798919568\nE:ID_INPUT=1\nE:ID_INPUT_JOYSTICK=1\nE:ID_SERIAL=noserial\n\
             G:seat\nG:uaccess\nQ:uaccess\nQ:seat\nV:1\n",
        ),
        (
            "+input:input20",
            "I:2797715124\nE:ID_INPUT=1\nE:ID_INPUT_JOYSTICK=1\nE:ID_SERIAL=noserial\n\
             G:seat\nQ:seat\nV:1\n",
        ),
        ("c13:70", "I:2818920842\nE:ID_INPUT=1\nE:ID_INPUT_MOUSE=1\nE:ID_SERIAL=noserial\nV:1\n"),
        (
            "c13:72",
            "I:2819792669\nE:ID_INPUT=1\nE:ID_INPUT_KEY=1\nE:ID_INPUT_KEYBOARD=1\n\
             E:ID_SERIAL=noserial\nG:power-switch\nQ:power-switch\nV:1\n",
        ),
    ];

    #[test]
    fn genuine_records_are_read_and_written_byte_for_byte() {
        for (name, text) in GOLDEN {
            let record = Record::parse(id(name), text).unwrap();
            assert_eq!(record.file_name(), name);
            assert_eq!(record.text(), text);
        }
    }

    #[test]
    fn a_record_is_written_from_its_fields() {
        let mut record = Record::empty(id("c13:69"));
        record.usec_initialized = 2_798_422_893;
        for (key, value) in [
            ("ID_INPUT", "1"),
            (".INPUT_CLASS", "joystick"),
            ("ID_INPUT_JOYSTICK", "1"),
            ("ID_SERIAL", "noserial"),
            ("ID_EMPTY", ""),
        ] {
            record.properties.set(key, value).unwrap();
        }
        record.tags = vec!["uaccess".into(), "seat".into()];
        record.current_tags = record.tags.clone();
        assert_eq!(record.text(), PAD_EVENT);
    }

    #[test]
    fn a_record_without_information_is_an_empty_file() {
        let mut record = Record::empty(id("c240:3"));
        record.usec_initialized = 5;
        record.properties.set(".ONLY", "on the wire").unwrap();
        assert_eq!(record.text(), "");
    }

    #[test]
    fn links_and_priority_need_a_node() {
        let text = "S:input/by-id/x\nL:-100\nI:1\nE:A=1\nV:1\n";
        assert_eq!(Record::parse(id("c13:69"), text).unwrap().text(), text);
        assert_eq!(Record::parse(id("+input:input1"), text).unwrap().text(), "I:1\nE:A=1\nV:1\n");
        let only_links = Record::parse(id("+input:input1"), "S:input/by-id/x\nV:1\n").unwrap();
        assert_eq!(only_links.text(), "");
    }

    #[test]
    fn an_old_record_has_all_its_tags_now() {
        let record = Record::parse(id("c1:3"), "W:7\nG:seat\n").unwrap();
        assert_eq!(record.current_tags(), ["seat"]);
        let record = Record::parse(id("c1:3"), "G:seat\nV:1\n").unwrap();
        assert!(record.current_tags().is_empty());
    }

    #[test]
    fn lines_that_libudev_would_not_understand_are_refused() {
        let parse = |text: &str| Record::parse(id("c1:3"), text);
        assert_eq!(parse("E:A=1\nV:1"), Err(RecordError::Unterminated));
        for line in ["", "E", "E:A", "E:=1", "E:A=1\rE:B=2", "G:a b", "G:", "I:x", "XX:1", "S:../x"]
        {
            let text = format!("{line}\n");
            assert_eq!(parse(&text), Err(RecordError::Line(line.into())), "{line}");
        }
        assert!(parse("E:A=1\nE:A=\n").unwrap().properties().is_empty());
    }

    proptest! {
        #[test]
        fn every_written_line_ends_and_reads_back(
            usec in 1_u64..,
            pairs in proptest::collection::vec(("[.A-Za-z_]{1,9}", "\\PC{1,40}"), 0..8),
            tags in proptest::collection::btree_set("[A-Za-z0-9_-]{1,12}", 1..4),
        ) {
            let mut record = Record::empty(id("c13:69"));
            record.usec_initialized = usec;
            for (key, value) in pairs.iter().filter(|(key, _)| !key.starts_with('.')) {
                record.properties.set(key, value).unwrap();
            }
            record.tags = tags.into_iter().collect();
            let text = record.text();
            prop_assert!(text.ends_with("V:1\n"));
            prop_assert_eq!(Record::parse(record.id.clone(), &text).unwrap(), record);
        }

        #[test]
        fn what_was_read_is_written_the_same_each_time(
            name in "c[1-9]:0|[+]input:input[1-9]",
            lines in proptest::collection::vec(
                "S:input/[a-z]{1,3}|L:-?[0-9]{1,3}|I:[0-9]{1,9}|W:1|V:1\
                 |E:[.]?[AB](=|=\\PC{0,9})|[GQ]:[ab]",
                0..12,
            ),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            if let Ok(record) = Record::parse(id(&name), &text) {
                let again = Record::parse(id(&name), &record.text()).unwrap();
                prop_assert_eq!(again.text(), record.text());
            }
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Record::parse(id("c13:69"), &text);
        }
    }
}
