//! Kafka as a receiver: a consumer group takes messages of OTLP protobuf, and each becomes a [`Request`](crate::request::Request), or a part of
//! one: small messages that came together are joined.
//!
//! A thread of its own polls and pauses ([`puller`], [`session`], [`pauses`]), because librdkafka calls back where it is polled and waits for brokers
//! there; another waits for commits ([`committer`]). What is polled is delivered by tasks ([`delivery`]), which try again for as long as they are refused. How far a
//! partition is done is kept in [`board`] and [`offsets`].
//!
//! Invariant: an offset is committed only when all that stands before it in its partition is settled: delivered, on a disk, or skipped and
//! counted because it never can be. Whatever is not, when this process ends or loses a partition, comes again to whoever reads it next.
//! Invariant: nothing is refused to Kafka. Where there is no room, where the handler refuses, or where too much of a partition is on its way, the
//! partitions are paused.

#[cfg(any(feature = "kafka", test))]
mod board;
#[cfg(feature = "kafka")]
mod committer;
mod config;
#[cfg(feature = "kafka")]
mod context;
#[cfg(feature = "kafka")]
mod delivery;
#[cfg(feature = "kafka")]
mod flow;
#[cfg(feature = "kafka")]
mod group;
#[cfg(feature = "kafka")]
mod metrics;
#[cfg(any(feature = "kafka", test))]
mod offsets;
#[cfg(any(feature = "kafka", test))]
mod pauses;
#[cfg(feature = "kafka")]
mod puller;
#[cfg(feature = "kafka")]
mod session;
mod status;

pub use config::{Config, InitialOffset};
pub use status::{PartitionStatus, Status};

#[cfg(feature = "kafka")]
pub(super) use metrics::Metrics;
#[cfg(feature = "kafka")]
pub(super) use puller::Consumer;

#[cfg(not(feature = "kafka"))]
mod absent;
#[cfg(not(feature = "kafka"))]
pub(super) use absent::Consumer;
