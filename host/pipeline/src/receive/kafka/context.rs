//! What librdkafka calls on the consumer's thread: partitions come and go, statistics are due.
//!
//! When partitions go, what is on its way gets a moment to be settled, all that is settled of them is committed before they are let go, and the
//! rest is forgotten: the next owner reads it again. What is not decided here by then never is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientContext, TopicPartitionList};

use super::board::{Board, Place};
use super::flow::Flow;
use super::metrics::Metrics;
use crate::kafka::Logs;

/// How long what is on its way may take to be settled while others wait for its partitions.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// What the thread, the callbacks and the status share.
#[derive(Debug)]
pub(super) struct Common {
    /// In the order of the configuration.
    pub topics: Vec<String>,
    pub board: Arc<Board>,
    pub flow: Arc<Flow>,
    pub metrics: Metrics,
    pub logs: Logs,
    /// As the last statistics have it.
    pub lag: Mutex<BTreeMap<Place, i64>>,
    /// Partitions that came: of these it is not known whether they are paused.
    pub came: Mutex<Vec<Place>>,
    /// A broker has not believed who this is: perhaps a file has a newer password.
    pub is_denied: AtomicBool,
}

impl Common {
    pub fn place(&self, topic: &str, partition: i32) -> Option<Place> {
        Some((self.topics.iter().position(|known| known == topic)?, partition))
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        list.elements().iter().filter_map(|element| self.place(element.topic(), element.partition())).collect()
    }

    /// The same as librdkafka writes it.
    pub fn list(&self, places: impl IntoIterator<Item = (Place, Offset)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in places {
            if let Err(error) = list.add_partition_offset(&self.topics[topic], partition, offset) {
                tracing::debug!(topic = self.topics[topic], partition, %error, "Kafka: no such offset");
            }
        }
        list
    }

    /// Commits what is settled, of these partitions or of all, and waits for it.
    pub fn commit_now<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, of: Option<&[Place]>) {
        let commits = self.board.to_commit(of);
        if commits.is_empty() {
            return;
        }
        let list = self.list(commits.iter().map(|(place, position)| (*place, Offset::Offset(*position))));
        self.board.commits(&commits);
        match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => {
                self.board.committed(&commits);
                self.metrics.committed.inc();
            }
            Err(error) => {
                self.metrics.not_committed.inc();
                self.board.not_committed(&commits.iter().map(|(place, _)| *place).collect::<Vec<_>>());
                tracing::warn!(%error, "Kafka: a last commit has failed: what it was for is delivered once more by whoever reads on");
            }
        }
    }
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Context(pub Arc<Common>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.logs.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) {
            self.0.is_denied.store(true, Ordering::Relaxed);
        }
        self.0.logs.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.0.logs.is_connected();
        }
        let mut all = self.0.lag.lock();
        let here = self.0.board.places();
        all.retain(|place, _| here.contains(place));
        for (topic, of_topic) in &statistics.topics {
            for (partition, of_partition) in &of_topic.partitions {
                let Some(place) = self.0.place(topic, *partition).filter(|place| here.contains(place)) else {
                    continue;
                };
                if of_partition.consumer_lag >= 0 {
                    all.insert(place, of_partition.consumer_lag);
                    self.0.metrics.set_lag(topic, *partition, of_partition.consumer_lag);
                }
            }
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else { return };
        let places = self.0.places(list);
        tracing::info!(partitions = places.len(), "Kafka: partitions go");
        // Once they are lost, others may have committed: nothing may be said of them any more.
        if !consumer.assignment_lost() {
            self.0.board.leave(&places);
            // At the end that was waited for already.
            let most = if self.0.flow.stop.is_cancelled() { Duration::ZERO } else { LAST_MOMENT };
            self.0.board.wait_until_settled(&places, most);
            self.0.commit_now(consumer, Some(&places));
        }
        for place in places {
            self.0.board.forget(place);
            self.0.metrics.forget(&self.0.topics[place.0], place.1);
        }
        self.0.flow.went.notify_waiters();
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.0.metrics.rebalances.inc();
        match rebalance {
            Rebalance::Assign(list) => {
                let places = self.0.places(list);
                tracing::info!(partitions = places.len(), "Kafka: partitions come");
                for place in &places {
                    self.0.board.begin(*place);
                }
                self.0.came.lock().extend(places);
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "Kafka: partitions cannot be shared out"),
        }
    }
}
