//! What is counted of each destination. Items have series of their own by signal, named as OpenTelemetry's Collector names them,
//! since sums of spans and log records mean nothing; requests and bytes have a label.
//!
//! Invariant: at any quiet moment, for each destination and signal,
//! admitted + replayed = sent + rejected + dropped + held + left; replayed and left are of queues on disk.

use std::fmt;

use otlp::signal::Signal;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub(crate) mod disk;

use disk::{DiskCounters, DiskMetrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    destination: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DroppedOf {
    destination: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignalOf {
    destination: String,
    signal: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestsOf {
    destination: String,
    signal: &'static str,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointOf {
    destination: String,
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointRequestsOf {
    destination: String,
    endpoint: String,
    outcome: Outcome,
}

/// Why a destination did not get items that it had admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// `drop_oldest` or `drop_newest` on a full queue.
    QueueFull,
    /// The parcel alone is larger than the whole queue, which drops by policy.
    TooLarge,
    /// A span, data point or log record alone is larger than a request may be.
    ItemTooLarge,
    /// The back end did not take them within `retry.max_elapsed`.
    RetriesExhausted,
    /// They had waited longer than `queue.max_age` allows a queue that drops its oldest.
    TooOld,
    /// What the disk gave back is not what was written.
    Corrupt,
    /// The process ended before they could be sent.
    Shutdown,
    /// The destination was taken out of the configuration before they could be sent.
    Removed,
}

pub(super) const REASONS: [DropReason; 8] = [
    DropReason::QueueFull,
    DropReason::TooLarge,
    DropReason::ItemTooLarge,
    DropReason::RetriesExhausted,
    DropReason::TooOld,
    DropReason::Corrupt,
    DropReason::Shutdown,
    DropReason::Removed,
];

/// How one request to a back end ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Ok,
    Partial,
    Rejected,
    /// To be sent again in smaller requests.
    TooLarge,
    Retry,
}

const OUTCOMES: [Outcome; 5] = [Outcome::Ok, Outcome::Partial, Outcome::Rejected, Outcome::TooLarge, Outcome::Retry];

impl DropReason {
    pub(super) fn label(self, signal: Signal) -> &'static str {
        match (self, signal) {
            (Self::QueueFull, _) => "queue_full",
            (Self::TooLarge, _) => "too_large",
            (Self::ItemTooLarge, Signal::Traces) => "span_too_large",
            (Self::ItemTooLarge, Signal::Metrics) => "metric_point_too_large",
            (Self::ItemTooLarge, Signal::Logs) => "log_record_too_large",
            (Self::RetriesExhausted, _) => "retries_exhausted",
            (Self::TooOld, _) => "too_old",
            (Self::Corrupt, _) => "corrupt",
            (Self::Shutdown, _) => "shutdown",
            (Self::Removed, _) => "removed",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::TooLarge => "too_large",
            Self::Retry => "retry",
        };
        name.encode(encoder)
    }
}

/// The exporters' metrics. Clones count into the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    items: [Items; Signal::ALL.len()],
    queue_bytes: Family<SignalOf, Gauge>,
    queue_limit: Family<SignalOf, Gauge>,
    requests: Family<RequestsOf, Counter>,
    retries: Family<SignalOf, Counter>,
    bytes: Family<SignalOf, Counter>,
    duration: Family<SignalOf, Histogram, fn() -> Histogram>,
    endpoint_requests: Family<EndpointRequestsOf, Counter>,
    endpoint_queue_bytes: Family<EndpointOf, Gauge>,
    endpoint_up: Family<EndpointOf, Gauge>,
    disk: DiskMetrics,
}

/// What is counted of one signal's items.
#[derive(Debug, Clone, Default)]
struct Items {
    admitted: Family<Of, Counter>,
    refused: Family<Of, Counter>,
    sent: Family<Of, Counter>,
    rejected: Family<Of, Counter>,
    dropped: Family<DroppedOf, Counter>,
    held: Family<Of, Gauge>,
    replayed: Family<Of, Counter>,
    left: Family<Of, Counter>,
    unrouted: Counter,
}

