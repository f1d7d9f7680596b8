//! What a destination is told, in checked form: whoever reads the configuration file makes these, nothing here reads one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, Uri};
use otlp::signal::Signal;

use crate::paths;
use crate::tls::TlsVersion;

mod endpoints;
mod kafka;
mod route;
mod secret;

pub use endpoints::{Balance, Dns, Endpoints, EndpointsError};
pub use kafka::{KafkaConfig, Partitioner};
pub use route::{When, WhenError, check_when};
pub use secret::{FileHeader, Form};

/// Where parcels are delivered to, and how. Two that are equal are the same destination to a reload.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationConfig {
    /// What it is called in the configuration, in metrics and in messages. Unique among the destinations.
    pub name: String,
    /// Protocol and addresses.
    pub endpoints: Endpoints,
    /// What there is to say of Kafka; set exactly where that is the protocol.
    pub kafka: Option<KafkaConfig>,
    /// What is delivered there, each at most once. Each signal goes its own way there: with a queue, connections and batches of its
    /// own, as if it were a destination of its own.
    pub signals: Vec<Signal>,
    /// What it gets; `None`: everything.
    pub when: Option<When>,
    /// How request bodies are compressed.
    pub compression: Compression,
    /// Sent with every request. See [`check_headers`].
    pub headers: HeaderMap,
    /// Likewise, with values from files.
    pub file_headers: Vec<FileHeader>,
    /// The kept headers of incoming requests that are passed on. Only parcels that agree in them are joined.
    pub forward: Vec<HeaderName>,
    /// How long one attempt may take, connecting included.
    pub timeout: Duration,
    /// How many requests may be under way at once.
    pub concurrency: usize,
    /// Over how many connections they go, for each endpoint (gRPC only: HTTP/1.1 has one for each request).
    pub connections: usize,
    /// The queue before it.
    pub queue: QueueConfig,
    /// How parcels are joined.
    pub batch: BatchConfig,
    /// When and how long an attempt is made again.
    pub retry: RetryConfig,
    /// Trust and identity for `https` endpoints.
    pub tls: TlsConfig,
}

impl DestinationConfig {
    /// A destination with the defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoints: impl Into<Endpoints>) -> Self {
        let endpoints = endpoints.into();
        let max_request_bytes = match endpoints.protocol() {
            Protocol::Grpc => 4 << 20,
            Protocol::Http => 20 << 20,
            // With key, headers and framing below what brokers take unless told otherwise: 1 MiB and 12 bytes.
            Protocol::Kafka => 960 << 10,
        };
        let usual = BatchConfig::default();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            name: name.into(),
            endpoints,
            kafka: None,
            signals: vec![Signal::Traces],
            when: None,
            compression: Compression::GZIP,
            headers: HeaderMap::new(),
            file_headers: Vec::new(),
            forward: Vec::new(),
            timeout: Duration::from_secs(10),
            concurrency: 4,
            // A connection is served by one core at a time at either end.
            connections: cores.min(4),
            queue: QueueConfig::default(),
            batch: BatchConfig { max_request_bytes, max_bytes: usual.max_bytes.min(max_request_bytes), ..usual },
            retry: RetryConfig::default(),
            tls: TlsConfig::default(),
        }
    }

    /// A destination that is a topic at these brokers, with the defaults.
    pub fn kafka(name: impl Into<String>, kafka: KafkaConfig) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::kafka(kafka.connect.brokers.first().map_or("", |first| first))?;
        // One codec for all brokers of these days, and the cheapest.
        Ok(Self { kafka: Some(kafka), compression: Compression::ZSTD, ..Self::new(name, endpoint) })
    }

    /// The same for each of its signals alone: the queue of each has a folder of its own in the queue's.
    pub(super) fn by_signal(self) -> impl Iterator<Item = Self> {
        let signals = self.signals.clone();
        signals.into_iter().map(move |signal| {
            let mode = self.queue.mode.within(signal.name());
            Self { signals: vec![signal], queue: QueueConfig { mode, ..self.queue.clone() }, ..self.clone() }
        })
    }

    /// The signal of one that has one.
    pub(super) fn signal(&self) -> Signal {
        self.signals.first().copied().unwrap_or(Signal::Traces)
    }
}

