//! A program of ours in the place of each of the container's, with a copy of that behind it.
//!
//! For kernels on which a program cannot change what another has said. See docs/grants.md.

mod wrapped;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::wrapped::Wrapped;
use super::{BackEnd, BackEndError, GrantError, Granting, joined};
use crate::access::{Access, Devices};
use crate::cgroup::Cgroup;
use crate::program::Holder;
use crate::sys::bpf::{GrantKey, GrantMap};

/// What is wrapped, and the map of grants, by the id of the cgroup that holds them.
#[derive(Debug)]
pub(super) struct InlineWrap {
    map: GrantMap,
    capacity: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The cgroups with grants.
    holders: HashMap<u64, Granted>,
    /// The cgroups whose programs are wrapped: those with grants, those below and those above them.
    wrapped: HashMap<u64, Wrapped>,
}

/// A cgroup with grants, and what it was granted.
#[derive(Debug)]
struct Granted {
    cgroup: Cgroup,
    devices: HashSet<Devices>,
}

impl InlineWrap {
    /// Puts back what a daemon wrapped that was killed.
    pub(super) fn start(root: &Cgroup, capacity: u32) -> Result<Self, BackEndError> {
        let map = GrantMap::create(capacity).map_err(BackEndError::CreateMap)?;
        wrapped::restore_orphan(root).map_err(BackEndError::Restore)?;
        for cgroup in root.descendants() {
            match wrapped::restore_orphan(&cgroup) {
                // It went away.
                Err(_) if !cgroup.exists() => {}
                result => result.map_err(BackEndError::Restore)?,
            }
        }
        Ok(Self { map, capacity, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wraps whatever is not wrapped on the way from the root to the cgroup, and below it: at the first grant all of
    /// it, at later ones what the runtime or systemd has put there since. Says
    /// whether there was anything.
    fn wrap_all(&self, state: &mut State, cgroup: &Cgroup) -> Result<bool, GrantError> {
        let error = |source| GrantError::Path { cgroup: cgroup.path().to_owned(), source };
        let own = Holder::Cgroup(cgroup.id());
        // What lies above is met by others too: there the caller's own cgroup has to be the one.
        let mut places: Vec<_> = cgroup
            .ancestors()
            .map_err(error)?
            .into_iter()
            .map(|above| (above, Holder::Caller))
            .collect();
        places.push((reopen(cgroup)?, own));
        places.extend(cgroup.descendants().into_iter().map(|below| (below, own)));
        let mut was_missing = false;
        for (place, holder) in places {
            let path = place.path().to_owned();
            let result = match state.wrapped.entry(place.id()) {
                Entry::Occupied(found) => found.into_mut().wrap(&self.map, cgroup.id(), holder),
                Entry::Vacant(vacant) => {
                    let mut new = Wrapped::new(place);
                    let result = new.wrap(&self.map, cgroup.id(), holder);
                    if new.is_in_use() {
                        vacant.insert(new);
                    }
                    result
                }
            };
            match result {
                // One below may go away at any time.
                Err(_) if path != cgroup.path() && !path.exists() => {}
                result => was_missing |= result?,
            }
        }
        Ok(was_missing)
    }

    /// Forgets a cgroup without grants, and puts back what was wrapped for it alone.
    fn release(&self, state: &mut State, id: u64) -> Result<(), GrantError> {
        state.holders.remove(&id);
        let mut result = Ok(());
        for wrapped in state.wrapped.values_mut() {
            result = result.and(wrapped.release(&self.map, id));
        }
        state.wrapped.retain(|_, wrapped| wrapped.is_in_use());
        result
    }

    fn remove(&self, cgroup: &Cgroup, devices: Devices) -> Result<(), GrantError> {
        match self.map.remove(&GrantKey::new(cgroup.id(), devices)) {
            Err(source) if source.raw_os_error() != Some(libc::ENOENT) => {
                Err(GrantError::Revoke { cgroup: cgroup.path().to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    fn take_back(
        &self,
        state: &mut State,
        cgroup: &Cgroup,
        devices: Devices,
    ) -> Result<(), GrantError> {
        self.remove(cgroup, devices)?;
        let Some(granted) = state.holders.get_mut(&cgroup.id()) else { return Ok(()) };
        granted.devices.remove(&devices);
        if granted.devices.is_empty() { self.release(state, cgroup.id()) } else { Ok(()) }
    }
}

impl Granting for InlineWrap {
    fn back_end(&self) -> BackEnd {
        BackEnd::InlineWrap
    }

    fn grant(&self, cgroup: &Cgroup, devices: Devices, access: Access) -> Result<(), GrantError> {
        let mut state = self.state();
        let held = reopen(cgroup)?;
        self.map.insert(&GrantKey::new(cgroup.id(), devices), access.bits()).map_err(|source| {
            if source.raw_os_error() == Some(libc::E2BIG) {
                GrantError::Full { devices, limit: self.capacity }
            } else {
                GrantError::Grant { devices, access, cgroup: cgroup.path().into(), source }
            }
        })?;
        let granted = Granted { cgroup: held, devices: HashSet::new() };
        state.holders.entry(cgroup.id()).or_insert(granted).devices.insert(devices);
        if let Err(error) = self.wrap_all(&mut state, cgroup) {
            // The first error tells more.
            let _ = self.take_back(&mut state, cgroup, devices);
            return Err(error);
        }
        Ok(())
    }

    fn revoke(&self, cgroup: &Cgroup, devices: Devices) -> Result<(), GrantError> {
        self.take_back(&mut self.state(), cgroup, devices)
    }

    fn revoke_all(&self, cgroup: &Cgroup) -> Result<(), GrantError> {
        let mut state = self.state();
        let granted = state.holders.get(&cgroup.id()).map(|granted| granted.devices.clone());
        for devices in granted.unwrap_or_default() {
            self.take_back(&mut state, cgroup, devices)?;
        }
        Ok(())
    }

    fn revoke_from_all(&self, devices: Devices) -> Result<(), GrantError> {
        let mut state = self.state();
        let has = |granted: &&Granted| granted.devices.contains(&devices);
        // One that went away has nothing any more.
        let holders = state.holders.values().filter(has).map(|granted| reopen(&granted.cgroup));
        let holders: Vec<_> = holders.flatten().collect();
        let mut result = Ok(());
        for cgroup in holders {
            result = result.and(self.take_back(&mut state, &cgroup, devices));
        }
        result
    }

    fn reapply(&self) -> Result<bool, GrantError> {
        let mut state = self.state();
        let mut result = Ok(false);
        let mut cgroups = Vec::new();
        for Granted { cgroup, .. } in state.holders.values() {
            match reopen(cgroup) {
                Ok(cgroup) => cgroups.push(cgroup),
                // It went away.
                Err(_) if !cgroup.exists() => {}
                Err(error) => result = joined(result, Err(error)),
            }
        }
        for cgroup in cgroups {
            match self.wrap_all(&mut state, &cgroup) {
                // It went away.
                Err(_) if !cgroup.exists() => {}
                wrapped => result = joined(result, wrapped),
            }
        }
        result
    }

    fn count(&self) -> Result<usize, GrantError> {
        self.map.keys().map(|keys| keys.len()).map_err(GrantError::List)
    }
}

impl Drop for InlineWrap {
    fn drop(&mut self) {
        let mut state = self.state();
        let holders: Vec<u64> = state.holders.keys().copied().collect();
        for holder in holders {
            // What cannot be put back grants nothing from here on: its slot is empty.
            let _ = self.release(&mut state, holder);
        }
    }
}

fn reopen(cgroup: &Cgroup) -> Result<Cgroup, GrantError> {
    let error = |source| GrantError::Path { cgroup: cgroup.path().to_owned(), source };
    cgroup.reopen().map_err(error)
}

#[cfg(test)]
mod tests;
