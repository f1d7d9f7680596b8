//! How it stands with each destination, for people: read from its queue and counters when somebody asks.

use std::sync::Arc;

use parking_lot::Mutex;

use super::config::Protocol;
use super::destination::Destination;

/// One destination at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// The URL that requests go to.
    pub uri: String,
    /// Bytes reserved, waiting and being sent.
    pub queue_bytes: u64,
    /// The queue's bound.
    pub queue_limit: u64,
    /// Spans that the back end has accepted.
    pub sent: u64,
    /// Spans that wait or are being sent.
    pub held: u64,
    /// Spans that the back end has refused for good.
    pub rejected: u64,
    /// Spans that were given up.
    pub dropped: u64,
    /// What went wrong with the last request, if it did.
    pub trouble: Option<String>,
}

/// What went wrong with the last request. Written once a request, read by whoever looks at the status.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Arc<str>>>);

impl Trouble {
    /// The back end has taken a request.
    pub fn is_over(&self) {
        self.0.lock().take();
    }

    /// It has not.
    pub fn is(&self, reason: &str) {
        let mut known = self.0.lock();
        if known.as_deref() != Some(reason) {
            *known = Some(reason.into());
        }
    }

    fn get(&self) -> Option<String> {
        self.0.lock().as_deref().map(str::to_owned)
    }
}

pub(super) fn of(destination: &Destination) -> DestinationStatus {
    let (config, queue) = (destination.config(), destination.queue());
    let counters = queue.counters();
    let whole = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
    DestinationStatus {
        name: config.name.clone(),
        protocol: config.endpoint.protocol(),
        uri: config.endpoint.uri().to_string(),
        queue_bytes: whole(counters.queue_bytes.get()),
        queue_limit: config.queue.max_bytes as u64,
        sent: counters.sent.get(),
        held: whole(counters.held.get()),
        rejected: counters.rejected.get(),
        dropped: counters.all_dropped(),
        trouble: queue.trouble().get(),
    }
}
