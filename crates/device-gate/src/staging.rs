//! The staging file system: device nodes that belong to the host and show up in containers.
//!
//! A tmpfs per session, mounted in the initial user namespace and without `nodev` (a tmpfs that a
//! user-namespaced runtime mounts gets `SB_I_NODEV`, and no node on it opens; fs/super.c):
//!
//! ```text
//! SESSION/input/              at /dev/input
//! SESSION/dev/                at /dev/hotseat: nodes whose place is /dev itself
//! SESSION/udev/{control,data/,tags/}   at /run/udev
//! SESSION/.locked/            the two, locked read-only, for runtimes that mount them when a container starts
//! SESSION/.new/               where nodes are made before they are linked into place
//! ```
//!
//! One per session, because a container with `CAP_SYS_ADMIN` in the initial user namespace can reconfigure a
//! file system that it sees (fspick(2)), such as make all of it read-only: so it only does that to itself.
//!
//! They are mounted in one more tmpfs, whose root is mode 0700: a session's directory is reached through its
//! container's mount of it and in no other way.

mod error;
mod session;
mod shown;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

pub use self::error::StagingError;
pub(crate) use self::session::staged_name;
pub use self::session::{Cleared, Kept, NewNode, SessionDir};
pub use self::shown::{Shown, ShownMount};
use crate::access::Device;
use crate::container::Container;
use crate::probe::{ProbeError, open_in_cgroups_of};

/// Where sessions' directories are, mounted.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    /// Held while the node of a probe is there.
    probing: Mutex<()>,
    cleared: BTreeMap<String, Cleared>,
    _lock: File,
}

impl Staging {
    /// Mounts the file system at `path`, or takes over one that an earlier process left there.
    ///
    /// What an earlier process left in its session directories is removed, but for what is `kept` there by session:
    /// of kernel devices that have outlived it. The directories stay, because running containers may have them mounted.
    ///
    /// # Errors
    ///
    /// [`StagingError::Mount`], [`StagingError::Prepare`], [`StagingError::Lock`], [`StagingError::Remove`],
    /// [`StagingError::InUse`].
    pub fn mount(path: &Path, kept: &BTreeMap<String, Kept>) -> Result<Self, StagingError> {
        fs::create_dir_all(path).map_err(prepare(path))?;
        let lock = lock(&path.with_extension("lock"), path)?;
        // Nothing but the sessions' directories is in here.
        mount_tmpfs_once(path, c"mode=0700,size=1m,nr_inodes=8k")?;
        let mut staging = Self {
            path: path.to_owned(),
            probing: Mutex::default(),
            cleared: BTreeMap::new(),
            _lock: lock,
        };
        // There if a daemon was killed that tried a node.
        let _ = fs::remove_file(staging.probe_path());
        let nothing = Kept::default();
        for name in staging.sessions()? {
            let kept = kept.get(&name).unwrap_or(&nothing);
            match staging.session(&name).and_then(|session| session.clear_but(kept)) {
                Ok(cleared) => drop(staging.cleared.insert(name, cleared)),
                // Its container has broken it, with privileges it should not have: the session starts anew.
                Err(error) if error.is_broken_file_system() => discard(&staging.path.join(&name))?,
                Err(error) => return Err(error),
            }
        }
        Ok(staging)
    }

    /// What an earlier process had left in the directories of its sessions, by session.
    pub fn cleared(&self) -> &BTreeMap<String, Cleared> {
        &self.cleared
    }