/// Protocol and address of a back end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) protocol: Protocol,
    /// Of each signal. Absolute: scheme, authority and path.
    uris: [Uri; Signal::ALL.len()],
}

/// How a back end is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC, over HTTP/2.
    Grpc,
    /// OTLP/HTTP with protobuf bodies, over HTTP/1.1: cheaper than HTTP/2 for large bodies.
    Http,
    /// Messages of protobuf to Kafka's brokers.
    Kafka,
}

/// Why a URL is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("`{0}` is not a URL: write http://HOST:PORT (plain) or https://HOST:PORT (TLS)")]
    NotAUrl(String),
    /// It has no scheme, or one that is not HTTP's.
    #[error("`{0}` has no usable scheme: write http://HOST:PORT (plain) or https://HOST:PORT (TLS)")]
    Scheme(String),
    /// Credentials stand in the URL.
    #[error("the URL holds a user name or password: put an `authorization` header under `headers` instead")]
    Credentials,
    /// The base of an HTTP endpoint is the endpoint itself.
    #[error("`{0}` ends in {1}, which is appended to it: write what stands before that")]
    SignalPath(String, &'static str),
    /// It is no broker.
    #[error("`{0}` is not a broker: write HOST:PORT")]
    Broker(String),
    /// A gRPC endpoint has a path.
    #[error("`{0}` has a path: a gRPC endpoint has none, write only scheme, host and port")]
    GrpcPath(String),
}

impl Endpoint {
    /// A gRPC endpoint: `http://HOST:PORT` or `https://HOST:PORT`.
    pub fn grpc(url: &str) -> Result<Self, EndpointError> {
        let uri = parse(url)?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(EndpointError::GrpcPath(url.into()));
        }
        Self::of(Protocol::Grpc, |signal| with_path(&uri, paths::method(signal), url))
    }

    /// The base of an HTTP endpoint: `/v1/traces` is appended to it for traces, and so on.
    pub fn http(url: &str) -> Result<Self, EndpointError> {
        let uri = parse(url)?;
        let base = uri.path().trim_end_matches('/');
        if let Some(path) = Signal::ALL.map(paths::http).into_iter().find(|path| base.ends_with(path)) {
            return Err(EndpointError::SignalPath(url.into(), path));
        }
        Self::of(Protocol::Http, |signal| {
            let path = format!("{base}{}", paths::http(signal));
            let path = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
            with_path(&uri, &path, url)
        })
    }

    /// An HTTP endpoint of traces alone: used as it stands.
    pub fn http_traces(url: &str) -> Result<Self, EndpointError> {
        let uri = parse(url)?;
        Self::of(Protocol::Http, |_| Ok(uri.clone()))
    }

    /// Kafka, of which this is one broker: `HOST:PORT`. The others are learnt from it.
    pub fn kafka(broker: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Broker(broker.into());
        let uri: Uri = format!("kafka://{broker}").parse().map_err(|_| wrong())?;
        let is_broker = uri.port().is_some() && uri.host().is_some_and(|host| !host.is_empty());
        if !is_broker || uri.authority().is_none_or(|authority| authority.as_str() != broker) {
            return Err(wrong());
        }
        Self::of(Protocol::Kafka, |_| Ok(uri.clone()))
    }

    fn of(protocol: Protocol, uri: impl Fn(Signal) -> Result<Uri, EndpointError>) -> Result<Self, EndpointError> {
        let [traces, metrics, logs] = Signal::ALL.map(uri);
        Ok(Self { protocol, uris: [traces?, metrics?, logs?] })
    }

    /// How it is spoken to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The URL that requests of a signal go to. Those of all signals agree in scheme, host and port.
    #[must_use]
    pub fn uri(&self, signal: Signal) -> &Uri {
        &self.uris[signal as usize]
    }

    /// Scheme, host and port.
    fn address(&self) -> &Uri {
        self.uri(Signal::Traces)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.address().scheme() == Some(&Scheme::HTTPS)
    }

    /// Its host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.address().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.address().port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Whether its host is a name, which may lead to several addresses.
    pub(super) fn is_named(&self) -> bool {
        self.host().parse::<std::net::IpAddr>().is_err()
    }

    /// What it is called at one of the addresses behind its name.
    pub(super) fn shown_at(&self, address: SocketAddr) -> String {
        format!("{}://{address}", self.address().scheme_str().unwrap_or_default())
    }

    /// What it is called in metrics and messages: as it was written, but for the query, which may hold a key.
    pub(super) fn shown(&self) -> String {
        let (scheme, authority) = (self.address().scheme_str().unwrap_or_default(), self.address().authority());
        let base = match self.protocol {
            Protocol::Grpc | Protocol::Kafka => "",
            Protocol::Http => self.address().path().trim_end_matches("/v1/traces").trim_end_matches('/'),
        };
        format!("{scheme}://{}{base}", authority.map_or("", |authority| authority.as_str()))
    }
}

