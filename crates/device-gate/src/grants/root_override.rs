//! One program at the cgroup-v2 root, for the whole host.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BackEnd, BackEndError, GrantError, Granting, Lasting};
use crate::access::{Access, Device, Devices};
use crate::cgroup::Cgroup;
use crate::program::{MAX_DEPTH, Reach, copied, override_program};
use crate::sys::bpf::{self, GrantKey, GrantMap, ProgramInfo};

/// The name of the program, for `bpftool cgroup tree`.
const NAME: &str = "hotseat_grants";

/// Whether a program agrees to everything: that of a privileged container, and the override program of any daemon.
pub(super) fn refuses_nothing(program: &ProgramInfo) -> bool {
    program.name == NAME || copied::allows_everything(&program.insns)
}

/// The override program at the root cgroup, and its map.
///
/// It is held by a link: when this value is dropped, or its process dies, the program is gone.
#[derive(Debug)]
pub(super) struct RootOverride {
    map: GrantMap,
    capacity: u32,
    reach: Reach,
    holders: Mutex<HashMap<u64, Holder>>,
    link: OwnedFd,
}

/// A cgroup with grants.
#[derive(Debug)]
struct Holder {
    cgroup: Cgroup,
    /// The ids under which its grants are in the map: its own, and with [`Reach::Exact`] those of the cgroups below.
    ids: Vec<u64>,
    /// What is granted to it.
    devices: HashSet<Devices>,
}

/// The link by which the program holds at the root.
fn attach_program(root: &Cgroup, map: &GrantMap, reach: Reach) -> Result<OwnedFd, BackEndError> {
    let insns = override_program(map.fd().as_raw_fd(), reach);
    let program = bpf::load_device_program(&insns, NAME)
        .map_err(|source| BackEndError::LoadProgram { since: "5.18", source })?;
    bpf::link_device_program(root.as_fd(), program.as_fd())
        .map_err(|source| BackEndError::Attach { root: root.path().to_owned(), source })
}

impl RootOverride {
    /// Loads the program and attaches it to `root`.
    ///
    /// The map is that of an earlier process, if there is one: what is granted there holds on.
    pub(super) fn attach(
        root: &Cgroup,
        capacity: u32,
        map: Option<GrantMap>,
    ) -> Result<Self, BackEndError> {
        let map = match map {
            Some(map) => map,
            None => GrantMap::create(capacity).map_err(BackEndError::CreateMap)?,
        };
        // Linux 5.18 to 6.0 know no ancestors in a device program.
        let (reach, link) = match attach_program(root, &map, Reach::Ancestors) {
            Err(BackEndError::LoadProgram { .. }) => {
                (Reach::Exact, attach_program(root, &map, Reach::Exact)?)
            }
            attached => (Reach::Ancestors, attached?),
        };
        Ok(Self::with(map, capacity, reach, link))
    }

