//! Addresses that this process uses.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::mac::Mac;

/// Those of pads that are there, are being made or are being closed. The kernel shows only the first kind,
/// and two pads that are made at once could not tell which of them the kernel's messages are about.
static TAKEN: Mutex<Option<HashSet<Mac>>> = Mutex::new(None);

/// Keeps an address from other pads of this process.
#[derive(Debug)]
pub(crate) struct Reservation(Mac);

impl Reservation {
    /// Takes the address, unless it is taken.
    pub(crate) fn take(mac: Mac) -> Option<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        // Not `then_some`, which would make a reservation to throw it away.
        taken.get_or_insert_default().insert(mac).then(|| Self(mac))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get_or_insert_default().remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_once_and_free_again() {
        let mac = Mac([2, 0, 0, 0, 0x77, 1]);
        let first = Reservation::take(mac).unwrap();
        assert!(Reservation::take(mac).is_none());
        assert!(Reservation::take(Mac([2, 0, 0, 0, 0x77, 2])).is_some());
        drop(first);
        assert!(Reservation::take(mac).is_some());
    }
}
