//! `udev-forge monitor`.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use udev_forge::{Monitor, MonitorError};

use crate::netns::Netns;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    netns: Netns,
    /// End after this many messages, good or bad.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print a line of JSON for each message.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let monitor = match options.netns.open()? {
        Some(netns) => Monitor::open_in(netns.as_fd())?,
        None => Monitor::open()?,
    };
    output::listening();
    let mut received = 0;
    while options.count.is_none_or(|count| received < count) {
        let result = match monitor.try_recv() {
            Ok(None) => {
                wait(&monitor)?;
                continue;
            }
            Ok(Some(message)) => Ok(message),
            Err(error @ (MonitorError::Receive(_) | MonitorError::Open(_))) => Err(error)?,
            Err(error) => Err(error),
        };
        output::received(&result, options.json)?;
        received += 1;
    }
    Ok(())
}

fn wait(monitor: &Monitor) -> Result<()> {
    let mut sockets = [PollFd::from_borrowed_fd(monitor.as_fd(), PollFlags::IN)];
    retry_on_intr(|| poll(&mut sockets, None)).context("cannot wait for messages")?;
    Ok(())
}
