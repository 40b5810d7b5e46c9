//! The staging file system: device nodes that belong to the host and show up in containers.
//!
//! One tmpfs for all sessions, mounted in the initial user namespace and without `nodev` (a tmpfs that a
//! user-namespaced runtime mounts gets `SB_I_NODEV`, and no node on it opens; fs/super.c). Each session has
//! a directory:
//!
//! ```text
//! SESSION/input/              at /dev/input
//! SESSION/udev/{control,data/,tags/}   at /run/udev
//! SESSION/.locked/            the two, locked read-only, for runtimes that mount them when a container starts
//! .new/                       where nodes are made before they are linked into place
//! ```
//!
//! The file system's root is mode 0700: a session's directory is reached through its container's mount of
//! it and in no other way.

mod error;
mod shown;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Dev, FileType, FlockOperation, Gid, Mode, OFlags, Uid, chmodat, chownat, flock,
    linkat, makedev, mknodat, openat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

pub use self::error::StagingError;
pub use self::shown::{Shown, ShownMount};
use crate::access::{Device, DeviceKind};
use crate::view::View;

/// The staging file system, mounted.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    new: OwnedFd,
    made: AtomicU64,
    view: Arc<View>,
    _lock: File,
}

impl Staging {
    /// Mounts the file system at `path`, or takes over one that an earlier process left there.
    ///
    /// What an earlier process left in its session directories is removed, as its kernel devices went with
    /// it; the directories stay, because running containers may have them mounted.
    ///
    /// # Errors
    ///
    /// [`StagingError::Mount`], [`StagingError::Prepare`], [`StagingError::Remove`].
    pub fn mount(path: &Path) -> Result<Self, StagingError> {
        fs::create_dir_all(path).map_err(prepare(path))?;
        let lock = lock(&path.with_extension("lock"), path)?;
        if !is_mount_point(path).map_err(prepare(path))? {
            mount_tmpfs(path)
                .map_err(|errno| StagingError::Mount { path: path.into(), source: errno.into() })?;
        }
        let new_path = path.join(".new");
        if new_path.exists() {
            fs::remove_dir_all(&new_path).map_err(remove(&new_path))?;
        }
        fs::create_dir(&new_path).map_err(prepare(&new_path))?;
        let new = open_directory(&new_path)?;
        let view = View::make(path)
            .map_err(|source| StagingError::Lock { path: path.to_owned(), source })?;
        let view = Arc::new(view);
        let staging =
            Self { view, path: path.to_owned(), new, made: AtomicU64::new(0), _lock: lock };
        for name in staging.sessions()? {
            staging.session(&name)?.clear()?;
        }
        Ok(staging)
    }