fn parse(url: &str) -> Result<Uri, EndpointError> {
    let uri: Uri = url.trim().parse().map_err(|_| EndpointError::NotAUrl(url.into()))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(EndpointError::Scheme(url.into())),
    }
    let authority = uri.authority().ok_or_else(|| EndpointError::NotAUrl(url.into()))?;
    if authority.as_str().contains('@') {
        return Err(EndpointError::Credentials);
    }
    if authority.host().is_empty() {
        return Err(EndpointError::NotAUrl(url.into()));
    }
    Ok(uri)
}

fn with_path(uri: &Uri, path: &str, url: &str) -> Result<Uri, EndpointError> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().map_err(|_| EndpointError::NotAUrl(url.into()))?);
    Uri::from_parts(parts).map_err(|_| EndpointError::NotAUrl(url.into()))
}

/// How request bodies are compressed. Levels beyond the codec's range are taken as its nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: nothing is copied either.
    None,
    /// With gzip, at a level of 1 to 12.
    Gzip(u8),
    /// With Zstandard, at a level of 1 to 19.
    Zstd(u8),
}

impl Compression {
    /// gzip at level 1: every OTLP back end takes it; level 6 costs three times as much for 3 to 10 % fewer bytes.
    pub const GZIP: Self = Self::Gzip(1);
    /// Zstandard at level 1: half of gzip's cost; not every back end takes it.
    pub const ZSTD: Self = Self::Zstd(1);
}

/// The queue before a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// Where it keeps what waits.
    pub mode: QueueMode,
    /// How many bytes it holds at most, those being sent included: uncompressed in memory, as they are stored on disk.
    pub max_bytes: usize,
    /// How many bytes of a queue on disk wait in memory at most, uncompressed.
    pub memory_bytes: usize,
    /// The queue counts as full when what waits longest has waited longer.
    pub max_age: Option<Duration>,
    /// How many bytes a second are read back from disk at most, uncompressed.
    pub drain_rate: Option<u64>,
    /// What happens when it is full.
    pub on_full: OnFull,
}

impl QueueConfig {
    /// The default size of a queue on disk.
    pub const ON_DISK: usize = 1 << 30;
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            mode: QueueMode::Memory,
            // The largest request that receivers take unless told otherwise; one that has grown in the chain is taken by an empty queue.
            max_bytes: 64 << 20,
            memory_bytes: 64 << 20,
            max_age: None,
            drain_rate: None,
            on_full: OnFull::Refuse,
        }
    }
}

/// Where a queue keeps what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueMode {
    /// In memory: a crash loses it.
    Memory,
    /// In memory, and in a folder while memory is full or the back end is down: a crash loses what is in memory.
    Spill(PathBuf),
    /// In a folder: senders hear that spans are taken when these are on the disk.
    Durable(PathBuf),
}

