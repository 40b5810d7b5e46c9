//! The session's directories at paths of the host, for runtimes that mount them when they start a container.
//!
//! The staged directories themselves must not be given to a runtime: what it mounts of them, a container with
//! `CAP_SYS_ADMIN` can make writable. At these paths are clones that are locked read-only (see `view.rs`), and so is
//! every mount that is made of them:
//!
//! ```text
//! SESSION/.locked/{input,udev}
//! ```

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};

use super::{SessionDir, StagingError};
use crate::sys::fs::make_mount_read_only;

/// Where they are, in the session's directory.
const LOCKED: &str = ".locked";

/// A session's directory and its place in a container.
const DIRECTORIES: [(&str, &str); 2] = [("input", "/dev/input"), ("udev", "/run/udev")];

/// A directory of the host that a container can be started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMount {
    /// Its path on the host.
    pub source: PathBuf,
    /// Where programs look for it in a container.
    pub target: &'static str,
}

/// A session's directories as they show on the host; gone when this is dropped.
#[derive(Debug)]
pub struct Shown(PathBuf);

impl SessionDir {
    /// Shows the directories on the host, for as long as the result lives.
    ///
    /// # Errors
    ///
    /// [`StagingError::Show`].
    pub fn show(&self) -> Result<Shown, StagingError> {
        let shown = Shown(self.path().join(LOCKED));
        shown.renew(self)?;
        Ok(shown)
    }
}

impl Shown {
    /// Shows the directories as they are now, after [`SessionDir::renew`].
    ///
    /// # Errors
    ///
    /// [`StagingError::Show`].
    pub fn renew(&self, session: &SessionDir) -> Result<(), StagingError> {
        for (directory, _) in DIRECTORIES {
            let path = self.0.join(directory);
            let error = |source| StagingError::Show { path: path.clone(), source };
            fs::create_dir_all(&path).map_err(error)?;
            // What an earlier daemon left.
            unmount_all(&path).map_err(|errno| error(errno.into()))?;
            let tree = session.clone_read_only(directory).map_err(error)?;
            make_mount_read_only(tree.as_fd()).map_err(error)?;
            let flags =
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            openat(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .and_then(|point| move_mount(tree, c"", point, c"", flags))
                .map_err(|errno| error(errno.into()))?;
        }
        Ok(())
    }

    /// What a container can be started with.
    pub fn mounts(&self) -> impl Iterator<Item = ShownMount> {
        DIRECTORIES
            .iter()
            .map(|&(directory, target)| ShownMount { source: self.0.join(directory), target })
    }

    /// Takes the mounts away. Those that containers were started with stay, in the containers.
    fn hide(&self) -> io::Result<()> {
        for mount in self.mounts() {
            unmount_all(&mount.source)?;
        }
        fs::remove_dir_all(&self.0)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // Best effort: the next session of this name starts with it.
        let _ = self.hide();
    }
}

/// Unmounts whatever is mounted there.
fn unmount_all(path: &Path) -> rustix::io::Result<()> {
    loop {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Not a mount point.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}
