//! What programs and drivers send to a device, as it comes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::descriptor::ReportKind;

/// A report for the device. Everything here may come from a program inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// [`ReportKind::Output`], or another one that was set.
    pub kind: ReportKind,
    /// The report as the kernel passed it on: its number first, where the device numbers its reports.
    pub data: Vec<u8>,
}

/// Most reports that are kept for an owner who does not take them; then the oldest are lost. What they mean is not
/// known, so none can stand for another one.
const KEPT: usize = 64;

/// Reports that nobody has taken yet. It is never full, so the thread that fills it never waits.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<VecDeque<Output>>);

impl Queue {
    pub(super) fn put(&self, output: Output) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() == KEPT {
            queue.pop_front();
        }
        queue.push_back(output);
    }

    pub(super) fn take(&self) -> Option<Output> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_their_order() {
        let queue = Queue::default();
        for number in 0..100 {
            queue.put(Output { kind: ReportKind::Output, data: vec![number] });
        }
        let all: Vec<_> = std::iter::from_fn(|| queue.take()).map(|it| it.data[0]).collect();
        assert_eq!(all, (36..100).collect::<Vec<_>>());
    }
}
