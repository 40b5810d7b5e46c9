//! The live attach: a session's staged directories, read-only, in a running container.
//!
//! Everything inside the container is reached by descriptors from its root, one name at a time, following
//! no link: what the container has put at `/dev/input` can make the attach fail, but never lead it
//! elsewhere. (`mknod /proc/PID/root/dev/input/event5` would follow a planted link out to the host.)
//!
//! What the container has mounted may be a file system in its own hands (FUSE), which need not answer. So this is
//! done on threads that are not waited for without end.

mod error;
mod examine;
mod links;
mod sweep;
mod walk;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, stat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use rustix::process::{fchdir, umask};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use self::error::AttachError;
pub use self::examine::{Found, Spot, examine};
pub use self::links::{keep_link, link_node, unlink_node};
pub use self::sweep::{Swept, find_mounts, sweep};
use self::walk::{DirectoryId, hidden, id, open_directory, open_or_make, walk_error};
use crate::container::{Container, Inside};
use crate::staging::SessionDir;
use crate::sys::fs::{make_mount_read_only, unshare_fs};
use crate::thread;

/// A place in the container, and what of the session shows there.
#[derive(Debug)]
struct Target {
    path: &'static str,
    parent: &'static str,
    name: &'static str,
    /// Which of the session's directories shows there.
    directory: &'static str,
    staged: Option<DirectoryId>,
}

/// The directory in a container's /dev to which links of nodes lead.
const LINKED: &str = "hotseat";
const LINKED_PATH: &str = "/dev/hotseat";

/// Each place: its path, its parent's, its name, and the session's directory that shows there.
const PLACES: [(&str, &str, &str, &str); 3] = [
    ("/dev/input", "dev", "input", "input"),
    ("/run/udev", "run", "udev", "udev"),
    (LINKED_PATH, "dev", LINKED, "dev"),
];

/// The places for a session whose directory is here; for no session in particular they are nobody's yet.
fn targets(session: Option<&Path>) -> io::Result<Vec<Target>> {
    let target = |(path, parent, name, directory)| -> io::Result<Target> {
        let staged = session.map(|session| stat(session.join(directory))).transpose()?;
        let staged = staged.map(|stat| (stat.st_dev, stat.st_ino));
        Ok(Target { path, parent, name, directory, staged })
    };
    PLACES.into_iter().map(target).collect()
}

/// Those of the paths that [`attach`] makes, as parent and name.
fn made_by_attach(paths: &[String]) -> impl Iterator<Item = (&'static str, &'static str)> {
    PLACES
        .into_iter()
        .filter(|(path, ..)| paths.iter().any(|made| made == path))
        .map(|(_, parent, name, _)| (parent, name))
}

impl Target {
    /// Nodes directly in /dev are more than most devices have: a container that cannot have them gets the others.
    fn is_optional(&self) -> bool {
        self.name == LINKED
    }
}

