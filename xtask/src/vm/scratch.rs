//! Folders that live as long as a process: whatever is left of killed ones is removed by the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use super::folder;

/// What scratch folders are for; the first part of their names.
const KINDS: [&str; 3] = ["run-", "tests-", "unfinished-"];

/// A folder in `target/vm`, removed on drop. The kernel unlocks it when this process ends in any other way.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _locked: File,
}

impl Scratch {
    /// A new folder, `KIND-PID-NUMBER`. `kind` is one of `run`, `tests`, `unfinished`.
    pub(crate) fn new(kind: &str) -> Result<Self> {
        let parent = folder()?;
        // One at a time, so that no folder is seen between its making and its locking.
        let guard = open_lock(&parent.join("scratch.lock"))?;
        guard.lock().context("locking the scratch folders")?;
        remove_left_over(&parent)?;
        // More than one of a kind at once, when two machines run.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{kind}-{}-{number}", process::id()));
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        let locked = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        locked.lock().with_context(|| format!("locking {}", path.display()))?;
        Ok(Self { path, _locked: locked })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Finished work has been moved away; anything else is tried again by the next process.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Opens a lock file, made if need be.
pub(super) fn open_lock(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("creating {}", path.display()))
}

fn remove_left_over(parent: &Path) -> Result<()> {
    for entry in fs::read_dir(parent).with_context(|| format!("reading {}", parent.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = KINDS.iter().any(|kind| name.starts_with(kind));
        // Somebody may just be removing it.
        if ours && File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}
