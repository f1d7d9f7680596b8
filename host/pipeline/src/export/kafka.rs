//! A destination's way to Kafka: a batch becomes messages, and their delivery reports are the back end's answer. Everything else (queue, retries,
//! counters) is as for other destinations; sizes are, up to what brokers find too large, which is sent in less ([`unsent`]).
//!
//! Spans of a trace go to one partition: messages are keyed by the trace's id, with the key and the hash that the Collector's exporter has with
//! `partition_traces_by_id`, so that front tiers of both kinds can stand before one topic.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use otlp::signal::Signal;
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use tokio::time::Instant;

use super::Parcel;
use super::answer::Answer;
use super::config::{Compression, DestinationConfig, KafkaConfig};
use super::queue::Batch;
use crate::kafka::{Files, KafkaError, Logs, configure};
use clients::{Client, Clients};
use reports::{Receipt, Reports};
use unsent::{Failure, Next};

mod clients;
mod plan;
mod reports;
mod unsent;

pub(super) use unsent::Unsent;

/// What a message may have beside its body and within the limit of the client: key, headers, framing.
const FRAMING: usize = 32 << 10;
/// How many bytes librdkafka joins to one request for a partition, at most; its own default.
const JOINED: usize = 1_000_000;
/// How long it waits for more messages of a partition, in milliseconds. Batches come joined already.
const LINGER: u128 = 2;
/// How soon room is asked for again in librdkafka's own queue.
const FULL: Duration = Duration::from_millis(5);
/// How much longer than the client itself its answer is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// What a destination of one signal sends with.
pub(super) struct Producer {
    topic: String,
    signal: Signal,
    headers: HeaderMap,
    forward: Vec<HeaderName>,
    timeout: Duration,
    logs: Logs,
    clients: Clients,
}

impl Producer {
    /// Makes one. Brokers are looked for in the background.
    pub fn start(config: &DestinationConfig, kafka: &KafkaConfig, files: &Files) -> Result<Self, KafkaError> {
        let settings = settings(config, kafka, files)?;
        let logs = Logs::of(&config.name);
        let topic = kafka.topics[config.signal() as usize].clone();
        Ok(Self {
            clients: Clients::start(settings, &topic, &logs)?,
            topic,
            signal: config.signal(),
            headers: config.headers.clone(),
            forward: config.forward.clone(),
            timeout: config.timeout,
            logs,
        })
    }

    /// Sends a batch, or what is left of it. Answers what became of it, and how many bytes were handed over.
    pub async fn send(&self, batch: &Batch, kept: &mut Option<Unsent>) -> (Answer, u64) {
        let mut unsent = match kept.take() {
            Some(unsent) => unsent,
            None => match Unsent::new(self.signal, batch) {
                Ok(unsent) => unsent,
                Err(error) => return (Answer::Rejected { reason: error.to_string() }, 0),
            },
        };
        let mut bytes = 0;
        // What has refused messages in company, until it is seen whether it would take them alone.
        let mut refused = None;
        loop {
            let client = if unsent.is_alone() { self.clients.alone() } else { Ok(self.clients.joining()) };
            let client = match client {
                Ok(client) => client,
                Err(error) => {
                    *kept = Some(unsent);
                    return (Answer::Retry { after: None, reason: error.to_string() }, bytes);
                }
            };
            let was_alone = unsent.is_alone();
            let (failures, handed) = self.hand_over(&client, &unsent, batch.head()).await;
            bytes += handed;
            match unsent.judge(failures, self.logs.take().as_deref()) {
                Next::Smaller if was_alone => refused = None,
                Next::Smaller => refused = Some(client),
                Next::Answered(answer) => {
                    if let (Some(refused), Answer::Accepted { rejected: 0, .. }) = (&refused, &answer) {
                        self.clients.join_less(refused);
                    }
                    if let Answer::Retry { .. } = answer {
                        *kept = Some(unsent);
                        self.clients.renew(&client);
                    }
                    return (answer, bytes);
                }
            }
        }
    }

    /// Hands what is left to the client, and waits until each message has its report. Answers those that are not delivered.
    async fn hand_over(&self, client: &Client, unsent: &Unsent, head: Option<&Parcel>) -> (Vec<Failure>, u64) {
        let reports = Reports::new();
        let headers = self.headers_of(head);
        let until = Instant::now() + self.timeout;
        let mut failures = Vec::new();
        let mut bytes = 0;
        let mut left: VecDeque<usize> = unsent.left().iter().copied().collect();
        while let Some(message) = left.pop_front() {
            let body = unsent.plan().body(message);
            let receipt = Receipt::new(&reports, message);
            let mut record = BaseRecord::with_opaque_to(&self.topic, Box::new(receipt)).payload(&body[..]);
            if let Some(key) = unsent.plan().key(message).filter(|key| !key.is_empty()) {
                record = record.key(key);
            }
            if let Some(headers) = &headers {
                record = record.headers(headers.clone());
            }
            let Err((error, record)) = client.send::<str, [u8]>(record) else {
                bytes += body.len() as u64;
                continue;
            };
            record.delivery_opaque.withdraw();
            let code = code_of(&error);
            if code == RDKafkaErrorCode::QueueFull && Instant::now() < until {
                // Others fill it too: it empties, or time runs out.
                left.push_front(message);
                tokio::time::sleep(FULL).await;
                continue;
            }
            failures.push(Failure { message, code });
        }
        // The client itself gives up after the timeout, and says so of each message.
        match tokio::time::timeout(self.timeout + GRACE, reports.complete()).await {
            Ok(failed) => failures.extend(failed.into_iter().map(|(message, code)| Failure { message, code })),
            Err(_) => failures.extend(
                reports
                    .unreported(unsent.left())
                    .map(|message| Failure { message, code: RDKafkaErrorCode::MessageTimedOut }),
            ),
        }
        (failures, bytes)
    }

