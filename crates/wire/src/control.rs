//! The control stream: what must arrive, in its order.

use crate::bytes::Reader;
use crate::{DecodeError, MAX_SLOTS, feedback};

/// The largest message, without the four bytes in front of it.
pub const MAX_MESSAGE: usize = 4096;

/// A message of the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Both sides' first message.
    Hello {
        /// What the sender can do beyond version 1; no bits have a meaning yet.
        features: u32,
        /// The program and its version, for people. At most 64 bytes.
        name: String,
    },
    /// From the client: it wants to play in a session.
    Attach {
        /// The session. At most 64 bytes.
        session: String,
        /// What says that it may. At most 1024 bytes.
        token: Vec<u8>,
        /// What the server gave at the last attach, to find the devices as they were left. At most 64 bytes; empty
        /// otherwise.
        resume: Vec<u8>,
    },
    /// From the server: the client is attached.
    Attached {
        /// To be given at the next attach. At most 64 bytes.
        resume: Vec<u8>,
        /// To be answered with [`Ready`](Self::Ready).
        nonce: [u8; 16],
        /// How many milliseconds the devices stay when the connection is lost.
        grace_ms: u32,
    },
    /// From the client: what it says is said now and not replayed; input counts from here on.
    Ready {
        /// The server's.
        nonce: [u8; 16],
    },
    /// From the client: a device is wanted.
    Plug {
        /// The place for it.
        slot: u8,
        /// The profile. At most 64 bytes.
        profile: String,
    },
    /// From the server: the device is there and takes input.
    PlugOk {
        /// The place.
        slot: u8,
        /// The time of the slot that is now.
        epoch: u8,
        /// Which frames the device takes: bit `n` for kind `n`.
        kinds: u32,
    },
    /// From the client: the device is not wanted any more. From the server: it is gone.
    Unplug {
        /// The place.
        slot: u8,
    },
    /// From the server: feedback that must arrive.
    Feedback(feedback::Frame),
    /// Something went wrong.
    Error {
        /// The slot that it is about; `None` for the connection.
        slot: Option<u8>,
        /// Whether the sender closes the connection now.
        fatal: bool,
        /// A stable code, those of the API. At most 64 bytes.
        code: String,
        /// Words for people. At most 1024 bytes.
        text: String,
    },
    /// The sender closes the connection and does not come back; the devices go at once.
    Bye,
}

/// The numbers of the messages.
mod number {
    pub(super) const HELLO: u16 = 1;
    pub(super) const ATTACH: u16 = 2;
    pub(super) const ATTACHED: u16 = 3;
    pub(super) const READY: u16 = 4;
    pub(super) const PLUG: u16 = 5;
    pub(super) const PLUG_OK: u16 = 6;
    pub(super) const UNPLUG: u16 = 7;
    pub(super) const FEEDBACK: u16 = 8;
    pub(super) const ERROR: u16 = 9;
    pub(super) const BYE: u16 = 10;
}

/// The slot of an error that is about none.
const NO_SLOT: u8 = 0xff;

/// The longest name, code, profile, resume token.
const SHORT: usize = 64;

/// The longest token and text.
const LONG: usize = 1024;

impl Message {
    /// Takes the next message from the front of what was received. Unknown ones are skipped. `None` says that more
    /// bytes are needed; what is there then is the beginning of a message, at most [`MAX_MESSAGE`] and four bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], if anything in it is not as docs/protocol.md has it. Nothing after that can be understood.
    pub fn take(received: &mut &[u8]) -> Result<Option<Self>, DecodeError> {
        loop {
            let Some((header, rest)) = received.split_first_chunk() else { return Ok(None) };
            let [number @ .., len0, len1]: [u8; 4] = *header;
            let (number, len) = (u16::from_le_bytes(number), u16::from_le_bytes([len0, len1]));
            let len = usize::from(len);
            if len > MAX_MESSAGE {
                return Err(DecodeError::TooLarge(len));
            }
            let Some((body, rest)) = rest.split_at_checked(len) else { return Ok(None) };
            *received = rest;
            if let Some(message) = Self::read(number, &mut Reader(body))? {
                return Ok(Some(message));
            }
        }
    }

