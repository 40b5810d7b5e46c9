//! What Wolf runs in the container to announce a node: sends one udev message, the properties of which are
//! its only argument, in hexadecimal.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use udev_forge::{Credentials, Message, Properties, Sender};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-fake-udev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let argument = std::env::args().nth(1).context("no message was given")?;
    let bytes: Option<Vec<u8>> = (0..argument.len() / 2)
        .map(|index| u8::from_str_radix(argument.get(2 * index..2 * index + 2)?, 16).ok())
        .collect();
    let text = String::from_utf8(bytes.context("not hexadecimal")?).context("not UTF-8")?;
    let mut properties = Properties::new();
    for line in text.lines() {
        let (key, value) = line.split_once('=').context("a property without a value")?;
        properties.set(key, value).context("setting a property")?;
    }
    let message = Message::new(properties).context("not a udev message")?;
    let root = Credentials { uid: 0, gid: 0 };
    Sender::open()?.send(&message, &root).context("sending the message")
}
