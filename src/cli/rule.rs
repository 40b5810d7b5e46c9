//! `hotseat rule` and `hotseat devices`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::client::Client;
use super::{Json, output};
use crate::host::Rule;
use crate::host::rule::{Kind, Letters, Minor, Mode, Word};

#[derive(Debug, Subcommand)]
pub(super) enum RuleCommand {
    /// Let devices of the host come into a session's container: those that are as said here, whenever they are there.
    Add(Box<AddArgs>),
    /// List the rules of a session.
    Ls {
        /// The session.
        session: String,
        #[command(flatten)]
        json: Json,
    },
    /// Remove a rule of a session's own, and take the devices away that it has by it.
    Rm {
        /// The session.
        session: String,
        /// The rule, as `ls` lists it.
        id: String,
    },
}

/// Patterns are those of fnmatch(3).
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The session.
    session: String,
    /// Pattern of the subsystem, such as tty, usb or rtc.
    #[arg(long)]
    subsystem: Option<String>,
    /// Character or block device.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    /// Major number.
    #[arg(long)]
    major: Option<u32>,
    /// Minor number, or `any`.
    #[arg(long)]
    minor: Option<Minor>,
    /// Pattern of the node's path below /dev, such as ttyACM*.
    #[arg(long, value_name = "PATTERN")]
    devname: Option<String>,
    /// USB vendor: four hexadecimal digits.
    #[arg(long)]
    vendor: Option<String>,
    /// USB product: four hexadecimal digits.
    #[arg(long)]
    product: Option<String>,
    /// Pattern of the USB serial number.
    #[arg(long)]
    serial: Option<String>,
    /// USB interface class: two hexadecimal digits, such as 0b for smart card readers.
    #[arg(long, value_name = "CLASS")]
    interface_class: Option<String>,
    /// Pattern of a driver of the device or of a parent, such as cdc_acm.
    #[arg(long)]
    driver: Option<String>,
    /// Property of the host's udev, with a pattern of its value.
    #[arg(long, value_name = "KEY=PATTERN")]
    property: Vec<String>,
    /// Tag of the host's udev.
    #[arg(long)]
    tag: Option<String>,
    /// What the container may do: r (read), w (write), m (make nodes).
    #[arg(long, default_value = "rw")]
    access: Letters,
    /// The node's owner, as the container numbers its users.
    #[arg(long, value_name = "UID")]
    owner: Option<u32>,
    /// The node's group, as the container numbers its groups.
    #[arg(long, value_name = "GID")]
    group: Option<u32>,
    /// The node's permission bits in octal.
    #[arg(long)]
    mode: Option<Mode>,
    /// One more name of the node, below /dev.
    #[arg(long, value_name = "NAME")]
    link: Vec<String>,
    /// No other session has the device while this one has it.
    #[arg(long)]
    exclusive: bool,
    /// Warn as long as there is no such device.
    #[arg(long)]
    required: bool,
    /// A danger that is meant.
    #[arg(long, value_name = "WORD")]
    danger: Vec<Word>,
    /// Only say which devices of the host are meant, and why others are not.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Also those that no rule means, with the reasons.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    json: Json,
}

pub(super) async fn run(command: RuleCommand, client: &Client) -> Result<ExitCode> {
    match command {
        RuleCommand::Add(args) => {
            let (session, json) = (args.session.clone(), args.json.json);
            let dry_run = args.dry_run;
            let rule = args.rule()?;
            if dry_run {
                output::host_devices(&client.try_rule(&rule).await?, true, json)?;
            } else {
                output::rule(&session, &client.add_rule(&session, &rule).await?, json)?;
            }
        }
        RuleCommand::Ls { session, json } => {
            output::rules(&client.rules(&session).await?, json.json)?;
        }
        RuleCommand::Rm { session, id } => client.remove_rule(&session, &id).await?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn devices(args: &DevicesArgs, client: &Client) -> Result<ExitCode> {
    output::host_devices(&client.host_devices().await?, args.all, args.json.json)?;
    Ok(ExitCode::SUCCESS)
}

impl AddArgs {
    fn rule(self) -> Result<Rule> {
        let mut property = std::collections::BTreeMap::new();
        for pair in &self.property {
            let Some((key, value)) = pair.split_once('=') else {
                bail!("`{pair}` is not KEY=PATTERN");
            };
            property.insert(key.to_owned(), value.to_owned());
        }
        let rule = Rule {
            session: None,
            subsystem: self.subsystem,
            kind: self.kind,
            major: self.major,
            minor: self.minor,
            devname: self.devname,
            vendor: self.vendor,
            product: self.product,
            serial: self.serial,
            interface_class: self.interface_class,
            driver: self.driver,
            property,
            tag: self.tag,
            access: self.access,
            owner: self.owner,
            group: self.group,
            mode: self.mode,
            links: self.link,
            exclusive: self.exclusive,
            required: self.required,
            danger: self.danger,
        };
        rule.check().context("the rule is not valid")?;
        Ok(rule)
    }
}