    fn headers_of(&self, head: Option<&Parcel>) -> Option<OwnedHeaders> {
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let kept = head.into_iter().flat_map(|head| &head.context.headers);
        let passed = kept.map(|(name, value)| (&**name, value.as_bytes()));
        let passed: Vec<_> =
            passed.filter(|(name, _)| self.forward.iter().any(|known| known.as_str() == *name)).collect();
        // What is passed on stands in the place of a configured one of that name.
        let own = own.filter(|(name, _)| !passed.iter().any(|(passed, _)| passed == name));
        let mut headers: Option<OwnedHeaders> = None;
        for (key, value) in own.chain(passed.iter().copied()) {
            let all = headers.take().unwrap_or_default();
            headers = Some(all.insert(Header { key, value: Some(value) }));
        }
        headers
    }
}

fn code_of(error: &RdError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}

fn settings(
    config: &DestinationConfig,
    kafka: &KafkaConfig,
    files: &Files,
) -> Result<rdkafka::ClientConfig, KafkaError> {
    let mut client = configure(&kafka.connect, files)?;
    let largest = config.batch.max_request_bytes + FRAMING;
    // What all senders hold at once, twice: each has one batch under way.
    let held = (config.concurrency.max(1) * largest * 2 / 1024).clamp(64 << 10, 2_000_000);
    let (codec, level) = match config.compression {
        Compression::None => ("none", -1),
        Compression::Gzip(level) => ("gzip", i32::from(level.min(9))),
        Compression::Zstd(level) => ("zstd", i32::from(level.min(12))),
    };
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", kafka.partitioner.name())
        .set("compression.type", codec)
        .set("compression.level", level.to_string())
        .set("linger.ms", LINGER.to_string())
        // Which librdkafka wants to be longer.
        .set("message.timeout.ms", config.timeout.as_millis().max(LINGER + 1).to_string())
        .set("message.max.bytes", largest.clamp(1000, 1_000_000_000).to_string())
        .set("batch.size", largest.min(JOINED).to_string())
        .set("queue.buffering.max.kbytes", held.to_string())
        .set("queue.buffering.max.messages", "1000000");
    Ok(client)
}

#[cfg(test)]
mod tests {
    //! What librdkafka takes. That brokers get messages at all is seen in tests/system/tests/kafka.

    use super::*;
    use crate::export::config::Partitioner;
    use crate::kafka::{ConnectConfig, SaslConfig, TlsConfig};
    use crate::kafka::{Mechanism, Password};

    fn producer(change: impl FnOnce(&mut DestinationConfig, &mut KafkaConfig)) -> Result<Producer, KafkaError> {
        let mut kafka = KafkaConfig::new(ConnectConfig::new(vec!["127.0.0.1:1".to_owned()]));
        let mut config = DestinationConfig::kafka("out", kafka.clone()).unwrap();
        change(&mut config, &mut kafka);
        Producer::start(&config, &kafka, &Files::read(&kafka.connect).unwrap())
    }

    #[test]
    fn librdkafka_takes_all_that_can_be_configured() {
        for compression in [Compression::None, Compression::Gzip(12), Compression::ZSTD, Compression::Zstd(19)] {
            for max_request_bytes in [64 << 10, 960 << 10, 1 << 30] {
                for partitioner in [Partitioner::Fnv1a, Partitioner::Murmur2, Partitioner::Crc32] {
                    let made = producer(|config, kafka| {
                        config.compression = compression;
                        config.batch.max_request_bytes = max_request_bytes;
                        config.timeout = Duration::from_millis(1);
                        config.concurrency = 1000;
                        kafka.partitioner = partitioner;
                    });
                    assert!(made.is_ok(), "{compression:?} {max_request_bytes} {partitioner:?}: {:?}", made.err());
                }
            }
        }
        let plain = SaslConfig {
            mechanism: Mechanism::Plain,
            username: "me".to_owned(),
            password: Password::Text("secret".to_owned()),
        };
        producer(|_, kafka| kafka.connect.sasl = Some(plain)).unwrap();
    }

    #[test]
    fn tls_and_scram_take_a_build_that_has_them() {
        let scram = SaslConfig {
            mechanism: Mechanism::ScramSha256,
            username: "me".to_owned(),
            password: Password::Text("secret".to_owned()),
        };
        let made = [
            producer(|_, kafka| kafka.connect.tls = Some(TlsConfig::default())),
            producer(|_, kafka| kafka.connect.sasl = Some(scram)),
        ];
        for made in made {
            assert_eq!(made.is_ok(), crate::kafka::HAS_TLS);
            if let Err(error) = made {
                assert!(error.to_string().contains("--features kafka-tls"), "{error}");
            }
        }
    }
}
