//! What tests and benches stand on: the real proxy as a process, back ends that record, real back ends, clients, spans.
//!
//! Knows OTLP from its public definition alone (prost), so that it is an oracle and not an echo of the code under test.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod back_end;
pub mod client;
pub mod collector;
pub mod door;
pub mod fetch;
pub mod gate;
pub mod jaeger;
pub mod kafka;
pub mod ledger;
pub mod load;
pub mod loki;
pub mod memory;
pub mod metrics;
pub mod plugins;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod registry;
pub mod sdk;
pub mod sender;
pub mod sink;
pub mod spans;
pub mod stored;
pub mod tempo;
pub mod tls;
pub mod traces;
pub mod wait;
pub mod wire;

pub use back_end::BackEnd;
pub use client::{Answer, Client, Compression, Protocol};
pub use collector::Collector;
pub use door::TlsDoor;
pub use gate::Gate;
pub use jaeger::Jaeger;
pub use kafka::Kafka;
pub use loki::Loki;
pub use prometheus::Prometheus;
pub use proxy::Proxy;
pub use registry::Registry;
pub use sender::Sender;
pub use sink::{Behaviour, Sink};
pub use spans::{Generator, Profile};
pub use tempo::Tempo;
pub use traces::Trace;
