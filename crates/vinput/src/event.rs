//! One record of `struct input_event` (include/uapi/linux/input.h) as bytes.
//!
//! Records are encoded and decoded field by field at the offsets of libc's definition, so the layout is
//! right on every architecture and no memory is reinterpreted.

use std::mem::offset_of;

use nix::libc::input_event;

const KIND: usize = offset_of!(input_event, type_);
const CODE: usize = offset_of!(input_event, code);
const VALUE: usize = offset_of!(input_event, value);

/// An event without its time.
///
/// The time is written as zero, which makes the kernel stamp the event itself: older kernels ignore what
/// is written, newer ones take only a plausible monotonic time (`is_valid_timestamp` in
/// drivers/input/misc/uinput.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// `EV_*`, or `EV_UINPUT` for a request from uinput itself.
    pub(crate) kind: u16,
    /// The code within the type.
    pub(crate) code: u16,
    /// What it means depends on the type.
    pub(crate) value: i32,
}

impl Event {
    /// The size of a record.
    pub(crate) const SIZE: usize = size_of::<input_event>();

    /// The end of a frame: `EV_SYN`, `SYN_REPORT`.
    pub(crate) const SYN_REPORT: Self = Self { kind: 0, code: 0, value: 0 };

    /// Writes all but the time into a record.
    #[inline]
    pub(crate) fn write(self, record: &mut [u8; Self::SIZE]) {
        record[KIND..KIND + 2].copy_from_slice(&self.kind.to_ne_bytes());
        record[CODE..CODE + 2].copy_from_slice(&self.code.to_ne_bytes());
        record[VALUE..VALUE + 4].copy_from_slice(&self.value.to_ne_bytes());
    }

    pub(crate) fn decode(record: &[u8; Self::SIZE]) -> Self {
        let half = |at: usize| u16::from_ne_bytes([record[at], record[at + 1]]);
        let [a, b, c, d] = [VALUE, VALUE + 1, VALUE + 2, VALUE + 3].map(|at| record[at]);
        Self { kind: half(KIND), code: half(CODE), value: i32::from_ne_bytes([a, b, c, d]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_event_has_no_time_and_decodes_to_itself() {
        let event = Event { kind: 3, code: 0x1122, value: -32768 };
        let mut record = [0; Event::SIZE];
        event.write(&mut record);
        assert!(record[..KIND].iter().all(|byte| *byte == 0));
        assert_eq!(Event::decode(&record), event);
    }
}
