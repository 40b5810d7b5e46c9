//! The little of D-Bus that it takes to listen to systemd (D-Bus Specification, "Message Protocol"). A library of it
//! would bring thirty crates for one signal (docs/dependencies.md).

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// The longest message that is read. Ours have some hundred bytes; the specification allows 128 MiB.
const LONGEST: usize = 64 * 1024;

/// The bus cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    #[error("the system's message bus does not answer")]
    Connect(#[source] io::Error),
    #[error("the system's message bus does not know us")]
    Refused,
    #[error("could not write to the system's message bus")]
    Write(#[source] io::Error),
    #[error("could not read from the system's message bus")]
    Read(#[source] io::Error),
    #[error("the system's message bus sent what is no message for us")]
    Message,
    #[error("the system's message bus answered: {0}")]
    Error(String),
}

/// A connection to a bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
}

/// A call of a method with at most one argument, a string, of whose answer only matters whether it is an error.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) argument: Option<&'a str>,
}

/// What is read of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    kind: u8,
    member: String,
    error: String,
    reply_to: Option<u32>,
    body: Vec<u8>,
}

/// Kinds of messages, and fields of their headers.
const METHOD_CALL: u8 = 1;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

impl Bus {
    /// Connects, and says who we are: root, most often.
    pub(super) async fn connect(socket: &Path) -> Result<Self, BusError> {
        let stream = UnixStream::connect(socket).await.map_err(BusError::Connect)?;
        let mut bus = Self { stream: BufReader::new(stream), serial: 0 };
        let uid = nix::unistd::geteuid().to_string();
        let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        bus.write(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        let mut line = (&mut bus.stream).take(LONGEST as u64);
        line.read_until(b'\n', &mut answer).await.map_err(BusError::Read)?;
        if !answer.starts_with(b"OK ") {
            return Err(BusError::Refused);
        }
        bus.write(b"BEGIN\r\n").await?;
        let hello = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            argument: None,
        };
        bus.call(&hello).await?;
        Ok(bus)
    }

    /// Has signals sent to us.
    pub(super) async fn add_match(&mut self, rule: &str) -> Result<(), BusError> {
        let add = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "AddMatch",
            argument: Some(rule),
        };
        self.call(&add).await
    }

    /// Calls a method and waits until it is done. What else comes meanwhile is not looked at.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> Result<(), BusError> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.encode(serial)).await?;
        loop {
            let message = self.read().await?;
            match (message.kind, message.reply_to) {
                (ERROR, Some(to)) if to == serial => return Err(BusError::Error(message.error)),
                (_, Some(to)) if to == serial => return Ok(()),
                _ => {}
            }
        }
    }

    /// The next message.
    pub(super) async fn read(&mut self) -> Result<Message, BusError> {
        let mut bytes = vec![0; 16];
        self.stream.read_exact(&mut bytes).await.map_err(BusError::Read)?;
        let rest = length_after(&bytes).ok_or(BusError::Message)?;
        bytes.resize(16 + rest, 0);
        self.stream.read_exact(&mut bytes[16..]).await.map_err(BusError::Read)?;
        Message::decode(&bytes).ok_or(BusError::Message)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.stream.get_mut().write_all(bytes).await.map_err(BusError::Write)
    }
}

impl Call<'_> {
    fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(argument) = self.argument {
            put_string(&mut body, argument);
        }
        let mut message = vec![b'l', METHOD_CALL, 0, 1];
        put_u32(&mut message, u32::try_from(body.len()).unwrap_or(u32::MAX));
        put_u32(&mut message, serial);
        let mut fields = Vec::new();
        for (field, signature, value) in [
            (PATH, b'o', self.path),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
            (DESTINATION, b's', self.destination),
        ] {
            pad(&mut fields, 8);
            fields.extend([field, 1, signature, 0]);
            put_string(&mut fields, value);
        }
        if self.argument.is_some() {
            pad(&mut fields, 8);
            // The signature of the body: one string.
            fields.extend([SIGNATURE, 1, b'g', 0, 1, b's', 0]);
        }
        put_u32(&mut message, u32::try_from(fields.len()).unwrap_or(u32::MAX));
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }
}

