//! An edge: one call between two services, and what is recorded of it.

use std::sync::Arc;

use crate::spanmetrics::config::SeriesConfig;
use crate::spanmetrics::durations::Sample;
use crate::spanmetrics::exemplar::Candidate;
use crate::spanmetrics::key;
use crate::spanmetrics::schema::edge::{CLIENT, DROPPED, FAILED, REQUESTS, SERVER, UNPAIRED};
use crate::spanmetrics::series::Deltas;

/// What lies between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// A call.
    Direct,
    /// A message.
    Messaging,
    /// The server is a database, which sends no spans.
    Database,
    /// One side sends no spans.
    Virtual,
}

impl Connection {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Messaging => "messaging_system",
            Self::Database => "database",
            Self::Virtual => "virtual_node",
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides are known.
    Request,
    /// The other half did not come in time.
    Unpaired,
    /// It could not wait.
    Dropped,
}

/// The two services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// Who calls.
    pub client: Arc<str>,
    /// Who is called.
    pub server: Arc<str>,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Between whom; empty where that is not known.
    pub ends: Ends,
    /// Over what.
    pub connection: Connection,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether either side says that it failed.
    pub failed: bool,
    /// How long the client waited, where that is known.
    pub client_seconds: Option<f64>,
    /// How long the server took, likewise.
    pub server_seconds: Option<f64>,
    /// How many calls stand behind it.
    pub weight: f64,
    /// A span that may stand for it.
    pub exemplar: Option<Candidate>,
}

impl Edge {
    /// Records it. `key` is a buffer.
    pub fn record(&self, table: &mut Deltas, config: &SeriesConfig, key: &mut Vec<u8>) {
        key.clear();
        key.push(REQUESTS);
        for text in [&*self.ends.client, &*self.ends.server, self.connection.name()] {
            // They were cut where they came from.
            key::put_text(key, text.as_bytes(), usize::MAX);
        }
        let mut put = |family, seconds: Option<f64>| {
            key[0] = family;
            let exemplar =
                seconds.and(self.exemplar).map(|of| Candidate { seconds: seconds.unwrap_or_default(), ..of });
            table.record(key, &Sample { weight: self.weight, seconds, exemplar }, config);
        };
        match self.outcome {
            Outcome::Unpaired => put(UNPAIRED, None),
            Outcome::Dropped => put(DROPPED, None),
            Outcome::Request => {
                put(REQUESTS, None);
                if self.failed {
                    put(FAILED, None);
                }
                if self.client_seconds.is_some() {
                    put(CLIENT, self.client_seconds);
                }
                if self.server_seconds.is_some() {
                    put(SERVER, self.server_seconds);
                }
            }
        }
    }
}
