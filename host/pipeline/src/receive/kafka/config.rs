//! How messages are taken from Kafka. Checked: what is in here is possible.

use std::time::Duration;

use otlp::signal::Signal;

use crate::kafka::{ConnectConfig, TOPICS};

/// A consumer group, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The brokers.
    pub connect: ConnectConfig,
    /// Which topics, and what stands in each. Never empty, no topic twice.
    pub topics: Vec<(String, Signal)>,
    /// Its group: all that name the same share the partitions.
    pub group: String,
    /// Under which name it is the same member after a restart; another one each time without it.
    pub group_instance_id: Option<String>,
    /// Where a group begins that has never said how far it is.
    pub initial_offset: InitialOffset,
    /// After how long without a sign of life another of the group gets its partitions.
    pub session_timeout: Duration,
    /// How often it is said how far it is.
    pub commit_interval: Duration,
    /// How many messages of a partition may be on their way at once: taken, and not yet delivered.
    pub max_uncommitted: usize,
    /// How many bytes are fetched ahead.
    pub fetch_bytes: usize,
}

impl Config {
    /// With the defaults.
    #[must_use]
    pub fn new(connect: ConnectConfig) -> Self {
        Self {
            connect,
            topics: vec![(TOPICS[Signal::Traces as usize].to_owned(), Signal::Traces)],
            group: "tracemill".to_owned(),
            group_instance_id: None,
            initial_offset: InitialOffset::default(),
            session_timeout: Duration::from_secs(45),
            commit_interval: Duration::from_secs(1),
            max_uncommitted: 100_000,
            fetch_bytes: 16 << 20,
        }
    }
}

/// Where a group begins that has never said how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InitialOffset {
    /// With what is there: so nothing is lost that was written before the first of the group came, or to a new partition before that was seen.
    #[default]
    Earliest,
    /// With what comes next.
    Latest,
}