    /// Names of the session directories.
    ///
    /// # Errors
    ///
    /// [`StagingError::Prepare`] when the root cannot be read.
    pub fn sessions(&self) -> Result<Vec<String>, StagingError> {
        let entries = fs::read_dir(&self.path).map_err(prepare(&self.path))?;
        Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect())
    }

    /// Makes, or finds, the directory of a session.
    ///
    /// # Errors
    ///
    /// [`StagingError::Name`], [`StagingError::Prepare`].
    pub fn session(&self, name: &str) -> Result<SessionDir, StagingError> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(StagingError::Name { name: name.to_owned() });
        }
        let path = self.path.join(name);
        for directory in ["", "input", "udev", "udev/data", "udev/tags"] {
            let directory = path.join(directory);
            match fs::create_dir(&directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StagingError::Prepare { path: directory, source: error });
                }
                _ => {}
            }
            // Whatever our umask: any user of the container may look.
            fs::set_permissions(&directory, Permissions::from_mode(0o755))
                .map_err(prepare(&directory))?;
        }
        // libudev receives events only if this file exists when a monitor is made; its kind does not matter
        // (sd-device/device-monitor.c, device_monitor_new_full).
        // A socket without a listener, as that of a udevd that has ended: whoever calls it is refused at once.
        let control = path.join("udev/control");
        match mknodat(CWD, &control, FileType::Socket, Mode::from_raw_mode(0o600), 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(StagingError::Prepare { path: control, source: errno.into() });
            }
        }
        let input = open_directory(&path.join("input"))?;
        let udev = open_directory(&path.join("udev"))?;
        let view = Arc::clone(&self.view);
        Ok(SessionDir { name: name.to_owned(), path, input, udev, view })
    }

    /// Makes a node under a private name, with its final owner and mode, and links it to its own name in
    /// `session`. A watcher in the container sees one `IN_CREATE`, of a node that opens at that instant:
    /// `rename(2)` would give `IN_MOVED_TO`, which GLFW and others ignore, and a `chmod(2)` in place gives
    /// `IN_ATTRIB`, on which Wine reconnects.
    ///
    /// # Errors
    ///
    /// [`StagingError::Place`], [`StagingError::Exists`], [`StagingError::Node`]; nothing is left then.
    pub fn place(&self, session: &SessionDir, node: &NewNode<'_>) -> Result<(), StagingError> {
        let name = session.name_in_input(node.path)?;
        let private = self.made.fetch_add(1, Ordering::Relaxed).to_string();
        let linked = self
            .make(&private, node)
            .and_then(|()| linkat(&self.new, &private, &session.input, name, AtFlags::empty()));
        let cleaned = unlinkat(&self.new, &private, AtFlags::empty());
        match linked {
            Ok(()) => cleaned.map_err(|errno| node_error(node, errno)),
            Err(Errno::EXIST) => Err(StagingError::Exists { path: node.path.to_owned() }),
            Err(errno) => Err(node_error(node, errno)),
        }
    }

    fn make(&self, private: &str, node: &NewNode<'_>) -> rustix::io::Result<()> {
        let file_type = match node.device.kind {
            DeviceKind::Block => FileType::BlockDevice,
            DeviceKind::Char => FileType::CharacterDevice,
        };
        let dev: Dev = makedev(node.device.major, node.device.minor);
        mknodat(&self.new, private, file_type, Mode::empty(), dev)?;
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        chownat(&self.new, private, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        chmodat(&self.new, private, Mode::from_raw_mode(node.mode), AtFlags::empty())
    }

    /// Unmounts the file system here. A container that still has a session's directory keeps it, empty or
    /// not, and nothing can be placed in it any more.
    ///
    /// # Errors
    ///
    /// [`StagingError::Mount`].
    pub fn unmount(&self) -> Result<(), StagingError> {
        unmount(&self.path, UnmountFlags::DETACH)
            .map_err(|errno| StagingError::Mount { path: self.path.clone(), source: errno.into() })
    }
}

/// A node to be placed.
#[derive(Debug, Clone, Copy)]
pub struct NewNode<'a> {
    /// Its path below `/dev`, such as `input/event5`.
    pub path: &'a str,
    /// Its device.
    pub device: Device,
    /// Permission bits.
    pub mode: u32,
    /// Owner, as numbered on the host.
    pub uid: u32,
    /// Group, as numbered on the host.
    pub gid: u32,
}

/// The staged directories of one session.
#[derive(Debug)]
pub struct SessionDir {
    name: String,
    path: PathBuf,
    view: Arc<View>,
    input: OwnedFd,
    udev: OwnedFd,
}

impl SessionDir {
    /// The directory that shows at `/run/udev`.
    pub fn udev_path(&self) -> PathBuf {
        self.path.join("udev")
    }

    /// The directory that shows at `/dev/input`.
    pub fn input_path(&self) -> PathBuf {
        self.path.join("input")
    }

