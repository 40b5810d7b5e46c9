//! What an attach would find, without changing anything.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;

use super::walk::{hidden, id, open_directory, walk_error};
use super::{AttachError, Target, in_mount_namespace, links, targets};
use crate::container::{Container, Inside};

/// A place in a container where one of a session's directories is to show.
#[derive(Debug)]
pub struct Spot {
    /// The path inside.
    pub path: &'static str,
    /// Whether an attach goes on without it.
    pub is_optional: bool,
    /// What is there, or why the attach would fail.
    pub found: Result<Found, AttachError>,
}

/// What is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing; the directory would be made.
    Nothing,
    /// A directory without entries, or one that a session had before.
    Empty,
    /// The session's own directory.
    Attached,
}

/// Looks at each place where [`attach`](super::attach) would mount one of the directories of a session, which is given
/// by its own directory on the host ([`Staging::path_of`](crate::Staging::path_of)).
///
/// # Errors
///
/// [`AttachError::Own`], [`AttachError::Enter`], [`AttachError::Hangs`].
pub fn examine(container: &Container, session: Option<&Path>) -> Result<Vec<Spot>, AttachError> {
    let targets = targets(session).map_err(AttachError::Own)?;
    let look = move |inside: &Inside| {
        let spot = |target: &Target| Spot {
            path: target.path,
            is_optional: target.is_optional(),
            found: look_at(inside, target),
        };
        Ok(targets.iter().map(spot).collect())
    };
    in_mount_namespace(container, look, |_, _| {})
}

fn look_at(inside: &Inside, target: &Target) -> Result<Found, AttachError> {
    let missing_in = |directory: &OwnedFd| match fstatvfs(directory) {
        Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            let source = io::Error::from(Errno::ROFS);
            Err(AttachError::Create { path: target.path.to_owned(), source })
        }
        _ => Ok(Found::Nothing),
    };
    let parent_path = format!("/{}", target.parent);
    let parent = match open_directory(inside.root.as_fd(), target.parent) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return missing_in(&inside.root),
        Err(errno) => return Err(walk_error(&parent_path, errno)),
    };
    if target.parent == "dev" {
        links::refuse_the_hosts(inside, parent.as_fd())?;
    }
    let point = match open_directory(parent.as_fd(), target.name) {
        Ok(point) => point,
        Err(Errno::NOENT) => return missing_in(&parent),
        Err(errno) => return Err(walk_error(target.path, errno)),
    };
    let failed = |errno| walk_error(target.path, errno);
    if Some(id(point.as_fd()).map_err(failed)?) == target.staged {
        return Ok(Found::Attached);
    }
    match hidden(point.as_fd()).map_err(failed)? {
        Some(entry) => Err(AttachError::Occupied { path: target.path, entry }),
        None => Ok(Found::Empty),
    }
}
