//! Paths of the container: by descriptors from its root, one name at a time, following no link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2, statat,
};
use rustix::io::Errno;

use super::AttachError;
use crate::container::Inside;
use crate::sys::fs::set_thread_fs_ids;

/// One step down: a directory, never through a link.
pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
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
pub(super) fn open_or_make(
    inside: &Inside,
    parent: BorrowedFd<'_>,
    parent_path: &str,
    name: &str,
) -> Result<(OwnedFd, bool), AttachError> {
    let path = || {
        if parent_path.is_empty() { format!("/{name}") } else { format!("/{parent_path}/{name}") }
    };
    match open_directory(parent, name) {
        Ok(directory) => return Ok((directory, false)),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(walk_error(&path(), errno)),
    }
    let made = as_its_root(inside, || mkdirat(parent, name, Mode::from_raw_mode(0o755)));
    made.map_err(|errno| AttachError::Create { path: path(), source: errno.into() })?;
    // The container may have replaced it since: the same rules apply.
    let directory = open_directory(parent, name).map_err(|errno| walk_error(&path(), errno))?;
    Ok((directory, true))
}

/// Why a path of the container cannot be walked.
pub(super) fn walk_error(path: &str, errno: Errno) -> AttachError {
    let path = path.to_owned();
    match errno {
        Errno::LOOP => AttachError::Symlink { path },
        Errno::NOTDIR => AttachError::NotADirectory { path },
        errno => AttachError::Walk { path, source: errno.into() },
    }
}

/// What tells a directory from all others.
pub(super) type DirectoryId = (u64, u64);

/// The directory's id.
pub(super) fn id(directory: BorrowedFd<'_>) -> rustix::io::Result<DirectoryId> {
    fstat(directory).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Makes files as the container's root, on the calling thread: on a file system of a user namespace only its own ids
/// can own files (`EOVERFLOW` otherwise).
pub(super) fn as_its_root<T>(inside: &Inside, work: impl FnOnce() -> T) -> T {
    let (uid, gid) = inside.root_ids;
    set_thread_fs_ids(uid, gid);
    let done = work();
    set_thread_fs_ids(0, 0);
    done
}

/// The first entry of a directory that a mount over it would hide. What a session's `/run/udev` has before its first
/// device hides nothing: so a container that was started with directories which the session has given up since
/// ([`SessionDir::renew`](crate::SessionDir::renew)) can be attached.
pub(super) fn hidden(directory: BorrowedFd<'_>) -> rustix::io::Result<Option<String>> {
    for name in names(directory)? {
        let is_nothing = match name.as_str() {
            "control" => {
                let stat = statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Socket
            }
            "data" | "tags" => match open_directory(directory, &name) {
                Ok(below) => names(below.as_fd())?.next().is_none(),
                Err(Errno::LOOP | Errno::NOTDIR) => false,
                Err(errno) => return Err(errno),
            },
            _ => false,
        };
        if !is_nothing {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Every entry of a directory, up to the first error.
pub(super) fn names(directory: BorrowedFd<'_>) -> rustix::io::Result<impl Iterator<Item = String>> {
    let readable = openat2(
        directory,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH,
    )?;
    let entries = Dir::new(readable)?.map_while(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name != "." && name != ".."))
}
