//! What is counted each time, and logged now and then.

use prometheus_client::metrics::counter::Counter;

use crate::log_gate::Gate;

#[derive(Debug)]
pub(super) struct Noted {
    counter: Counter,
    log: Gate,
}

impl Noted {
    pub fn new(counter: Counter) -> Self {
        Self { counter, log: Gate::default() }
    }

    /// Answers whether to log it: then, how many lines were left out since the last.
    pub fn note(&self) -> Option<u64> {
        self.counter.inc();
        self.log.open()
    }
}
