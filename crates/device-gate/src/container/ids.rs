//! Whose numbers are whose: the container's users and groups, and the host's.

use std::fs;

use super::{Container, ContainerError};
use crate::id_map::IdMap;

impl Container {
    /// The host's id of one of its users.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Unmapped`], or when its map cannot be read.
    pub fn user_on_host(&self, inside: u32) -> Result<u32, ContainerError> {
        self.id_on_host("uid_map", inside)
    }

    /// The host's id of one of its groups.
    ///
    /// # Errors
    ///
    /// As [`Container::user_on_host`].
    pub fn group_on_host(&self, inside: u32) -> Result<u32, ContainerError> {
        self.id_on_host("gid_map", inside)
    }

    fn id_on_host(&self, what: &'static str, inside: u32) -> Result<u32, ContainerError> {
        let id = read_map(self.pid, what)?.to_host(inside);
        // Only now is it known that the map was its own.
        if !self.is_running() {
            return Err(ContainerError::NotRunning { pid: self.pid });
        }
        id.ok_or(ContainerError::Unmapped { pid: self.pid, what, id: inside })
    }
}

fn read_map(pid: u32, what: &'static str) -> Result<IdMap, ContainerError> {
    let text = fs::read_to_string(format!("/proc/{pid}/{what}"))
        .map_err(|source| ContainerError::Open { pid, what, source })?;
    text.parse().map_err(|source| ContainerError::IdMap { pid, what, source })
}

/// The host's id and the namespace's own of its root, or else of the process itself.
pub(super) fn root_id(
    pid: u32,
    what: &'static str,
    field: &str,
) -> Result<(u32, u32), ContainerError> {
    let map = read_map(pid, what)?;
    if let Some(root) = map.to_host(0) {
        return Ok((root, 0));
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|source| ContainerError::Open { pid, what: "status", source })?;
    // Real, effective, saved, file system (proc_pid_status(5)).
    let ids = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let effective = ids.split_ascii_whitespace().nth(1).and_then(|id| id.parse().ok());
    effective
        .and_then(|host| Some((host, map.to_inside(host)?)))
        .ok_or(ContainerError::RootUnmapped { pid })
}
