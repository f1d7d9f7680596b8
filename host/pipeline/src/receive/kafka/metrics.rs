//! What is counted of Kafka. Requests are counted as those of other receivers, with the protocol `kafka`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicLabels {
    topic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    topic: String,
    partition: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SkippedLabels {
    topic: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// Why a message is never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipped {
    Malformed,
    TooLarge,
    /// Each attempt ended in a fault of ours.
    Internal,
}

const SKIPPED: [Skipped; 3] = [Skipped::Malformed, Skipped::TooLarge, Skipped::Internal];

impl Skipped {
    fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
        }
    }
}

/// The consumer's metrics. Clones count into the same.
#[derive(Debug, Clone)]
pub(in super::super) struct Metrics {
    messages: Family<TopicLabels, Counter>,
    bytes: Family<TopicLabels, Counter>,
    skipped: Family<SkippedLabels, Counter>,
    lag: Family<PartitionLabels, Gauge>,
    pub(super) again: Counter,
    pub(super) retries: Counter,
    pub(super) committed: Counter,
    pub(super) not_committed: Counter,
    pub(super) rebalances: Counter,
    pub(super) partitions: Gauge,
    pub(super) paused: Gauge,
    pub(super) uncommitted: Gauge,
}

/// One topic's, looked up once.
#[derive(Debug, Clone)]
pub(super) struct OfTopic {
    pub messages: Counter,
    pub bytes: Counter,
    skipped: [Counter; SKIPPED.len()],
}

impl OfTopic {
    pub fn skipped(&self, why: Skipped) {
        self.skipped[why as usize].inc();
    }
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let commits = Family::<OutcomeLabels, Counter>::default();
        let new = Self {
            messages: Family::default(),
            bytes: Family::default(),
            skipped: Family::default(),
            lag: Family::default(),
            again: Counter::default(),
            retries: Counter::default(),
            committed: commits.get_or_create_owned(&OutcomeLabels { outcome: "ok" }),
            not_committed: commits.get_or_create_owned(&OutcomeLabels { outcome: "failed" }),
            rebalances: Counter::default(),
            partitions: Gauge::default(),
            paused: Gauge::default(),
            uncommitted: Gauge::default(),
        };
        let mut add = |name: &str, help: &str, metric: &Counter| {
            registry.register(format!("tracemill_receive_kafka_{name}"), help, metric.clone());
        };
        add("redelivered_messages", "Messages taken again because what became of them was lost here", &new.again);
        add("retries", "Requests handed over again because they were refused", &new.retries);
        add("rebalances", "Times that partitions came or went", &new.rebalances);
        let mut add = |name: &str, help: &str, metric: &Gauge| {
            registry.register(format!("tracemill_receive_kafka_{name}"), help, metric.clone());
        };
        add("partitions", "Partitions that are this consumer's", &new.partitions);
        add("paused_partitions", "Those of them that nothing is taken from now", &new.paused);
        add("uncommitted_messages", "Messages that are on their way: taken, and not yet settled", &new.uncommitted);
        registry.register("tracemill_receive_kafka_messages", "Messages taken from Kafka", new.messages.clone());
        registry.register("tracemill_receive_kafka_bytes", "Bytes of these messages", new.bytes.clone());
        registry.register(
            "tracemill_receive_kafka_skipped_messages",
            "Messages that can never be taken, by reason",
            new.skipped.clone(),
        );
        registry.register(
            "tracemill_receive_kafka_lag_messages",
            "Messages of a partition behind the last commit",
            new.lag.clone(),
        );
        registry.register("tracemill_receive_kafka_commits", "Commits of offsets, by outcome", commits);
        new
    }

    pub(super) fn of(&self, topic: &str) -> OfTopic {
        let of = TopicLabels { topic: topic.to_owned() };
        OfTopic {
            messages: self.messages.get_or_create_owned(&of),
            bytes: self.bytes.get_or_create_owned(&of),
            skipped: SKIPPED.map(|why| {
                self.skipped.get_or_create_owned(&SkippedLabels { topic: topic.to_owned(), reason: why.label() })
            }),
        }
    }

    pub(super) fn set_lag(&self, topic: &str, partition: i32, lag: i64) {
        self.lag.get_or_create(&PartitionLabels { topic: topic.to_owned(), partition }).set(lag);
    }

    /// A partition is somebody else's.
    pub(super) fn forget(&self, topic: &str, partition: i32) {
        self.lag.remove(&PartitionLabels { topic: topic.to_owned(), partition });
    }
}
