//! The options of `fake-udev`, by which Wolf (games-on-whales) announces devices in its containers:
//! src/fake-udev/fake-udev-cli.cpp there. What it gets wrong is not repeated: the header's hashes and the
//! tags' Bloom filter are those of the message, unless given.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::Args;
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sendto, socket_with};
use udev_forge::{Message, ParseError, Properties, SendError, hash};

/// The group of udev's messages, `UDEV_EVENT_MODE` in fake-udev.
const GROUP_UDEV: u32 = 2;

/// The options, with fake-udev's names.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of fake-udev")]
pub(crate) struct Options {
    /// The message, KEY=VALUE and a NUL for each property, in base64; otherwise it is read from standard
    /// input.
    #[arg(short = 'm', value_name = "BASE64")]
    message: Option<String>,
    /// The socket's domain: 16 (AF_NETLINK).
    #[arg(long, value_name = "NUMBER", value_parser = only::<16, 16>)]
    sock_domain: Option<u16>,
    /// The socket's type: 3 (SOCK_RAW) or 2 (SOCK_DGRAM), which netlink does not tell apart.
    #[arg(long, value_name = "NUMBER", value_parser = only::<2, 3>)]
    sock_type: Option<u16>,
    /// The socket's protocol: 15 (NETLINK_KOBJECT_UEVENT).
    #[arg(long, value_name = "NUMBER", value_parser = only::<15, 15>)]
    sock_protocol: Option<u16>,
    /// The groups that get the message, as a sum: 1 kernel, 2 udev (the default), 4 libudev-zero.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    sock_groups: Option<u32>,
    /// The subsystem that filters are to see instead of the message's own SUBSYSTEM.
    #[arg(long, value_name = "SUBSYSTEM")]
    udev_subsystem: Option<String>,
    /// The devtype that filters are to see instead of the message's own DEVTYPE.
    #[arg(long, value_name = "DEVTYPE")]
    udev_devtype: Option<String>,
}

/// A number between `FIRST` and `LAST`: with any other, no udev monitor gets a message.
fn only<const FIRST: u16, const LAST: u16>(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(number) if (FIRST..=LAST).contains(&number) => Ok(number),
        _ if FIRST == LAST => Err(format!("udev's messages need {FIRST}")),
        _ => Err(format!("udev's messages need {FIRST} to {LAST}")),
    }
}

/// Why the input is no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Not base64.
    #[error("the message is not base64")]
    Base64(#[source] base64::DecodeError),
    /// Nothing at all.
    #[error("there is no message")]
    Empty,
    /// No libudev would take the message.
    #[error("receivers would drop the message")]
    Message(#[source] ParseError),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let text = match &options.message {
        Some(message) if !message.is_empty() => message.clone().into_bytes(),
        _ => {
            let mut text = Vec::new();
            io::stdin().read_to_end(&mut text).context("cannot read standard input")?;
            text
        }
    };
    let datagram = options.datagram(&message(&text)?);
    if datagram.len() >= Message::SIZE_LIMIT {
        bail!(SendError::TooLarge { size: datagram.len() });
    }
    send(&open()?, &datagram, options.sock_groups.unwrap_or(GROUP_UDEV))
}

/// The message in base64, which may be wrapped and need not be padded. The NUL after the last property may
/// be missing, as fake-udev does not care.
///
/// # Errors
///
/// [`InputError`].
pub fn message(base64: &[u8]) -> Result<Message, InputError> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text: Vec<u8> = base64.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let body = GeneralPurpose::new(&STANDARD, lenient).decode(text);
    let mut body = body.map_err(InputError::Base64)?;
    if body.is_empty() {
        return Err(InputError::Empty);
    }
    if !body.ends_with(b"\0") {
        body.push(0);
    }
    Properties::from_wire(&body).and_then(Message::new).map_err(InputError::Message)
}

impl Options {
    /// The message, with the hashes of the given names in its header (`monitor_netlink_header` in
    /// systemd's device-monitor.c).
    fn datagram(&self, message: &Message) -> Vec<u8> {
        let mut datagram = message.encode();
        let given = [(24, &self.udev_subsystem), (28, &self.udev_devtype)];
        for (offset, name) in given {
            let place = datagram.get_mut(offset..offset + 4);
            if let (Some(place), Some(name)) = (place, name) {
                place.copy_from_slice(&hash::murmur2(name.as_bytes()).to_be_bytes());
            }
        }
        datagram
    }
}

fn open() -> Result<OwnedFd> {
    let protocol = Some(KOBJECT_UEVENT);
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
        .context("cannot make a uevent socket")
}

/// Sends in the name of this process, as fake-udev does.
fn send(socket: &OwnedFd, datagram: &[u8], groups: u32) -> Result<()> {
    let to = SocketAddrNetlink::new(0, groups);
    match sendto(socket, datagram, SendFlags::empty(), &to) {
        // Nobody listens, or nobody but the kernel, which refuses it.
        Ok(_) | Err(Errno::CONNREFUSED | Errno::SRCH) => Ok(()),
        Err(Errno::PERM) => bail!(SendError::NotPermitted(Errno::PERM.into())),
        Err(errno) => bail!(SendError::Send(errno.into())),
    }
}
