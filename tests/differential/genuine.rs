//! What udevd says.

use std::process::Command;

use udev_forge::{Message, Monitor, MonitorError};

/// A listener to the messages of the host's udevd.
pub(crate) struct Udevd(Monitor);

impl Udevd {
    pub(crate) fn listen() -> Self {
        settle();
        Self(Monitor::open().unwrap())
    }

    /// Everything that was said by the time udevd had nothing more to do.
    pub(crate) fn settled(&self) -> Vec<Message> {
        settle();
        let mut messages = Vec::new();
        loop {
            match self.0.try_recv() {
                Ok(Some(received)) => messages.push(received.message),
                Ok(None) => return messages,
                Err(MonitorError::Overflow) => panic!("messages were lost"),
                Err(error) => panic!("udevd said something that we do not understand: {error:?}"),
            }
        }
    }
}

fn settle() {
    assert!(Command::new("udevadm").arg("settle").status().unwrap().success());
}
