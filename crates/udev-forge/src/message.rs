//! Messages as systemd-udevd broadcasts them.

use std::fmt;
use std::str::FromStr;

use crate::hash::{bloom, murmur2};
use crate::properties::Properties;
use crate::{names, tags};

pub use crate::parse::ParseError;

/// The first bytes of every message, with their NUL.
pub(crate) const PREFIX: [u8; 8] = *b"libudev\0";
/// `UDEV_MONITOR_MAGIC`; big-endian on the wire.
pub(crate) const MAGIC: u32 = 0xfeed_cafe;
/// The size of `monitor_netlink_header`.
pub(crate) const HEADER_SIZE: u32 = 40;

/// What happened to the device (`device_action_table` in systemd's device-private.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the kernel's own words, see kobject_action in linux/kobject.h")]
pub enum Action {
    Add,
    Remove,
    Change,
    Move,
    Online,
    Offline,
    Bind,
    Unbind,
}

impl Action {
    const ALL: [Self; 8] = [
        Self::Add,
        Self::Remove,
        Self::Change,
        Self::Move,
        Self::Online,
        Self::Offline,
        Self::Bind,
        Self::Unbind,
    ];

    /// The value of `ACTION`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Change => "change",
            Self::Move => "move",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Bind => "bind",
            Self::Unbind => "unbind",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| ParseError::value("ACTION", text))
    }
}

/// A udev message that every libudev accepts: `ACTION`, `DEVPATH`, `SUBSYSTEM` and `SEQNUM` are there,
/// and no property makes a receiver drop it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) action: Action,
    pub(crate) seqnum: u64,
    /// All but `UDEV_DATABASE_VERSION`, in the order of the wire.
    pub(crate) properties: Properties,
}

impl Message {
    /// An encoded message must be shorter than this many bytes: the receive buffer of libudev before
    /// systemd 252, of eudev and of libudev-zero, which drop what does not fit.
    pub const SIZE_LIMIT: usize = 8192;

    /// A message of these properties, sent in this order.
    ///
    /// As libudev does, normalises `DEVPATH` (no slash at the end) and `DEVNAME` (absolute), and takes
    /// `UDEV_DATABASE_VERSION` out; [`encode`](Self::encode) writes it. `TAGS` and `CURRENT_TAGS` get a colon
    /// at both ends, for eudev, and are left out when they are empty, for libudev before 257.
    ///
    /// # Errors
    ///
    /// [`ParseError::Missing`] or [`ParseError::Value`] where a receiver would drop the message
    /// (`device_amend` and `device_verify` in systemd's device-private.c), and where the device could
    /// not be found by its `DEVPATH`.
    pub fn new(mut properties: Properties) -> Result<Self, ParseError> {
        let required = |key| properties.get(key).ok_or(ParseError::Missing(key));
        let action = required("ACTION")?.parse()?;
        let seqnum = required("SEQNUM")?;
        let seqnum = match seqnum.parse() {
            Ok(number) if number > 0 => number,
            _ => return Err(ParseError::value("SEQNUM", seqnum)),
        };
        required("SUBSYSTEM")?;
        let devpath = required("DEVPATH")?.trim_end_matches('/').to_owned();
        properties.put("DEVPATH", &devpath);
        if let Some(path) = properties.get("DEVNAME").and_then(names::dev_path) {
            properties.put("DEVNAME", &path);
        }
        for (key, value) in properties.iter() {
            if !is_acceptable(key, value) {
                return Err(ParseError::value(key, value));
            }
        }
        for key in tags::LISTS {
            let Some(value) = properties.get(key) else { continue };
            match tags::normal(value) {
                Some(tags) => properties.put(key, &tags),
                None => drop(properties.remove(key)),
            }
        }
        properties.remove("UDEV_DATABASE_VERSION");
        Ok(Self { action, seqnum, properties })
    }

    /// What happened.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The number of the kernel's event, at least 1.
    pub fn seqnum(&self) -> u64 {
        self.seqnum
    }

    /// The device's path in sysfs, without `/sys`.
    pub fn devpath(&self) -> &str {
        self.properties.get("DEVPATH").unwrap_or_default()
    }

    /// The device's subsystem, such as `input`.
    pub fn subsystem(&self) -> &str {
        self.properties.get("SUBSYSTEM").unwrap_or_default()
    }