    /// Gives what the container will see to its root, as numbered here: in a user namespace it would be nobody's.
    /// The mounts are read-only whoever is the owner, and on the host nobody but root gets past the file system's
    /// root, which is mode 0700.
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        for path in ["input", "udev", "udev/data", "udev/tags", "udev/control"] {
            lchown(self.path.join(path), Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// One of its directories as a mount that can never be written through.
    pub(crate) fn clone_read_only(&self, directory: &str) -> io::Result<OwnedFd> {
        self.view.clone_directory(&Path::new(&self.name).join(directory))
    }

    pub(crate) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    pub(crate) fn udev(&self) -> BorrowedFd<'_> {
        self.udev.as_fd()
    }

    /// Takes a node away by its path below `/dev`. A node that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`StagingError::Place`], [`StagingError::Remove`].
    pub fn remove_node(&self, path: &str) -> Result<(), StagingError> {
        let name = self.name_in_input(path)?;
        match unlinkat(&self.input, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => {
                Err(StagingError::Remove { path: self.path.join(path), source: errno.into() })
            }
        }
    }

    /// Removes every node, record and tag, and keeps the directories.
    ///
    /// # Errors
    ///
    /// [`StagingError::Remove`].
    pub fn clear(&self) -> Result<(), StagingError> {
        for directory in ["input", "udev/data", "udev/tags"] {
            let directory = self.path.join(directory);
            for entry in fs::read_dir(&directory).map_err(remove(&directory))? {
                let entry = entry.map_err(remove(&directory))?.path();
                let removed = match fs::symlink_metadata(&entry) {
                    Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&entry),
                    _ => fs::remove_file(&entry),
                };
                removed.map_err(remove(&entry))?;
            }
        }
        Ok(())
    }

    /// Removes the whole directory.
    ///
    /// # Errors
    ///
    /// [`StagingError::Remove`].
    pub fn delete(self) -> Result<(), StagingError> {
        fs::remove_dir_all(&self.path).map_err(remove(&self.path))
    }

    /// Only `/dev/input` is staged so far; nodes directly in `/dev` (hidraw, tty) get their own directory
    /// beside it.
    fn name_in_input<'a>(&self, path: &'a str) -> Result<&'a str, StagingError> {
        match path.strip_prefix("input/") {
            Some(name) if !name.is_empty() && !name.starts_with('.') && !name.contains('/') => {
                Ok(name)
            }
            _ => Err(StagingError::Place { path: path.to_owned() }),
        }
    }
}

/// Held for as long as the staging file system is ours.
fn lock(path: &Path, stage: &Path) -> Result<File, StagingError> {
    let file = File::create(path).map_err(prepare(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(StagingError::InUse { path: stage.to_owned() }),
        Err(errno) => Err(StagingError::Prepare { path: path.to_owned(), source: errno.into() }),
    }
}

fn mount_tmpfs(path: &Path) -> rustix::io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    // Small on purpose: nodes and records take no more, and it is kernel memory.
    mount("hotseat", path, "tmpfs", flags, c"mode=0700,size=16m,nr_inodes=64k")?;
    // On a shared mount the clones in containers would be peers of this one.
    mount_change(path, MountPropagationFlags::PRIVATE)
}

/// Whether `path` is the root of a mount: its device differs from its parent's.
fn is_mount_point(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let parent = path.parent().unwrap_or(path);
    Ok(fs::metadata(path)?.dev() != fs::metadata(parent)?.dev())
}

fn open_directory(path: &Path) -> Result<OwnedFd, StagingError> {
    openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| StagingError::Prepare { path: path.to_owned(), source: errno.into() })
}

fn prepare(path: &Path) -> impl FnOnce(io::Error) -> StagingError + '_ {
    move |source| StagingError::Prepare { path: path.to_owned(), source }
}

fn remove(path: &Path) -> impl FnOnce(io::Error) -> StagingError + '_ {
    move |source| StagingError::Remove { path: path.to_owned(), source }
}

fn node_error(node: &NewNode<'_>, errno: Errno) -> StagingError {
    StagingError::Node { path: node.path.to_owned(), device: node.device, source: errno.into() }
}
