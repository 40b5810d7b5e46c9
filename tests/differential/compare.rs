//! Message by message, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use udev_forge::{Action, Forged, Hwdb, Message, Record, Stamp, SysDevice, Sysfs};

use crate::genuine;
use crate::known::{self, Difference};

/// Everything said of one piece of hardware.
pub(crate) struct Comparison {
    what: String,
    /// The version of systemd.
    systemd: u32,
    hwdb: Hwdb,
    /// By devpath.
    forged: BTreeMap<String, Forged>,
    compared: usize,
    known: BTreeMap<&'static str, usize>,
    unknown: Vec<String>,
}

impl Comparison {
    pub(crate) fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            systemd: genuine::version(),
            hwdb: Hwdb::of_system().unwrap(),
            forged: BTreeMap::new(),
            compared: 0,
            known: BTreeMap::new(),
            unknown: Vec::new(),
        }
    }

    /// Compares what udevd says of devices that are there now.
    pub(crate) fn added(&mut self, messages: &[Message]) {
        let sysfs = Sysfs::new();
        for message in messages {
            let syspath = Path::new("/sys").join(message.devpath().trim_start_matches('/'));
            let forged = Forged::add(&read(&sysfs, &syspath), &self.hwdb, stamp(message));
            match message.action() {
                Action::Add => self.messages(message, Some(&forged.add_message())),
                Action::Bind => {
                    self.messages(message, forged.bind_message(stamp(message)).as_ref())
                }
                _ => self.messages(message, None),
            }
            self.record_and_tags(message.devpath(), &forged);
            self.forged.insert(message.devpath().to_owned(), forged);
        }
        self.parents_come_first(messages);
    }

    /// Compares what udevd says when they are gone.
    pub(crate) fn removed(&mut self, messages: &[Message]) {
        for message in messages {
            let Some(forged) = self.forged.get(message.devpath()) else {
                self.differs(
                    Some(message.action()),
                    message.devpath(),
                    "(message)",
                    Some("said"),
                    None,
                );
                continue;
            };
            let ours = match message.action() {
                Action::Remove => Some(forged.remove_message(stamp(message))),
                Action::Unbind => forged.unbind_message(stamp(message)),
                _ => None,
            };
            self.messages(message, ours.as_ref());
        }
        let gone = messages.iter().filter(|message| message.action() == Action::Remove);
        let gone: BTreeSet<&str> = gone.map(Message::devpath).collect();
        let known: BTreeSet<&str> = self.forged.keys().map(String::as_str).collect();
        assert_eq!(gone, known, "{}: what was added is what was removed", self.what);
    }

    /// Compares the record and the tags of a device that is there.
    pub(crate) fn there(&mut self, sysfs: &Sysfs, syspath: &Path) {
        let device = read(sysfs, syspath);
        let record = Path::new("/run/udev/data").join(device.device_id().as_str());
        let text = fs::read_to_string(record).unwrap_or_default();
        let usec = text.lines().find_map(|line| line.strip_prefix("I:"));
        let usec_initialized = usec.map_or(0, |usec| usec.parse().unwrap());
        let forged = Forged::add(&device, &self.hwdb, Stamp { seqnum: 1, usec_initialized });
        self.record_and_tags(device.devpath(), &forged);
    }

    /// Fails when something differs for no known reason, or nothing was compared.
    pub(crate) fn finish(self) {
        eprintln!("{}: {} lines compared", self.what, self.compared);
        for (reason, count) in self.known {
            eprintln!("  {count} differ: {reason}");
        }
        assert!(self.compared > 0, "{}: udevd said nothing", self.what);
        let report = self.unknown.join("\n");
        assert!(self.unknown.is_empty(), "{} is not as udevd makes it:\n{report}", self.what);
    }

    fn messages(&mut self, genuine: &Message, ours: Option<&Message>) {
        let (action, devpath) = (Some(genuine.action()), genuine.devpath());
        let Some(ours) = ours else {
            return self.differs(action, devpath, "(message)", Some("said"), None);
        };
        let keys = |message: &Message| {
            message.properties().iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
        };
        let (genuine_keys, our_keys) = (keys(genuine), keys(ours));
        let all: BTreeSet<&String> = genuine_keys.iter().chain(&our_keys).collect();
        for key in &all {
            self.line(action, devpath, key, value(genuine, key), value(ours, key));
        }
        let order = |keys: &[String]| {
            let common =
                keys.iter().filter(|key| our_keys.contains(key) && genuine_keys.contains(key));
            Some(common.cloned().collect::<Vec<_>>().join(" "))
        };
        self.line(action, devpath, "(order)", order(&genuine_keys), order(&our_keys));
        // What receivers filter by; our parser refuses a header that does not fit its message.
        let header = |message: &Message| Some(format!("{:x?}", &message.encode()[24..40]));
        self.line(action, devpath, "(header)", header(genuine), header(ours));
    }

    fn record_and_tags(&mut self, devpath: &str, forged: &Forged) {
        let path = Path::new("/run/udev/data").join(forged.record().file_name());
        let genuine = fs::read_to_string(&path).ok();
        let text = forged.record().text();
        let has_node = !forged.device_id().as_str().starts_with('+');
        let ours = (has_node || !text.is_empty()).then_some(text);
        if let Some(text) = &genuine {
            Record::parse(forged.device_id().clone(), text).unwrap();
        }
        let file = |text: &Option<String>| text.as_ref().map(|_| "there".to_owned());
        self.line(None, devpath, "(record)", file(&genuine), file(&ours));
        let (genuine, ours) = (record_lines(&genuine), record_lines(&ours));
        let keys: BTreeSet<&String> = genuine.keys().chain(ours.keys()).collect();
        for key in keys {
            self.line(None, devpath, key, genuine.get(key).cloned(), ours.get(key).cloned());
        }

        let dirs = fs::read_dir("/run/udev/tags").unwrap().map(Result::unwrap);
        let genuine: BTreeSet<String> = dirs
            .filter(|dir| dir.path().join(forged.device_id().as_str()).exists())
            .map(|dir| dir.file_name().into_string().unwrap())
            .collect();
        let ours: BTreeSet<String> = forged.tags().iter().cloned().collect();
        let text = |tags: BTreeSet<String>| Some(tags.into_iter().collect::<Vec<_>>().join(" "));
        self.line(None, devpath, "(tags)", text(genuine), text(ours));
    }

    fn parents_come_first(&self, messages: &[Message]) {
        let mut seen: Vec<&str> = Vec::new();
        for message in messages.iter().filter(|message| message.action() == Action::Add) {
            let devpath = message.devpath();
            let child = seen.iter().find(|seen| seen.starts_with(&format!("{devpath}/")));
            assert_eq!(child, None, "{}: announced before {devpath}", self.what);
            seen.push(devpath);
        }
    }

    fn line(
        &mut self,
        action: Option<Action>,
        devpath: &str,
        key: &str,
        genuine: Option<String>,
        ours: Option<String>,
    ) {
        self.compared += 1;
        if genuine != ours {
            self.differs(action, devpath, key, genuine.as_deref(), ours.as_deref());
        }
    }

    fn differs(
        &mut self,
        action: Option<Action>,
        devpath: &str,
        key: &str,
        genuine: Option<&str>,
        ours: Option<&str>,
    ) {
        match known::reason(self.systemd, &Difference { action, devpath, key, genuine }) {
            Some(reason) => *self.known.entry(reason).or_default() += 1,
            None => {
                let action = action.map_or("record", Action::as_str);
                let [genuine, ours] = [genuine, ours].map(|value| value.unwrap_or("(nothing)"));
                self.unknown.push(format!(
                    "{action} {devpath} {key}\n    udevd: {genuine}\n    ours:  {ours}"
                ));
            }
        }
    }
}

fn stamp(message: &Message) -> Stamp {
    let usec = message.properties().get("USEC_INITIALIZED").unwrap();
    Stamp { seqnum: message.seqnum(), usec_initialized: usec.parse().unwrap() }
}

/// A device with what its event node says.
fn read(sysfs: &Sysfs, syspath: &Path) -> SysDevice {
    let mut device = sysfs.read(syspath).unwrap();
    let node = device.devname().filter(|_| device.sysname().starts_with("event"));
    if let Some(node) = node.map(|node| File::open(node).unwrap()) {
        device.read_axes(node.as_fd()).unwrap();
    }
    device
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

/// The lines of a record by their keys.
fn record_lines(text: &Option<String>) -> BTreeMap<String, String> {
    let lines = text.iter().flat_map(|text| text.lines());
    let pairs = lines.map(|line| match line.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (line.to_owned(), String::new()),
    });
    pairs.collect()
}
