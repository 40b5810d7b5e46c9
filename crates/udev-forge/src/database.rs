//! The directory that is `/run/udev` for a container: records and the index of tags.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use crate::device_id::DeviceId;
use crate::forged::Forged;
use crate::netlink::Credentials;

/// Why the database could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// A directory could not be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record or tag file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or empty directory could not be removed.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A udev database: `data/<id>` and `tags/<tag>/<id>` in a directory that nobody else writes to.
///
/// Everybody can read it, whatever the umask. Two threads must not change the same database at once.
#[derive(Debug, Clone)]
pub struct Database {
    dir: PathBuf,
    owner: Option<Credentials>,
}

impl Database {
    /// The database in `dir`; makes `data` and `tags` in it if need be, and sees to the modes of
    /// directories whose maker was killed before it had.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::Directory`] when that is not possible.
    pub fn open(dir: &Path) -> Result<Self, DatabaseError> {
        make_dir(&dir.join("data"))?;
        let tags = dir.join("tags");
        make_dir(&tags)?;
        let failed = |source| DatabaseError::Directory { path: tags.clone(), source };
        for entry in fs::read_dir(&tags).map_err(failed)? {
            make_dir(&entry.map_err(failed)?.path())?;
        }
        Ok(Self { dir: dir.to_owned(), owner: None })
    }

    /// Gives what is written from now on to `owner`: the container's root, as numbered here, so that it looks
    /// like root's inside. Without an owner, files are the writer's. It takes `CAP_CHOWN`.
    pub fn set_owner(&mut self, owner: Credentials) {
        self.owner = Some(owner);
    }

    /// Writes the index of the device's tags and then its record, in one step each: a reader sees the
    /// old file or the new one.
    ///
    /// Like udevd, writes an empty record for a node about which there is nothing to say, and none for
    /// such a device without a node (`device_update_db` and `device_tag_index` in systemd's
    /// device-private.c).
    ///
    /// # Errors
    ///
    /// [`DatabaseError`]; what was written before the failure is left for [`remove`](Self::remove).
    pub fn write(&self, forged: &Forged) -> Result<(), DatabaseError> {
        let id = forged.device_id();
        for tag in forged.tags() {
            let dir = self.tag_dir(tag);
            let path = dir.join(id.as_str());
            // Most often the directory is there.
            let touched = match touch(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    make_dir(&dir)?;
                    self.give(&dir).and_then(|()| touch(&path))
                }
                touched => touched,
            };
            touched
                .and_then(|()| self.give(&path))
                .map_err(|source| DatabaseError::Write { path, source })?;
        }

        let text = forged.record().text();
        if text.is_empty() && !id.always_recorded() {
            return remove_file(self.record_path(id));
        }
        let path = self.record_path(id);
        self.replace(&path, &self.temporary_path(id), text.as_bytes())
            .map_err(|source| DatabaseError::Write { path, source })
    }

    /// Whether there is a record of the device; of one that needs none there always is.
    #[must_use]
    pub fn has(&self, forged: &Forged) -> bool {
        let id = forged.device_id();
        let needs_none = forged.record().text().is_empty() && !id.always_recorded();
        needs_none || self.record_path(id).exists()
    }

    /// Removes the device's tags from the index, and its record. What is not there need not be removed.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::Remove`] for the first file that could not be removed.
    pub fn remove(&self, forged: &Forged) -> Result<(), DatabaseError> {
        let id = forged.device_id();
        for tag in forged.tags() {
            let dir = self.tag_dir(tag);
            remove_file(dir.join(id.as_str()))?;
            match fs::remove_dir(&dir) {
                Ok(()) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
                    ) => {}
                Err(source) => return Err(DatabaseError::Remove { path: dir, source }),
            }
        }
        remove_file(self.temporary_path(id))?;
        remove_file(self.record_path(id))
    }

    fn replace(&self, path: &Path, temporary: &Path, content: &[u8]) -> io::Result<()> {
        // Never through what somebody else may have put there.
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(temporary)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(content)?;
        self.give(temporary)?;
        fs::rename(temporary, path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some(Credentials { uid, gid }) => lchown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    fn record_path(&self, id: &DeviceId) -> PathBuf {
        self.dir.join("data").join(id.as_str())
    }

    /// Always the same, so that whoever writes next cleans up after a writer that was killed.
    fn temporary_path(&self, id: &DeviceId) -> PathBuf {
        self.dir.join("data").join(format!(".#{id}.new"))
    }

    fn tag_dir(&self, tag: &str) -> PathBuf {
        self.dir.join("tags").join(tag)
    }
}

/// Makes the directory, if need be, and sees to its mode.
fn make_dir(path: &Path) -> Result<(), DatabaseError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(|source| DatabaseError::Directory { path: path.to_owned(), source })
}

/// Makes an empty file, unless it is there already.
fn touch(path: &Path) -> io::Result<()> {
    let mode = Permissions::from_mode(0o444);
    match File::create_new(path) {
        Ok(file) => file.set_permissions(mode),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::set_permissions(path, mode),
        Err(error) => Err(error),
    }
}

fn remove_file(path: PathBuf) -> Result<(), DatabaseError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(DatabaseError::Remove { path, source })
        }
        _ => Ok(()),
    }
}
