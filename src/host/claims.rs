//! Who has a device of the host, where a rule says that it is for one session alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::device::HostDevice;
use super::watch::View;

/// Which life of which device: its devpath, and the inode of its directory in sysfs.
type Key = (String, u64);

/// The sessions that have a device, and whether alone.
type Held = BTreeMap<Key, Vec<(String, bool)>>;

/// All claims, and who is told when one is given up.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<Held>,
}

impl Claims {
    /// Notes that a session has the device; the name of another session, if that keeps it from having it.
    pub(super) fn claim(
        self: &Arc<Self>,
        device: &HostDevice,
        session: &str,
        exclusive: bool,
        view: &watch::Sender<Arc<View>>,
    ) -> Result<Claim, String> {
        let key = (device.devpath.clone(), device.inode);
        let mut held = self.held();
        if let Some(other) = in_the_way(&held, &key, exclusive) {
            return Err(other);
        }
        held.entry(key.clone()).or_default().push((session.to_owned(), exclusive));
        drop(held);
        let (claims, view) = (Arc::clone(self), view.clone());
        Ok(Claim { key, session: session.to_owned(), claims, view })
    }

    /// Whether a claim would succeed now.
    pub(super) fn is_free(&self, device: &HostDevice, exclusive: bool) -> bool {
        let key = (device.devpath.clone(), device.inode);
        in_the_way(&self.held(), &key, exclusive).is_none()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that keeps another one from having the device.
fn in_the_way(held: &Held, key: &Key, exclusive: bool) -> Option<String> {
    let mut holders = held.get(key).into_iter().flatten();
    holders.find(|(_, alone)| exclusive || *alone).map(|(session, _)| session.clone())
}

/// That a session has a device, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    key: Key,
    session: String,
    claims: Arc<Claims>,
    view: watch::Sender<Arc<View>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.claims.held();
        if let Some(holders) = held.get_mut(&self.key) {
            if let Some(at) = holders.iter().position(|(session, _)| *session == self.session) {
                holders.remove(at);
            }
            if holders.is_empty() {
                held.remove(&self.key);
            }
        }
        drop(held);
        // Another session may want it.
        self.view.send_modify(|_| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_one_sessions_alone_is_no_others() {
        let view = watch::Sender::default();
        let claims = Arc::new(Claims::default());
        let device = HostDevice { devpath: "/devices/a".to_owned(), ..HostDevice::default() };
        let claim = |session: &str, exclusive| claims.claim(&device, session, exclusive, &view);

        let (a, b) = (claim("a", false).unwrap(), claim("b", false).unwrap());
        assert_eq!(claim("c", true).unwrap_err(), "a");
        drop(a);
        assert_eq!(claim("c", true).unwrap_err(), "b");
        let mut told = view.subscribe();
        drop(b);
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        assert!(claims.is_free(&device, true));
        let alone = claim("c", true).unwrap();
        assert!(!claims.is_free(&device, false));
        assert_eq!(claim("a", false).unwrap_err(), "c");
        drop(alone);
        assert!(claims.held().is_empty());
    }
}
