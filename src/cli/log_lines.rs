//! The lines of the log, on their way to standard error: a thread writes them, so whoever logs never waits for whoever reads.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// How many lines wait. More are dropped, and counted.
const LINES: usize = 10_000;

/// How long the last lines have at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes lines.
#[derive(Clone, Debug)]
pub(super) struct LogLines {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    /// Is told when everything before it has been written.
    Mark(SyncSender<()>),
}

impl LogLines {
    pub(super) fn start() -> io::Result<Self> {
        // A descriptor of its own: who prints an error at the end does not wait for the lock of `io::stderr()`.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        // In the form that the log has: it comes back here as a line.
        Self::to(stderr, LINES, |lines| {
            tracing::warn!(lines, "nobody read the log, and some of it was dropped");
        })
    }

    /// Writes to `file`, for which `most` lines wait; `tell` is told how many lines were dropped.
    fn to(
        file: impl Write + Send + 'static,
        most: usize,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(most);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(file, &waiting, &counted, tell))?;
        Ok(Self { lines, dropped })
    }

    /// Waits until everything has been written that was logged before. Whether it has: not if nobody reads.
    pub(super) fn drain(&self) -> bool {
        let (mark, reached) = sync_channel(1);
        self.lines.try_send(Line::Mark(mark)).is_ok() && reached.recv_timeout(PATIENCE).is_ok()
    }
}

/// One call is one line: the formatting layers of tracing-subscriber write a whole event at once.
impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Line::Text(line.to_owned())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until nobody has any more. What cannot be written is lost: there is nobody to tell.
fn write(mut file: impl Write, lines: &Receiver<Line>, dropped: &AtomicU64, tell: impl Fn(u64)) {
    for line in lines {
        let _lost = match line {
            Line::Text(text) => file.write_all(&text),
            Line::Mark(mark) => {
                // Whoever waited may have given up.
                let _late = mark.send(());
                continue;
            }
        };
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            tell(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, pipe};

    use super::*;

    #[test]
    fn lines_come_in_their_order_and_all_of_them() {
        let (reader, writer) = pipe().unwrap();
        let mut log = LogLines::to(writer, 10, |_| panic!("there is room")).unwrap();
        for number in 0..10 {
            writeln!(log, "{number}").unwrap();
            assert!(log.drain());
        }
        drop(log);
        let lines: Vec<_> = BufReader::new(reader).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }

    #[test]
    fn nobody_waits_for_whoever_does_not_read_and_what_is_dropped_is_told() {
        let (reader, writer) = pipe().unwrap();
        let told = Arc::new(AtomicU64::new(0));
        let telling = Arc::clone(&told);
        let tell = move |count| {
            telling.fetch_add(count, Ordering::Relaxed);
        };
        let mut log = LogLines::to(writer, 10, tell).unwrap();
        // More than a pipe and the queue hold.
        let line = [b'x'; 4095];
        for _ in 0..1000 {
            log.write_all(&[&line[..], b"\n"].concat()).unwrap();
        }
        assert!(!log.drain());
        drop(log);
        let written = BufReader::new(reader).lines().count() as u64;
        let dropped = told.load(Ordering::Relaxed);
        assert!(dropped > 0);
        assert_eq!(written + dropped, 1000);
    }
}