    /// Every property but `UDEV_DATABASE_VERSION`, in the order of the wire.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The datagram: `monitor_netlink_header` and the properties, each ended by a NUL
    /// (`device_monitor_send` in systemd's device-monitor.c).
    pub fn encode(&self) -> Vec<u8> {
        let mut body = b"UDEV_DATABASE_VERSION=1\0".to_vec();
        self.properties.iter().for_each(|(key, value)| append(&mut body, key, value));
        let body_size = u32::try_from(body.len()).unwrap_or(u32::MAX);

        let mut datagram = Vec::with_capacity(body.len() + HEADER_SIZE as usize);
        datagram.extend_from_slice(&PREFIX);
        datagram.extend_from_slice(&MAGIC.to_be_bytes());
        for number in [HEADER_SIZE, HEADER_SIZE, body_size] {
            datagram.extend_from_slice(&number.to_ne_bytes());
        }
        let filters = Filters::of(&self.properties);
        datagram.extend_from_slice(&filters.subsystem.to_be_bytes());
        datagram.extend_from_slice(&filters.devtype.to_be_bytes());
        datagram.extend_from_slice(&filters.tags.to_be_bytes());
        datagram.append(&mut body);
        datagram
    }

    /// The datagram for libudev-zero: the properties without a header, and `DEVNAME` as in the kernel's
    /// events, without `/dev/`, which libudev-zero puts in front of it (`udev_device_new_from_uevent` in its
    /// udev_device.c, sent by its contrib/helper.c).
    pub fn encode_for_libudev_zero(&self) -> Vec<u8> {
        let mut datagram = Vec::new();
        for (key, value) in self.properties.iter() {
            append(&mut datagram, key, names::kernel_value(key, value));
        }
        datagram
    }
}

/// Appends a property as it is on the wire.
pub(crate) fn append(datagram: &mut Vec<u8>, key: &str, value: &str) {
    for part in [key, "=", value, "\0"] {
        datagram.extend_from_slice(part.as_bytes());
    }
}

/// What the receivers' socket filters compare (`sd_device_monitor_filter_update`); big-endian on the
/// wire, unlike the sizes.
pub(crate) struct Filters {
    pub(crate) subsystem: u32,
    /// 0 for a device without a devtype, as every input device.
    pub(crate) devtype: u32,
    pub(crate) tags: u64,
}

impl Filters {
    pub(crate) fn of(properties: &Properties) -> Self {
        let hash = |key| properties.get(key).map_or(0, |value| murmur2(value.as_bytes()));
        let tags = tags::split(properties.get("TAGS").unwrap_or_default());
        Self {
            subsystem: hash("SUBSYSTEM"),
            devtype: hash("DEVTYPE"),
            tags: tags.fold(0, |bits, tag| bits | bloom(tag)),
        }
    }
}

/// Whether every libudev keeps a message with this property (`device_amend` in systemd's device-private.c).
fn is_acceptable(key: &str, value: &str) -> bool {
    let number_below =
        |limit: u32| value.parse::<u32>().is_ok_and(|number| number < limit && is_digits(value));
    let is_number = || is_digits(value) && value.parse::<u64>().is_ok();
    match key {
        // With /sys in front libudev would look for the device in /sys/sys.
        "DEVPATH" => names::is_clean_path(value) && !value.starts_with("/sys/"),
        "SUBSYSTEM" => names::is_file_name(value),
        "DEVNAME" => names::dev_path(value).is_some(),
        "DEVLINKS" => value.split_ascii_whitespace().all(|link| names::dev_path(link).is_some()),
        "TAGS" | "CURRENT_TAGS" => tags::split(value).all(tags::is_tag),
        "SEQNUM" | "USEC_INITIALIZED" => is_number(),
        "DISKSEQ" => is_number() && value.bytes().any(|digit| digit != b'0'),
        "IFINDEX" => number_below(1 << 31) && value.bytes().any(|digit| digit != b'0'),
        "DEVMODE" => {
            is_digits(value) && u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777)
        }
        // Two numbers mean "no id" (uid_is_valid in systemd's uid-classification.h).
        "DEVUID" | "DEVGID" => number_below(u32::MAX) && value.parse() != Ok(0xffff_u32),
        "UDEV_DATABASE_VERSION" => number_below(u32::MAX),
        // The kernel's dev_t: 12 bits and 20 bits.
        "MAJOR" => number_below(1 << 12),
        "MINOR" => number_below(1 << 20),
        _ => true,
    }
}

/// Only digits: `str::parse` would take a sign too.
fn is_digits(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
}
