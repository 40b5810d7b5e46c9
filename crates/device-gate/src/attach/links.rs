//! Links in the container's /dev, to nodes that are staged for it.
//!
//! `/dev` is the container's own, so a node in it cannot be staged as one in `/dev/input` is: a mount over the
//! whole would take away what is there. What shows there is a symbolic link, `/dev/hidraw3` to `hotseat/hidraw3`. It
//! comes with one `IN_CREATE`, opens at that instant, and needs no mount of its own, so that it also shows in what
//! the container's programs have made of its /dev meanwhile (docs/staging.md). A node in a directory of /dev has its link
//! there, `/dev/bus/usb/001/002`, and the directories on the way to it are made, and go when they are empty.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::walk::{as_its_root, names, open_directory, open_or_make, walk_error};
use super::{AttachError, LINKED, on_a_thread};
use crate::container::{Container, Inside};
use crate::staging::staged_name;

/// Makes `/dev/NAME` in the container a link to the session's node of that name, which may have directories in it. A link
/// that an earlier daemon left is made anew; anything else of that name stays as it is.
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
    let is_there = move || {
        let (path, _) = split(&kept);
        let dev = open_dev(&inside)?;
        Ok(open_way(dev, path).is_ok_and(|way| is_ours(last(&way), &kept)))
    };
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
    let is_dead =
        |path: &str| statat(staged, &*staged_name(path), AtFlags::SYMLINK_NOFOLLOW).is_err();
    sweep(dev, &is_dead);
}

/// Removes every link of ours from a container's /dev, and says how many. Where that is the host's, there is nothing of
/// ours in it.
pub(super) fn sweep_all(inside: &Inside) -> usize {
    open_dev(inside).map(|dev| sweep(dev.as_fd(), &|_| true)).unwrap_or_default()
}

/// How many links are removed at a time, and how often. A session has few; the container may make more of them.
const BATCH: usize = 256;
const BATCHES: usize = 16;

/// How deep in /dev a link may be, as that to `bus/usb/001/002`, and how many directories are looked into.
const DEEPEST: usize = 4;
const DIRECTORIES: usize = 256;

/// Removes these of our links, as far as that can be done, and says how many.
fn sweep(dev: BorrowedFd<'_>, which: &impl Fn(&str) -> bool) -> usize {
    let mut directories = DIRECTORIES;
    sweep_in(dev, "", which, &mut directories)
}

/// The same in one directory of /dev, whose path there this is, and in those below it.
fn sweep_in(
    directory: BorrowedFd<'_>,
    path: &str,
    which: &impl Fn(&str) -> bool,
    directories: &mut usize,
) -> usize {
    let mut removed = 0;
    for _ in 0..BATCHES {
        // Before one is removed: a directory that changes while it is read may be read in part.
        let ours = names(directory).into_iter().flatten().map(|name| join(path, &name));
        let ours = ours.filter(|path| which(path) && is_ours(directory, path));
        let ours: Vec<_> = ours.take(BATCH).collect();
        let gone =
            ours.iter().filter(|path| unlinkat(directory, split(path).1, AtFlags::empty()).is_ok());
        let gone = gone.count();
        removed += gone;
        if ours.len() < BATCH || gone == 0 {
            break;
        }
    }
    if path.split('/').count() >= DEEPEST {
        return removed;
    }
    // Not the file systems that are mounted in /dev, such as ours.
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let all: Vec<_> = names(directory).into_iter().flatten().take(DIRECTORIES).collect();
    for name in all {
        let Ok(below) = openat2(directory, name.as_str(), flags, Mode::empty(), beneath) else {
            continue;
        };
        if *directories == 0 {
            break;
        }
        *directories -= 1;
        let gone = sweep_in(below.as_fd(), &join(path, &name), which, directories);
        if gone > 0 {
            // If it is empty now.
            let _ = unlinkat(directory, name.as_str(), AtFlags::REMOVEDIR);
        }
        removed += gone;
    }
    removed
}