impl Message {
    /// Whether it is this signal, with this truth value as its body.
    pub(super) fn is_signal(&self, member: &str, value: bool) -> bool {
        self.kind == SIGNAL && self.member == member && self.body == u32::from(value).to_le_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = 16 + usize::try_from(u32_at(bytes, 12)?).ok()?;
        let mut message = Self { kind: *bytes.get(1)?, ..Self::default() };
        let mut at = 16;
        while at < fields {
            let &[field, 1, signature, 0] = bytes.get(at..at + 4)? else { return None };
            at += 4;
            match signature {
                b's' | b'o' => {
                    let length = usize::try_from(u32_at(bytes, at)?).ok()?;
                    let text = bytes.get(at + 4..(at + 4).checked_add(length)?)?;
                    let text = String::from_utf8(text.to_vec()).ok()?;
                    match field {
                        MEMBER => message.member = text,
                        ERROR_NAME => message.error = text,
                        _ => {}
                    }
                    at += 4 + length + 1;
                }
                b'u' => {
                    if field == REPLY_SERIAL {
                        message.reply_to = Some(u32_at(bytes, at)?);
                    }
                    at += 4;
                }
                b'g' => at += usize::from(*bytes.get(at)?) + 2,
                _ => return None,
            }
            at = at.next_multiple_of(8);
        }
        message.body = bytes.get(fields.next_multiple_of(8)..)?.to_vec();
        Some(message)
    }
}

/// How much follows the first 16 bytes of a message. `None` if it is none that we read.
fn length_after(start: &[u8]) -> Option<usize> {
    // Each end writes as it likes; a bus on this machine writes as we do.
    if start.first() != Some(&b'l') {
        return None;
    }
    let body = usize::try_from(u32_at(start, 4)?).ok()?;
    let fields = usize::try_from(u32_at(start, 12)?).ok()?;
    let rest = fields.checked_next_multiple_of(8)?.checked_add(body)?;
    Some(rest).filter(|&rest| rest <= LONGEST)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn put_u32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    put_u32(bytes, u32::try_from(text.len()).unwrap_or(u32::MAX));
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As dbus-daemon sends it: `Reloading`, true.
    const RELOADING: &[u8] = b"l\x04\x01\x01\x04\0\0\0\x2a\0\0\0\x85\0\0\0\
        \x01\x01o\0\x19\0\0\0/org/freedesktop/systemd1\0\0\0\0\0\0\0\
        \x02\x01s\0\x20\0\0\0org.freedesktop.systemd1.Manager\0\0\0\0\0\0\0\0\
        \x03\x01s\0\x09\0\0\0Reloading\0\0\0\0\0\0\0\
        \x08\x01g\0\x01b\0\0\
        \x07\x01s\0\x04\0\0\0:1.2\0\0\0\0\
        \x01\0\0\0";

    #[test]
    fn a_signal_is_read() {
        assert_eq!(length_after(RELOADING), Some(RELOADING.len() - 16));
        let signal = Message::decode(RELOADING).unwrap();
        assert!(signal.is_signal("Reloading", true), "{signal:?}");
        assert!(!signal.is_signal("Reloading", false) && !signal.is_signal("JobNew", true));
    }

    #[test]
    fn what_we_write_reads_as_what_was_meant() {
        let call = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "AddMatch",
            argument: Some("type='signal'"),
        };
        let bytes = call.encode(7);
        assert_eq!(length_after(&bytes), Some(bytes.len() - 16));
        let message = Message::decode(&bytes).unwrap();
        assert_eq!((message.kind, &*message.member), (METHOD_CALL, "AddMatch"));
        assert_eq!(message.body, b"\x0d\0\0\0type='signal'\0");
    }

    #[test]
    fn no_part_of_a_message_nor_a_changed_one_is_a_panic() {
        for end in 0..RELOADING.len() {
            let _ = Message::decode(&RELOADING[..end]);
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = RELOADING.to_vec();
                changed[end] = value;
                let _ = Message::decode(&changed);
                let _ = length_after(&changed);
            }
        }
        let mut long = RELOADING.to_vec();
        long[4..8].fill(0xff);
        assert_eq!(length_after(&long), None, "too long");
        long[0] = b'B';
        assert_eq!(length_after(&long), None, "the other byte order");
    }
}
