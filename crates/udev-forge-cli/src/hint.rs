//! What to do about an error.

use std::io::{self, ErrorKind};

use anyhow::Error;
use udev_forge::{DeviceIdError, OpenError, ParseError, ReadError, RecordError, SendError};

use crate::fake_udev::InputError;
use crate::netns::NetnsError;

/// The advice for the first cause that has one.
pub(crate) fn of(error: &Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<ParseError>() {
            return of_message(error);
        }
        if let Some(error) = cause.downcast_ref::<InputError>() {
            return of_input(error);
        }
        if let Some(error) = cause.downcast_ref::<SendError>() {
            return of_send(error);
        }
        if let Some(OpenError::Enter(error)) = cause.downcast_ref::<OpenError>() {
            return Some(of_enter(error));
        }
        if let Some(error) = cause.downcast_ref::<ReadError>() {
            return of_read(error);
        }
        if let Some(error) = cause.downcast_ref::<NetnsError>() {
            return of_netns(error);
        }
        if let Some(error) = cause.downcast_ref::<RecordError>() {
            return of_record(error);
        }
        if cause.is::<DeviceIdError>() {
            return Some("give it the name that it has in /run/udev/data, such as c13:69");
        }
        of_io(cause.downcast_ref::<io::Error>()?)
    })
}

fn of_message(error: &ParseError) -> Option<&'static str> {
    match error {
        ParseError::Missing(_) => {
            Some("every message needs ACTION, DEVPATH, SUBSYSTEM and SEQNUM; add what is missing")
        }
        ParseError::NotAPair(_) => {
            Some("a property is KEY=VALUE, ended by one NUL, with no NUL between")
        }
        ParseError::Value { key, .. } if key == "DEVPATH" => Some(
            "give the path in sysfs without /sys in front, such as /devices/virtual/input/input5",
        ),
        ParseError::Value { key, .. } if key == "SEQNUM" => Some("give a number above 0, or none"),
        _ => None,
    }
}

fn of_input(error: &InputError) -> Option<&'static str> {
    match error {
        InputError::Base64(_) => {
            Some("encode it first: printf 'ACTION=add\\0…' | base64 | fake-udev")
        }
        InputError::Empty => Some("give it as -m BASE64 or on standard input"),
        _ => None,
    }
}

fn of_send(error: &SendError) -> Option<&'static str> {
    match error {
        SendError::NotPermitted(_) => {
            Some("run it as root; in a container, add the capability NET_ADMIN to it")
        }
        SendError::TooLarge { .. } => Some("send fewer or shorter properties"),
        SendError::NoBuffer(_) => Some("try again"),
        SendError::Send(error) if error.kind() == ErrorKind::InvalidInput => {
            Some("--uid and --gid must be ids that exist in this user namespace")
        }
        _ => None,
    }
}

fn of_enter(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "run it as root",
        _ => "name a network namespace: a process, or a file such as /run/netns/NAME",
    }
}

fn of_read(error: &ReadError) -> Option<&'static str> {
    match error {
        ReadError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            Some("name a device that exists, such as /sys/class/input/event0")
        }
        ReadError::NotADevice { .. } => {
            Some("name a directory in /sys/devices, or a link to one as in /sys/class")
        }
        _ => None,
    }
}

fn of_netns(error: &NetnsError) -> Option<&'static str> {
    match error {
        NetnsError::Open { source, .. } | NetnsError::Read { source, .. } => match source.kind() {
            ErrorKind::NotFound => {
                Some("name a running process by its number, or a file such as /run/netns/NAME")
            }
            _ => of_io(source),
        },
        NetnsError::NoRoot { .. } => Some("say with --uid and --gid who sends"),
    }
}

fn of_record(error: &RecordError) -> Option<&'static str> {
    match error {
        RecordError::Unterminated => {
            Some("end it with a line feed; libudev does not see the line otherwise")
        }
        RecordError::Line(_) => Some("lines are such as E:KEY=VALUE, G:TAG or I:MICROSECONDS"),
        _ => None,
    }
}

fn of_io(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::PermissionDenied => Some("run it as root"),
        _ => None,
    }
}
