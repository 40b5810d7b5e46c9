//! The staged directories of one session.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, linkat, makedev,
    mknodat, openat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::{StagingError, discard, mount_session, prepare, remove, unmount_session};
use crate::access::{Device, DeviceKind};
use crate::view::View;

/// A node to be placed.
#[derive(Debug, Clone, Copy)]
pub struct NewNode<'a> {
    /// Its path below `/dev`, such as `input/event5`, `hidraw0` or `bus/usb/001/002`.
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
    path: PathBuf,
    is_inherited: bool,
    view: View,
    new: OwnedFd,
    made: AtomicU64,
    input: OwnedFd,
    dev: OwnedFd,
}

/// What there was in a session's directories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Nodes.
    pub nodes: usize,
    /// Database records.
    pub records: usize,
    /// Entries in the index of tags.
    pub tags: usize,
}

/// What stays in a session's directories when the rest is cleared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Nodes, by their paths below `/dev`, with their devices: one of another device does not stay.
    pub nodes: BTreeMap<String, Device>,
    /// Records and entries in the index of tags, by the names of their files.
    pub records: BTreeSet<String>,
}

/// What containers see.
const SHOWN: [&str; 5] = ["input", "dev", "udev", "udev/data", "udev/tags"];

impl SessionDir {
    /// Makes, or finds, what is in the session's file system at `path`.
    pub(super) fn open(path: PathBuf, is_inherited: bool) -> Result<Self, StagingError> {
        for directory in SHOWN.iter().chain(&[".new"]) {
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
        let view = View::make(&path)
            .map_err(|source| StagingError::Lock { path: path.clone(), source })?;
        Ok(Self {
            view,
            new: open_directory(&path.join(".new"))?,
            made: AtomicU64::new(0),
            input: open_directory(&path.join("input"))?,
            dev: open_directory(&path.join("dev"))?,
            path,
            is_inherited,
        })
    }

    /// Whether an earlier process has left it: a container that nobody here knows of may show it.
    pub fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// All of it, on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that shows at `/run/udev`.
    pub fn udev_path(&self) -> PathBuf {
        self.path.join("udev")
    }

    /// The directory that shows at `/dev/input`.
    pub fn input_path(&self) -> PathBuf {
        self.path.join("input")
    }

    /// Gives what the container will see to its root, as numbered here: in a user namespace it would be nobody's.
    /// The mounts are read-only whoever is the owner, and on the host nobody but root gets past the root of
    /// [`Staging`](super::Staging), which is mode 0700.
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        for path in SHOWN.iter().chain(&["udev/control"]) {
            lchown(self.path.join(path), Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// One of its directories as a mount that can never be written through.
    pub(crate) fn clone_read_only(&self, directory: &str) -> io::Result<OwnedFd> {
        self.view.clone_directory(Path::new(directory))
    }

    /// Makes a node under a private name, with its final owner and mode, and links it to its own name. A watcher in
    /// the container sees one `IN_CREATE`, of a node that opens at that instant: `rename(2)` would give
    /// `IN_MOVED_TO`, which GLFW and others ignore, and a `chmod(2)` in place gives `IN_ATTRIB`, on which Wine
    /// reconnects.
    ///
    /// # Errors
    ///
    /// [`StagingError::Place`], [`StagingError::Exists`], [`StagingError::Node`]; nothing is left then.
    pub fn place(&self, node: &NewNode<'_>) -> Result<(), StagingError> {
        let (directory, name) = self.find(node.path)?;
        let private = self.made.fetch_add(1, Ordering::Relaxed).to_string();
        let linked = self
            .make(&private, node)
            .and_then(|()| linkat(&self.new, &private, directory, &*name, AtFlags::empty()));
        let cleaned = match unlinkat(&self.new, &private, AtFlags::empty()) {
            // It could not even be made.
            Err(Errno::NOENT) => Ok(()),
            cleaned => cleaned,
        };
        match linked.and(cleaned) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(StagingError::Exists { path: node.path.to_owned() }),
            Err(errno) => Err(StagingError::Node {
                path: node.path.to_owned(),
                device: node.device,
                source: errno.into(),
            }),
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

    /// Gives a placed node another name below `/dev`, both outside of `/dev/input`: what programs make of it leads to
    /// the name of the node, in which some of them look for its number.
    ///
    /// # Errors
    ///
    /// [`StagingError::Place`], [`StagingError::Exists`], [`StagingError::Alias`].
    pub fn place_alias(&self, path: &str, node: &str) -> Result<(), StagingError> {
        let (directory, name) = self.find(path)?;
        match symlinkat(&*staged_name(node), directory, &*name) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(StagingError::Exists { path: path.to_owned() }),
            Err(errno) => Err(StagingError::Alias { path: path.to_owned(), source: errno.into() }),
        }
    }

    /// Takes a node or another name of one away by its path below `/dev`. What is not there is no error.
    ///
    /// # Errors
    ///
    /// [`StagingError::Place`], [`StagingError::Remove`].
    pub fn remove_node(&self, path: &str) -> Result<(), StagingError> {
        let (directory, name) = self.find(path)?;
        match unlinkat(directory, &*name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => {
                Err(StagingError::Remove { path: self.path.join(path), source: errno.into() })
            }
        }
    }

    /// Removes every node, record and tag, and keeps the directories. Says what there was.
    ///
    /// # Errors
    ///
    /// [`StagingError::Remove`].
    pub fn clear(&self) -> Result<Cleared, StagingError> {
        self.clear_but(&Kept::default())
    }

    /// The same, but for what is kept. To a watcher in the container that stays as it is.
    pub(super) fn clear_but(&self, kept: &Kept) -> Result<Cleared, StagingError> {
        let is_kept = |prefix: &str, entry: &DirEntry| {
            let name = entry.file_name();
            let device = name.to_str().and_then(|name| kept.nodes.get(&format!("{prefix}{name}")));
            let number = |device: &Device| makedev(device.major, device.minor);
            let is_it = |metadata: Metadata| {
                device.is_some_and(|device| {
                    metadata.file_type().is_char_device() && number(device) == metadata.rdev()
                })
            };
            entry.metadata().is_ok_and(is_it)
        };
        let is_record = |entry: &DirEntry| {
            entry.file_name().to_str().is_some_and(|name| kept.records.contains(name))
        };
        let mut tags = 0;
        let tag_dirs = self.path.join("udev/tags");
        for tag in fs::read_dir(&tag_dirs).map_err(remove(&tag_dirs))? {
            let tag = tag.map_err(remove(&tag_dirs))?.path();
            tags += empty(&tag, is_record)?;
            match fs::remove_dir(&tag) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    return Err(remove(&tag)(error));
                }
                _ => {}
            }
        }
        let nodes = empty(&self.path.join(".new"), |_| false)?
            + empty(&self.path.join("input"), |entry| is_kept("input/", entry))?
            + empty(&self.path.join("dev"), |entry| is_kept("", entry))?;
        Ok(Cleared { nodes, records: empty(&self.path.join("udev/data"), is_record)?, tags })
    }

    /// Starts over, on a file system of its own. A process of a container that the session has left, and that holds the
    /// old directories open, sees nothing of what is placed from now on, and can do nothing to it. What was shown on the
    /// host is to be shown anew ([`Shown::renew`](super::Shown::renew)).
    ///
    /// # Errors
    ///
    /// As [`Staging::session`](super::Staging::session), and [`StagingError::Remove`]; nothing is to be attached or
    /// placed then, until it has succeeded: it may be called again.
    pub fn renew(&mut self) -> Result<(), StagingError> {
        // For whoever still holds it. A container that has made it read-only keeps what was in it.
        let _ = self.clear();
        unmount_session(&self.path)?;
        mount_session(&self.path)?;
        *self = Self::open(self.path.clone(), false)?;
        Ok(())
    }

    /// Removes the whole directory.
    ///
    /// # Errors
    ///
    /// [`StagingError::Remove`].
    pub fn delete(self) -> Result<(), StagingError> {
        // For whoever still has it mounted. A container that has made it read-only keeps what was in it.
        let _ = self.clear();
        discard(&self.path)
    }

    /// The staged directory and the name in it of a path below `/dev`: in `/dev/input`, or anywhere else.
    fn find<'a>(&self, path: &'a str) -> Result<(&OwnedFd, Cow<'a, str>), StagingError> {
        let (directory, name) = match path.strip_prefix("input/") {
            Some(name) => (&self.input, name),
            None => (&self.dev, path),
        };
        let is_clean = |part: &str| !part.is_empty() && !part.starts_with('.');
        let in_input = path.starts_with("input/");
        if !name.split('/').all(is_clean) || (in_input && name.contains('/')) {
            return Err(StagingError::Place { path: path.to_owned() });
        }
        Ok((directory, staged_name(name)))
    }
}

/// The name of a node in the staged directory, which is flat: slashes as udev writes them in its own directories
/// (`/run/udev/links`).
pub(crate) fn staged_name(path: &str) -> Cow<'_, str> {
    if path.contains('/') { path.replace('/', "\\x2f").into() } else { path.into() }
}

fn open_directory(path: &Path) -> Result<OwnedFd, StagingError> {
    openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| StagingError::Prepare { path: path.to_owned(), source: errno.into() })
}

/// Removes what is in a directory, but for what is kept, and says how many files that were.
fn empty(directory: &Path, is_kept: impl Fn(&DirEntry) -> bool) -> Result<usize, StagingError> {
    let mut count = 0;
    for entry in fs::read_dir(directory).map_err(remove(directory))? {
        let entry = entry.map_err(remove(directory))?;
        if is_kept(&entry) {
            continue;
        }
        let path = entry.path();
        fs::remove_file(&path).map_err(remove(&path))?;
        count += 1;
    }
    Ok(count)
}
