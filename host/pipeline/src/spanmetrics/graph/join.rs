//! Joins the two spans of a call: those of a batch that is taken with all that wait, and those of one that may not be with each other.

use std::time::Instant;

use parking_lot::MutexGuard;

use super::edge::Edge;
use super::half::Half;
use super::store::Store;
use super::{Graph, STORES};
use crate::spanmetrics::series::Deltas;

/// Takes the halves of a batch. What comes of it is recorded in a mill's table, which nobody else has meanwhile.
#[derive(Debug)]
pub struct Joining<'g> {
    graph: &'g Graph,
    table: MutexGuard<'g, Deltas>,
    edges: Edges,
    now: Instant,
}

impl<'g> Joining<'g> {
    /// Begins.
    pub fn begin(graph: &'g Graph, mill: usize, now: Instant) -> Self {
        Self { graph, table: graph.part.mill(mill), edges: Edges::default(), now }
    }

    /// Joins a half with the one that waits for it, or lets it wait.
    pub fn offer(&mut self, half: Half) {
        if let Some(edge) = half.alone() {
            self.edges.list.push(edge);
        } else {
            // The last bytes of a trace id are its most random ones.
            let store = usize::from(half.trace[15]) % STORES;
            self.graph.stores[store].lock().offer(half, self.now, &mut self.edges.list);
        }
        self.edges.record(&mut self.table, self.graph);
    }

    /// Takes all that a batch has held.
    pub fn take(&mut self, held: Held) {
        self.table.add(held.table, &self.graph.part.config);
        for half in held.store.into_halves() {
            self.offer(half);
        }
    }
}

/// What a batch adds once it is taken. Its halves are joined with each other, and the others wait in a store of its own: it holds no more
/// than that has room for, however many spans there are.
#[derive(Debug)]
pub struct Held {
    store: Store,
    table: Deltas,
    edges: Edges,
    now: Instant,
}

impl Held {
    /// Nothing.
    pub fn new(graph: &Graph, now: Instant) -> Self {
        Self { store: graph.store(), table: Deltas::default(), edges: Edges::default(), now }
    }

    /// Joins a half with another one of the batch, or lets it wait.
    pub fn offer(&mut self, graph: &Graph, half: Half) {
        match half.alone() {
            Some(edge) => self.edges.list.push(edge),
            None => self.store.offer(half, self.now, &mut self.edges.list),
        }
        self.edges.record(&mut self.table, graph);
    }

    /// Bytes of what waits, about.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// When its spans came.
    pub fn now(&self) -> Instant {
        self.now
    }
}

/// Edges on their way into a table.
#[derive(Debug, Default)]
pub(super) struct Edges {
    pub(super) list: Vec<Edge>,
    key: Vec<u8>,
}

impl Edges {
    /// Records all of them.
    pub(super) fn record(&mut self, table: &mut Deltas, graph: &Graph) {
        for edge in self.list.drain(..) {
            edge.record(table, &graph.part.config, &mut self.key);
        }
    }
}
