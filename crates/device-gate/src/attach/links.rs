//! Links in the container's /dev, to nodes that are staged for it.
//!
//! `/dev` is the container's own, so a node in it cannot be staged as one in `/dev/input` is: a mount over the
//! whole would take away what is there. What shows there is a symbolic link, `/dev/hidraw3` to `hotseat/hidraw3`. It
//! comes with one `IN_CREATE`, opens at that instant, and needs no mount of its own, so that it also shows in what
//! the container's programs have made of its /dev meanwhile (docs/staging.md).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, fstat, readlinkat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::walk::{as_its_root, names, open_directory, walk_error};
use super::{AttachError, LINKED, on_a_thread};
use crate::container::{Container, Inside};

/// Makes `/dev/NAME` in the container a link to the session's node of that name. A link that an earlier daemon left
/// is made anew; anything else of that name stays as it is.
///
/// # Errors
///
/// [`AttachError::Taken`], [`AttachError::Link`], and those of walking a container's paths.
pub fn link_node(container: &Container, name: &str) -> Result<(), AttachError> {
    let inside = container.inside().map_err(AttachError::Enter)?;
    let name = name.to_owned();
    let work = move || link(&inside, &name).map(|()| (inside, name));
    on_a_thread(work, |result| {
        if let Ok((inside, name)) = result {
            let _ = unlink(&inside, &name);
        }
    })
    .map(drop)
}

/// The same for a node that an earlier daemon has linked: its link stays as it is, if it is there still.
///
/// # Errors
///
/// As [`link_node`].
pub fn keep_link(container: &Container, name: &str) -> Result<(), AttachError> {
    let inside = container.inside().map_err(AttachError::Enter)?;
    let kept = name.to_owned();
    let is_there = move || Ok(is_ours(open_dev(&inside)?.as_fd(), &kept));
    if on_a_thread(is_there, |_| {})? { Ok(()) } else { link_node(container, name) }
}

/// Removes that link. What is not there, or is not ours, is left alone.
///
/// # Errors
///
/// [`AttachError::Unlink`], and those of walking a container's paths.
pub fn unlink_node(container: &Container, name: &str) -> Result<(), AttachError> {
    let inside = container.inside().map_err(AttachError::Enter)?;
    let name = name.to_owned();
    on_a_thread(move || unlink(&inside, &name), |_| {})
}

/// Removes the links of ours from a container's /dev that lead nowhere: the node is not in `staged`.
pub(super) fn sweep_dead(dev: BorrowedFd<'_>, staged: BorrowedFd<'_>) {
    let is_dead = |name: &str| statat(staged, name, AtFlags::SYMLINK_NOFOLLOW).is_err();
    sweep(dev, is_dead);
}

/// How many links are removed at a time, and how often. A session has few; the container may make more of them.
const BATCH: usize = 256;
const BATCHES: usize = 16;

/// Removes these of our links, as far as that can be done, and says how many.
fn sweep(dev: BorrowedFd<'_>, which: impl Fn(&str) -> bool) -> usize {
    let mut removed = 0;
    for _ in 0..BATCHES {
        // Before one is removed: a directory that changes while it is read may be read in part.
        let ours = names(dev).into_iter().flatten();
        let ours = ours.filter(|name| which(name) && is_ours(dev, name));
        let ours: Vec<_> = ours.take(BATCH).collect();
        let gone =
            ours.iter().filter(|name| unlinkat(dev, name.as_str(), AtFlags::empty()).is_ok());
        let gone = gone.count();
        removed += gone;
        if ours.len() < BATCH || gone == 0 {
            break;
        }
    }
    removed
}

/// Removes every link of ours from a container's /dev, and says how many. Where that is the host's, there is nothing of
/// ours in it.
pub(super) fn sweep_all(inside: &Inside) -> usize {
    open_dev(inside).map(|dev| sweep(dev.as_fd(), |_| true)).unwrap_or_default()
}

fn link(inside: &Inside, name: &str) -> Result<(), AttachError> {
    let dev = open_dev(inside)?;
    if is_ours(dev.as_fd(), name) {
        let _ = unlinkat(&dev, name, AtFlags::empty());
    }
    let target = format!("{LINKED}/{name}");
    as_its_root(inside, || symlinkat(&target, &dev, name)).map_err(|errno| match errno {
        Errno::EXIST => AttachError::Taken { name: name.to_owned() },
        errno => AttachError::Link { name: name.to_owned(), source: errno.into() },
    })
}

fn unlink(inside: &Inside, name: &str) -> Result<(), AttachError> {
    let dev = open_dev(inside)?;
    // Between the look and the removal the container may put something of its own there, and lose that.
    if !is_ours(dev.as_fd(), name) {
        return Ok(());
    }
    match unlinkat(&dev, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(AttachError::Unlink { name: name.to_owned(), source: errno.into() }),
    }
}

/// The container's /dev, which must not be the host's.
fn open_dev(inside: &Inside) -> Result<OwnedFd, AttachError> {
    let dev =
        open_directory(inside.root.as_fd(), "dev").map_err(|errno| walk_error("/dev", errno))?;
    refuse_the_hosts(inside, dev.as_fd())?;
    Ok(dev)
}

/// In a container that was given the host's /dev everything there is the host's.
pub(super) fn refuse_the_hosts(inside: &Inside, dev: BorrowedFd<'_>) -> Result<(), AttachError> {
    match fstat(dev) {
        Ok(dev) if dev.st_dev != inside.hosts_dev => Ok(()),
        _ => Err(AttachError::HostDev),
    }
}

fn is_ours(dev: BorrowedFd<'_>, name: &str) -> bool {
    readlinkat(dev, name, Vec::new())
        .is_ok_and(|target| target.to_bytes() == format!("{LINKED}/{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_go_however_many_there_are_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let ours = 3 * BATCH + 1;
        for number in 0..ours {
            let name = format!("hidraw{number}");
            symlink(format!("hotseat/{name}"), directory.path().join(name)).unwrap();
        }
        symlink("hotseat/hidraw0", directory.path().join("theirs")).unwrap();
        let dev = File::open(directory.path()).unwrap();
        assert_eq!(sweep(dev.as_fd(), |_| true), ours);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
