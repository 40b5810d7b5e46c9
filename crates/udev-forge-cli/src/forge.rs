//! Forging the message of a device of this host.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use udev_forge::{Forged, Message, Stamp, SysDevice};

/// What can be forged from sysfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Event {
    Add,
    Remove,
}

/// What udevd would say about the device, as of now.
pub(crate) fn forge(syspath: &Path, event: Event) -> Result<(Forged, Message)> {
    let stamp = Stamp::now()?;
    let forged = Forged::add(&SysDevice::read(syspath)?, stamp);
    let message = match event {
        Event::Add => forged.add_message(),
        Event::Remove => forged.remove_message(stamp.seqnum),
    };
    Ok((forged, message))
}
