//! The service graph: who calls whom, how often, how long, and how often in vain. Joins the two spans of a call.

pub mod edge;
pub mod half;
mod store;

use parking_lot::Mutex;

use super::config::GraphConfig;
use super::schema::Schema;
use super::series::{Deltas, Part};
use edge::Edge;
use half::{Half, Peers};
use store::Store;

/// How many stores there are: mills that join spans of different traces seldom wait for each other.
const STORES: usize = 16;

/// What is counted of edges, and what waits for its other half.
#[derive(Debug)]
pub struct Graph {
    /// As it was configured.
    pub config: GraphConfig,
    /// Where a peer's name may stand.
    pub peers: Peers,
    /// The series.
    pub part: Part,
    /// By trace.
    stores: Vec<Mutex<Store>>,
}

impl Graph {
    /// Begins with nothing.
    pub fn new(config: GraphConfig, mills: usize, now: u64) -> Self {
        let store = || Mutex::new(Store::new(config.wait, config.size / STORES));
        Self {
            part: Part::new(config.series.clone(), Schema::of_edges(), mills, now),
            peers: Peers::new(&config.peers),
            stores: (0..STORES).map(|_| store()).collect(),
            config,
        }
    }

    /// The edges of what has waited in vain.
    pub fn expired(&self, now: u64) -> Deltas {
        let mut deltas = Deltas::default();
        let mut edges = Vec::new();
        for store in &self.stores {
            store.lock().expire(now, usize::MAX, &mut edges);
        }
        put(&mut deltas, self, edges.drain(..));
        deltas
    }

    /// Bytes of what waits, about.
    pub fn waiting(&self) -> usize {
        self.stores.iter().map(|store| store.lock().bytes()).sum()
    }
}

/// Joins halves, and records the edges that come of it in the table of a mill.
pub fn record(graph: &Graph, halves: impl Iterator<Item = Half>, mill: usize, now: u64) {
    let mut edges = Vec::new();
    for half in halves {
        if let Some(edge) = half.alone() {
            edges.push(edge);
            continue;
        }
        // The last bytes of a trace id are its most random ones.
        let store = usize::from(half.trace[15]) % STORES;
        graph.stores[store].lock().offer(half, now, &mut edges);
    }
    put(&mut graph.part.mill(mill), graph, edges.drain(..));
}

fn put(table: &mut Deltas, graph: &Graph, edges: impl Iterator<Item = Edge>) {
    let mut key = Vec::new();
    for edge in edges {
        edge.record(table, &graph.part.config, &mut key);
    }
}

#[cfg(test)]
mod tests;
