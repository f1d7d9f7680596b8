//! The thread that takes messages: one consumer after another does its work there ([`session`](super::session)).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use otlp::batch::RequestContext;
use otlp::signal::Signal;
use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::{BorrowedHeaders, Headers as _};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::Shared;
use super::board::Board;
use super::context::{Common, Context};
use super::delivery::Way;
use super::flow::Flow;
use super::session::Session;
use super::{Config, InitialOffset, PartitionStatus, Status};
use crate::admit::Payer;
use crate::kafka::{Files, KafkaError, Logs, configure};
use crate::log_gate::Gate;

/// How large a request of joined messages gets. So much is taken beside the budget before it is asked for room.
const JOIN_BYTES: usize = 256 << 10;
/// How much longer than waiting for what is under way a consumer may take to end: brokers that cannot be reached never answer.
const SECOND: Duration = Duration::from_secs(1);
/// How often it is looked whether it is time to begin anew.
const LOOK: Duration = Duration::from_millis(50);
/// How soon a consumer that cannot go on is started anew.
const ANEW: Duration = Duration::from_secs(2);
/// How often the lag is asked for.
const STATISTICS: &str = "10000";

pub(super) type Client = BaseConsumer<Context>;

/// A consumer that does not consume yet.
pub(in super::super) struct Consumer {
    files: Files,
    config: Config,
    common: Arc<Common>,
    shared: Arc<Shared>,
    payer: Payer,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Consumer {
    pub fn new(config: Config, shared: &Arc<Shared>) -> Result<Self, KafkaError> {
        let files = Files::read(&config.connect)?;
        // What cannot be followed is known at once.
        settings(&config, &files)?;
        let common = Arc::new(Common {
            topics: config.topics.iter().map(|(topic, _)| topic.clone()).collect(),
            board: Arc::new(Board::default()),
            flow: Arc::new(Flow::default()),
            metrics: shared.metrics.kafka().clone(),
            logs: Logs::of("receive.kafka"),
            lag: Mutex::default(),
            came: Mutex::default(),
            is_denied: AtomicBool::new(false),
        });
        // One sender among others: nobody is at that address.
        let payer = shared.admission.connection(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Self { files, config, common, shared: Arc::clone(shared), payer })
    }

    /// Says, whenever it is asked, how it stands.
    pub fn status(&self) -> Box<dyn Fn() -> Status + Send + Sync> {
        let (common, group) = (Arc::clone(&self.common), self.config.group.clone());
        Box::new(move || status(&common, &group))
    }

    /// Consumes until `shutdown`, and then for as long as `drain` waits for what is under way; commits that, and leaves the group. Whatever brokers
    /// do, it takes no more than a second longer, or than half of that.
    pub async fn run(self, drain: Duration, shutdown: CancellationToken) {
        let (ended, end) = oneshot::channel();
        let bound = shutdown.clone();
        let Self { files, config, common, shared, payer } = self;
        let way = Way {
            topics: common.topics.iter().map(|topic| common.metrics.of(topic)).collect(),
            shared,
            common: Arc::clone(&common),
            runtime: Handle::current(),
            payer,
            refused: Gate::default(),
            skipped: Gate::default(),
        };
        let join_bytes = JOIN_BYTES.min(way.shared.limits.request_bytes);
        let puller = Puller {
            common,
            way: Arc::new(way),
            signals: config.topics.iter().map(|(_, signal)| *signal).collect(),
            plain: Arc::default(),
            config,
            join_bytes,
            full: Gate::default(),
            stop: shutdown,
            drain,
        };
        let work = move || {
            puller.run(files);
            // Whoever waited may have gone.
            let _gone = ended.send(());
        };
        match thread::Builder::new().name("kafka".to_owned()).spawn(work) {
            Ok(_) => tokio::select! {
                _ = end => {}
                () = async { bound.cancelled().await; sleep(drain + SECOND.min(drain / 2)).await } => {
                    tracing::warn!("Kafka: brokers do not answer: the consumer could not leave its group in time");
                }
            },
            Err(error) => tracing::error!(%error, "Kafka: no thread for the consumer could be started"),
        }
    }
}

fn settings(config: &Config, files: &Files) -> Result<rdkafka::ClientConfig, KafkaError> {
    let mut client = configure(&config.connect, files)?;
    let reset = match config.initial_offset {
        InitialOffset::Earliest => "earliest",
        InitialOffset::Latest => "latest",
    };
    let session = config.session_timeout.as_millis();
    client
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", reset)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session.to_string())
        .set("heartbeat.interval.ms", (session / 6).clamp(1, 3000).to_string())
        .set("max.poll.interval.ms", session.max(300_000).to_string())
        .set("queued.max.messages.kbytes", (config.fetch_bytes / 1024).max(1).to_string())
        .set("fetch.max.bytes", config.fetch_bytes.max(1 << 20).to_string())
        // The first message of a fetch comes however large it is.
        .set("fetch.message.max.bytes", config.fetch_bytes.min(1 << 20).to_string())
        // New partitions, and topics that were not there, are noticed so soon.
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("statistics.interval.ms", STATISTICS);
    if let Some(id) = &config.group_instance_id {
        client.set("group.instance.id", id);
    }
    Ok(client)
}

fn status(common: &Common, group: &str) -> Status {
    let lag = common.lag.lock().clone();
    let mut partitions = Vec::new();
    let mut uncommitted = 0;
    common.board.each(|place, offsets| {
        uncommitted += offsets.open() as u64;
        partitions.push(PartitionStatus {
            topic: common.topics[place.0].clone(),
            partition: place.1,
            committed: offsets.committed(),
            lag: lag.get(&place).copied(),
        });
    });
    let paused = common.flow.is_held_up();
    Status { group: group.to_owned(), partitions, uncommitted, paused, trouble: common.logs.last() }
}

/// What one consumer after another works with.
pub(super) struct Puller {
    pub common: Arc<Common>,
    pub way: Arc<Way>,
    pub config: Config,
    /// By the places of the topics.
    pub signals: Vec<Signal>,
    /// The context of messages that bring nothing which is kept.
    plain: Arc<RequestContext>,
    pub join_bytes: usize,
    /// Says that partitions are paused because too much of them is on its way.
    pub full: Gate,
    pub stop: CancellationToken,
    pub drain: Duration,
}

impl Puller {
    fn run(&self, mut files: Files) {
        while !self.stop.is_cancelled() {
            match self.start(&files) {
                Ok(client) => {
                    let mut session = Session::new(self, client, files.clone());
                    session.run();
                    if self.stop.is_cancelled() {
                        session.drain();
                    }
                }
                Err(error) => self.common.logs.note(format!("the consumer cannot be started: {error}")),
            }
            // What it had comes again to the next.
            self.common.board.places().into_iter().for_each(|place| self.common.board.forget(place));
            self.common.flow.went.notify_waiters();
            let again = Instant::now() + ANEW;
            while !self.stop.is_cancelled() && Instant::now() < again {
                thread::sleep(LOOK);
            }
            if !self.stop.is_cancelled() {
                // Where they cannot be read, it goes on with what they held.
                files = self.read_files().unwrap_or(files);
            }
        }
        self.common.flow.stop.cancel();
    }

