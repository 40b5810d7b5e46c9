//! Forging the message of a device of this host.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use udev_forge::{Forged, Hwdb, Message, Stamp, SysDevice};

/// What can be forged from sysfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Event {
    Add,
    Bind,
    Remove,
    Unbind,
}

/// What udevd would say about the device, as of now.
pub(crate) fn forge(syspath: &Path, event: Event) -> Result<(Forged, Message)> {
    let stamp = Stamp::now()?;
    let mut device = SysDevice::read(syspath)?;
    // Whoever may not open the node does without what only that knows: the size of a surface.
    if device.sysname().starts_with("event")
        && let Some(node) = device.devname().and_then(|node| File::open(node).ok())
    {
        device.read_axes(node.as_fd()).context("asking the node for its axes")?;
    }
    let forged = Forged::add(&device, &Hwdb::of_system()?, stamp);
    let message = match event {
        Event::Add => Some(forged.add_message()),
        Event::Bind => forged.bind_message(stamp),
        Event::Remove => Some(forged.remove_message(stamp)),
        Event::Unbind => forged.unbind_message(stamp),
    };
    let message = message.context("no driver has taken the device, so there is nothing to bind")?;
    Ok((forged, message))
}
