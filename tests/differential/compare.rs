//! Message by message, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use udev_forge::{Action, Forged, Hwdb, Message, Record, Stamp, Sysfs};

use crate::known;

/// Everything said of one piece of hardware.
pub(crate) struct Comparison {
    what: String,
    hwdb: Hwdb,
    /// By devpath.
    forged: BTreeMap<String, Forged>,
    compared: usize,
    unknown: Vec<String>,
}

impl Comparison {
    pub(crate) fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            hwdb: Hwdb::of_system().unwrap(),
            forged: BTreeMap::new(),
            compared: 0,
            unknown: Vec::new(),
        }
    }

    /// Compares what udevd says of devices that are there now.
    pub(crate) fn added(&mut self, messages: &[Message]) {
        let sysfs = Sysfs::new();
        for message in messages {
            let syspath = Path::new("/sys").join(message.devpath().trim_start_matches('/'));
            let usec = message.properties().get("USEC_INITIALIZED").unwrap();
            let usec_initialized = usec.parse().unwrap();
            let stamp = Stamp { seqnum: message.seqnum(), usec_initialized };
            let mut device = match sysfs.read(&syspath) {
                Ok(device) => device,
                Err(error) => {
                    self.differs(message, "", "", &format!("{error:?}"));
                    continue;
                }
            };
            let node = device.devname().filter(|_| device.sysname().starts_with("event"));
            if let Some(node) = node.map(|node| fs::File::open(node).unwrap()) {
                device.read_axes(std::os::fd::AsFd::as_fd(&node)).unwrap();
            }
            let forged = Forged::add(&device, &self.hwdb, stamp);
            let ours = match message.action() {
                Action::Add => Some(forged.add_message()),
                Action::Bind => forged.bind_message(message.seqnum()),
                _ => None,
            };
            match ours {
                Some(ours) => self.messages(message, &ours),
                None => self.differs(message, "", "said", "not said"),
            }
            self.record(message, &forged);
            self.tags(message, &forged);
            self.forged.insert(message.devpath().to_owned(), forged);
        }
        self.order(messages);
    }

    /// Compares what udevd says when they are gone.
    pub(crate) fn removed(&mut self, messages: &[Message]) {
        for message in messages {
            let Some(forged) = self.forged.get(message.devpath()) else {
                self.differs(message, "", "said", "never added");
                continue;
            };
            let ours = match message.action() {
                Action::Remove => Some(forged.remove_message(message.seqnum())),
                Action::Unbind => forged.unbind_message(message.seqnum()),
                _ => None,
            };
            match ours {
                Some(ours) => self.messages(message, &ours),
                None => self.differs(message, "", "said", "not said"),
            }
        }
        let gone = messages.iter().filter(|message| message.action() == Action::Remove);
        let gone: BTreeSet<&str> = gone.map(Message::devpath).collect();
        let known: BTreeSet<&str> = self.forged.keys().map(String::as_str).collect();
        assert_eq!(gone, known, "{}: what was added is what was removed", self.what);
    }

    /// Fails when something differs for no known reason, or nothing was compared.
    pub(crate) fn finish(self) {
        eprintln!("{}: {} lines compared", self.what, self.compared);
        assert!(self.compared > 0, "{}: udevd said nothing", self.what);
        let report = self.unknown.join("\n");
        assert!(self.unknown.is_empty(), "{} is not as udevd makes it:\n{report}", self.what);
    }

    fn messages(&mut self, genuine: &Message, ours: &Message) {
        let keys = |message: &Message| {
            message.properties().iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
        };
        let (genuine_keys, our_keys) = (keys(genuine), keys(ours));
        let all: BTreeSet<&String> = genuine_keys.iter().chain(&our_keys).collect();
        for key in &all {
            let [left, right] = [genuine, ours].map(|message| value(message, key));
            self.line(genuine, key, left, right);
        }
        let common = |keys: &[String], other: &[String]| {
            let common = keys.iter().filter(|key| other.contains(key)).cloned();
            common.collect::<Vec<_>>().join(" ")
        };
        let [left, right] = [common(&genuine_keys, &our_keys), common(&our_keys, &genuine_keys)];
        self.line(genuine, "(order)", Some(left), Some(right));
        self.line(
            genuine,
            "(header)",
            Some(format!("{:x?}", &genuine.encode()[20..40][4..])),
            Some(format!("{:x?}", &ours.encode()[20..40][4..])),
        );
    }

    fn record(&mut self, message: &Message, forged: &Forged) {
        let path = Path::new("/run/udev/data").join(forged.record().file_name());
        let genuine = fs::read_to_string(&path).ok();
        let text = forged.record().text();
        let is_made = !text.is_empty() || message.properties().get("MAJOR").is_some();
        let ours = is_made.then_some(text);
        if let Some(text) = &genuine {
            Record::parse(forged.device_id().clone(), text).unwrap();
        }
        let lines = |text: &Option<String>| {
            let lines = text.iter().flat_map(|text| text.lines());
            let counted = lines.map(|line| match line.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (line.to_owned(), String::new()),
            });
            counted.collect::<BTreeMap<_, _>>()
        };
        let file = |text: &Option<String>| text.as_ref().map(|_| "there".to_owned());
        self.line(message, "(record)", file(&genuine), file(&ours));
        let (genuine, ours) = (lines(&genuine), lines(&ours));
        let keys: BTreeSet<&String> = genuine.keys().chain(ours.keys()).collect();
        for key in keys {
            self.line(message, key, genuine.get(key).cloned(), ours.get(key).cloned());
        }
    }

    fn tags(&mut self, message: &Message, forged: &Forged) {
        let dirs = fs::read_dir("/run/udev/tags").unwrap().map(Result::unwrap);
        let genuine: BTreeSet<String> = dirs
            .filter(|dir| dir.path().join(forged.device_id().as_str()).exists())
            .map(|dir| dir.file_name().into_string().unwrap())
            .collect();
        let ours: BTreeSet<String> = forged.tags().iter().cloned().collect();
        let text = |tags: BTreeSet<String>| Some(tags.into_iter().collect::<Vec<_>>().join(" "));
        self.line(message, "(tags)", text(genuine), text(ours));
    }

    /// Parents come before their children.
    fn order(&self, messages: &[Message]) {
        let mut seen: Vec<&str> = Vec::new();
        for message in messages.iter().filter(|message| message.action() == Action::Add) {
            let devpath = message.devpath();
            let child = seen.iter().find(|seen| seen.starts_with(&format!("{devpath}/")));
            assert_eq!(child, None, "{}: announced before {devpath}", self.what);
            seen.push(devpath);
        }
    }

    fn line(&mut self, message: &Message, key: &str, left: Option<String>, right: Option<String>) {
        self.compared += 1;
        if left != right {
            let show = |value: Option<String>| value.unwrap_or_else(|| "(nothing)".to_owned());
            self.differs(message, key, &show(left), &show(right));
        }
    }

    fn differs(&mut self, message: &Message, key: &str, genuine: &str, ours: &str) {
        if known::reason(message, key).is_none() {
            self.unknown.push(format!(
                "{} {} {key}\n    udevd: {genuine}\n    ours:  {ours}",
                message.action(),
                message.devpath(),
            ));
        }
    }
}

/// The value, lists in the order of the alphabet: udevd's is that of a hash table.
fn value(message: &Message, key: &str) -> Option<String> {
    let value = message.properties().get(key)?;
    let separator = match key {
        "CURRENT_TAGS" | "TAGS" => ':',
        "DEVLINKS" => ' ',
        _ => return Some(value.to_owned()),
    };
    let mut parts: Vec<&str> = value.split(separator).collect();
    parts.sort_unstable();
    Some(parts.join(&separator.to_string()))
}
