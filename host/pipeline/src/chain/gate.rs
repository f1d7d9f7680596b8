//! The gate: whether requests are taken at all. The control plane closes it while a required plugin is missing, and at
//! shutdown; the data plane asks it once a request.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::request::Refusal;

/// How long senders are told to wait at a closed gate.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Open, or closed for a reason. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<ArcSwapOption<String>>);

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses requests from now on, retryably, with this reason.
    pub fn close(&self, reason: impl Into<String>) {
        self.0.store(Some(Arc::new(reason.into())));
    }

    /// Takes requests from now on.
    pub fn open(&self) {
        self.0.store(None);
    }

    /// Why it is closed.
    #[must_use]
    pub fn closed(&self) -> Option<Arc<String>> {
        self.0.load_full()
    }

    /// What a request is answered while it is closed.
    #[must_use]
    pub fn refuses(&self) -> Option<Refusal> {
        self.closed().map(|reason| Refusal::unavailable(RETRY_AFTER, reason.as_str()))
    }
}
