//! What receivers count: requests, refusals, bytes. What they hold is counted behind them, where it is read.

use std::sync::{Arc, OnceLock};

use otlp::signal::Signal;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use self::connections::Connections;
use self::noted::Noted;
use crate::admit::Budget;

mod connections;
mod noted;

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Protocol {
    #[expect(non_camel_case_types, reason = "metric labels are lower case")]
    grpc,
    #[expect(non_camel_case_types, reason = "metric labels are lower case")]
    http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Accepted,
    Partial,
    Refused,
}

/// Why a request was refused. The names are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    Malformed,
    TooLarge,
    /// The bytes in flight are at their bound.
    NoRoom,
    /// Those of a connection are.
    ConnectionFull,
    /// Those of a tenant are.
    TenantFull,
    /// A sender holds more than its share of little room.
    UnfairShare,
    /// The handler takes nothing now.
    NotReady,
    /// The handler had no room for this one.
    Unavailable,
    SlowBody,
    Deadline,
    Unsupported,
    /// Who sent it has not shown that they may.
    Unauthenticated,
    Internal,
}

impl Reason {
    const ALL: [Self; 13] = [
        Self::Malformed,
        Self::TooLarge,
        Self::NoRoom,
        Self::ConnectionFull,
        Self::TenantFull,
        Self::UnfairShare,
        Self::NotReady,
        Self::Unavailable,
        Self::SlowBody,
        Self::Deadline,
        Self::Unsupported,
        Self::Unauthenticated,
        Self::Internal,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::NoRoom => "no_room",
            Self::ConnectionFull => "connection_full",
            Self::TenantFull => "tenant_full",
            Self::UnfairShare => "unfair_share",
            Self::NotReady => "not_ready",
            Self::Unavailable => "unavailable",
            Self::SlowBody => "slow_body",
            Self::Deadline => "deadline",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::Internal => "internal",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    protocol: &'static str,
    signal: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    protocol: &'static str,
    signal: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignalLabels {
    protocol: &'static str,
    signal: &'static str,
}

/// The receivers' counters. Looked up once, so that a request costs no map.
#[derive(Debug)]
pub struct Metrics {
    grpc: Signals,
    http: Signals,
    connections: Connections,
    lenient: Counter,
    in_flight: Arc<OnceLock<Budget>>,
    #[cfg(feature = "kafka")]
    kafka: (Signals, super::kafka::Metrics),
}

/// One protocol's counters, signal by signal; the last are those of requests that are at no signal's place.
type Signals = [Counters; SIGNALS.len()];

/// Their labels, in this order.
const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "none"];

/// The counters of one protocol and signal.
#[derive(Debug)]
pub(super) struct Counters {
    accepted: Counter,
    partial: Counter,
    refused: Counter,
    reasons: [Noted; Reason::ALL.len()],
    bytes: Counter,
}

impl Metrics {
    /// Makes them, and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let requests = Family::<RequestLabels, Counter>::default();
        let refused = Family::<ReasonLabels, Counter>::default();
        let bytes = Family::<SignalLabels, Counter>::default();
        let counters = |protocol, signal| {
            let noted = |reason: Reason| {
                let labels = ReasonLabels { protocol, signal, reason: reason.label() };
                Noted::new(refused.get_or_create_owned(&labels))
            };
            let outcome = |outcome| requests.get_or_create_owned(&RequestLabels { protocol, signal, outcome });
            Counters {
                accepted: outcome("accepted"),
                partial: outcome("partial"),
                refused: outcome("refused"),
                reasons: Reason::ALL.map(noted),
                bytes: bytes.get_or_create_owned(&SignalLabels { protocol, signal }),
            }
        };
        let [grpc, http] = ["grpc", "http"].map(|protocol| SIGNALS.map(|of| counters(protocol, of)));
        #[cfg(feature = "kafka")]
        let of_kafka = SIGNALS.map(|signal| counters("kafka", signal));
        registry.register("tracemill_receive_requests", "OTLP requests by protocol, signal and outcome", requests);
        registry.register("tracemill_refused_requests", "Requests of which nothing was taken, by reason", refused);
        registry.register("tracemill_receive_bytes", "Bytes of bodies as they came, before decompression", bytes);
        let connections = Connections::register(registry);
        let in_flight = Arc::new(OnceLock::new());
        registry.register_collector(Box::new(InFlight(Arc::clone(&in_flight))));
        let lenient = Counter::default();
        let help = "Fields of JSON requests taken though the standard forbids their spelling";
        registry.register("tracemill_receive_lenient_fields", help, lenient.clone());
        Self {
            grpc,
            http,
            connections,
            lenient,
            in_flight,
            #[cfg(feature = "kafka")]
            kafka: (of_kafka, super::kafka::Metrics::register(registry)),
        }
    }

    pub(super) fn watch(&self, budget: &Budget) {
        // A second set of receivers over the same metrics keeps the first one's gauge.
        self.in_flight.get_or_init(|| budget.clone());
    }

    pub(super) fn lenient(&self, fields: u64) {
        self.lenient.inc_by(fields);
    }

    /// What becomes of connections before there is a request.
    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The counters of a signal; without one, of requests that are at no signal's place.
    pub(super) fn of(&self, protocol: Protocol, signal: Option<Signal>) -> &Counters {
        let signals = match protocol {
            Protocol::grpc => &self.grpc,
            Protocol::http => &self.http,
        };
        &signals[signal.map_or(SIGNALS.len() - 1, |signal| signal as usize)]
    }
}

#[cfg(feature = "kafka")]
impl Metrics {
    /// What is counted of Kafka beside requests.
    pub(super) fn kafka(&self) -> &super::kafka::Metrics {
        &self.kafka.1
    }

    /// The counters of requests that came as messages.
    pub(super) fn of_kafka(&self, signal: Signal) -> &Counters {
        &self.kafka.0[signal as usize]
    }
}

impl Counters {
    pub fn done(&self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => self.accepted.inc(),
            Outcome::Partial => self.partial.inc(),
            Outcome::Refused => self.refused.inc(),
        };
    }

    /// A request of which nothing was taken.
    pub fn refused(&self, reason: Reason, peer: &str, message: &str) {
        self.done(Outcome::Refused);
        if let Some(left_out) = self.reasons[reason as usize].note() {
            tracing::info!(peer, reason = reason.label(), left_out, "a request was refused: {message}");
        }
    }

    pub fn bytes(&self, bytes: usize) {
        self.bytes.inc_by(bytes as u64);
    }
}

/// Asked when somebody scrapes, so that it is never behind.
#[derive(Debug)]
struct InFlight(Arc<OnceLock<Budget>>);

impl Collector for InFlight {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(self.0.get().map_or(0, Budget::used) as i64);
        let help = "Bytes of requests that are in flight";
        let metric = encoder.encode_descriptor("tracemill_receive_in_flight_bytes", help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}
