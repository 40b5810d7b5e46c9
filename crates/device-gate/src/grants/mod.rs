//! Grants: what a container may open beyond its runtime's rules.

mod cgroup_v1;
mod choose;
mod error;
mod inline_wrap;
mod not_needed;
mod root_override;
mod self_test;

use std::fmt;
use std::os::fd::BorrowedFd;

pub use choose::{ChooseError, PassedOver};
pub use error::{BackEndError, GrantError};
pub use self_test::SelfTestError;

use crate::access::{Access, Device, Devices};
use crate::cgroup::{Cgroup, Cgroups};
use crate::danger::Danger;

/// How many grants one host can hold: 408 pads with two nodes each is the kernel's own limit for input
/// devices; the rest is room for host devices. Entries take memory only when used.
const MAX_GRANTS: u32 = 16_384;

/// A way to let a cgroup use what its runtime refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackEnd {
    /// One program at the cgroup-v2 root that turns granted refusals into permission. Linux 5.18 and later.
    RootOverride,
    /// A program of ours in the place of each of the container's, with a copy of that behind it. Linux 5.9 and later.
    InlineWrap,
    /// `devices.allow` and `devices.deny` of cgroup version 1.
    CgroupV1,
    /// Nothing: for containers whose cgroup refuses no device.
    NotNeeded,
}

impl fmt::Display for BackEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RootOverride => "root override",
            Self::InlineWrap => "inline wrap",
            Self::CgroupV1 => "cgroup v1",
            Self::NotNeeded => "none needed",
        })
    }
}

/// What every back-end does. All of it for one cgroup of its own version, which is not the root.
trait Granting: fmt::Debug + Send + Sync {
    fn back_end(&self) -> BackEnd;
    /// Lets the cgroup and those below it use the devices, and nobody else. Granting again replaces the accesses.
    fn grant(&self, cgroup: &Cgroup, devices: Devices, access: Access) -> Result<(), GrantError>;
    /// Takes one grant back; what was not granted is no error.
    fn revoke(&self, cgroup: &Cgroup, devices: Devices) -> Result<(), GrantError>;
    /// Takes back all that the cgroup was granted.
    fn revoke_all(&self, cgroup: &Cgroup) -> Result<(), GrantError>;
    /// Takes a device back from every cgroup.
    fn revoke_from_all(&self, devices: Devices) -> Result<(), GrantError>;
    /// Gives again what somebody has taken, who has written a cgroup's rules anew. Says whether anything was missing.
    fn reapply(&self) -> Result<bool, GrantError>;
    /// What keeps the grants when this process is gone; `None` where nothing can.
    fn lasting(&self) -> Option<Lasting<'_>> {
        None
    }
    /// Takes back what an earlier process granted and this one did not, of these devices or of all, and says how many that
    /// were.
    fn forget_inherited(&self, _of: Option<&[Device]>) -> Result<usize, GrantError> {
        Ok(0)
    }
    /// How many grants there are.
    fn count(&self) -> Result<usize, GrantError>;
}

/// What keeps grants: as long as both are open somewhere they hold, whoever made them.
#[derive(Debug, Clone, Copy)]
pub struct Lasting<'a> {
    /// The grants, to be given to [`Grants::resume`].
    pub map: BorrowedFd<'a>,
    /// The program's place at the root.
    pub link: BorrowedFd<'a>,
}

/// Whether anything was missing, here or there; the first error.
fn joined(
    so_far: Result<bool, GrantError>,
    here: Result<bool, GrantError>,
) -> Result<bool, GrantError> {
    so_far.and_then(|missing| here.map(|also| missing || also))
}

/// The grants of this host: the back-ends that work here.
///
/// When this value is dropped, or its process dies, every container is back at exactly its runtime's rules; only
/// cgroups of version 1 keep what a killed process had granted, until the next [`Grants::choose`].
#[derive(Debug)]
pub struct Grants {
    v2: Option<Box<dyn Granting>>,
    v1: Option<Box<dyn Granting>>,
    passed_over: Vec<PassedOver>,
}