    fn with(map: GrantMap, capacity: u32, reach: Reach, link: OwnedFd) -> Self {
        Self { map, capacity, reach, holders: Mutex::default(), link }
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<u64, Holder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cgroup's place among the holders, made now if it has none.
    fn hold<'a>(
        &self,
        holders: &'a mut HashMap<u64, Holder>,
        cgroup: &Cgroup,
    ) -> Result<&'a mut Holder, GrantError> {
        if !holders.contains_key(&cgroup.id()) {
            self.collect(holders)?;
        }
        let error = |source| GrantError::Path { cgroup: cgroup.path().to_owned(), source };
        match holders.entry(cgroup.id()) {
            Entry::Occupied(found) => {
                if !cgroup.exists() {
                    cgroup.reopen().map_err(error)?;
                }
                Ok(found.into_mut())
            }
            Entry::Vacant(vacant) => {
                if cgroup.ancestors().map_err(error)?.len() > MAX_DEPTH as usize {
                    return Err(GrantError::TooDeep { cgroup: cgroup.path().to_owned() });
                }
                let cgroup = cgroup.reopen().map_err(error)?;
                Ok(vacant.insert(Holder { cgroup, ids: Vec::new(), devices: HashSet::new() }))
            }
        }
    }

    /// Removes what belongs to cgroups that are gone. Their ids are never used again, so this is about room only.
    fn collect(&self, holders: &mut HashMap<u64, Holder>) -> Result<(), GrantError> {
        let gone: Vec<u64> = holders
            .iter()
            .filter(|(_, holder)| !holder.cgroup.exists())
            .map(|(&id, _)| id)
            .collect();
        for id in gone {
            self.forget(holders, id)?;
        }
        Ok(())
    }

    fn forget(&self, holders: &mut HashMap<u64, Holder>, id: u64) -> Result<(), GrantError> {
        let Some(holder) = holders.get(&id) else { return Ok(()) };
        for key in self.map.keys().map_err(GrantError::List)? {
            if holder.ids.contains(&key.cgroup) {
                self.remove(&holder.cgroup, &key)?;
            }
        }
        holders.remove(&id);
        Ok(())
    }

    /// Takes one grant back, and forgets a cgroup without any.
    fn take_back(
        &self,
        holders: &mut HashMap<u64, Holder>,
        cgroup: &Cgroup,
        devices: Devices,
    ) -> Result<(), GrantError> {
        let Some(holder) = holders.get_mut(&cgroup.id()) else {
            // What an earlier process granted.
            return self.remove(cgroup, &GrantKey::new(cgroup.id(), devices));
        };
        for &id in &holder.ids {
            self.remove(cgroup, &GrantKey::new(id, devices))?;
        }
        holder.devices.remove(&devices);
        if holder.devices.is_empty() {
            holders.remove(&cgroup.id());
        }
        Ok(())
    }

    fn remove(&self, cgroup: &Cgroup, key: &GrantKey) -> Result<(), GrantError> {
        match self.map.remove(key) {
            Err(source) if source.raw_os_error() != Some(libc::ENOENT) => {
                Err(GrantError::Revoke { cgroup: cgroup.path().to_owned(), source })
            }
            _ => Ok(()),
        }
    }
}

impl Granting for RootOverride {
    fn back_end(&self) -> BackEnd {
        BackEnd::RootOverride
    }

    fn grant(&self, cgroup: &Cgroup, devices: Devices, access: Access) -> Result<(), GrantError> {
        let mut holders = self.holders();
        let holder = self.hold(&mut holders, cgroup)?;
        let below = match self.reach {
            Reach::Ancestors => Vec::new(),
            Reach::Exact => cgroup.descendants(),
        };
        holder.devices.insert(devices);
        for id in [cgroup].into_iter().chain(&below).map(Cgroup::id) {
            if !holder.ids.contains(&id) {
                holder.ids.push(id);
            }
            if let Err(source) = self.map.insert(&GrantKey::new(id, devices), access.bits()) {
                self.take_back(&mut holders, cgroup, devices)?;
                return Err(if source.raw_os_error() == Some(libc::E2BIG) {
                    GrantError::Full { devices, limit: self.capacity }
                } else {
                    GrantError::Grant { devices, access, cgroup: cgroup.path().into(), source }
                });
            }
        }
        Ok(())
    }

    fn revoke(&self, cgroup: &Cgroup, devices: Devices) -> Result<(), GrantError> {
        self.take_back(&mut self.holders(), cgroup, devices)
    }

    fn revoke_all(&self, cgroup: &Cgroup) -> Result<(), GrantError> {
        let mut holders = self.holders();
        self.forget(&mut holders, cgroup.id())?;
        self.collect(&mut holders)
    }

    fn revoke_from_all(&self, devices: Devices) -> Result<(), GrantError> {
        let mut result = Ok(());
        self.holders().retain(|_, holder| {
            if holder.devices.contains(&devices) {
                let keys = holder.ids.iter().map(|&id| GrantKey::new(id, devices));
                let removed = keys.map(|key| self.remove(&holder.cgroup, &key));
                let removed = removed.fold(Ok(()), Result::and);
                // What could not be removed is tried again with the next one.
                if removed.is_ok() {
                    holder.devices.remove(&devices);
                }
                result = std::mem::replace(&mut result, Ok(())).and(removed);
            }
            !holder.devices.is_empty()
        });
        result
    }