    fn read(number: u16, reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let message = match number {
            number::HELLO => Self::Hello { features: reader.u32()?, name: text(reader, SHORT)? },
            number::ATTACH => Self::Attach {
                session: text(reader, SHORT)?,
                token: bytes(reader, LONG)?,
                resume: bytes(reader, SHORT)?,
            },
            number::ATTACHED => Self::Attached {
                resume: bytes(reader, SHORT)?,
                nonce: reader.array()?,
                grace_ms: reader.u32()?,
            },
            number::READY => Self::Ready { nonce: reader.array()? },
            number::PLUG => Self::Plug { slot: slot(reader)?, profile: text(reader, SHORT)? },
            number::PLUG_OK => {
                Self::PlugOk { slot: slot(reader)?, epoch: reader.u8()?, kinds: reader.u32()? }
            }
            number::UNPLUG => Self::Unplug { slot: slot(reader)? },
            number::FEEDBACK => match feedback::Frame::read(reader)? {
                Some(frame) => Self::Feedback(frame),
                None => return Ok(None),
            },
            number::ERROR => Self::Error {
                slot: match reader.u8()? {
                    NO_SLOT => None,
                    slot if slot < MAX_SLOTS => Some(slot),
                    _ => return Err(DecodeError::Value { field: "slot" }),
                },
                fatal: reader.bool("fatal")?,
                code: text(reader, SHORT)?,
                text: text(reader, LONG)?,
            },
            number::BYE => Self::Bye,
            _ => return Ok(None),
        };
        reader.end()?;
        Ok(Some(message))
    }

    /// Appends the message to what is to be sent. What is longer than its field may be is cut there, a text between
    /// two characters.
    pub fn write(&self, sent: &mut Vec<u8>) {
        let mut body = Vec::new();
        let number = match self {
            Self::Hello { features, name } => {
                body.extend_from_slice(&features.to_le_bytes());
                put_text(&mut body, name, SHORT);
                number::HELLO
            }
            Self::Attach { session, token, resume } => {
                put_text(&mut body, session, SHORT);
                put(&mut body, token, LONG);
                put(&mut body, resume, SHORT);
                number::ATTACH
            }
            Self::Attached { resume, nonce, grace_ms } => {
                put(&mut body, resume, SHORT);
                body.extend_from_slice(nonce);
                body.extend_from_slice(&grace_ms.to_le_bytes());
                number::ATTACHED
            }
            Self::Ready { nonce } => {
                body.extend_from_slice(nonce);
                number::READY
            }
            Self::Plug { slot, profile } => {
                body.push(*slot);
                put_text(&mut body, profile, SHORT);
                number::PLUG
            }
            Self::PlugOk { slot, epoch, kinds } => {
                body.extend_from_slice(&[*slot, *epoch]);
                body.extend_from_slice(&kinds.to_le_bytes());
                number::PLUG_OK
            }
            Self::Unplug { slot } => {
                body.push(*slot);
                number::UNPLUG
            }
            Self::Feedback(frame) => {
                let mut bytes = [0; feedback::Frame::LONGEST];
                let mut writer = crate::bytes::Writer::new(&mut bytes);
                frame.write(&mut writer);
                let len = writer.finish().unwrap_or_default();
                body.extend_from_slice(&bytes[..len]);
                number::FEEDBACK
            }
            Self::Error { slot, fatal, code, text } => {
                body.extend_from_slice(&[slot.unwrap_or(NO_SLOT), u8::from(*fatal)]);
                put_text(&mut body, code, SHORT);
                put_text(&mut body, text, LONG);
                number::ERROR
            }
            Self::Bye => number::BYE,
        };
        sent.extend_from_slice(&number.to_le_bytes());
        // All fields together are shorter than MAX_MESSAGE.
        sent.extend_from_slice(&u16::try_from(body.len()).unwrap_or_default().to_le_bytes());
        sent.extend_from_slice(&body);
    }
}

