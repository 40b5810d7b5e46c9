//! A device made ready to be announced.

use crate::device::SysDevice;
use crate::device_id::{DeviceId, DeviceIdError};
use crate::message::{Action, Message, ParseError};
use crate::properties::{Properties, PropertyError};
use crate::record::Record;
use crate::stamp::Stamp;
use crate::uevent::Uevent;
use crate::{rules, tags};

/// Everything udevd would say about one device, from its `add` to its `remove`.
///
/// ```no_run
/// use std::path::Path;
/// use udev_forge::{Forged, Stamp, SysDevice, database::Database};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = SysDevice::read(Path::new("/sys/class/input/event5"))?;
/// let forged = Forged::add(&device, Stamp::now()?);
/// Database::open("/run/hotseat/alice/udev".as_ref())?.write(&forged)?;
/// let datagram = forged.add_message().encode();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forged {
    stamp: Stamp,
    /// As [`SysDevice::kernel_properties`].
    kernel: Properties,
    /// What the rules add, with the properties whose key begins with a dot.
    rules: Properties,
    record: Record,
}

/// A [`Forged`] as plain data, for a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The kernel's properties, see [`SysDevice::kernel_properties`].
    pub kernel: Vec<(String, String)>,
    /// The rules' properties, also those with a dot.
    pub rules: Vec<(String, String)>,
    /// The tags.
    pub tags: Vec<String>,
    /// [`Stamp::seqnum`] of the `add` event.
    pub seqnum: u64,
    /// [`Stamp::usec_initialized`].
    pub usec_initialized: u64,
}

/// Why [`Parts`] do not make a [`Forged`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// A key or value that cannot be a property.
    #[error("not a property")]
    Property(#[source] PropertyError),
    /// A tag that cannot be one.
    #[error("`{}` is not a tag", .0.escape_debug())]
    Tag(String),
    /// The kernel's properties do not make a device id.
    #[error("no id for the device")]
    Id(#[source] DeviceIdError),
    /// Receivers would drop the message.
    #[error("no message for the device")]
    Message(#[source] ParseError),
    /// One of the properties is set by the event, such as `ACTION`, or is not in its normal form.
    #[error("properties that contradict the event")]
    Contradiction,
}

impl Forged {
    /// Applies the rules to a new device.
    pub fn add(device: &SysDevice, stamp: Stamp) -> Self {
        let outcome = rules::apply(device);
        let tags = outcome.tags.into_iter().map(str::to_owned).collect();
        let id = device.device_id().clone();
        Self::assemble(id, device.kernel_properties().clone(), outcome.properties, tags, stamp)
    }

    fn assemble(
        id: DeviceId,
        kernel: Properties,
        rules: Properties,
        tags: Vec<String>,
        stamp: Stamp,
    ) -> Self {
        let mut record = Record::empty(id);
        record.usec_initialized = stamp.usec_initialized;
        for (key, value) in rules.iter().filter(|(key, _)| is_stored(key)) {
            record.properties.put(key, value);
        }
        record.current_tags.clone_from(&tags);
        record.tags = tags;
        Self { stamp, kernel, rules, record }
    }

    /// The `add` message.
    pub fn add_message(&self) -> Message {
        self.message(Action::Add, self.stamp.seqnum, |_| true)
    }

    /// The `remove` message, the kernel's event number being `seqnum`; 0 is sent as 1.
    ///
    /// It has the properties of the record, for programs that take no notice of the removal of a device
    /// without `ID_INPUT_JOYSTICK`, and the time of the `add`.
    pub fn remove_message(&self, seqnum: u64) -> Message {
        self.message(Action::Remove, seqnum, is_stored)
    }

    /// What the kernel said, or would say, of the device, for a udevd to work on.
    pub fn uevent(&self, action: Action) -> Uevent {
        Uevent::new(action, self.kernel.clone())
    }

    /// In systemd's order: what the kernel said, with the number between the node's name and its
    /// numbers, then the time, the rules and the tags.
    fn message(&self, action: Action, seqnum: u64, keep: fn(&str) -> bool) -> Message {
        let seqnum = seqnum.max(1);
        let is_devnum = |key: &str| key == "MAJOR" || key == "MINOR";

        let mut properties = Properties::new();
        properties.put("ACTION", action.as_str());
        for (key, value) in self.kernel.iter().filter(|(key, _)| !is_devnum(key)) {
            properties.put(key, value);
        }
        properties.put("SEQNUM", &seqnum.to_string());
        for (key, value) in self.kernel.iter().filter(|(key, _)| is_devnum(key)) {
            properties.put(key, value);
        }
        properties.put("USEC_INITIALIZED", &self.stamp.usec_initialized.to_string());
        for (key, value) in self.rules.iter().filter(|(key, _)| keep(key)) {
            properties.put(key, value);
        }
        if !self.tags().is_empty() {
            let tags = tags::join(self.tags());
            properties.put("TAGS", &tags);
            properties.put("CURRENT_TAGS", &tags);
        }
        Message { action, seqnum, properties }
    }

    /// The database record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The device's id in the database.
    pub fn device_id(&self) -> &DeviceId {
        &self.record.id
    }

    /// The tags, for whose names the database has an index.
    pub fn tags(&self) -> &[String] {
        &self.record.tags
    }

    /// The plain data from which [`from_parts`](Self::from_parts) makes an equal value.
    pub fn to_parts(&self) -> Parts {
        let pairs = |properties: &Properties| {
            properties.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        Parts {
            kernel: pairs(&self.kernel),
            rules: pairs(&self.rules),
            tags: self.tags().to_vec(),
            seqnum: self.stamp.seqnum,
            usec_initialized: self.stamp.usec_initialized,
        }
    }

    /// Rebuilds what [`to_parts`](Self::to_parts) took apart.
    ///
    /// # Errors
    ///
    /// [`PartsError`] for parts that did not come from there.
    pub fn from_parts(parts: Parts) -> Result<Self, PartsError> {
        let kernel = collect(&parts.kernel)?;
        let rules = collect(&parts.rules)?;
        if let Some(tag) = parts.tags.iter().find(|tag| !tags::is_tag(tag)) {
            return Err(PartsError::Tag(tag.clone()));
        }
        let id = DeviceId::of_kernel(&kernel).map_err(PartsError::Id)?;
        let stamp = Stamp { seqnum: parts.seqnum, usec_initialized: parts.usec_initialized };
        let forged = Self::assemble(id, kernel, rules, parts.tags, stamp);

        for message in [forged.add_message(), forged.remove_message(1)] {
            let checked = Message::new(message.properties.clone()).map_err(PartsError::Message)?;
            if checked != message {
                return Err(PartsError::Contradiction);
            }
        }
        Ok(forged)
    }
}

fn collect(pairs: &[(String, String)]) -> Result<Properties, PartsError> {
    let mut properties = Properties::new();
    for (key, value) in pairs {
        properties.set(key, value).map_err(PartsError::Property)?;
    }
    Ok(properties)
}

/// Whether a property outlives its event: in the record, and in the `remove` message.
fn is_stored(key: &str) -> bool {
    !key.starts_with('.')
}
