//! The journal: what is about to be done is on disk before it is done (docs/recovery.md).
//!
//! A line for an intent, synced, before anything of it is done, and one for its end. Together they say what each session
//! has and is to have; a daemon that starts reads from them what an earlier one was in the middle of, and what it is to
//! bring back. The file is written anew when it has grown.

mod change;
mod file;
mod kept;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use device_gate::Identity;

use self::change::Change;
use self::file::Writer;
use self::kept::Book;
use self::text::Read;
use crate::engine::chain;
use crate::host::Rule;
use crate::runtime::ContainerRef;

pub(crate) use self::change::{Attached, End, Intent, Known, Operation};
pub(crate) use self::kept::{Goal, Kept};

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It could not be read.
    #[error("could not read the journal `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be written.
    #[error("could not write the journal `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why; `ENOSPC` when its disk is full.
        #[source]
        source: io::Error,
    },
    /// A newer daemon wrote it.
    #[error(
        "the journal `{path}` is of version {version}, which this Hotseat does not know: start the newer one, or move \
         the file away"
    )]
    Newer {
        /// The file, which is left as it is.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The kernel does not say which boot this is.
    #[error("could not read `{BOOT_ID}`")]
    BootId(#[source] io::Error),
}

/// A number of this boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What an earlier daemon left in its journal.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// What it knew of its sessions.
    book: Book,
    /// What it had begun and not ended, in words.
    interrupted: Vec<String>,
    /// Why nothing can be known from it.
    corrupt: Option<String>,
    /// Whether it ended with an earlier boot.
    another_boot: bool,
}

/// Reads the journal, and changes nothing.
///
/// # Errors
///
/// [`JournalError::Read`], [`JournalError::Newer`], [`JournalError::BootId`]. That it makes no sense is no error.
pub(crate) fn read(path: &Path) -> Result<Earlier, JournalError> {
    let boot = fs::read_to_string(BOOT_ID).map_err(JournalError::BootId)?;
    read_in(path, boot.trim())
}

fn read_in(path: &Path, boot: &str) -> Result<Earlier, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(JournalError::Read { path: path.to_owned(), source }),
    };
    let mut earlier = match text::read(&bytes) {
        Read::Book(book) => Earlier { book, ..Earlier::default() },
        Read::Version1(open) => {
            let interrupted =
                open.iter().map(|(session, intent)| told(session, slice::from_ref(intent)));
            Earlier { interrupted: interrupted.collect(), ..Earlier::default() }
        }
        Read::Newer(version) => {
            return Err(JournalError::Newer { path: path.to_owned(), version });
        }
        Read::Corrupt { line } => {
            Earlier { corrupt: Some(format!("line {line} makes no sense")), ..Earlier::default() }
        }
    };
    for (session, kept) in &earlier.book.sessions {
        if !kept.under_way().is_empty() {
            earlier.interrupted.push(told(session, kept.under_way()));
        }
    }
    if earlier.book.boot.as_deref().is_some_and(|earlier| earlier != boot) {
        earlier.another_boot = true;
        earlier.book.reboot();
    }
    earlier.book.boot = Some(boot.to_owned());
    Ok(earlier)
}

/// What was under way in a session, in words.
fn told(session: &str, under_way: &[Intent]) -> String {
    let words: Vec<_> = under_way.iter().map(ToString::to_string).collect();
    format!("{} in session `{session}`", words.join(", "))
}

impl Earlier {
    /// What it knew of its sessions.
    pub(crate) fn sessions(&self) -> &BTreeMap<String, Kept> {
        &self.book.sessions
    }

    /// What it had begun and not ended, in words.
    pub(crate) fn interrupted(&self) -> &[String] {
        &self.interrupted
    }

    /// Why nothing is known from it, if that is so.
    pub(crate) fn corrupt(&self) -> Option<&str> {
        self.corrupt.as_deref()
    }

    /// Whether it ended with an earlier boot, and every container too.
    pub(crate) fn is_of_another_boot(&self) -> bool {
        self.another_boot
    }
}

#[derive(Debug)]
struct Inner {
    book: Book,
    writer: Writer,
}

/// The journal of this daemon's life, which goes on from the earlier one's.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

impl Journal {
    /// Goes on from what was read. A file that makes no sense is set aside.
    ///
    /// A disk that is full is no reason not to start: there is something to clean. Nothing can be plugged until the
    /// journal can be written.
    ///
    /// # Errors
    ///
    /// [`JournalError::Write`].
    pub(crate) fn go_on(path: &Path, earlier: &Earlier) -> Result<Self, JournalError> {
        let error = |source| JournalError::Write { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(error)?;
        }
        if earlier.corrupt.is_some() {
            file::set_aside(path).map_err(error)?;
        }
        let book = earlier.book.clone();
        let mut writer = Writer::new(path);
        match writer.write_anew(&book) {
            Err(source) if !is_full(&source) => return Err(error(source)),
            Err(source) => tracing::error!(error = chain(&error(source)), "nothing can be plugged"),
            Ok(()) => {}
        }
        Ok(Self { path: path.to_owned(), inner: Mutex::new(Inner { book, writer }) })
    }

