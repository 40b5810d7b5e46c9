//! Reading messages back, at least as strictly as every libudev does
//! (`device_monitor_receive_device` in systemd's device-monitor.c).

use crate::message::{Filters, HEADER_SIZE, MAGIC, Message, PREFIX};
use crate::properties::{Properties, PropertyError};
use crate::tags;

/// Why bytes or properties are not a message that its receivers would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not shorter than [`Message::SIZE_LIMIT`].
    #[error("a message of {size} bytes is larger than libudev before 252 and eudev receive")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Shorter than its header.
    #[error("{size} bytes are too few for a udev message")]
    TooShort {
        /// The number of bytes.
        size: usize,
    },
    /// It does not begin with `libudev` and a NUL: perhaps a message of the kernel.
    #[error("not a message of udev")]
    Prefix,
    /// The magic number is another, or in the wrong byte order.
    #[error("the magic number is {0:#010x}")]
    Magic(u32),
    /// The properties would begin in the header or beyond the end.
    #[error("the properties cannot begin at byte {0}")]
    Offset(u32),
    /// The last property has no NUL.
    #[error("the last property is cut off")]
    Unterminated,
    /// A property is not UTF-8. libudev would take it.
    #[error("a property is not UTF-8")]
    NotUtf8,
    /// An entry without `=`; empty when there are stray NULs.
    #[error("`{}` is not KEY=VALUE", .0.escape_debug())]
    NotAPair(String),
    /// A key or value that cannot be a property.
    #[error("not a property")]
    Property(#[source] PropertyError),
    /// A property that every message must have.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A property with a value for which receivers drop the whole message.
    #[error("`{}` is not a value of {key}", .value.escape_debug())]
    Value {
        /// The property's key.
        key: String,
        /// The property's value.
        value: String,
    },
    /// The header's hash is not that of the property: receivers that filter would not get the message.
    #[error("the header's hash of {0} does not fit the property")]
    Hash(&'static str),
}

impl ParseError {
    pub(crate) fn value(key: &str, value: &str) -> Self {
        Self::Value { key: key.to_owned(), value: value.to_owned() }
    }
}

impl Message {
    /// The message in a datagram.
    ///
    /// Of what libudev puts up with, this accepts duplicate keys (the last wins), values cut at a line
    /// break, and nonsense in the header's own size and the size of the properties, which no receiver
    /// looks at.
    ///
    /// # Errors
    ///
    /// [`ParseError`], for everything that makes any libudev drop the message or a socket filter lose
    /// it, and for text that is not UTF-8.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        let size = datagram.len();
        if size >= Self::SIZE_LIMIT {
            return Err(ParseError::TooLarge { size });
        }
        let header = Header::read(datagram).ok_or(ParseError::TooShort { size })?;
        if header.prefix != PREFIX {
            return Err(ParseError::Prefix);
        }
        if header.magic != MAGIC {
            return Err(ParseError::Magic(header.magic));
        }
        let body = match usize::try_from(header.properties_offset) {
            Ok(offset) if header.properties_offset >= HEADER_SIZE => datagram.get(offset..),
            _ => None,
        };
        let body = body.ok_or(ParseError::Offset(header.properties_offset))?;

        let properties = Properties::from_wire(body)?;
        for key in tags::LISTS {
            let value = properties.get(key);
            if let Some(value) = value.filter(|value| tags::normal(value).as_deref() != Some(value))
            {
                return Err(ParseError::value(key, value));
            }
        }
        let expected = Filters::of(&properties);
        let message = Self::new(properties)?;
        if header.filters.subsystem != expected.subsystem {
            return Err(ParseError::Hash("SUBSYSTEM"));
        }
        if header.filters.devtype != expected.devtype {
            return Err(ParseError::Hash("DEVTYPE"));
        }
        if header.filters.tags != expected.tags {
            return Err(ParseError::Hash("TAGS"));
        }
        Ok(message)
    }
}

/// The part of `monitor_netlink_header` that receivers read.
struct Header {
    prefix: [u8; 8],
    magic: u32,
    properties_offset: u32,
    filters: Filters,
}

impl Header {
    fn read(datagram: &[u8]) -> Option<Self> {
        let header = datagram.first_chunk::<{ HEADER_SIZE as usize }>()?;
        let word = |offset: usize| header.get(offset..)?.first_chunk::<4>().copied();
        Some(Self {
            prefix: *header.first_chunk()?,
            magic: u32::from_be_bytes(word(8)?),
            properties_offset: u32::from_ne_bytes(word(16)?),
            filters: Filters {
                subsystem: u32::from_be_bytes(word(24)?),
                devtype: u32::from_be_bytes(word(28)?),
                tags: u64::from_be_bytes(*header.last_chunk()?),
            },
        })
    }
}

impl Properties {
    /// The properties in the body of a message: each is `KEY=VALUE` and ended by a NUL. Of duplicate keys
    /// the last wins.
    ///
    /// # Errors
    ///
    /// [`ParseError`] for what libudev would drop the message for, and for text that is not UTF-8.
    pub fn from_wire(body: &[u8]) -> Result<Self, ParseError> {
        let text = str::from_utf8(body).map_err(|_| ParseError::NotUtf8)?;
        let text = text.strip_suffix('\0').ok_or(ParseError::Unterminated)?;
        let mut properties = Self::new();
        for entry in text.split('\0') {
            // As libudev does: some messages carry an unwanted line break at the end of a value.
            let entry = entry.split(['\n', '\r']).next().unwrap_or_default();
            let (key, value) =
                entry.split_once('=').ok_or_else(|| ParseError::NotAPair(entry.to_owned()))?;
            properties.set(key, value).map_err(ParseError::Property)?;
        }
        Ok(properties)
    }
}
