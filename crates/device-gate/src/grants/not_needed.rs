//! No back-end: for containers whose cgroup refuses no device by itself, such as rootless ones.

use std::io;
use std::os::fd::AsFd;

use super::{BackEnd, GrantError, Granting, root_override};
use crate::access::{Access, Devices};
use crate::cgroup::Cgroup;
use crate::sys::bpf;

/// Grants what nobody refuses, and refuses to grant anything else.
#[derive(Debug)]
pub(super) struct NotNeeded;

impl Granting for NotNeeded {
    fn back_end(&self) -> BackEnd {
        BackEnd::NotNeeded
    }

    fn grant(&self, cgroup: &Cgroup, _: Devices, _: Access) -> Result<(), GrantError> {
        let path = || cgroup.path().to_owned();
        let programs = |source: io::Error| match source.kind() {
            // Who may not look, may not grant either.
            io::ErrorKind::PermissionDenied => GrantError::NoBackEnd { cgroup: path() },
            _ => GrantError::Programs { cgroup: path(), source },
        };
        for id in bpf::device_programs(cgroup.as_fd(), true).map_err(programs)?.ids {
            let refuses_nothing = match bpf::program_by_id(id) {
                Ok(program) => {
                    let info = bpf::program_info(program.as_fd()).map_err(programs)?;
                    root_override::refuses_nothing(&info)
                }
                // It went away.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
                Err(error) => return Err(programs(error)),
            };
            if !refuses_nothing {
                return Err(GrantError::NoBackEnd { cgroup: path() });
            }
        }
        Ok(())
    }

    fn revoke(&self, _: &Cgroup, _: Devices) -> Result<(), GrantError> {
        Ok(())
    }

    fn revoke_from_all(&self, _: Devices) -> Result<(), GrantError> {
        Ok(())
    }

    fn revoke_all(&self, _: &Cgroup) -> Result<(), GrantError> {
        Ok(())
    }

    fn reapply(&self) -> Result<bool, GrantError> {
        Ok(false)
    }

    fn count(&self) -> Result<usize, GrantError> {
        Ok(0)
    }
}
