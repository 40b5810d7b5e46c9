//! `udev-forge show`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use udev_forge::{DeviceId, Record};

use crate::forge::{Event, forge};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The device, such as /sys/class/input/event5: show the message and the record it would get.
    #[arg(value_name = "SYSPATH", required_unless_present = "record")]
    device: Option<PathBuf>,
    /// Show a database record instead, such as /run/udev/data/c13:69.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["device", "action"])]
    record: Option<PathBuf>,
    /// What happens to the device.
    #[arg(long, value_enum, default_value_t = Event::Add)]
    action: Event,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(file) = &options.record {
        return output::record(&read(file)?, options.json);
    }
    // Given, or clap would have refused.
    let device = options.device.as_deref().unwrap_or(Path::new(""));
    let (forged, message) = forge(device, options.action)?;
    // After a removal there is no record.
    let record = (options.action == Event::Add).then(|| forged.record());
    output::forged(&message, record, options.json)
}

fn read(file: &Path) -> Result<Record> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let id: DeviceId = name.parse().context("a record's file has its device's id for a name")?;
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let record = Record::parse(id, &text);
    record.with_context(|| format!("{} is not a record", file.display()))
}
