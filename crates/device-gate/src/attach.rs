//! The live attach: a session's staged directories, read-only, in a running container.
//!
//! Everything inside the container is reached by descriptors from its root, one name at a time, following
//! no link: what the container has put at `/dev/input` can make the attach fail, but never lead it
//! elsewhere. (`mknod /proc/PID/root/dev/input/event5` would follow a planted link out to the host.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat2, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use rustix::process::{fchdir, umask};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::container::Container;
use crate::staging::SessionDir;
use crate::sys::fs::{make_mount_read_only, set_thread_fs_ids, unshare_fs};
use crate::thread;

/// The staged directories could not be attached to the container, or detached from it.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The staged directories could not be given to the container's root.
    #[error("could not give the session's directories to the container's root")]
    Own(#[source] io::Error),
    /// The staged directory could not be made into a mount.
    #[error("could not clone the staged `{path}` as a read-only mount")]
    Clone {
        /// Where it was to show.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started, or could not enter the container's mount namespace.
    #[error("could not enter the container's mount namespace")]
    Enter(#[source] io::Error),
    /// A symbolic link stands where a directory was to be.
    #[error("`{path}` in the container is a symbolic link; it is not followed")]
    Symlink {
        /// The path inside.
        path: String,
    },
    /// Something else than a directory stands there.
    #[error("`{path}` in the container is not a directory")]
    NotADirectory {
        /// The path inside.
        path: String,
    },
    /// The directory has entries that the mount would hide.
    #[error(
        "`{path}` in the container already holds `{entry}`, which the session's mount would hide"
    )]
    Occupied {
        /// The path inside.
        path: &'static str,
        /// The first entry found.
        entry: String,
    },
    /// The mount point is missing and could not be made.
    #[error("`{path}` is missing in the container and could not be made")]
    Create {
        /// The path inside.
        path: String,
        /// Why; `EROFS` in a read-only container.
        #[source]
        source: io::Error,
    },
    /// The path could not be walked or looked at.
    #[error("could not open `{path}` in the container")]
    Walk {
        /// The path inside.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mount could not be put there.
    #[error("could not mount over `{path}` in the container")]
    Mount {
        /// The path inside.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mount could not be taken away.
    #[error("could not unmount `{path}` in the container")]
    Unmount {
        /// The path inside.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A place in the container, and what of the session shows there.
struct Target<'a> {
    path: &'static str,
    parent: &'static str,
    name: &'static str,
    /// Which of the session's directories shows there.
    directory: &'static str,
    staged: BorrowedFd<'a>,
}

fn targets(session: &SessionDir) -> [Target<'_>; 2] {
    [
        Target {
            path: "/dev/input",
            parent: "dev",
            name: "input",
            directory: "input",
            staged: session.input(),
        },
        Target {
            path: "/run/udev",
            parent: "run",
            name: "udev",
            directory: "udev",
            staged: session.udev(),
        },
    ]
}

/// What [`attach`] did, for [`Attachment::detach`].
#[derive(Debug, Default)]
#[must_use = "the mounts stay in the container until `detach` is called"]
pub struct Attachment {
    mounted: Vec<&'static str>,
    created: Vec<(&'static str, &'static str)>,
}

/// Puts the session's directories at `/dev/input` and `/run/udev` of a running container. Those that
/// are there already, from an earlier daemon or the container's start, are taken over.
///
/// # Errors
///
/// [`AttachError`]; what was mounted before the failure is taken away again.
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
    wanted: fn(&Target<'_>) -> bool,
) -> Result<Attachment, AttachError> {
    let (uid, gid) = container.root_ids();
    session.give_to(uid, gid).map_err(AttachError::Own)?;
    let targets: Vec<_> = targets(session).into_iter().filter(wanted).collect();
    let trees: Vec<_> = targets.iter().map(|target| clone_read_only(session, target)).collect();
    in_mount_namespace(container, || {
        let mut attachment = Attachment::default();
        for (target, tree) in targets.iter().zip(trees) {
            let done = tree.and_then(|tree| attach_one(container, target, &tree, &mut attachment));
            if let Err(error) = done {
                // The first error is the one to report; what can be undone is.
                let _ = detach_all(container, session, &attachment);
                return Err(error);
            }
        }
        Ok(attachment)
    })
}

impl Attachment {
    /// Takes the mounts away again, and the directories that were made for them.
    ///
    /// # Errors
    ///
    /// [`AttachError::Enter`] or [`AttachError::Unmount`]. A container that has ended took its mounts with
    /// it: nothing needs to be done then.
    pub fn detach(&self, container: &Container, session: &SessionDir) -> Result<(), AttachError> {
        in_mount_namespace(container, || detach_all(container, session, self))
    }
}

fn clone_read_only(session: &SessionDir, target: &Target<'_>) -> Result<OwnedFd, AttachError> {
    let clone = |source| AttachError::Clone { path: target.path, source };
    let tree = session.clone_read_only(target.directory).map_err(clone)?;
    make_mount_read_only(tree.as_fd()).map_err(clone)?;
    Ok(tree)
}

fn in_mount_namespace<T: Send>(
    container: &Container,
    work: impl FnOnce() -> Result<T, AttachError> + Send,
) -> Result<T, AttachError> {
    let enter_and_work = || {
        unshare_fs().map_err(AttachError::Enter)?;
        move_into_link_name_space(container.mount_namespace(), Some(LinkNameSpaceType::Mount))
            .map_err(|errno| AttachError::Enter(errno.into()))?;
        umask(Mode::from_raw_mode(0o022));
        work()
    };
    thread::run("hotseat-attach", enter_and_work).map_err(AttachError::Enter)?
}

fn attach_one(
    container: &Container,
    target: &Target<'_>,
    tree: &OwnedFd,
    attachment: &mut Attachment,
) -> Result<(), AttachError> {
    let parent = open_or_make(container, container.root(), "", target.parent)?.0;
    let (point, created) = open_or_make(container, parent.as_fd(), target.parent, target.name)?;
    if created {
        attachment.created.push((target.parent, target.name));
    }
    if is_same_directory(point.as_fd(), target.staged) {
        // An earlier daemon mounted it, or the container was started with it: ours to take away all the same.
        attachment.mounted.push(target.path);
        return Ok(());
    }
    if let Some(entry) = first_entry(target.path, point.as_fd())? {
        return Err(AttachError::Occupied { path: target.path, entry });
    }
    move_mount(
        tree,
        c"",
        &point,
        c"",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
    .map_err(|errno| AttachError::Mount { path: target.path, source: errno.into() })?;
    attachment.mounted.push(target.path);
    Ok(())
}

fn detach_all(
    container: &Container,
    session: &SessionDir,
    attachment: &Attachment,
) -> Result<(), AttachError> {
    for target in targets(session) {
        if !attachment.mounted.contains(&target.path) {
            continue;
        }
        let Ok(parent) = open_directory(container.root(), target.parent) else { continue };
        let Ok(point) = open_directory(parent.as_fd(), target.name) else { continue };
        // Never unmount anything but our own directory.
        if !is_same_directory(point.as_fd(), target.staged) {
            continue;
        }
        // By current directory, as the mount's path is the container's to change; this thread has a
        // current directory of its own.
        fchdir(&point)
            .and_then(|()| unmount(c".", UnmountFlags::DETACH))
            .map_err(|errno| AttachError::Unmount { path: target.path, source: errno.into() })?;
    }
    for &(parent, name) in &attachment.created {
        if let Ok(parent) = open_directory(container.root(), parent) {
            // Best effort: the container may have put something there since.
            let _ = unlinkat(&parent, name, AtFlags::REMOVEDIR);
        }
    }
    Ok(())
}

/// One step down: a directory, never through a link.
fn open_directory(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    openat2(
        parent,
        name,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

/// Opens a directory, making it if it is missing, with the container's root as its owner. Says whether it
/// was made.
fn open_or_make(
    container: &Container,
    parent: BorrowedFd<'_>,
    parent_path: &str,
    name: &str,
) -> Result<(OwnedFd, bool), AttachError> {
    let path = || {
        if parent_path.is_empty() { format!("/{name}") } else { format!("/{parent_path}/{name}") }
    };
    let walk_error = |errno| match errno {
        Errno::LOOP => AttachError::Symlink { path: path() },
        Errno::NOTDIR => AttachError::NotADirectory { path: path() },
        errno => AttachError::Walk { path: path(), source: errno.into() },
    };
    match open_directory(parent, name) {
        Ok(directory) => return Ok((directory, false)),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(walk_error(errno)),
    }
    // On a file system of a user namespace only its own ids can own files (EOVERFLOW otherwise).
    let (uid, gid) = container.root_ids();
    set_thread_fs_ids(uid, gid);
    let made = mkdirat(parent, name, Mode::from_raw_mode(0o755));
    set_thread_fs_ids(0, 0);
    made.map_err(|errno| AttachError::Create { path: path(), source: errno.into() })?;
    // The container may have replaced it since: the same rules apply.
    open_directory(parent, name).map(|directory| (directory, true)).map_err(walk_error)
}

fn is_same_directory(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let id = |stat: Stat| (stat.st_dev, stat.st_ino);
    matches!((fstat(a), fstat(b)), (Ok(a), Ok(b)) if id(a) == id(b))
}

fn first_entry(
    path: &'static str,
    directory: BorrowedFd<'_>,
) -> Result<Option<String>, AttachError> {
    let walk_error =
        |errno: Errno| AttachError::Walk { path: path.to_owned(), source: errno.into() };
    let readable = openat2(
        directory,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH,
    )
    .map_err(walk_error)?;
    for entry in Dir::new(readable).map_err(walk_error)? {
        let name = entry.map_err(walk_error)?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
