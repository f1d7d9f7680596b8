//! The clients of a destination: one that joins messages of a partition to requests, and, where that is needed, one that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::producer::{Producer as _, ThreadedProducer};

use super::{JOINED, reports};
use crate::kafka::{KafkaError, Logs};

pub(super) type Client = ThreadedProducer<reports::Context>;

/// To no less than so many bytes are messages joined, whatever brokers refuse.
const LEAST: usize = 16 << 10;

/// See the module's text.
pub(super) struct Clients {
    settings: ClientConfig,
    topic: String,
    logs: Logs,
    /// To how many bytes messages are joined.
    joined: AtomicUsize,
    joining: ArcSwap<Client>,
    alone: ArcSwapOption<Client>,
}

impl Clients {
    /// Starts one. Brokers are looked for in the background.
    pub fn start(settings: ClientConfig, topic: &str, logs: &Logs) -> Result<Self, KafkaError> {
        let joined = settings.get("batch.size").and_then(|size| size.parse().ok()).unwrap_or(JOINED);
        let joining = ArcSwap::new(client(&settings, logs)?);
        let (topic, logs, joined) = (topic.to_owned(), logs.clone(), AtomicUsize::new(joined));
        Ok(Self { settings, topic, logs, joined, joining, alone: ArcSwapOption::empty() })
    }

    /// What joins messages.
    pub fn joining(&self) -> Arc<Client> {
        self.joining.load_full()
    }

    /// What sends each by itself.
    pub fn alone(&self) -> Result<Arc<Client>, KafkaError> {
        if let Some(known) = self.alone.load_full() {
            return Ok(known);
        }
        let new = client(self.settings.clone().set("batch.num.messages", "1").set("linger.ms", "0"), &self.logs)?;
        self.alone.store(Some(Arc::clone(&new)));
        Ok(new)
    }

    /// Puts another in the place of one that cannot go on.
    pub fn renew(&self, old: &Arc<Client>) {
        let Some((code, reason)) = old.client().fatal_error() else { return };
        tracing::warn!(topic = self.topic, %code, "Kafka: the producer cannot go on and is started anew: {reason}");
        if self.alone.load().as_ref().is_some_and(|alone| Arc::ptr_eq(alone, old)) {
            self.alone.store(None);
        } else if Arc::ptr_eq(&self.joining.load(), old) {
            self.replace();
        }
    }

    /// Brokers have refused messages that this one had joined, and would take each: less is joined from now on.
    pub fn join_less(&self, old: &Arc<Client>) {
        let joined = self.joined.load(Ordering::Relaxed);
        if joined <= LEAST || !Arc::ptr_eq(&self.joining.load(), old) {
            return;
        }
        let less = (joined / 2).max(LEAST);
        self.joined.store(less, Ordering::Relaxed);
        tracing::warn!(
            topic = self.topic,
            less,
            "Kafka: brokers take fewer bytes at once than messages were joined to, and these are sent alone; less is joined from now on: set \
             batch.max_request below the topic's max.message.bytes"
        );
        self.replace();
    }

    fn replace(&self) {
        let joined = self.joined.load(Ordering::Relaxed).to_string();
        match client(self.settings.clone().set("batch.size", joined), &self.logs) {
            Ok(new) => self.joining.store(new),
            Err(error) => tracing::error!(topic = self.topic, %error, "Kafka: no new producer could be started"),
        }
    }
}

fn client(settings: &ClientConfig, logs: &Logs) -> Result<Arc<Client>, KafkaError> {
    let made = Client::from_config_and_context(settings, reports::Context(logs.clone()));
    made.map(Arc::new).map_err(|error| KafkaError::Client(error.to_string()))
}
