//! A handler that keeps what it is handed, and receivers over it on ports of their own.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;

use otlp::signal::Signal;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracemill_pipeline::receive::{self, BindError, Config, Metrics, Receivers};
use tracemill_pipeline::request::{Accepted, Answer, Handler, Refusal, Request};

/// Keeps requests, and answers what it is told to.
pub struct Recorder {
    pub requests: Mutex<Vec<Request>>,
    pub answer: Mutex<Answer>,
    pub refuses: Mutex<Option<Refusal>>,
    pub takes: Mutex<Vec<Signal>>,
    /// One is taken for each request: a handler without any waits.
    pub gate: Semaphore,
    /// One is added for each request that has come.
    pub arrived: Semaphore,
}

impl Handler for Recorder {
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(async move {
            self.arrived.add_permits(1);
            self.gate.acquire().await.expect("the gate stays open").forget();
            self.requests.lock().push(request);
            self.answer.lock().clone()
        })
    }

    fn takes(&self, signal: Signal) -> bool {
        self.takes.lock().contains(&signal)
    }

    fn refuses(&self, _: Signal) -> Option<Refusal> {
        self.refuses.lock().clone()
    }
}

impl Recorder {
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.requests.lock().iter().map(|request| request.body.to_vec()).collect()
    }
}

/// Checks that what has come keeps no more memory than its bytes take, give or take a little.
pub fn assert_nothing_else_is_held(request: Request) {
    let len = request.body.len();
    let held = request.body.try_into_mut().expect("nobody else has a part of the buffer").capacity();
    assert!(held <= len + len / 4 + 4096, "{held} bytes are held for {len}");
    assert!(request.permit.bytes() <= len + len / 4 + 4096, "{} bytes are permitted", request.permit.bytes());
}

pub struct Server {
    pub handler: Arc<Recorder>,
    pub grpc: std::net::SocketAddr,
    pub http: std::net::SocketAddr,
    pub budget: tracemill_pipeline::admit::Budget,
    pub certificates: receive::Certificates,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<()>,
    registry: Registry,
}

pub async fn start(change: impl FnOnce(&mut Config)) -> Server {
    let any = Some(([127, 0, 0, 1], 0).into());
    let mut config = Config { grpc: any, http: any, ..Config::default() };
    change(&mut config);
    let handler = recorder();
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::register(&mut registry));
    let receivers = receive::bind(config, Arc::clone(&handler) as Arc<dyn Handler>, metrics).unwrap();
    let (grpc, http) = (receivers.grpc_address().unwrap(), receivers.http_address().unwrap());
    let budget = receivers.budget().clone();
    let certificates = receivers.certificates();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(receivers.listen().unwrap().serve(shutdown.clone()));
    Server { handler, grpc, http, budget, certificates, shutdown, serving, registry }
}

fn recorder() -> Arc<Recorder> {
    Arc::new(Recorder {
        requests: Mutex::default(),
        answer: Mutex::new(Ok(Accepted::default())),
        refuses: Mutex::default(),
        takes: Mutex::new(Signal::ALL.into()),
        gate: Semaphore::new(100_000),
        arrived: Semaphore::new(0),
    })
}

/// Receivers to which nobody sends.
pub fn bound(config: Config) -> Result<Receivers, BindError> {
    receive::bind(config, recorder(), Arc::new(Metrics::register(&mut Registry::default())))
}

impl Server {
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 1).unwrap()
}

/// An `ExportTraceServiceRequest` with one `ResourceSpans` that holds only an unknown field of so many bytes.
pub fn request(len: usize) -> Vec<u8> {
    use prost::encoding::{WireType, encode_key, encode_varint};
    let mut inner = Vec::new();
    encode_key(999, WireType::LengthDelimited, &mut inner);
    encode_varint(len as u64, &mut inner);
    inner.extend((0..len).map(|at| (at * 31 % 251) as u8));
    let mut outer = Vec::new();
    encode_key(1, WireType::LengthDelimited, &mut outer);
    encode_varint(inner.len() as u64, &mut outer);
    outer.extend(inner);
    outer
}