impl QueueMode {
    /// The folder, where there is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Memory => None,
            Self::Spill(folder) | Self::Durable(folder) => Some(folder),
        }
    }

    /// The same in a folder within its folder.
    pub(super) fn within(&self, name: &str) -> Self {
        match self {
            Self::Memory => Self::Memory,
            Self::Spill(folder) => Self::Spill(folder.join(name)),
            Self::Durable(folder) => Self::Durable(folder.join(name)),
        }
    }

    /// As it is written in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Spill(_) => "spill",
            Self::Durable(_) => "durable",
        }
    }
}

/// What a full queue does with more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFull {
    /// The sender is refused, retryably: nothing is lost here, and no other destination gets the parcel either.
    #[default]
    Refuse,
    /// What waited longest gives way, counted.
    DropOldest,
    /// The new parcel is dropped for this destination, counted.
    DropNewest,
}

/// How parcels are joined to requests. A request is sent when one of the limits is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// Bytes, uncompressed. A single parcel may be larger.
    pub max_bytes: usize,
    /// Spans, data points or log records. A single parcel may hold more.
    pub max_items: u32,
    /// How long the first parcel waits for more. Zero: parcels are sent at once.
    pub timeout: Duration,
    /// The largest request, uncompressed, that is ever sent: larger parcels are split. OTLP recommends that 64 MiB are taken, but
    /// gRPC servers refuse more than 4 MiB unless told otherwise, and the Collector's HTTP receiver, which is Jaeger's and Tempo's
    /// too, more than 20 MiB: these are a destination's defaults.
    pub max_request_bytes: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_items: 8192, timeout: Duration::from_millis(200), max_request_bytes: 64 << 20 }
    }
}

/// When an attempt is made again: exponential backoff with jitter, never sooner than the back end asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryConfig {
    /// The first delay.
    pub initial: Duration,
    /// The longest delay of our own choosing.
    pub max: Duration,
    /// How long a request is tried before its spans are dropped, counted; `None`: for as long as it takes. The queue's
    /// bound is then what limits it, and a full queue reaches the senders.
    pub max_elapsed: Option<Duration>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { initial: Duration::from_millis(500), max: Duration::from_secs(30), max_elapsed: None }
    }
}

/// Trust and identity for `https` endpoints. Files are PEM, and are read again at each reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsConfig {
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether the system's authorities are trusted beside those of `ca_file`.
    pub include_system_roots: bool,
    /// The client's certificate chain and its key.
    pub identity: Option<Identity>,
    /// The name to expect in the server's certificate, where it is not the endpoint's host.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// A header that the exporter sets itself and configuration may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header `{0}` is set by the exporter itself: remove it")]
pub struct ReservedHeader(pub HeaderName);

