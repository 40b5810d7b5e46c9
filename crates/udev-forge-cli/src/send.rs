//! `udev-forge send`.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum as _};
use udev_forge::{Credentials, Message, Properties, Sender, Stamp};

use crate::forge::{Event, forge};
use crate::netns::Netns;
use crate::{output, usage};

/// The kernel's words (`kobject_actions` in lib/kobject_uevent.c).
const ACTIONS: [&str; 8] =
    ["add", "remove", "change", "move", "online", "offline", "bind", "unbind"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The message's properties, such as DEVPATH=/devices/x; read from standard input, a line each, if
    /// there are none.
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    properties: Vec<(String, String)>,
    /// Forge the message for this device of the host instead, such as /sys/class/input/event5.
    #[arg(long, value_name = "SYSPATH", conflicts_with = "properties")]
    device: Option<PathBuf>,
    /// What happened: ACTION. With --device, add (the default) or remove.
    #[arg(long, value_parser = PossibleValuesParser::new(ACTIONS))]
    action: Option<String>,
    #[command(flatten)]
    netns: Netns,
    /// The sender's user, as an id here. Otherwise it is the one that is root for the process of --netns.
    #[arg(long)]
    uid: Option<u32>,
    /// The sender's group, likewise.
    #[arg(long)]
    gid: Option<u32>,
}

/// An argument that is a property.
fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is not KEY=VALUE")?;
    Properties::new().set(key, value).map_err(|error| error.to_string())?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let message = options.message()?;
    let sender = match options.netns.open()? {
        Some(netns) => Sender::open_in(netns.as_fd())?,
        None => Sender::open()?,
    };
    sender.send(&message, &options.credentials()?)?;
    output::sent(&message)
}

impl Options {
    fn message(&self) -> Result<Message> {
        match &self.device {
            Some(syspath) => {
                let event = match self.action.as_deref().unwrap_or("add") {
                    "bind" | "unbind" | "change" | "move" | "online" | "offline" => usage(
                        ErrorKind::ValueValidation,
                        "--device knows --action add and --action remove; for another, give its properties",
                    )?,
                    action => Event::from_str(action, false).map_err(anyhow::Error::msg)?,
                };
                Ok(forge(syspath, event)?.1)
            }
            None if self.properties.is_empty() => self.complete(&lines()?),
            None => self.complete(&self.properties),
        }
    }

    /// The message of these properties, with what is missing and known here.
    fn complete(&self, given: &[(String, String)]) -> Result<Message> {
        let mut properties = Properties::new();
        // In front, where udevd has it.
        if let Some(action) = &self.action {
            properties.set("ACTION", action)?;
        }
        let is_ours = |key: &str| self.action.is_some() && key == "ACTION";
        for (key, value) in given.iter().filter(|(key, _)| !is_ours(key)) {
            properties.set(key, value)?;
        }
        if properties.get("SEQNUM").is_none() {
            properties.set("SEQNUM", &Stamp::now()?.seqnum.to_string())?;
        }
        Message::new(properties).context("receivers would drop the message")
    }

    fn credentials(&self) -> Result<Credentials> {
        if let (Some(uid), Some(gid)) = (self.uid, self.gid) {
            return Ok(Credentials { uid, gid });
        }
        let root = self.netns.root()?;
        Ok(Credentials { uid: self.uid.unwrap_or(root.uid), gid: self.gid.unwrap_or(root.gid) })
    }
}

/// The properties on standard input; empty lines are nothing.
fn lines() -> Result<Vec<(String, String)>> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let in_line = || format!("standard input: `{}`", line.escape_debug());
            pair(line).map_err(anyhow::Error::msg).with_context(in_line)
        })
        .collect()
}
