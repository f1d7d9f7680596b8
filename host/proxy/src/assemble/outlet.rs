//! Between what comes in and the exports, and between the exports and the admin side.

use control::admin::view::{Address, Destination, Endpoint, Kafka, KafkaPartition, TraceBuffer};
use otlp::signal::Signal;
use pipeline::chain::outlet::Outlet;
use pipeline::export::config::Protocol;
use pipeline::export::{AddressStatus, DestinationStatus, EndpointStatus, Exports, Parcel, Taken};
use pipeline::receive::kafka;
use pipeline::request::Refusal;
use pipeline::tail::{Status, Tail};

/// The outlet of all signals: the queues of the destinations.
pub struct Queues(pub Exports);

impl Outlet for Queues {
    fn takes(&self, signal: Signal) -> bool {
        self.0.takes(signal)
    }

    fn is_full(&self) -> Option<Refusal> {
        self.0.is_full()
    }

    fn room(&self) -> usize {
        self.0.room()
    }

    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        self.0.accept(parcel)
    }
}

/// What the admin side shows of them.
pub fn destinations(exports: Exports) -> Box<dyn Fn() -> Vec<Destination> + Send + Sync> {
    Box::new(move || exports.status().into_iter().map(shown).collect())
}

/// What the admin side shows of the trace buffer.
pub fn trace_buffer(tail: Tail) -> Box<dyn Fn() -> TraceBuffer + Send + Sync> {
    Box::new(move || {
        let Status { spans, traces, bytes, limit, mode, disk_bytes } = tail.status();
        let mode = mode.to_owned();
        TraceBuffer { traces, spans, memory_bytes: bytes, memory_limit_bytes: limit, mode, disk_bytes }
    })
}

/// What the admin side shows of the consumer of Kafka.
pub fn consumer(status: Box<dyn Fn() -> kafka::Status + Send + Sync>) -> Box<dyn Fn() -> Kafka + Send + Sync> {
    let partition = |one: kafka::PartitionStatus| KafkaPartition {
        topic: one.topic,
        partition: one.partition,
        committed: one.committed,
        lag: one.lag,
    };
    Box::new(move || {
        let kafka::Status { group, partitions, uncommitted, paused, trouble } = status();
        let partitions = partitions.into_iter().map(partition).collect();
        Kafka { group, uncommitted, paused, partitions, last_error: trouble }
    })
}

fn shown(status: DestinationStatus) -> Destination {
    let says_more = |one: &EndpointStatus| !one.addresses.is_empty() || one.queue_bytes.is_some();
    let says_more = status.endpoints.len() > 1 || status.endpoints.iter().any(says_more);
    Destination {
        name: status.name,
        signal: status.signal.name().to_owned(),
        protocol: match status.protocol {
            Protocol::Grpc => "grpc".to_owned(),
            Protocol::Http => "http".to_owned(),
            Protocol::Kafka => "kafka".to_owned(),
        },
        endpoint: status.endpoints.first().map(|first| first.uri.clone()).unwrap_or_default(),
        endpoints: if says_more { status.endpoints.into_iter().map(endpoint).collect() } else { Vec::new() },
        queue_bytes: status.queue_bytes,
        queue_limit_bytes: status.queue_limit,
        queue_mode: status.queue_mode.to_owned(),
        queue_disk_bytes: status.disk_bytes,
        sent: status.sent,
        held: status.held,
        rejected: status.rejected,
        dropped: status.dropped,
        last_error: status.trouble,
    }
}

fn endpoint(status: EndpointStatus) -> Endpoint {
    let address = |known: AddressStatus| Address { address: known.address.to_string(), resting: known.resting };
    Endpoint {
        url: status.uri,
        resting: status.resting,
        addresses: status.addresses.into_iter().map(address).collect(),
        queue_bytes: status.queue_bytes,
        leaving: status.leaving,
        last_error: status.trouble,
    }
}