impl Grants {
    /// Lets the processes of a cgroup, and of cgroups below it, use `devices` with `access`, whatever
    /// their runtime says. Granting again replaces the accesses.
    ///
    /// # Errors
    ///
    /// [`GrantError`]; nothing is granted then. [`GrantError::Dangerous`] for what is not granted by default.
    pub fn grant<'a>(
        &self,
        cgroups: impl Into<Cgroups<'a>>,
        devices: impl Into<Devices>,
        access: Access,
    ) -> Result<(), GrantError> {
        let devices = devices.into();
        match devices.danger() {
            Some(danger) => Err(GrantError::Dangerous { devices, danger }),
            None => self.give(cgroups.into(), devices, access),
        }
    }

    /// The same for devices of this danger: whoever asks for them has to say so.
    ///
    /// # Errors
    ///
    /// [`GrantError`]; [`GrantError::Dangerous`] when the danger is another one.
    pub fn grant_despite<'a>(
        &self,
        danger: Danger,
        cgroups: impl Into<Cgroups<'a>>,
        devices: impl Into<Devices>,
        access: Access,
    ) -> Result<(), GrantError> {
        let devices = devices.into();
        match devices.danger() {
            Some(other) if other != danger => Err(GrantError::Dangerous { devices, danger: other }),
            _ => self.give(cgroups.into(), devices, access),
        }
    }

    fn give(
        &self,
        cgroups: Cgroups<'_>,
        devices: Devices,
        access: Access,
    ) -> Result<(), GrantError> {
        let places = self.places(cgroups)?;
        for (done, (back_end, cgroup)) in places.iter().enumerate() {
            if let Err(error) = back_end.grant(cgroup, devices, access) {
                for (back_end, cgroup) in &places[..done] {
                    // The first error tells more.
                    let _ = back_end.revoke(cgroup, devices);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a grant back. Descriptors that are already open stay open. Taking back what was not
    /// granted is no error.
    ///
    /// # Errors
    ///
    /// [`GrantError`]; tried everywhere all the same.
    pub fn revoke<'a>(
        &self,
        cgroups: impl Into<Cgroups<'a>>,
        devices: impl Into<Devices>,
    ) -> Result<(), GrantError> {
        let devices = devices.into();
        self.everywhere(cgroups.into(), |back_end, cgroup| back_end.revoke(cgroup, devices))
    }

    /// Takes back everything that was granted to a cgroup.
    ///
    /// # Errors
    ///
    /// [`GrantError`]; tried everywhere all the same.
    pub fn revoke_all<'a>(&self, cgroups: impl Into<Cgroups<'a>>) -> Result<(), GrantError> {
        self.everywhere(cgroups.into(), |back_end, cgroup| back_end.revoke_all(cgroup))
    }

    /// Takes a device back from whoever was granted it by this process: it is gone, and its number may be another one's next.
    ///
    /// # Errors
    ///
    /// The first [`GrantError`]; tried everywhere all the same.
    pub fn revoke_from_all(&self, devices: impl Into<Devices>) -> Result<(), GrantError> {
        let devices = devices.into();
        let revoke = |back_end: &dyn Granting| back_end.revoke_from_all(devices);
        self.granting().map(revoke).fold(Ok(()), Result::and)
    }

    /// Gives again what containers were granted and have lost, because their runtime or systemd has written their rules
    /// anew since. Says whether they had lost anything.
    ///
    /// # Errors
    ///
    /// The first [`GrantError`]; tried for every container all the same.
    pub fn reapply(&self) -> Result<bool, GrantError> {
        let mut result = Ok(false);
        for back_end in self.granting() {
            result = joined(result, back_end.reapply());
        }
        result
    }

    /// What keeps the grants when this process is gone, where something can (the root override): a duplicate of both
    /// descriptors in another process. Only devices that outlive this process too are to be granted then: the number of
    /// one that is gone may be a keyboard's next.
    pub fn lasting(&self) -> Option<Lasting<'_>> {
        self.v2.as_ref().and_then(|v2| v2.lasting())
    }

    /// After [`Grants::resume`]: takes back what the earlier process granted and this one did not, of these devices or of
    /// all, and says how many grants that were.
    ///
    /// # Errors
    ///
    /// [`GrantError::List`].
    pub fn forget_inherited(&self, of: Option<&[Device]>) -> Result<usize, GrantError> {
        self.granting().map(|back_end| back_end.forget_inherited(of)).sum()
    }

    /// Whether grants can be lost so: see [`Grants::reapply`].
    pub fn can_be_lost(&self) -> bool {
        self.back_ends()
            .iter()
            .any(|back_end| matches!(back_end, BackEnd::InlineWrap | BackEnd::CgroupV1))
    }

    /// How many grants there are.
    ///
    /// # Errors
    ///
    /// [`GrantError::List`].
    pub fn count(&self) -> Result<usize, GrantError> {
        self.granting().map(|back_end| back_end.count()).sum()
    }

    /// The back-ends in use: one for each version of cgroups that this host has.
    pub fn back_ends(&self) -> Vec<BackEnd> {
        self.granting().map(|back_end| back_end.back_end()).collect()
    }

    /// The better ones that do not work here, and why.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    fn granting(&self) -> impl Iterator<Item = &dyn Granting> {
        [&self.v2, &self.v1].into_iter().flatten().map(|back_end| &**back_end)
    }

    /// The back-ends that have to do with these cgroups. A root refuses nothing, so beside another cgroup it is left
    /// out; alone it is a mistake.
    fn places<'a>(
        &self,
        cgroups: Cgroups<'a>,
    ) -> Result<Vec<(&dyn Granting, &'a Cgroup)>, GrantError> {
        let both = [(&self.v2, cgroups.v2), (&self.v1, cgroups.v1)];
        let with_root =
            both.into_iter().filter_map(|(back_end, cgroup)| Some((back_end.as_deref()?, cgroup?)));
        let places: Vec<_> = with_root.filter(|(_, cgroup)| !cgroup.is_root()).collect();
        match (places.is_empty(), cgroups.v2.or(cgroups.v1)) {
            (true, Some(cgroup)) if cgroup.is_root() => {
                Err(GrantError::Root { cgroup: cgroup.path().to_owned() })
            }
            (true, Some(cgroup)) => Err(GrantError::NoBackEnd { cgroup: cgroup.path().to_owned() }),
            _ => Ok(places),
        }
    }

    fn everywhere(
        &self,
        cgroups: Cgroups<'_>,
        action: impl Fn(&dyn Granting, &Cgroup) -> Result<(), GrantError>,
    ) -> Result<(), GrantError> {
        let mut result = Ok(());
        for (back_end, cgroup) in self.places(cgroups)? {
            result = result.and(action(back_end, cgroup));
        }
        result
    }
}

#[cfg(test)]
mod tests;
