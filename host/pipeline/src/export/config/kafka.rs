//! What a destination is told that is a Kafka topic.

use otlp::signal::Signal;

use crate::kafka::{ConnectConfig, TOPICS};

/// Where messages go, and which partition gets which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// The brokers.
    pub connect: ConnectConfig,
    /// Of each signal.
    pub topics: [String; Signal::ALL.len()],
    /// Which partition a key belongs to.
    pub partitioner: Partitioner,
}

impl KafkaConfig {
    /// The usual topics at these brokers.
    #[must_use]
    pub fn new(connect: ConnectConfig) -> Self {
        Self { connect, topics: TOPICS.map(str::to_owned), partitioner: Partitioner::default() }
    }
}

/// Which partition a key belongs to. All that write a topic must agree in it, or the spans of a trace do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioner {
    /// As the Collector, and all that is made with sarama.
    #[default]
    Fnv1a,
    /// As Kafka's own clients in Java.
    Murmur2,
    /// As librdkafka unless it is told otherwise.
    Crc32,
}

impl Partitioner {
    /// librdkafka's name for it: what has no key goes anywhere.
    #[cfg(feature = "kafka")]
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::Fnv1a => "fnv1a_random",
            Self::Murmur2 => "murmur2_random",
            Self::Crc32 => "consistent_random",
        }
    }
}