/// What [`attach`] did, for [`Attachment::detach`].
#[derive(Debug, Default)]
#[must_use = "the mounts stay in the container until `detach` is called"]
pub struct Attachment {
    /// What shows where: a descriptor of the mount itself, wherever the container has moved it.
    mounted: Vec<(&'static str, OwnedFd)>,
    created: Vec<(&'static str, &'static str)>,
    no_links: Option<AttachError>,
}

/// Puts the session's directories at `/dev/input`, `/dev/hotseat` and `/run/udev` of a running container. Those that
/// are there already, from an earlier daemon or the container's start, are taken over.
///
/// # Errors
///
/// [`AttachError`]; what was mounted before the failure is taken away again. That `/dev/hotseat` cannot be there is
/// no error: see [`Attachment::no_links`].
pub fn attach(container: &Container, session: &SessionDir) -> Result<Attachment, AttachError> {
    attach_where(container, session, |_| true)
}

/// [`attach`] for a container with a udevd of its own, which keeps its own `/run/udev`: only what shows in /dev.
///
/// # Errors
///
/// As [`attach`].
pub fn attach_nodes(
    container: &Container,
    session: &SessionDir,
) -> Result<Attachment, AttachError> {
    attach_where(container, session, |target| target.parent == "dev")
}

fn attach_where(
    container: &Container,
    session: &SessionDir,
    wanted: fn(&Target) -> bool,
) -> Result<Attachment, AttachError> {
    let (uid, gid) = container.root_ids();
    session.give_to(uid, gid).map_err(AttachError::Own)?;
    let targets: Vec<_> = targets(Some(session.path()))
        .map_err(AttachError::Own)?
        .into_iter()
        .filter(wanted)
        .collect();
    let trees: Result<Vec<_>, _> =
        targets.iter().map(|target| clone_read_only(session, target)).collect();
    let trees = trees?;
    let work = move |inside: &Inside| {
        let mut attachment = Attachment::default();
        for (target, tree) in targets.iter().zip(trees) {
            match attach_one(inside, target, tree, &mut attachment) {
                Err(error) if target.is_optional() => attachment.no_links = Some(error),
                Err(error) => {
                    // The first error is the one to report; what can be undone is.
                    let _ = detach_all(inside, &attachment);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(attachment)
    };
    in_mount_namespace(container, work, |inside, attachment| {
        let _ = detach_all(inside, &attachment);
    })
}

impl Attachment {
    /// Why nodes directly in /dev, such as hidraw nodes, cannot be shown in the container; `None` when they can, by
    /// [`link_node`].
    pub fn no_links(&self) -> Option<&AttachError> {
        self.no_links.as_ref()
    }

    /// These directories go with the mounts, too: an earlier daemon made them. Others than those that [`attach`] makes
    /// are passed over.
    pub fn also_made(&mut self, paths: &[String]) {
        for made in made_by_attach(paths) {
            if !self.created.contains(&made) {
                self.created.push(made);
            }
        }
    }

    /// Takes the mounts away again, and the directories that were made for them.
    ///
    /// # Errors
    ///
    /// [`AttachError::Enter`], [`AttachError::Hangs`] or [`AttachError::Unmount`]. A container that has ended took
    /// its mounts with it: nothing needs to be done then.
    pub fn detach(self, container: &Container) -> Result<(), AttachError> {
        in_mount_namespace(container, move |inside| detach_all(inside, &self), |_, ()| {})
    }
}

fn clone_read_only(session: &SessionDir, target: &Target) -> Result<OwnedFd, AttachError> {
    let clone = |source| AttachError::Clone { path: target.path, source };
    let tree = session.clone_read_only(target.directory).map_err(clone)?;
    make_mount_read_only(tree.as_fd()).map_err(clone)?;
    Ok(tree)
}

/// Does `work` in the container's mount namespace, and `undo`, if it took too long, when it comes to its end there.
fn in_mount_namespace<T: Send + 'static>(
    container: &Container,
    work: impl FnOnce(&Inside) -> Result<T, AttachError> + Send + 'static,
    undo: impl FnOnce(&Inside, T) + Send + 'static,
) -> Result<T, AttachError> {
    let inside = container.inside().map_err(AttachError::Enter)?;
    let enter_and_work = move || {
        unshare_fs().map_err(AttachError::Enter)?;
        move_into_link_name_space(inside.mount.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(|errno| AttachError::Enter(errno.into()))?;
        umask(Mode::from_raw_mode(0o022));
        work(&inside).map(|done| (inside, done))
    };
    let too_late = |result: Result<(Inside, T), AttachError>| {
        if let Ok((inside, done)) = result {
            undo(&inside, done);
        }
    };
    on_a_thread(enter_and_work, too_late).map(|(_, done)| done)
}

/// Does `work` on a thread of its own that may be left behind.
fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AttachError> + Send + 'static,
    too_late: impl FnOnce(Result<T, AttachError>) + Send + 'static,
) -> Result<T, AttachError> {
    match thread::run_within("hotseat-attach", work, too_late) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(AttachError::Hangs),
        Err(error) => Err(AttachError::Enter(error)),
        Ok(result) => result,
    }
}

fn attach_one(
    inside: &Inside,
    target: &Target,
    tree: OwnedFd,
    attachment: &mut Attachment,
) -> Result<(), AttachError> {
    let (parent, _) = open_or_make(inside, inside.root.as_fd(), "", target.parent)?;
    if target.parent == "dev" {
        links::refuse_the_hosts(inside, parent.as_fd())?;
    }
    let (point, created) = open_or_make(inside, parent.as_fd(), target.parent, target.name)?;
    if created {
        attachment.created.push((target.parent, target.name));
    }
    let failed = |errno: Errno| walk_error(target.path, errno);
    if Some(id(point.as_fd()).map_err(failed)?) == target.staged {
        // An earlier daemon mounted it, or the container was started with it: ours to take away all the same.
        if target.is_optional() {
            links::sweep_dead(parent.as_fd(), point.as_fd());
        }
        attachment.mounted.push((target.path, point));
        return Ok(());
    }
    if let Some(entry) = hidden(point.as_fd()).map_err(failed)? {
        return Err(AttachError::Occupied { path: target.path, entry });
    }
    move_mount(
        &tree,
        c"",
        &point,
        c"",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
    .map_err(|errno| AttachError::Mount { path: target.path, source: errno.into() })?;
    attachment.mounted.push((target.path, tree));
    // The container may have moved the directory away meanwhile.
    let shown = open_directory(parent.as_fd(), target.name).map_err(failed)?;
    if Some(id(shown.as_fd()).map_err(failed)?) != target.staged {
        return Err(AttachError::Exchanged { path: target.path });
    }
    Ok(())
}

/// Goes on after an error, and returns the first.
fn detach_all(inside: &Inside, attachment: &Attachment) -> Result<(), AttachError> {
    let mut result = Ok(());
    for (path, mounted) in &attachment.mounted {
        // By current directory: whatever the container has made of the path, this is the mount. The thread has a
        // current directory of its own.
        let unmounted = fchdir(mounted).and_then(|()| unmount(c".", UnmountFlags::DETACH));
        match unmounted {
            // The container has unmounted it itself.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => {
                result = result.and(Err(AttachError::Unmount { path, source: errno.into() }));
            }
        }
    }
    if attachment.mounted.iter().any(|(path, _)| *path == LINKED_PATH) {
        links::sweep_all(inside);
    }
    remove_made(inside, &attachment.created);
    result
}

/// Removes directories that were made, and says how many.
fn remove_made(inside: &Inside, made: &[(&'static str, &'static str)]) -> usize {
    let removed = made.iter().filter(|(parent, name)| {
        // Best effort: the container may have put something there since.
        open_directory(inside.root.as_fd(), parent)
            .and_then(|parent| unlinkat(&parent, *name, AtFlags::REMOVEDIR))
            .is_ok()
    });
    removed.count()
}
