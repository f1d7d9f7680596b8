//! Metrics and logs: counted, and handed to the queues of the destinations that take them, byte for byte as they came. No plugin
//! sees them, and none holds them up: they know no gate but the end of the process.

use std::sync::Arc;
use std::time::Duration;

use otlp::signal::Signal;
use tokio::sync::oneshot;

mod metrics;

pub use metrics::Metrics;

use crate::chain::gate::Gate;
use crate::chain::outlet::Outlet;
use crate::export::{Commit, Parcel, Taken};
use crate::request::{Accepted, Answer, Refusal, RefusalKind, Request};

/// Larger requests are counted off the runtime's threads, which have sockets to serve: a millisecond for each 10 MiB of usual
/// ones, ten times as long for what is made to take long.
const INLINE_BYTES: usize = 1 << 20;

/// When senders come back whose request was cut off by the end.
const GONE: Duration = Duration::from_secs(1);

/// The way of metrics and logs.
pub struct Forward {
    outlet: Arc<dyn Outlet>,
    gate: Gate,
    metrics: Metrics,
}

impl Forward {
    /// A way to this outlet, for as long as the gate is open.
    #[must_use]
    pub fn new(outlet: Arc<dyn Outlet>, gate: Gate, metrics: Metrics) -> Self {
        Self { outlet, gate, metrics }
    }

    /// Whether a destination takes this signal.
    #[must_use]
    pub fn takes(&self, signal: Signal) -> bool {
        self.outlet.takes(signal)
    }

    /// Whether requests are refused now whatever they hold.
    #[must_use]
    pub fn refuses(&self) -> Option<Refusal> {
        self.gate.refuses()
    }

    /// Takes a request into the queues. What holds no item holds nothing to deliver, and ends here.
    pub async fn take(&self, request: Request) -> Answer {
        if let Some(refusal) = self.refuses() {
            return Err(refusal);
        }
        let Request { signal, body, context, permit, custody } = request;
        let counted = if body.len() <= INLINE_BYTES {
            signal.count(&body)
        } else {
            let body = body.clone();
            let counting = tokio::task::spawn_blocking(move || signal.count(&body));
            counting.await.map_err(|error| Refusal { kind: RefusalKind::Internal, message: error.to_string() })?
        };
        let items = counted.map_err(|error| {
            self.metrics.malformed(signal);
            Refusal::malformed(format!("malformed OTLP {signal}: {error}"))
        })?;
        if items == 0 {
            return Ok(Accepted::default());
        }
        let taken = match self.outlet.accept(Parcel { signal, body, items, context, custody }) {
            Ok(Taken::Whole) => Ok(()),
            Ok(Taken::Later(commit)) => return self.wait(commit, signal, items).await,
            Err(refusal) => Err(refusal),
        };
        self.metrics.count(signal, items, taken.is_ok());
        // Up to here its bytes were in flight; from here on the queues hold them.
        drop(permit);
        taken.map(|()| Accepted::default())
    }

    /// Until the disks have it. A sender that goes away hears nothing; what it sent is taken and counted all the same.
    async fn wait(&self, commit: Commit, signal: Signal, items: u32) -> Answer {
        let (sender, outcome) = oneshot::channel();
        let metrics = self.metrics.clone();
        commit.start(Box::new(move |taken| {
            metrics.count(signal, items, taken.is_ok());
            let _gone = sender.send(taken);
        }));
        let gone = || Refusal::unavailable(GONE, "the proxy is shutting down, try again");
        outcome.await.unwrap_or_else(|_| Err(gone())).map(|()| Accepted::default())
    }
}