    fn reapply(&self) -> Result<bool, GrantError> {
        // Its program stands apart from those of the containers.
        Ok(false)
    }

    fn lasting(&self) -> Option<Lasting<'_>> {
        Some(Lasting { map: self.map.fd(), link: self.link.as_fd() })
    }

    fn forget_inherited(&self, of: Option<&[Device]>) -> Result<usize, GrantError> {
        let holders = self.holders();
        let is_meant = |key: &GrantKey| {
            let is_of = |device: &Device| GrantKey::new(key.cgroup, (*device).into()) == *key;
            of.is_none_or(|devices| devices.iter().any(is_of))
        };
        let is_held = |key: &GrantKey| {
            holders.values().any(|holder| {
                holder.ids.contains(&key.cgroup)
                    && holder
                        .devices
                        .iter()
                        .any(|device| GrantKey::new(key.cgroup, *device) == *key)
            })
        };
        let mut count = 0;
        for key in self.map.keys().map_err(GrantError::List)? {
            if is_meant(&key) && !is_held(&key) {
                self.map.remove(&key).map_err(GrantError::List)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn count(&self) -> Result<usize, GrantError> {
        self.map.keys().map(|keys| keys.len()).map_err(GrantError::List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Device;
    use crate::grants::tests::{Nodes, PAD, Scratch, alone};

    const RW: Access = Access::READ.or(Access::WRITE);

    #[test]
    fn a_full_map_is_an_error_and_older_grants_stay() {
        let Some(_alone) = alone() else { return };
        let root = Cgroup::root().unwrap();
        let grants = RootOverride::attach(&root, 2, None).unwrap();
        let scratch = Scratch::refusing(BackEnd::RootOverride, "full");
        let nodes = Nodes::new();
        let [one, two, three] = [1, 2, 3].map(|minor| Device::char(PAD.major, minor));
        grants.grant(&scratch.0, one.into(), RW).unwrap();
        grants.grant(&scratch.0, two.into(), RW).unwrap();
        let full = grants.grant(&scratch.0, three.into(), RW);
        assert!(matches!(full, Err(GrantError::Full { limit: 2, .. })), "{full:?}");
        let allowed = [one, two, three].map(|device| nodes.may_use(&scratch.0, device));
        assert_eq!(allowed, [true, true, false]);
        // What is there can still be changed, and makes room.
        grants.grant(&scratch.0, one.into(), Access::READ).unwrap();
        grants.revoke(&scratch.0, two.into()).unwrap();
        grants.grant(&scratch.0, three.into(), RW).unwrap();
    }

    #[test]
    fn a_grant_reaches_as_deep_as_is_said_and_what_lies_deeper_is_refused() {
        let Some(_alone) = alone() else { return };
        let grants = RootOverride::attach(&Cgroup::root().unwrap(), 16, None).unwrap();
        let scratch = Scratch::refusing(BackEnd::RootOverride, "deep");
        let nodes = Nodes::new();
        let mut levels = vec![scratch.0.reopen().unwrap()];
        while levels.len() < 40 {
            levels.push(levels[levels.len() - 1].create_child("d").unwrap());
        }
        let deepest = &levels[39];
        let refused = grants.grant(&levels[32], PAD.into(), RW);
        assert!(matches!(refused, Err(GrantError::TooDeep { .. })), "{refused:?}");
        assert!(!nodes.may_use(deepest, PAD));
        grants.grant(&levels[31], PAD.into(), RW).unwrap();
        // However deep the process is that opens it.
        assert!(nodes.may_use(deepest, PAD));
        assert!(!nodes.may_use(&levels[30], PAD), "the one above has no grant");
    }

    /// As on Linux 5.18 to 6.0, where a device program cannot ask for ancestors.
    #[test]
    fn without_ancestors_the_cgroups_below_are_listed_at_the_grant() {
        let Some(_alone) = alone() else { return };
        let root = Cgroup::root().unwrap();
        let map = GrantMap::create(16).unwrap();
        let link = attach_program(&root, &map, Reach::Exact).unwrap();
        let grants = RootOverride::with(map, 16, Reach::Exact, link);
        let scratch = Scratch::refusing(BackEnd::RootOverride, "exact");
        let nodes = Nodes::new();
        let below = Scratch::below(&scratch.0, "below");
        grants.grant(&scratch.0, PAD.into(), RW).unwrap();
        assert!(nodes.may_use(&scratch.0, PAD) && nodes.may_use(&below.0, PAD));
        let later = Scratch::below(&scratch.0, "later");
        assert!(!nodes.may_use(&later.0, PAD), "docs/grants.md says so");
        grants.revoke(&scratch.0, PAD.into()).unwrap();
        assert!(!nodes.may_use(&scratch.0, PAD) && !nodes.may_use(&below.0, PAD));
        assert_eq!(grants.count().unwrap(), 0);
        assert!(grants.holders().is_empty(), "a cgroup without grants is not kept open");
    }

    #[test]
    fn what_an_earlier_process_granted_holds_on_until_it_is_taken_back() {
        let Some(_alone) = alone() else { return };
        let root = Cgroup::root().unwrap();
        let earlier = RootOverride::attach(&root, 16, None).unwrap();
        let scratch = Scratch::refusing(BackEnd::RootOverride, "lasting");
        let nodes = Nodes::new();
        let other = Device::char(PAD.major, PAD.minor + 1);
        earlier.grant(&scratch.0, PAD.into(), RW).unwrap();
        earlier.grant(&scratch.0, other.into(), RW).unwrap();
        let lasting = earlier.lasting().unwrap();
        let duplicates = [lasting.map, lasting.link].map(|fd| fd.try_clone_to_owned().unwrap());
        drop(earlier);
        assert!(nodes.may_use(&scratch.0, PAD), "with no process of ours");

        let [map, link] = duplicates;
        let map = GrantMap::adopt(map, 16).unwrap();
        let next = RootOverride::attach(&root, 16, Some(map)).unwrap();
        drop(link);
        assert!(nodes.may_use(&scratch.0, PAD) && nodes.may_use(&scratch.0, other));
        // What is granted again is kept, and what was granted before can be taken back.
        next.grant(&scratch.0, PAD.into(), RW).unwrap();
        assert_eq!(next.forget_inherited(Some(&[PAD])).unwrap(), 0);
        assert!(nodes.may_use(&scratch.0, other), "it was not meant");
        assert_eq!(next.forget_inherited(None).unwrap(), 1);
        assert!(nodes.may_use(&scratch.0, PAD) && !nodes.may_use(&scratch.0, other));
        next.revoke(&scratch.0, PAD.into()).unwrap();
        assert!(!nodes.may_use(&scratch.0, PAD));
    }

    #[test]
    fn only_a_map_of_grants_is_taken_over() {
        let Some(_alone) = alone() else { return };
        let map = || GrantMap::create(16).unwrap().fd().try_clone_to_owned().unwrap();
        assert!(GrantMap::adopt(map(), 16).is_some());
        assert!(GrantMap::adopt(map(), 32).is_none(), "of another size");
        let slot = bpf::ProgramSlot::create().unwrap().fd().try_clone_to_owned().unwrap();
        assert!(GrantMap::adopt(slot, 1).is_none(), "a map of another kind");
        let file = std::fs::File::open("/dev/null").unwrap().into();
        assert!(GrantMap::adopt(file, 16).is_none(), "no map");
    }

    #[test]
    fn a_map_without_its_program_does_not_pass_the_self_test() {
        let Some(_alone) = alone() else { return };
        let root = Cgroup::root().unwrap();
        let mut grants = RootOverride::attach(&root, 16, None).unwrap();
        grants.link = std::fs::File::open("/dev/null").unwrap().into();
        let error = crate::grants::self_test::self_test(&root, &grants).unwrap_err();
        let expected =
            matches!(error, crate::grants::SelfTestError::Unexpected { when: "while granted", .. });
        assert!(expected, "{error:?}");
    }
}
