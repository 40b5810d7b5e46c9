//! Whose a device's number is: a grant is one of a number, and must end before the number is another device's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use device_gate::{Device as Number, GrantError, Grants};
use tracing::error;

use crate::engine::chain;

/// The numbers of our own devices. What is said of the host's, late perhaps, does not concern them.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Not kept: they end with the daemon.
    pub(super) grants: Weak<Grants>,
    /// Held while a number is taken back from everybody, so that nobody is granted it meanwhile.
    ours: Mutex<BTreeSet<(u32, u32)>>,
}

impl Numbers {
    pub(super) fn new(grants: Option<&Arc<Grants>>, ours: impl Iterator<Item = Number>) -> Self {
        let ours = ours.map(|number| (number.major, number.minor)).collect();
        Self { grants: grants.map(Arc::downgrade).unwrap_or_default(), ours: Mutex::new(ours) }
    }

    /// A device of ours has it, which is about to be granted: nobody else has a right to it any more.
    pub(super) fn take(&self, grants: &Grants, number: Number) -> Result<(), GrantError> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if ours.insert((number.major, number.minor)) {
            grants.revoke_from_all(number)?;
        }
        Ok(())
    }

    /// Its grant was taken back, and the device is about to go.
    pub(super) fn give(&self, number: Number) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.remove(&(number.major, number.minor));
    }

    /// A device of the host is gone. If its number is one of ours already, that is noted and right.
    pub(super) fn revoke(&self, grants: &Grants, number: Number) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let is_char = number.kind == device_gate::DeviceKind::Char;
        if is_char && ours.contains(&(number.major, number.minor)) {
            return;
        }
        if let Err(error) = grants.revoke_from_all(number) {
            error!(%number, error = chain(&error), "a device that is gone may still be granted");
        }
    }
}
