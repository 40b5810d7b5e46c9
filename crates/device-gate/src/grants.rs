//! Grants: what a container may open beyond its runtime's rules.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::access::{Access, Device};
use crate::cgroup::Cgroup;
use crate::program::override_program;
use crate::sys::bpf::{self, GrantKey, GrantMap};

/// How many grants one host can hold: 408 pads with two nodes each is the kernel's own limit for input
/// devices; the rest is room for host devices. Entries take memory only when used.
const MAX_GRANTS: u32 = 16_384;

/// A grant could not be given or taken back.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The map of grants could not be made.
    #[error("could not make the map of grants (bpf(2) needs CAP_BPF and a kernel that allows it)")]
    CreateMap(#[source] io::Error),
    /// The kernel refused the override program.
    #[error(
        "the kernel refused the override program: it needs Linux 5.18 or later, and CAP_BPF with \
         CAP_PERFMON or CAP_SYS_ADMIN"
    )]
    LoadProgram(#[source] io::Error),
    /// The program could not be attached at the root.
    #[error("could not attach the override program to the root cgroup `{root}`")]
    Attach {
        /// The root cgroup's path.
        root: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The map has no room.
    #[error("no room for a grant of `{device}`: {MAX_GRANTS} grants are in use")]
    Full {
        /// The device.
        device: Device,
    },
    /// The entry could not be written.
    #[error("could not grant `{device} {access}` to cgroup {cgroup}")]
    Grant {
        /// The device.
        device: Device,
        /// The accesses.
        access: Access,
        /// The cgroup's id.
        cgroup: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The entry could not be removed.
    #[error("could not revoke `{device}` from cgroup {cgroup}")]
    Revoke {
        /// The device.
        device: Device,
        /// The cgroup's id.
        cgroup: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An entry of a cgroup could not be removed.
    #[error("could not revoke what is granted to cgroup {cgroup}")]
    RevokeAll {
        /// The cgroup's id.
        cgroup: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The map could not be read.
    #[error("could not list the grants")]
    List(#[source] io::Error),
}

/// The override program at the root cgroup, and its map.
///
/// It is held by a link: when this value is dropped, or its process dies, the program is gone and every
/// container is back at exactly its runtime's rules.
#[derive(Debug)]
pub struct Grants {
    map: GrantMap,
    _link: OwnedFd,
}

impl Grants {
    /// Loads the program and attaches it to `root`.
    ///
    /// # Errors
    ///
    /// The `CreateMap`, `LoadProgram` and `Attach` variants of [`GrantError`].
    pub fn attach(root: &Cgroup) -> Result<Self, GrantError> {
        let map = GrantMap::create(MAX_GRANTS).map_err(GrantError::CreateMap)?;
        let insns = override_program(map.fd().as_raw_fd());
        let program =
            bpf::load_device_program(&insns, c"hotseat_grants").map_err(GrantError::LoadProgram)?;
        let link = bpf::link_device_program(root.as_fd(), program.as_fd()).map_err(|source| {
            GrantError::Attach { root: root.path().display().to_string(), source }
        })?;
        Ok(Self { map, _link: link })
    }

    /// A map without its program, to see the self-test fail.
    #[cfg(test)]
    pub(crate) fn with_link(link: OwnedFd) -> Result<Self, GrantError> {
        let map = GrantMap::create(MAX_GRANTS).map_err(GrantError::CreateMap)?;
        Ok(Self { map, _link: link })
    }

    /// Lets the processes of a cgroup, and of cgroups below it, use `device` with `access`, whatever
    /// their runtime says. Granting again replaces the accesses.
    ///
    /// # Errors
    ///
    /// [`GrantError::Full`] or [`GrantError::Grant`].
    pub fn grant(&self, cgroup: u64, device: Device, access: Access) -> Result<(), GrantError> {
        self.map.insert(&key(cgroup, device), access.bits()).map_err(|source| {
            if source.raw_os_error() == Some(libc::E2BIG) {
                GrantError::Full { device }
            } else {
                GrantError::Grant { device, access, cgroup, source }
            }
        })
    }

    /// Takes a grant back. Descriptors that are already open stay open. Taking back what was not
    /// granted is no error.
    ///
    /// # Errors
    ///
    /// [`GrantError::Revoke`].
    pub fn revoke(&self, cgroup: u64, device: Device) -> Result<(), GrantError> {
        match self.map.remove(&key(cgroup, device)) {
            Err(source) if source.raw_os_error() != Some(libc::ENOENT) => {
                Err(GrantError::Revoke { device, cgroup, source })
            }
            _ => Ok(()),
        }
    }

    /// Takes back everything that was granted to a cgroup.
    ///
    /// # Errors
    ///
    /// [`GrantError::List`] or [`GrantError::RevokeAll`].
    pub fn revoke_all(&self, cgroup: u64) -> Result<(), GrantError> {
        for key in self.map.keys().map_err(GrantError::List)? {
            if key.cgroup == cgroup {
                match self.map.remove(&key) {
                    Err(source) if source.raw_os_error() != Some(libc::ENOENT) => {
                        return Err(GrantError::RevokeAll { cgroup, source });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// How many grants there are.
    ///
    /// # Errors
    ///
    /// [`GrantError::List`].
    pub fn count(&self) -> Result<usize, GrantError> {
        self.map.keys().map(|keys| keys.len()).map_err(GrantError::List)
    }
}

fn key(cgroup: u64, device: Device) -> GrantKey {
    GrantKey { cgroup, kind: device.kind.bpf(), major: device.major, minor: device.minor, pad: 0 }
}