    /// What the files hold now.
    pub fn read_files(&self) -> Option<Files> {
        let read = Files::read(&self.config.connect);
        read.inspect_err(|error| self.common.logs.note(format!("the consumer's files cannot be read again: {error}")))
            .ok()
    }

    fn start(&self, files: &Files) -> Result<Client, KafkaError> {
        let wrong = |error: RdError| KafkaError::Client(error.to_string());
        let settings = settings(&self.config, files)?;
        let client = Client::from_config_and_context(&settings, Context(Arc::clone(&self.common))).map_err(wrong)?;
        let topics: Vec<&str> = self.common.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(wrong)?;
        Ok(client)
    }

    /// A message's context: what the configuration keeps of its headers, which are named as those of HTTP are.
    pub fn context_of(&self, headers: Option<&BorrowedHeaders>) -> Arc<RequestContext> {
        let keep = &self.way.shared.keep;
        let Some(headers) = headers.filter(|_| keep.tenant.is_some() || !keep.headers.is_empty()) else {
            return Arc::clone(&self.plain);
        };
        let of = |name: &http::HeaderName| -> Vec<Box<str>> {
            let named = headers.iter().filter(|header| header.key.eq_ignore_ascii_case(name.as_str()));
            named.filter_map(|header| header.value).map(text).collect()
        };
        let tenant = keep.tenant.as_ref().and_then(|name| of(name).into_iter().next());
        let kept: Vec<_> = keep
            .headers
            .iter()
            .flat_map(|name| of(name).into_iter().map(|value| (name.as_str().into(), value)))
            .collect();
        if tenant.is_none() && kept.is_empty() {
            return Arc::clone(&self.plain);
        }
        Arc::new(RequestContext { tenant, headers: kept, ..RequestContext::default() })
    }
}

/// Header values need not be UTF-8.
fn text(value: &[u8]) -> Box<str> {
    String::from_utf8_lossy(value).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ConnectConfig;

    #[test]
    fn librdkafka_takes_all_that_can_be_configured() {
        let mut config = Config::new(ConnectConfig::new(vec!["127.0.0.1:1".to_owned()]));
        for (id, offset) in [(None, InitialOffset::Earliest), (Some("tail-1"), InitialOffset::Latest)] {
            for (session, bytes) in [(1, 64 << 10), (1800, 1 << 30)] {
                config.group_instance_id = id.map(str::to_owned);
                config.initial_offset = offset;
                config.session_timeout = Duration::from_secs(session);
                config.fetch_bytes = bytes;
                let settings = settings(&config, &Files::default()).unwrap();
                assert_eq!(settings.get("group.instance.id"), id);
                settings.create::<BaseConsumer>().unwrap();
            }
        }
    }
}