    /// Takes away what was kept of a session.
    ///
    /// # Errors
    ///
    /// [`StagingError::Remove`].
    pub fn forget(&self, name: &str, kept: &Kept) -> Result<(), StagingError> {
        let path = self.path.join(name);
        let nodes = kept.nodes.keys().map(|node| match node.contains('/') {
            true => path.join(node),
            false => path.join("dev").join(node),
        });
        let tags = path.join("udev/tags");
        let mut directories = vec![path.join("udev/data")];
        for tag in fs::read_dir(&tags).map_err(remove(&tags))? {
            directories.push(tag.map_err(remove(&tags))?.path());
        }
        let records = kept.records.iter();
        let records = records.flat_map(|it| directories.iter().map(move |dir| dir.join(it)));
        for file in nodes.chain(records) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(remove(&file)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the directory of a session away that an earlier process made.
    ///
    /// # Errors
    ///
    /// As [`Staging::session`] and [`SessionDir::delete`].
    pub fn remove(&self, name: &str) -> Result<(), StagingError> {
        self.session(name)?.delete()
    }

    fn probe_path(&self) -> PathBuf {
        self.path.join(".probe")
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
    /// [`StagingError::Name`], [`StagingError::Mount`], [`StagingError::Prepare`], [`StagingError::Lock`]; nothing
    /// that was not there is left then.
    pub fn session(&self, name: &str) -> Result<SessionDir, StagingError> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(StagingError::Name { name: name.to_owned() });
        }
        let path = self.path.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StagingError::Prepare { path, source: error });
            }
            _ => {}
        }
        let is_new = mount_session(&path)?;
        SessionDir::open(path.clone(), !is_new).inspect_err(|_| {
            if is_new {
                // The first error is the one to report.
                let _ = discard(&path);
            }
        })
    }

    /// Where the directory of a session is, or would be.
    pub fn path_of(&self, session: &str) -> PathBuf {
        self.path.join(session)
    }

    /// Whether a process in the container's cgroup gets past its device policy with `device`, which must be one that no
    /// driver has: `open(2)` fails in any case, but after the policy was asked. Leaves no trace.
    ///
    /// # Errors
    ///
    /// [`StagingError::Prepare`] when there is no node to try; [`StagingError::Probe`] when it could not be tried.
    pub fn policy_lets(&self, container: &Container, device: Device) -> Result<bool, StagingError> {
        let _one_at_a_time = self.probing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.probe_path();
        let mode = Mode::from_raw_mode(0o600);
        let number = makedev(device.major, device.minor);
        mknodat(CWD, &path, FileType::CharacterDevice, mode, number)
            .map_err(|errno| prepare(&path)(errno.into()))?;
        let tried = CString::new(path.as_os_str().as_bytes())
            .map_err(|error| prepare(&path)(error.into()))
            .map(|path| open_in_cgroups_of(container, &path, OFlags::RDWR));
        fs::remove_file(&path)
            .map_err(|source| StagingError::Remove { path: path.clone(), source })?;
        match tried? {
            Ok(()) => Ok(true),
            Err(ProbeError::Refused { source, .. }) => {
                Ok(source.raw_os_error() != Some(Errno::PERM.raw_os_error()))
            }
            Err(source) => Err(StagingError::Probe(source)),
        }
    }

    /// Unmounts everything here. A container that still has a session's directory keeps it, empty or
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

/// Held for as long as the staging file system is ours.
fn lock(path: &Path, stage: &Path) -> Result<File, StagingError> {
    let file = File::create(path).map_err(prepare(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(StagingError::InUse { path: stage.to_owned() }),
        Err(errno) => Err(StagingError::Prepare { path: path.to_owned(), source: errno.into() }),
    }
}

/// Mounts a session's file system; says whether it was not there yet.
fn mount_session(path: &Path) -> Result<bool, StagingError> {
    // Small on purpose: nodes and records take no more, and it is kernel memory. Any user of the container may look.
    mount_tmpfs_once(path, c"mode=0755,size=8m,nr_inodes=16k")
}

/// Says whether it was not there yet.
fn mount_tmpfs_once(path: &Path, options: &CStr) -> Result<bool, StagingError> {
    if is_mount_point(path).map_err(prepare(path))? {
        return Ok(false);
    }
    let mounted = mount("hotseat", path, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, options)
        // On a shared mount the clones in containers would be peers of this one.
        .and_then(|()| mount_change(path, MountPropagationFlags::PRIVATE));
    mounted.map_err(|errno| StagingError::Mount { path: path.into(), source: errno.into() })?;
    Ok(true)
}

/// Takes a session's file system away, with what is in it.
fn discard(path: &Path) -> Result<(), StagingError> {
    unmount_session(path)?;
    // Docker makes the directories that a container is to be started with while there is no session.
    fs::remove_dir_all(path).map_err(remove(path))
}

/// Takes a session's file system from its place on the host; containers that show it keep it. That it is not there, since
/// a daemon came no further than this, is no error.
fn unmount_session(path: &Path) -> Result<(), StagingError> {
    match unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(remove(path)(errno.into())),
    }
}

/// Whether `path` is the root of a mount: its device differs from its parent's.
fn is_mount_point(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let parent = path.parent().unwrap_or(path);
    Ok(fs::metadata(path)?.dev() != fs::metadata(parent)?.dev())
}

fn prepare(path: &Path) -> impl FnOnce(io::Error) -> StagingError + '_ {
    move |source| StagingError::Prepare { path: path.to_owned(), source }
}

fn remove(path: &Path) -> impl FnOnce(io::Error) -> StagingError + '_ {
    move |source| StagingError::Remove { path: path.to_owned(), source }
}