fn slot(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let slot = reader.u8()?;
    if slot < MAX_SLOTS { Ok(slot) } else { Err(DecodeError::Value { field: "slot" }) }
}

fn bytes(reader: &mut Reader<'_>, most: usize) -> Result<Vec<u8>, DecodeError> {
    let len = usize::from(reader.u16()?);
    if len > most {
        return Err(DecodeError::TooLarge(len));
    }
    reader.bytes(len).map(<[u8]>::to_vec)
}

fn text(reader: &mut Reader<'_>, most: usize) -> Result<String, DecodeError> {
    let bytes = bytes(reader, most)?;
    String::from_utf8(bytes).map_err(|_| DecodeError::Value { field: "text" })
}

fn put(body: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let bytes = &bytes[..bytes.len().min(most)];
    // At most LONG.
    body.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or_default().to_le_bytes());
    body.extend_from_slice(bytes);
}

fn put_text(body: &mut Vec<u8>, text: &str, most: usize) {
    put(body, &text.as_bytes()[..text.floor_char_boundary(most)], most);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        bytes
    }

    #[test]
    fn a_message_is_taken_when_its_last_byte_is_there() {
        let message = Message::Plug { slot: 3, profile: "xbox-one".to_owned() };
        let mut bytes = written(&message);
        bytes.extend(written(&Message::Bye));
        for len in 0..written(&message).len() {
            let mut rest = &bytes[..len];
            assert_eq!(Message::take(&mut rest), Ok(None));
            assert_eq!(rest.len(), len);
        }
        let mut rest = &bytes[..];
        assert_eq!(Message::take(&mut rest), Ok(Some(message)));
        assert_eq!(Message::take(&mut rest), Ok(Some(Message::Bye)));
        assert_eq!((Message::take(&mut rest), rest), (Ok(None), &[][..]));
    }

    #[test]
    fn unknown_messages_are_skipped() {
        let mut bytes = vec![0xfe, 0xff, 3, 0, 1, 2, 3];
        bytes.extend(written(&Message::Bye));
        assert_eq!(Message::take(&mut &bytes[..]), Ok(Some(Message::Bye)));
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_before_it_is_there() {
        let header = [1, 0, 1, 0x10];
        assert_eq!(Message::take(&mut &header[..]), Err(DecodeError::TooLarge(0x1001)));
        let token = [2, 0, 4, 0, 0, 0, 1, 4];
        assert_eq!(Message::take(&mut &token[..]), Err(DecodeError::TooLarge(0x0401)));
    }

    #[test]
    fn a_field_that_is_too_long_is_cut_between_two_characters() {
        let name = "é".repeat(40);
        let bytes = written(&Message::Hello { features: 0, name });
        let expected = Message::Hello { features: 0, name: "é".repeat(32) };
        assert_eq!(Message::take(&mut &bytes[..]), Ok(Some(expected)));
        let odd = format!("a{}", "é".repeat(40));
        let bytes = written(&Message::Hello { features: 0, name: odd });
        let expected = Message::Hello { features: 0, name: format!("a{}", "é".repeat(31)) };
        assert_eq!(Message::take(&mut &bytes[..]), Ok(Some(expected)));
    }

    #[test]
    fn bytes_after_the_fields_and_what_is_no_text_are_refused() {
        assert_eq!(Message::take(&mut &[10, 0, 1, 0, 0][..]), Err(DecodeError::Long));
        let plug = [5, 0, 4, 0, 1, 1, 0, 0xff];
        let refused = Err(DecodeError::Value { field: "text" });
        assert_eq!(Message::take(&mut &plug[..]), refused);
        assert_eq!(
            Message::take(&mut &[7, 0, 1, 0, 64][..]),
            Err(DecodeError::Value { field: "slot" })
        );
    }
}