impl Items {
    fn register(registry: &mut Registry, signal: Signal) -> Self {
        let new = Self::default();
        let words = match signal {
            Signal::Traces => "Spans",
            Signal::Metrics => "Data points",
            Signal::Logs => "Log records",
        };
        let name = |what: &str| format!("tracemill_export_{what}_{}", signal.items());
        let mut add = |what: &str, help: &str, metric: &Family<Of, Counter>| {
            registry.register(name(what), format!("{words} {help}"), metric.clone());
        };
        add("admitted", "that a destination's queue has taken", &new.admitted);
        add("refused", "that were not admitted because this destination's queue had no room", &new.refused);
        add("sent", "that the back end has accepted", &new.sent);
        add("rejected", "that the back end has refused for good", &new.rejected);
        add("replayed", "that an earlier run had left on disk", &new.replayed);
        add("left", "that were left on disk for a later run", &new.left);
        let help = format!("{words} that were admitted and given up, by reason");
        registry.register(name("dropped"), help, new.dropped.clone());
        registry.register(name("held"), format!("{words} that wait or are being sent now"), new.held.clone());
        let help = format!("{words} that were dropped because no destination's conditions take them");
        registry.register(name("unrouted"), help, new.unrouted.clone());
        new
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl Metrics {
    /// New metrics, registered under their names.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self {
            items: Signal::ALL.map(|signal| Items::register(registry, signal)),
            queue_bytes: Family::default(),
            queue_limit: Family::default(),
            requests: Family::default(),
            retries: Family::default(),
            bytes: Family::default(),
            duration: Family::new_with_constructor(duration_histogram),
            endpoint_requests: Family::default(),
            endpoint_queue_bytes: Family::default(),
            endpoint_up: Family::default(),
            disk: DiskMetrics::register(registry),
        };
        registry.register("tracemill_export_retries", "Requests that were sent again", new.retries.clone());
        let help = "Bytes of request bodies sent, after compression";
        registry.register("tracemill_export_bytes", help, new.bytes.clone());
        registry.register(
            "tracemill_export_queue_bytes",
            "Bytes that wait, are being sent or are reserved now",
            new.queue_bytes.clone(),
        );
        registry.register(
            "tracemill_export_queue_limit_bytes",
            "The bound of a destination's queue",
            new.queue_limit.clone(),
        );
        registry.register(
            "tracemill_export_requests",
            "Requests sent to the back end, by outcome",
            new.requests.clone(),
        );
        registry.register(
            "tracemill_export_request_duration_seconds",
            "How long the back end took to answer",
            new.duration.clone(),
        );
        registry.register(
            "tracemill_export_endpoint_requests",
            "Requests sent to one endpoint of a destination, by outcome",
            new.endpoint_requests.clone(),
        );
        registry.register(
            "tracemill_export_endpoint_queue_bytes",
            "Bytes that wait for one endpoint, are being sent to it or are reserved, where each has a queue of its own",
            new.endpoint_queue_bytes.clone(),
        );
        registry.register(
            "tracemill_export_endpoint_up",
            "Whether the last request to an endpoint had an answer for good",
            new.endpoint_up.clone(),
        );
        new
    }