    /// Notes what is about to be done. Where this fails for something that adds to the world, it must not be done; what
    /// takes something away, or brings back what was promised, is done all the same, and noted as soon as there is room.
    ///
    /// # Errors
    ///
    /// [`JournalError::Write`], where it must not be done.
    pub(crate) fn intend(&self, session: &str, intent: Intent) -> Result<(), JournalError> {
        let is_promised = |kept: &Kept| kept.promises(&intent);
        let is_promised = self.inner().book.sessions.get(session).is_some_and(is_promised);
        let adds = intent.adds();
        let must = adds && !is_promised;
        match self.note(Change::Intent { session: session.to_owned(), intent }, must) {
            Err(error) if adds && !must => {
                tracing::error!(error = chain(&error), "the journal has a gap");
                Ok(())
            }
            noted => noted,
        }
    }

    /// Notes how it ended.
    pub(crate) fn end(
        &self,
        session: &str,
        operation: Operation,
        end: End,
    ) -> Result<(), JournalError> {
        self.note(Change::End { session: session.to_owned(), operation, end }, false)
    }

    /// Notes that a slot is to have this, whether or not there is a container; for a client, or for good.
    ///
    /// # Errors
    ///
    /// [`JournalError::Write`]; then it must not be promised.
    pub(crate) fn declared(
        &self,
        session: &str,
        slot: u8,
        known: Known,
        client: bool,
    ) -> Result<(), JournalError> {
        self.note(Change::Declared { session: session.to_owned(), slot, known, client }, true)
    }

    /// Notes that a slot is to be empty.
    pub(crate) fn withdrawn(&self, session: &str, slot: u8) -> Result<(), JournalError> {
        self.note(Change::Withdrawn { session: session.to_owned(), slot }, false)
    }

    /// Notes the session's own rules; of one that is added it has to be noted.
    ///
    /// # Errors
    ///
    /// [`JournalError::Write`]; then it must not be promised.
    pub(crate) fn rules(
        &self,
        session: &str,
        rules: BTreeMap<u32, Rule>,
        adds: bool,
    ) -> Result<(), JournalError> {
        self.note(Change::Rules { session: session.to_owned(), rules }, adds)
    }

    /// Notes that what was under way in a session will never end.
    pub(crate) fn lost(&self, session: &str) -> Result<(), JournalError> {
        self.note(Change::Lost { session: session.to_owned() }, false)
    }

    /// Notes that there is nothing of a session any more.
    pub(crate) fn removed(&self, session: &str) -> Result<(), JournalError> {
        self.end(session, Operation::Remove, End::Done)
    }

    /// Notes what there is of a session from now on, whatever was known before.
    pub(crate) fn settle(&self, session: &str, kept: Kept) -> Result<(), JournalError> {
        self.note(Change::Session { name: session.to_owned(), kept: Box::new(kept) }, false)
    }

    /// A container, with the directories that are made in it for a session: these, and those that were made before.
    pub(crate) fn attached(
        &self,
        session: &str,
        reference: &ContainerRef,
        container: &Identity,
        made: impl IntoIterator<Item = String>,
    ) -> Attached {
        let inner = self.inner();
        let before = inner.book.sessions.get(session).map(|kept| kept.made_in(container));
        let mut all = before.unwrap_or_default();
        all.extend(made);
        all.sort_unstable();
        all.dedup();
        Attached::new(reference, container, all)
    }

    /// `must` says that the change counts only if it is written.
    fn note(&self, change: Change, must: bool) -> Result<(), JournalError> {
        let error = |source| JournalError::Write { path: self.path.clone(), source };
        let line = text::line(&change).map_err(|source| error(source.into()))?;
        let mut inner = self.inner();
        let Inner { book, writer } = &mut *inner;
        let written = writer.append(&line, must, book);
        if written.is_ok() || !must {
            book.apply(change);
        }
        if written.is_err() && !must {
            // The file is behind: what it lacks is written with all the rest.
            writer.give_up();
        } else if written.is_ok()
            && writer.is_long()
            && let Err(source) = writer.write_anew(book)
        {
            tracing::warn!(error = chain(&error(source)), "the journal grows on");
        }
        written.map_err(error)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is no room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
