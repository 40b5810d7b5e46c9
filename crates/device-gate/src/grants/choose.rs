//! Which back-ends work here? Asked by trying, not by version.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use super::cgroup_v1::CgroupV1;
use super::inline_wrap::InlineWrap;
use super::not_needed::NotNeeded;
use super::root_override::RootOverride;
use super::self_test::self_test;
use super::{BackEnd, BackEndError, Granting, Grants, MAX_GRANTS};
use crate::access::Device;
use crate::cgroup::{Cgroup, CgroupError};
use crate::sys::bpf::{self, GrantKey, GrantMap};

/// A back-end that does not work here.
#[derive(Debug)]
pub struct PassedOver {
    /// Which.
    pub back_end: BackEnd,
    /// Why.
    pub why: BackEndError,
}

/// The back-end, and the reason with all its causes on one line.
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.back_end, self.why)?;
        let mut source = std::error::Error::source(&self.why);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Devices cannot be granted on this host.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// There is no root cgroup to work from.
    #[error("no root cgroup")]
    Root(#[source] CgroupError),
    /// No back-end works.
    #[error("no back-end works here: {0}")]
    NoneWorks(PassedOver),
}

impl Grants {
    /// Tries the back-ends, best first, and takes the first that works for each version of cgroups that this host has.
    /// Undoes what an earlier process left that was killed.
    ///
    /// # Errors
    ///
    /// [`ChooseError`]; in particular where only a part of the cgroups can be seen, as in a container with a cgroup
    /// namespace of its own.
    pub fn choose() -> Result<Self, ChooseError> {
        Self::resume(None, &[])
    }

    /// The same with the grants of an earlier process, by the map of its [`Lasting`](super::Lasting): those of these
    /// devices hold on, all others end here. A map that is not what it is said to be is passed over.
    ///
    /// # Errors
    ///
    /// As [`Grants::choose`].
    pub fn resume(map: Option<OwnedFd>, devices: &[Device]) -> Result<Self, ChooseError> {
        let map = map.and_then(|map| GrantMap::adopt(map, MAX_GRANTS));
        // Grants that cannot be taken back end with the map.
        let map = map.filter(|map| forget_others(map, devices).is_ok());
        bpf::allow_locked_memory();
        let v1_root = Cgroup::devices_root().map_err(ChooseError::Root)?;
        let v2_root = match Cgroup::root() {
            Ok(root) => Some(root),
            Err(CgroupError::NoCgroup2) if v1_root.is_some() => None,
            Err(error) => return Err(ChooseError::Root(error)),
        };
        let mut passed_over = Vec::new();
        let v2 = v2_root.map(|root| choose_v2(&root, map, &mut passed_over));
        let v1 = match v1_root.map(try_v1) {
            Some(Ok(v1)) => Some(v1),
            // Where a container is in both, both must allow.
            Some(Err(why)) => {
                return Err(ChooseError::NoneWorks(PassedOver {
                    back_end: BackEnd::CgroupV1,
                    why,
                }));
            }
            None => None,
        };
        Ok(Self { v2, v1, passed_over })
    }

    /// Takes this back-end and no other.
    #[cfg(test)]
    pub(crate) fn only(back_end: BackEnd) -> Result<Self, ChooseError> {
        bpf::allow_locked_memory();
        let passed_over = Vec::new();
        let failed = |why| ChooseError::NoneWorks(PassedOver { back_end, why });
        if back_end == BackEnd::CgroupV1 {
            let root = Cgroup::devices_root().map_err(ChooseError::Root)?;
            let v1 = root.ok_or(BackEndError::NotInUse).and_then(try_v1).map_err(failed)?;
            return Ok(Self { v2: None, v1: Some(v1), passed_over });
        }
        let root = Cgroup::root().map_err(ChooseError::Root)?;
        let v2 = try_v2(back_end, &root, None).map_err(failed)?;
        Ok(Self { v2: Some(v2), v1: None, passed_over })
    }
}

/// Takes back what is granted of other devices.
fn forget_others(map: &GrantMap, devices: &[Device]) -> io::Result<()> {
    for key in map.keys()? {
        let is_it = |device: &Device| GrantKey::new(key.cgroup, (*device).into()) == key;
        if !devices.iter().any(is_it) {
            map.remove(&key)?;
        }
    }
    Ok(())
}

fn choose_v2(
    root: &Cgroup,
    mut map: Option<GrantMap>,
    passed_over: &mut Vec<PassedOver>,
) -> Box<dyn Granting> {
    for back_end in [BackEnd::RootOverride, BackEnd::InlineWrap] {
        match try_v2(back_end, root, map.take()) {
            Ok(works) => return works,
            Err(why) => passed_over.push(PassedOver { back_end, why }),
        }
    }
    Box::new(NotNeeded)
}

fn try_v2(
    back_end: BackEnd,
    root: &Cgroup,
    map: Option<GrantMap>,
) -> Result<Box<dyn Granting>, BackEndError> {
    let granting: Box<dyn Granting> = match back_end {
        BackEnd::RootOverride => Box::new(RootOverride::attach(root, MAX_GRANTS, map)?),
        BackEnd::InlineWrap => Box::new(InlineWrap::start(root, MAX_GRANTS)?),
        BackEnd::CgroupV1 | BackEnd::NotNeeded => return Ok(Box::new(NotNeeded)),
    };
    self_test(root, &*granting).map_err(BackEndError::SelfTest)?;
    Ok(granting)
}

fn try_v1(root: Cgroup) -> Result<Box<dyn Granting>, BackEndError> {
    let granting = CgroupV1::start(&root).map_err(BackEndError::Restore)?;
    self_test(&root, &granting).map_err(BackEndError::SelfTest)?;
    Ok(Box::new(granting))
}