    /// Shows the bounds of these queues, and no others. Where a destination has several, their sum.
    pub(super) fn show_limits<'a>(&self, limits: impl Iterator<Item = (&'a str, Signal, usize)>) {
        self.queue_limit.clear();
        for (name, signal, limit) in limits {
            let of = SignalOf { destination: name.to_owned(), signal: signal.name() };
            self.queue_limit.get_or_create(&of).inc_by(i64::try_from(limit).unwrap_or(i64::MAX));
        }
    }

    /// Those of one endpoint, looked up once. One that was not asked yet counts as up.
    pub(super) fn of_endpoint(&self, destination: &str, endpoint: &str) -> EndpointCounters {
        let (destination, endpoint) = (destination.to_owned(), endpoint.to_owned());
        let requests = OUTCOMES.map(|outcome| {
            let of = EndpointRequestsOf { destination: destination.clone(), endpoint: endpoint.clone(), outcome };
            self.endpoint_requests.get_or_create_owned(&of)
        });
        let up = self.endpoint_up.get_or_create_owned(&EndpointOf { destination, endpoint });
        up.set(1);
        EndpointCounters { requests, up }
    }

    /// Shows no more whether an endpoint is up.
    pub(super) fn forget_endpoint(&self, destination: &str, endpoint: &str) {
        self.endpoint_up.remove(&EndpointOf { destination: destination.to_owned(), endpoint: endpoint.to_owned() });
    }

    /// Shows nothing more of an endpoint that had a queue of its own: addresses come and go for as long as the process runs.
    pub(super) fn forget_member(&self, destination: &str, endpoint: &str) {
        let (destination, endpoint) = (destination.to_owned(), endpoint.to_owned());
        for outcome in OUTCOMES {
            let of = EndpointRequestsOf { destination: destination.clone(), endpoint: endpoint.clone(), outcome };
            self.endpoint_requests.remove(&of);
        }
        self.endpoint_queue_bytes.remove(&EndpointOf { destination, endpoint });
    }

    /// Items of a signal that no destination's conditions take.
    pub(super) fn unrouted(&self, signal: Signal) -> &Counter {
        &self.items[signal as usize].unrouted
    }

    /// Those of the queue on disk of one destination and signal.
    pub(super) fn of_disk(&self, name: &str, signal: Signal) -> DiskCounters {
        let items = &self.items[signal as usize];
        let of = Of { destination: name.to_owned() };
        let (replayed, left) = (items.replayed.get_or_create_owned(&of), items.left.get_or_create_owned(&of));
        self.disk.of(&SignalOf { destination: name.to_owned(), signal: signal.name() }, replayed, left)
    }

    /// Those of one destination and signal, for the queue of one of its endpoints.
    pub(super) fn of_member(&self, name: &str, signal: Signal, endpoint: &str) -> Counters {
        let of = EndpointOf { destination: name.to_owned(), endpoint: endpoint.to_owned() };
        let own_queue_bytes = Some(self.endpoint_queue_bytes.get_or_create_owned(&of));
        Counters { own_queue_bytes, ..self.of(name, signal) }
    }

    /// Those of one destination and signal, looked up once.
    pub(super) fn of(&self, name: &str, signal: Signal) -> Counters {
        let items = &self.items[signal as usize];
        let destination = || name.to_owned();
        let of = Of { destination: destination() };
        let of_signal = SignalOf { destination: destination(), signal: signal.name() };
        let dropped = REASONS.map(|reason| {
            items.dropped.get_or_create_owned(&DroppedOf { destination: destination(), reason: reason.label(signal) })
        });
        let requests = OUTCOMES.map(|outcome| {
            let of = RequestsOf { destination: destination(), signal: signal.name(), outcome };
            self.requests.get_or_create_owned(&of)
        });
        Counters {
            admitted: items.admitted.get_or_create_owned(&of),
            refused: items.refused.get_or_create_owned(&of),
            sent: items.sent.get_or_create_owned(&of),
            rejected: items.rejected.get_or_create_owned(&of),
            dropped,
            held: items.held.get_or_create_owned(&of),
            queue_bytes: self.queue_bytes.get_or_create_owned(&of_signal),
            own_queue_bytes: None,
            requests,
            retries: self.retries.get_or_create_owned(&of_signal),
            bytes: self.bytes.get_or_create_owned(&of_signal),
            duration: self.duration.get_or_create_owned(&of_signal),
        }
    }
}

/// The metrics of one destination and signal.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub admitted: Counter,
    pub refused: Counter,
    pub sent: Counter,
    pub rejected: Counter,
    dropped: [Counter; REASONS.len()],
    pub held: Gauge,
    /// Of all queues of the destination.
    pub queue_bytes: Gauge,
    /// Of one of several.
    own_queue_bytes: Option<Gauge>,
    requests: [Counter; OUTCOMES.len()],
    pub retries: Counter,
    pub bytes: Counter,
    pub duration: Histogram,
}

impl Counters {
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().map(Counter::get).sum()
    }

    /// The queue holds so many bytes more, or less.
    pub fn holds(&self, bytes: i64) {
        self.queue_bytes.inc_by(bytes);
        if let Some(own) = &self.own_queue_bytes {
            own.inc_by(bytes);
        }
    }

    pub fn dropped(&self, reason: DropReason) -> &Counter {
        &self.dropped[reason as usize]
    }

    pub fn requests(&self, outcome: Outcome) -> &Counter {
        &self.requests[outcome as usize]
    }
}

/// One endpoint's metrics.
#[derive(Debug, Clone)]
pub(super) struct EndpointCounters {
    requests: [Counter; OUTCOMES.len()],
    up: Gauge,
}

impl EndpointCounters {
    /// A request has ended so.
    pub fn count(&self, outcome: Outcome) {
        self.requests[outcome as usize].inc();
        self.up.set(i64::from(outcome != Outcome::Retry));
    }
}
