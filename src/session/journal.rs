//! The journal: what is about to be done is on disk before it is done.
//!
//! One JSON object per line, synced: an `intent` before a plug or unplug, its `end` after. At start, intents
//! without an end name what an earlier daemon was in the middle of. The traces themselves need no journal
//! yet: kernel devices, grants and sockets end with the daemon, and the staging file system is cleared when
//! it is taken over.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The journal could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("could not write the journal `{path}`")]
pub struct JournalError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What is done to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Plug,
    Unplug,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    Done,
    /// A plug that failed and was undone.
    RolledBack,
    /// An unplug of which something could not be removed.
    Incomplete,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Format version, 1.
    v: u32,
    operation: Operation,
    session: String,
    slot: u8,
    /// Absent in the intent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    end: Option<End>,
}

/// An intent whose end is not in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished(Line);

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { operation, session, slot, .. } = &self.0;
        let operation = match operation {
            Operation::Plug => "plug",
            Operation::Unplug => "unplug",
        };
        write!(f, "{operation} of slot {slot} in session `{session}`")
    }
}

#[derive(Debug)]
struct Writer {
    file: File,
    length: u64,
    /// Intents without an end.
    open: u32,
}

/// Beyond this many bytes the journal starts anew as soon as nothing is under way.
const ENOUGH: u64 = 64 * 1024;

/// The journal of this daemon's life.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    writer: Mutex<Writer>,
    recovered: Vec<Unfinished>,
}

impl Journal {
    /// Reads what an earlier daemon left unfinished, and starts anew.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the file cannot be made. What cannot be understood in it is passed over: the
    /// last line may be half written.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let error = |source| JournalError { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(error)?;
        }
        let recovered = match fs::read(path) {
            Ok(bytes) => unfinished(&String::from_utf8_lossy(&bytes)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(error(source)),
        };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(error)?;
        file.set_len(0).map_err(error)?;
        let writer = Mutex::new(Writer { file, length: 0, open: 0 });
        Ok(Self { path: path.to_owned(), writer, recovered })
    }

    /// What an earlier daemon left unfinished.
    pub fn recovered(&self) -> &[Unfinished] {
        &self.recovered
    }

    /// Notes that `operation` is about to begin.
    pub(crate) fn intend(
        &self,
        operation: Operation,
        session: &str,
        slot: u8,
    ) -> Result<(), JournalError> {
        self.append(&Line { v: 1, operation, session: session.to_owned(), slot, end: None })
    }

    /// Notes how it ended.
    pub(crate) fn end(
        &self,
        operation: Operation,
        session: &str,
        slot: u8,
        end: End,
    ) -> Result<(), JournalError> {
        self.append(&Line { v: 1, operation, session: session.to_owned(), slot, end: Some(end) })
    }

    fn append(&self, line: &Line) -> Result<(), JournalError> {
        let mut text = serde_json::to_string(line)
            .map_err(|source| JournalError { path: self.path.clone(), source: source.into() })?;
        text.push('\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer
            .append(&text, line.end.is_none())
            .map_err(|source| JournalError { path: self.path.clone(), source })
    }
}

impl Writer {
    fn append(&mut self, text: &str, is_intent: bool) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.length += text.len() as u64;
        self.open = if is_intent { self.open + 1 } else { self.open.saturating_sub(1) };
        if self.open == 0 && self.length > ENOUGH {
            self.file.set_len(0)?;
            self.length = 0;
        }
        Ok(())
    }
}

fn unfinished(text: &str) -> Vec<Unfinished> {
    let mut open: Vec<Line> = Vec::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        match line.end {
            None => open.push(line),
            Some(_) => open.retain(|intent| {
                (intent.operation, &intent.session, intent.slot)
                    != (line.operation, &line.session, line.slot)
            }),
        }
    }
    open.into_iter().map(Unfinished).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_without_an_end_is_recovered_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        assert!(journal.recovered().is_empty());
        journal.intend(Operation::Plug, "alice", 0).unwrap();
        journal.end(Operation::Plug, "alice", 0, End::Done).unwrap();
        journal.intend(Operation::Plug, "alice", 1).unwrap();
        journal.end(Operation::Plug, "alice", 1, End::RolledBack).unwrap();
        journal.intend(Operation::Unplug, "alice", 0).unwrap();
        drop(journal);

        let journal = Journal::open(&path).unwrap();
        let names: Vec<_> = journal.recovered().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["unplug of slot 0 in session `alice`"]);
        drop(journal);
        assert!(Journal::open(&path).unwrap().recovered().is_empty());
    }

    #[test]
    fn a_long_journal_starts_anew_when_nothing_is_under_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        journal.intend(Operation::Unplug, "bob", 7).unwrap();
        for _ in 0..1000 {
            journal.intend(Operation::Plug, "alice", 0).unwrap();
            journal.end(Operation::Plug, "alice", 0, End::Done).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() > ENOUGH, "bob's intent is kept");
        journal.end(Operation::Unplug, "bob", 7, End::Done).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_half_written_or_foreign_line_is_passed_over() {
        let text = "garbage\n{\"v\":1,\"operation\":\"plug\",\"session\":\"a\",\"slot\":3}\n{\"v\":1,\"oper";
        assert_eq!(unfinished(text).len(), 1);
    }
}