/// Checks that no header stands in the way of the protocol.
pub fn check_headers(headers: &HeaderMap) -> Result<(), ReservedHeader> {
    const RESERVED: [&str; 12] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "grpc-accept-encoding",
        "grpc-encoding",
        "grpc-timeout",
        "host",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    headers
        .keys()
        .find(|name| RESERVED.contains(&name.as_str()))
        .map_or(Ok(()), |name| Err(ReservedHeader(name.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signals_path_is_appended_to_the_base_only() {
        let of = |endpoint: Result<Endpoint, EndpointError>| endpoint.unwrap().uri(Signal::Traces).to_string();
        assert_eq!(of(Endpoint::http("http://tempo:4318")), "http://tempo:4318/v1/traces");
        assert_eq!(of(Endpoint::http("http://tempo:4318/")), "http://tempo:4318/v1/traces");
        assert_eq!(of(Endpoint::http("https://host/otlp")), "https://host/otlp/v1/traces");
        assert_eq!(of(Endpoint::http("https://host/otlp/?key=1")), "https://host/otlp/v1/traces?key=1");
        let prometheus = Endpoint::http("http://prometheus:9090/api/v1/otlp/").unwrap();
        assert_eq!(prometheus.uri(Signal::Metrics), "http://prometheus:9090/api/v1/otlp/v1/metrics");
        let loki = Endpoint::http("http://loki:3100/otlp").unwrap();
        assert_eq!(loki.uri(Signal::Logs), "http://loki:3100/otlp/v1/logs");
        assert_eq!(of(Endpoint::http_traces("http://host:1/in")), "http://host:1/in");
        assert_eq!(of(Endpoint::http_traces("http://host:1")), "http://host:1/");
    }

    #[test]
    fn an_endpoint_is_shown_as_it_was_written_but_for_its_query() {
        assert_eq!(Endpoint::http("https://host/otlp/?key=1").unwrap().shown(), "https://host/otlp");
        assert_eq!(Endpoint::http("http://host:4318").unwrap().shown(), "http://host:4318");
        assert_eq!(Endpoint::grpc("http://[::1]:4317/").unwrap().shown(), "http://[::1]:4317");
    }

    #[test]
    fn a_grpc_endpoint_is_scheme_host_and_port() {
        let plain = Endpoint::grpc("http://localhost:4317").unwrap();
        for (signal, service) in [(Signal::Traces, "Trace"), (Signal::Metrics, "Metrics"), (Signal::Logs, "Logs")] {
            assert!(plain.uri(signal).path().ends_with(&format!("{service}Service/Export")));
        }
        assert!(Endpoint::grpc("https://[::1]:4317/").unwrap().is_tls());
        assert!(matches!(Endpoint::grpc("http://jaeger:4317/v1/traces"), Err(EndpointError::GrpcPath(_))));
    }

    #[test]
    fn what_is_no_url_is_refused_with_what_to_write() {
        for url in ["jaeger:4317", "jaeger", "grpc://jaeger:4317", "ftp://x"] {
            assert!(matches!(Endpoint::grpc(url), Err(EndpointError::Scheme(_))), "{url}");
        }
        assert!(matches!(Endpoint::http("http://"), Err(EndpointError::NotAUrl(_))));
        assert_eq!(Endpoint::http("http://me:secret@host"), Err(EndpointError::Credentials));
        for url in ["http://tempo:4318/v1/traces", "http://tempo:4318/otlp/v1/traces/", "http://loki/otlp/v1/logs"] {
            assert!(matches!(Endpoint::http(url), Err(EndpointError::SignalPath(..))), "{url}");
        }
    }

    #[test]
    fn requests_are_as_large_as_back_ends_take_them_unless_told_otherwise() {
        let largest = |endpoint| DestinationConfig::new("x", endpoint).batch.max_request_bytes;
        assert_eq!(largest(Endpoint::grpc("http://tempo:4317").unwrap()), 4 << 20);
        assert_eq!(largest(Endpoint::http("http://tempo:4318").unwrap()), 20 << 20);
    }

    #[test]
    fn a_broker_is_host_and_port() {
        for broker in ["kafka:9092", "10.0.0.1:9092", "[::1]:9092"] {
            assert_eq!(Endpoint::kafka(broker).unwrap().shown(), format!("kafka://{broker}"));
        }
        for wrong in
            ["", "kafka", "kafka:", ":9092", "kafka:9092/topic", "http://kafka:9092", "me@kafka:9092", "a:1,b:2"]
        {
            assert_eq!(Endpoint::kafka(wrong), Err(EndpointError::Broker(wrong.into())));
        }
    }

    #[test]
    fn headers_of_the_protocol_are_not_to_be_set() {
        let mut headers = HeaderMap::new();
        headers.insert("x-scope-orgid", "team".parse().unwrap());
        assert_eq!(check_headers(&headers), Ok(()));
        headers.insert("te", "trailers".parse().unwrap());
        assert!(check_headers(&headers).is_err());
    }
}
