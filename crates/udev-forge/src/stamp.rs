//! The two numbers of an event that the kernel or udevd would have assigned.

use std::fs;
use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

const UEVENT_SEQNUM: &str = "/sys/kernel/uevent_seqnum";

/// Why there is no [`Stamp`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The kernel's number could not be read.
    #[error("cannot read {UEVENT_SEQNUM}")]
    Seqnum(#[source] io::Error),
    /// The clock could not be read.
    #[error("cannot read CLOCK_MONOTONIC")]
    Clock(#[source] io::Error),
}

/// Number and time of the event that makes a device known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The kernel's number of the event, `SEQNUM`. 0 is sent as 1: libudev drops a message without a
    /// number.
    pub seqnum: u64,
    /// When the device was first initialised, in microseconds of `CLOCK_MONOTONIC`; the same in every
    /// later message and in the record.
    pub usec_initialized: u64,
}

impl Stamp {
    /// The number the kernel used last, at least 1, and the present time.
    ///
    /// libudev wants neither gaps nor order in the numbers.
    ///
    /// # Errors
    ///
    /// [`StampError`] when sysfs is not mounted or the clock cannot be read.
    pub fn now() -> Result<Self, StampError> {
        let text = fs::read_to_string(UEVENT_SEQNUM).map_err(StampError::Seqnum)?;
        let seqnum = text.trim_end().parse::<u64>();
        let seqnum = seqnum.map_err(|error| StampError::Seqnum(io::Error::other(error)))?;
        let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
        let time = Duration::from(time.map_err(|errno| StampError::Clock(errno.into()))?);
        let usec_initialized = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ok(Self { seqnum: seqnum.max(1), usec_initialized })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_has_a_number_and_a_time() {
        let first = Stamp::now().unwrap();
        let second = Stamp::now().unwrap();
        assert!(first.seqnum > 0 && first.usec_initialized > 0);
        assert!(second.seqnum >= first.seqnum && second.usec_initialized >= first.usec_initialized);
    }
}
