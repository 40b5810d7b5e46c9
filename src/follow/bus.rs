//! The little of D-Bus that it takes to listen to systemd (D-Bus Specification, "Message Protocol"). A library of it
//! would bring thirty crates for one signal (docs/dependencies.md).

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::io::{copy, sink};
use tokio::net::UnixStream;

/// The longest message that is read. Ours have some hundred bytes.
const LONGEST: usize = 64 * 1024;

/// The longest message that there is ("Message Protocol", "Message Format").
const LONGEST_OF_ALL: usize = 128 << 20;

/// The bus itself, as a destination and a sender.
pub(super) const BUS: &str = "org.freedesktop.DBus";

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
    #[error("the system's message bus sent what is no message")]
    Message,
    #[error("the system's message bus did not answer within {} s", .0.as_secs())]
    Late(Duration),
    #[error("the system's message bus answered: {0}")]
    Error(String),
}

/// A connection to a bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
}

/// A call of a method with at most one argument, a string.
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
    sender: String,
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
const SENDER: u8 = 7;
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
            destination: BUS,
            path: "/org/freedesktop/DBus",
            interface: BUS,
            member: "Hello",
            argument: None,
        };
        bus.call(&hello).await?;
        Ok(bus)
    }

    /// Has signals sent to us.
    pub(super) async fn add_match(&mut self, rule: &str) -> Result<(), BusError> {
        self.ask("AddMatch", rule).await.map(drop)
    }

    /// Who has a name now: the name of a connection, which is never another's.
    pub(super) async fn owner(&mut self, name: &str) -> Result<String, BusError> {
        let answer = self.ask("GetNameOwner", name).await?;
        let owner = answer.strings().next();
        owner.map(str::to_owned).ok_or(BusError::Message)
    }

    async fn ask(&mut self, member: &str, argument: &str) -> Result<Message, BusError> {
        let call = Call {
            destination: BUS,
            path: "/org/freedesktop/DBus",
            interface: BUS,
            member,
            argument: Some(argument),
        };
        self.call(&call).await
    }

    /// Calls a method and waits until it is done. What else comes meanwhile is not looked at.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> Result<Message, BusError> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.encode(serial)).await?;
        loop {
            let message = self.read().await?;
            match (message.kind, message.reply_to) {
                (ERROR, Some(to)) if to == serial => return Err(BusError::Error(message.error)),
                (_, Some(to)) if to == serial => return Ok(message),
                _ => {}
            }
        }
    }

    /// The next message that is understood. Others are read over: whoever sends them must not keep us from hearing.
    pub(super) async fn read(&mut self) -> Result<Message, BusError> {
        loop {
            let mut bytes = vec![0; 16];
            self.stream.read_exact(&mut bytes).await.map_err(BusError::Read)?;
            let rest = length_after(&bytes).ok_or(BusError::Message)?;
            if rest > LONGEST {
                let mut over = (&mut self.stream).take(rest as u64);
                if copy(&mut over, &mut sink()).await.map_err(BusError::Read)? < rest as u64 {
                    return Err(BusError::Read(io::ErrorKind::UnexpectedEof.into()));
                }
                continue;
            }
            bytes.resize(16 + rest, 0);
            self.stream.read_exact(&mut bytes[16..]).await.map_err(BusError::Read)?;
            if let Some(message) = Message::decode(&bytes) {
                return Ok(message);
            }
        }
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
    /// Whether it is this signal, of this connection. Anybody can send us one that looks the same.
    pub(super) fn is_signal(&self, sender: &str, member: &str) -> bool {
        self.kind == SIGNAL && self.sender == sender && self.member == member
    }

    /// Whether its body is this truth value.
    pub(super) fn says(&self, value: bool) -> bool {
        self.body == u32::from(value).to_le_bytes()
    }

    /// The strings that its body is made of.
    pub(super) fn strings(&self) -> impl Iterator<Item = &str> {
        let mut at = 0_usize;
        std::iter::from_fn(move || {
            let length = usize::try_from(u32_at(&self.body, at)?).ok()?;
            let end = (at + 4).checked_add(length)?;
            let text = str::from_utf8(self.body.get(at + 4..end)?).ok()?;
            at = (end + 1).next_multiple_of(4);
            Some(text)
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        // Each end writes as it likes; what concerns us comes from this machine, which writes as we do.
        if bytes.first() != Some(&b'l') {
            return None;
        }
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
                        SENDER => message.sender = text,
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

/// How much follows the first 16 bytes of a message, in either byte order. `None` if it is none.
fn length_after(start: &[u8]) -> Option<usize> {
    let number = |at| {
        let bytes = start.get(at..at + 4)?.try_into().ok()?;
        let number = match start.first()? {
            b'l' => u32::from_le_bytes(bytes),
            b'B' => u32::from_be_bytes(bytes),
            _ => return None,
        };
        usize::try_from(number).ok()
    };
    let rest = number(12)?.checked_next_multiple_of(8)?.checked_add(number(4)?)?;
    Some(rest).filter(|&rest| rest <= LONGEST_OF_ALL)
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
        assert!(signal.is_signal(":1.2", "Reloading") && signal.says(true), "{signal:?}");
        assert!(!signal.is_signal(":1.2", "JobNew") && !signal.says(false));
        assert!(!signal.is_signal(":1.3", "Reloading"), "another has sent it");
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
    }

    #[tokio::test]
    async fn what_is_not_understood_is_read_over() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut bus = Bus { stream: BufReader::new(ours), serial: 0 };
        let mut other_order = RELOADING.to_vec();
        other_order[0] = b'B';
        for at in [4, 8, 12] {
            other_order[at..at + 4].reverse();
        }
        let mut long = RELOADING.to_vec();
        long[4..8].copy_from_slice(&200_000_u32.to_le_bytes());
        long.resize(RELOADING.len() - 4 + 200_000, 0);
        let mut unknown = RELOADING.to_vec();
        unknown[18] = b'v';
        let sent = [&other_order, &long, &unknown, RELOADING].concat();
        let sending = tokio::spawn(async move { theirs.write_all(&sent).await });
        let read = bus.read().await.unwrap();
        assert_eq!(read, Message::decode(RELOADING).unwrap());
        sending.await.unwrap().unwrap();
        let end = bus.read().await;
        assert!(matches!(end, Err(BusError::Read(_))), "{end:?}");
    }

    #[test]
    fn strings_are_read_up_to_the_first_that_is_none() {
        let mut body = Vec::new();
        put_string(&mut body, "org.freedesktop.systemd1");
        pad(&mut body, 4);
        put_string(&mut body, "");
        pad(&mut body, 4);
        put_string(&mut body, ":1.7");
        let message = Message { body, ..Message::default() };
        assert!(message.strings().eq(["org.freedesktop.systemd1", "", ":1.7"]));
        let cut = Message { body: b"\x05\0\0\0cut".to_vec(), ..Message::default() };
        assert_eq!(cut.strings().next(), None);
    }
}