fn link(inside: &Inside, path: &str) -> Result<(), AttachError> {
    let (directories, name) = split(path);
    let mut directory = open_dev(inside)?;
    let mut walked = String::from("dev");
    for step in directories.split('/').filter(|step| !step.is_empty()) {
        (directory, _) = open_or_make(inside, directory.as_fd(), &walked, step)?;
        refuse_the_hosts(inside, directory.as_fd())?;
        walked = join(&walked, step);
    }
    if is_ours(directory.as_fd(), path) {
        let _ = unlinkat(&directory, name, AtFlags::empty());
    }
    as_its_root(inside, || symlinkat(target(path), &directory, name)).map_err(|errno| match errno {
        Errno::EXIST => AttachError::Taken { name: path.to_owned() },
        errno => AttachError::Link { name: path.to_owned(), source: errno.into() },
    })
}

fn unlink(inside: &Inside, path: &str) -> Result<(), AttachError> {
    let (directories, name) = split(path);
    // The container may have taken the way there away, or made another of it: then there is nothing of ours.
    let Ok(way) = open_way(open_dev(inside)?, directories) else { return Ok(()) };
    for directory in &way {
        refuse_the_hosts(inside, directory.as_fd())?;
    }
    // Between the look and the removal the container may put something of its own there, and lose that.
    if !is_ours(last(&way), path) {
        return Ok(());
    }
    match unlinkat(last(&way), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => {
            return Err(AttachError::Unlink { name: path.to_owned(), source: errno.into() });
        }
    }
    // Those that are empty now, from the last one on.
    let steps: Vec<_> = directories.split('/').filter(|step| !step.is_empty()).collect();
    for (parent, step) in way.iter().zip(&steps).rev() {
        if unlinkat(parent, *step, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(())
}

/// The directories on the way from /dev, that one included.
fn open_way(dev: OwnedFd, directories: &str) -> rustix::io::Result<Vec<OwnedFd>> {
    let mut way = vec![dev];
    for step in directories.split('/').filter(|step| !step.is_empty()) {
        way.push(open_directory(last(&way), step)?);
    }
    Ok(way)
}

#[expect(clippy::expect_used, reason = "a way begins with /dev and is only added to")]
fn last(way: &[OwnedFd]) -> BorrowedFd<'_> {
    way.last().expect("a way has /dev in it").as_fd()
}

/// The directories of a path below /dev, and its name in the last of them.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(directories: &str, name: &str) -> String {
    if directories.is_empty() { name.to_owned() } else { format!("{directories}/{name}") }
}

/// Where the link at a path below /dev leads.
fn target(path: &str) -> String {
    let up = "../".repeat(path.matches('/').count());
    format!("{up}{LINKED}/{}", staged_name(path))
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

/// Whether what is in `directory` under the last name of a path below /dev is our link.
fn is_ours(directory: BorrowedFd<'_>, path: &str) -> bool {
    readlinkat(directory, split(path).1, Vec::new())
        .is_ok_and(|found| found.to_bytes() == target(path).as_bytes())
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
        assert_eq!(sweep(dev.as_fd(), &|_| true), ours);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_in_directories_go_with_the_directories_that_were_made_for_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = |path: &str| directory.path().join(path);
        fs::create_dir_all(path("bus/usb/001")).unwrap();
        fs::create_dir_all(path("serial/by-id")).unwrap();
        assert_eq!(target("bus/usb/001/002"), "../../../hotseat/bus\\x2fusb\\x2f001\\x2f002");
        symlink(target("bus/usb/001/002"), path("bus/usb/001/002")).unwrap();
        symlink(target("serial/by-id/a"), path("serial/by-id/a")).unwrap();
        symlink("../../ttyACM0", path("serial/by-id/theirs")).unwrap();
        let dev = File::open(directory.path()).unwrap();
        assert_eq!(sweep(dev.as_fd(), &|path| path.starts_with("bus")), 1);
        assert!(!path("bus").exists());
        assert_eq!(sweep(dev.as_fd(), &|_| true), 1);
        assert_eq!(fs::read_dir(path("serial/by-id")).unwrap().count(), 1);
    }
}
