//! The journal's file: written line by line, and anew when it has grown.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::kept::Book;
use super::text;
use crate::fault;

/// Beyond this many bytes more than when it was written anew, it is written anew.
const ENOUGH: u64 = 64 * 1024;

/// Room that is kept for what takes away and for ends, when something is added: bytes.
const RESERVE: u64 = 16 * 1024;

/// A file that lines are added to.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    /// `None` when the file lacks something, or there is none.
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    /// How much of it counts.
    length: u64,
    /// Its length when it was written anew.
    start: u64,
}

impl Writer {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), current: None }
    }

    /// Adds a line, which is on disk when this returns. `book` is what the file says until then. With `reserve` there
    /// is room for some lines more, or it fails.
    pub(super) fn append(&mut self, line: &str, reserve: bool, book: &Book) -> io::Result<()> {
        if self.current.is_none() {
            self.write_anew(book)?;
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        current.append(line, reserve)
    }

    /// Whether it has grown much.
    pub(super) fn is_long(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.length > current.start * 2 + ENOUGH)
    }

    /// From now on the file lacks something: it has to be written anew before anything is added.
    pub(super) fn give_up(&mut self) {
        self.current = None;
    }

    /// Writes the shortest file that says all of it. Whoever reads finds the old one or the new one, whole.
    pub(super) fn write_anew(&mut self, book: &Book) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let written = self.write_beside(&new, book);
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        self.current = Some(written?);
        fault::point("journal.renamed");
        sync_directory_of(&self.path)
    }

    fn write_beside(&self, new: &Path, book: &Book) -> io::Result<Current> {
        let mut text = text::head();
        for change in book.changes() {
            text.push_str(&text::line(&change)?);
        }
        let mut file = File::create(new)?;
        file.write_all(text.as_bytes())?;
        fault::point("journal.written-anew");
        file.sync_all()?;
        fault::point("journal.synced-anew");
        fs::rename(new, &self.path)?;
        let length = text.len() as u64;
        Ok(Current { file, length, start: length })
    }
}

impl Current {
    fn append(&mut self, line: &str, reserve: bool) -> io::Result<()> {
        let added = line.len() as u64;
        if reserve {
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, added + RESERVE) {
                // Not every file system can.
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        fault::point("journal.write");
        // Where the last line that counts has ended: a part of one that could not be written is written over.
        let written = self.file.write_all_at(line.as_bytes(), self.length).and_then(|()| {
            fault::point("journal.written");
            self.file.sync_data()
        });
        if written.is_err() {
            let _ = self.file.set_len(self.length);
        }
        written?;
        fault::point("journal.synced");
        self.length += added;
        Ok(())
    }
}

/// Moves a file that makes no sense to `NAME.corrupt-N`, for people to look at. Only the last one is kept.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    let mut older = Vec::new();
    let prefix = format!("{}.corrupt-", path.file_name().unwrap_or_default().display());
    for entry in fs::read_dir(path.parent().unwrap_or(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
            older.push((number, entry.path()));
        }
    }
    let next = older.iter().map(|(number, _)| number + 1).max().unwrap_or(1);
    let aside = path.with_file_name(format!("{prefix}{next}"));
    fs::rename(path, &aside)?;
    tracing::error!(kept = %aside.display(), "the journal makes no sense and is set aside");
    for (_, path) in older {
        fs::remove_file(path)?;
    }
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}
