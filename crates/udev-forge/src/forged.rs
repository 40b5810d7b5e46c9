//! A device made ready to be announced.

use std::collections::BTreeSet;

use crate::device::SysDevice;
use crate::device_id::{DeviceId, DeviceIdError};
use crate::hwdb::Hwdb;
use crate::message::{Action, Message, ParseError};
use crate::properties::{Properties, PropertyError};
use crate::record::Record;
use crate::stamp::Stamp;
use crate::uevent::Uevent;
use crate::{names, rules, tags};

/// Everything udevd would say about one device, from its `add` to its `remove`.
///
/// ```no_run
/// use std::path::Path;
/// use udev_forge::{Forged, Hwdb, Stamp, SysDevice, database::Database};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = SysDevice::read(Path::new("/sys/class/input/event5"))?;
/// let forged = Forged::add(&device, &Hwdb::of_system()?, Stamp::now()?);
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
    /// As [`SysDevice::driver`].
    driver: Option<String>,
    /// What the rules add, with the properties whose key begins with a dot.
    rules: Properties,
    record: Record,
}

/// A [`Forged`] as plain data, for a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The kernel's properties, see [`SysDevice::kernel_properties`].
    pub kernel: Vec<(String, String)>,
    /// The driver, see [`SysDevice::driver`].
    pub driver: Option<String>,
    /// The rules' properties, also those with a dot.
    pub rules: Vec<(String, String)>,
    /// The tags.
    pub tags: Vec<String>,
    /// Links to the node, relative to /dev.
    pub devlinks: Vec<String>,
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
    /// A tag that cannot be one, or is there twice.
    #[error("`{}` is not a tag, or is there twice", .0.escape_debug())]
    Tag(String),
    /// A link that cannot be one.
    #[error("`{}` is not a link in /dev", .0.escape_debug())]
    Link(String),
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
    /// Applies the rules to a new device, with what the hardware database knows of it.
    pub fn add(device: &SysDevice, hwdb: &Hwdb, stamp: Stamp) -> Self {
        let outcome = rules::apply(device, hwdb);
        let tags: Vec<_> = outcome.tags.into_iter().map(str::to_owned).collect();
        let mut record = Record::empty(device.device_id().clone());
        record.tags = tags;
        record.devlinks = outcome.devlinks.into_iter().collect();
        let driver = device.driver().map(str::to_owned);
        Self::assemble(
            record,
            device.kernel_properties().clone(),
            driver,
            outcome.properties,
            stamp,
        )
    }

    /// Puts into `record`, which has the tags and links, what follows from the rest.
    fn assemble(
        mut record: Record,
        kernel: Properties,
        driver: Option<String>,
        rules: Properties,
        stamp: Stamp,
    ) -> Self {
        record.usec_initialized = stamp.usec_initialized;
        for (key, value) in rules.iter().filter(|(key, _)| is_stored(key)) {
            record.properties.put(key, value);
        }
        record.current_tags.clone_from(&record.tags);
        Self { stamp, kernel, driver, rules, record }
    }

    /// The `add` message.
    pub fn add_message(&self) -> Message {
        self.message(Action::Add, self.stamp, |_| true)
    }

    /// The `remove` message; `stamp` is that of the removal.
    ///
    /// It has the properties of the record, for programs that take no notice of the removal of a device
    /// without `ID_INPUT_JOYSTICK`, and the time of the `add`.
    pub fn remove_message(&self, stamp: Stamp) -> Message {
        self.message(Action::Remove, self.later(stamp), is_stored)
    }

    /// Whether a driver has the device, of which the kernel tells by `bind` and `unbind`.
    pub fn is_bound(&self) -> bool {
        self.driver.is_some()
    }

    /// The `bind` message: it follows the `add` of a device on a bus when a driver has taken it. `None` for
    /// a device without a driver.
    pub fn bind_message(&self, stamp: Stamp) -> Option<Message> {
        self.driver.is_some().then(|| self.message(Action::Bind, self.later(stamp), |_| true))
    }

    /// The `unbind` message: it goes before the `remove` of a device of which a
    /// [`bind_message`](Self::bind_message) told.
    pub fn unbind_message(&self, stamp: Stamp) -> Option<Message> {
        self.driver.is_some().then(|| self.message(Action::Unbind, self.later(stamp), |_| true))
    }

    /// The stamp of a later event. The time of the first is known if there is a record to know it from.
    fn later(&self, stamp: Stamp) -> Stamp {
        let is_known = !self.record.text().is_empty();
        let first = self.stamp.usec_initialized;
        let usec_initialized = if is_known { first } else { stamp.usec_initialized };
        Stamp { usec_initialized, ..stamp }
    }

    /// What the kernel said, or would say, of the device, for a udevd to work on.
    pub fn uevent(&self, action: Action) -> Uevent {
        Uevent::new(action, self.kernel.clone())
    }

    /// What the kernel said, with the number between the node's name and its numbers, then the time, the
    /// rules, the links and the tags.
    fn message(&self, action: Action, stamp: Stamp, keep: fn(&str) -> bool) -> Message {
        let seqnum = stamp.seqnum.max(1);
        let is_devnum = |key: &str| key == "MAJOR" || key == "MINOR";

        let mut properties = Properties::new();
        properties.put("ACTION", action.as_str());
        for (key, value) in self.kernel.iter().filter(|(key, _)| !is_devnum(key)) {
            // The kernel names the driver after the type (`dev_uevent` in drivers/base/core.c), and only
            // while there is one.
            if action == Action::Bind
                && !["DEVNAME", "DEVPATH", "DEVTYPE", "SUBSYSTEM"].contains(&key)
            {
                self.put_driver(&mut properties);
            }
            // So that nobody loads a driver for what is going (`zap_modalias_env` in
            // lib/kobject_uevent.c).
            let is_zapped = action == Action::Unbind && key == "MODALIAS";
            // A battery that is going cannot be asked any more (`power_supply_uevent` in
            // drivers/power/supply/power_supply_sysfs.c).
            let is_unknown = action == Action::Remove
                && key.starts_with("POWER_SUPPLY_")
                && key != "POWER_SUPPLY_NAME";
            if !is_zapped && !is_unknown {
                properties.put(key, value);
            }
        }
        if action == Action::Bind {
            self.put_driver(&mut properties);
        }
        properties.put("SEQNUM", &seqnum.to_string());
        for (key, value) in self.kernel.iter().filter(|(key, _)| is_devnum(key)) {
            properties.put(key, value);
        }
        properties.put("USEC_INITIALIZED", &stamp.usec_initialized.to_string());
        for (key, value) in self.rules.iter().filter(|(key, _)| keep(key)) {
            properties.put(key, value);
        }
        if !self.record.devlinks.is_empty() {
            let links = self.record.devlinks.iter().map(|link| format!("/dev/{link}"));
            properties.put("DEVLINKS", &links.collect::<Vec<_>>().join(" "));
        }
        if !self.tags().is_empty() {
            let tags = tags::join(self.tags());
            properties.put("TAGS", &tags);
            properties.put("CURRENT_TAGS", &tags);
        }
        Message { action, seqnum, properties }
    }

    fn put_driver(&self, properties: &mut Properties) {
        if let Some(driver) = &self.driver {
            properties.put("DRIVER", driver);
        }
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
            driver: self.driver.clone(),
            tags: self.tags().to_vec(),
            devlinks: self.record.devlinks.clone(),
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
        if let Some(driver) = &parts.driver {
            Properties::new().set("DRIVER", driver).map_err(PartsError::Property)?;
        }
        let mut seen = BTreeSet::new();
        if let Some(tag) = parts.tags.iter().find(|tag| !tags::is_tag(tag) || !seen.insert(*tag)) {
            return Err(PartsError::Tag(tag.clone()));
        }
        let is_link = |link: &&String| {
            names::is_clean_path(&format!("/{link}")) && !link.contains(char::is_whitespace)
        };
        if let Some(link) = parts.devlinks.iter().find(|link| !is_link(link)) {
            return Err(PartsError::Link(link.clone()));
        }
        let id = DeviceId::of_kernel(&kernel).map_err(PartsError::Id)?;
        let mut record = Record::empty(id);
        record.tags = parts.tags;
        record.devlinks = parts.devlinks;
        let stamp = Stamp { seqnum: parts.seqnum, usec_initialized: parts.usec_initialized };
        let forged = Self::assemble(record, kernel, parts.driver, rules, stamp);

        for message in [forged.add_message(), forged.remove_message(stamp)] {
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
