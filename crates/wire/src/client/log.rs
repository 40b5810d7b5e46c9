//! What went down and up, until the server has it.

use std::collections::VecDeque;

use crate::MAX_EDGES;
use crate::input::{self, Edge};
use crate::set::Set;

/// A link that stands still is not remembered longer than this: what is held counts then.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Log {
    /// What was held after the last edge that was acknowledged.
    base: Set,
    acknowledged: u16,
    edges: VecDeque<Edge>,
}

impl Log {
    /// A log without edges.
    pub(super) fn new(held: Set) -> Self {
        Self { base: held, acknowledged: 0, edges: VecDeque::new() }
    }

    pub(super) fn push(&mut self, edge: Edge) {
        if self.edges.len() == MOST {
            let edges = self.edges.len();
            self.drop_front(edges);
        }
        self.edges.push_back(edge);
    }

    /// The oldest edges that fit into a frame, and what is held after them. Newer ones wait: if they were said
    /// instead, a tap could be lost.
    pub(super) fn window(&self) -> (Set, input::Log) {
        let mut held = self.base;
        let mut log = input::Log { last: self.acknowledged, ..input::Log::default() };
        for edge in self.edges.iter().take(MAX_EDGES) {
            held.set(edge.number, edge.down);
            log.edges.push(*edge);
            log.last = log.last.wrapping_add(1);
        }
        (held, log)
    }

    /// The server has the edges up to this number. Returns whether others have come into the window by that.
    pub(super) fn acknowledge(&mut self, last: u16) -> bool {
        let count = usize::from(last.wrapping_sub(self.acknowledged));
        // What was never sent cannot be acknowledged.
        if count > self.edges.len().min(MAX_EDGES) {
            return false;
        }
        let had_more = self.edges.len() > MAX_EDGES;
        self.drop_front(count);
        had_more && count > 0
    }

    fn drop_front(&mut self, count: usize) {
        for edge in self.edges.drain(..count) {
            self.base.set(edge.number, edge.down);
            self.acknowledged = self.acknowledged.wrapping_add(1);
        }
    }
}
