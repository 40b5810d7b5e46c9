//! Why bytes are refused.

use thiserror::Error;

/// Why a datagram or a message is refused. Nothing of it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is of a version of the protocol that this crate does not speak.
    #[error("version {0} of the protocol is not spoken here")]
    Version(u8),
    /// It is not the type of datagram that goes this way.
    #[error("a datagram of type {0} does not belong here")]
    DatagramType(u8),
    /// It ends within a field, or a length in it points beyond its end.
    #[error("it is shorter than it says")]
    Short,
    /// A frame or message of a known kind has more bytes than its kind has fields.
    #[error("it is longer than its fields")]
    Long,
    /// It is larger than the protocol allows.
    #[error("it has {0} bytes, more than allowed")]
    TooLarge(usize),
    /// A field has a value that it must not have.
    #[error("{field} has a value that it must not have")]
    Value {
        /// The field.
        field: &'static str,
    },
}
