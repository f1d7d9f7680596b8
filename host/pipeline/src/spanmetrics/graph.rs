//! The service graph: who calls whom, how often, how long, and how often in vain.

pub mod edge;
pub mod half;
mod join;
pub mod names;
mod store;

use std::hash::BuildHasher as _;
use std::time::Instant;

use foldhash::fast::RandomState;
use otlp::batch::RequestContext;
use parking_lot::Mutex;

use super::config::GraphConfig;
use super::now::Now;
use super::schema::Schema;
use super::series::{Deltas, Part};
use half::Peers;
use join::Edges;
pub use join::{Held, Joining};
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
    /// Of tenants.
    hasher: RandomState,
}

impl Graph {
    /// Begins with nothing.
    pub fn new(config: GraphConfig, mills: usize, now: Now) -> Self {
        let stores = (0..STORES).map(|_| Mutex::new(store(&config))).collect();
        Self {
            part: Part::new(config.series.clone(), Schema::of_edges(), mills, now),
            peers: Peers::new(&config.peers),
            stores,
            hasher: RandomState::default(),
            config,
        }
    }

    /// The tenant of a request as a number: spans of two tenants are never joined.
    pub fn tenant(&self, context: &RequestContext) -> u64 {
        self.hasher.hash_one(&context.tenant)
    }

    /// A store with as much room as each has.
    fn store(&self) -> Store {
        store(&self.config)
    }

    /// The edges of what has waited in vain.
    pub fn expired(&self, now: Instant) -> Deltas {
        let (mut deltas, mut edges) = (Deltas::default(), Edges::default());
        for store in &self.stores {
            store.lock().expire(now, usize::MAX, &mut edges.list);
            edges.record(&mut deltas, self);
        }
        deltas
    }

    /// Bytes of what waits, about.
    pub fn waiting(&self) -> usize {
        self.stores.iter().map(|store| store.lock().bytes()).sum()
    }
}

fn store(config: &GraphConfig) -> Store {
    Store::new(config.wait, config.size / STORES)
}

#[cfg(test)]
mod tests;
