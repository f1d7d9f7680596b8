//! Receivers: OTLP/gRPC and OTLP/HTTP in, [`Request`]s out to a [`Handler`]. Knows both protocols' words; knows neither
//! what a request holds nor what stands behind the handler.
//!
//! Both are served by hyper. gRPC's framing is added by hand (`receive/grpc.rs` says why); HTTP/1.1 and HTTP/2 are told
//! apart by their first bytes. The way of a request: may its sender send? is the handler ready? is there room? read, inflate, (JSON to
//! protobuf), hand over.
//!
//! Invariant: a body's buffer is covered by a permit from before it is allocated until the handler lets go of the request: by the
//! budget of all, and by those of its connection and its tenant (`admit.rs`). What connections may have sent ahead of that is
//! bounded apart (`receive/ahead.rs`): 64 KiB for each, and 64 MiB that all of a listener share. A body that can never fit the
//! budgets counts as too large, which senders do not repeat. JSON is read under its own bytes; the protobuf that it becomes, mostly smaller,
//! is covered when it is there and the JSON is gone.

mod age;
mod ahead;
mod body;
mod context;
mod cors;
mod cut;
mod grpc;
mod health;
mod http;
mod idle;
mod inflate;
pub mod kafka;
mod listen;
mod metrics;
mod reflection;
mod reply;
mod response;
mod said;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName};
use otlp::signal::Signal;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::cors::{Cors, Origin, OriginError};
pub use self::metrics::Metrics;
pub use crate::auth::{AuthConfig, AuthError};
pub use crate::tls::server::{Certificates, NewCertificates, TlsConfig};
pub use crate::tls::{TlsError, TlsVersion};

use self::body::Held;
use self::context::{Keep, Peer};
use self::metrics::{Outcome, Protocol, Reason};
use self::status::Failure;
use crate::admit::{Admission, Budget, Payer, Permit};
use crate::auth::{Auth, Granted};
use crate::kafka::KafkaError;
use crate::request::{Accepted, Handler, Request};
use crate::tls::server::Tls;

/// How to receive. Checked: what is in here is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where OTLP/gRPC listens, if it does. Port 0 takes any.
    pub grpc: Option<SocketAddr>,
    /// Where OTLP/HTTP listens, if it does. Port 0 takes any.
    pub http: Option<SocketAddr>,
    /// Which messages are taken from Kafka, if any are.
    pub kafka: Option<kafka::Config>,
    /// What OTLP/gRPC is secured with; plain text without it.
    pub grpc_tls: Option<TlsConfig>,
    /// What OTLP/HTTP is secured with; plain text without it.
    pub http_tls: Option<TlsConfig>,
    /// Who may send; everybody unless it is set.
    pub auth: Option<AuthConfig>,
    /// Which web pages may send by OTLP/HTTP; none unless it is set.
    pub cors: Option<Cors>,
    /// The largest request, in bytes, on the wire and after decompression.
    pub max_request_bytes: usize,
    /// How many bytes of requests may be in flight at once. A request larger than this is too large as well.
    pub max_in_flight_bytes: usize,
    /// How many of them may be one connection's; as many as there are unless it is set.
    pub max_in_flight_per_connection: Option<usize>,
    /// How many of them may be one tenant's, likewise.
    pub max_in_flight_per_tenant: Option<usize>,
    /// How many connections each listener serves at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// How many calls an HTTP/2 connection may have open at once.
    pub max_streams: u32,
    /// How long a connection may take for its first bytes, its handshake included, and HTTP/1.1 for the headers of a request.
    pub header_timeout: Duration,
    /// How long an HTTP/1.1 connection may rest between two requests.
    pub idle_timeout: Duration,
    /// How long a connection is kept, less up to a tenth, before it is ended in good order; for ever unless it is set.
    pub max_connection_age: Option<Duration>,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How often an idle HTTP/2 connection is asked whether it is still there.
    pub keep_alive: Duration,
    /// How long calls in flight may take to end on shutdown.
    pub drain: Duration,
    /// When senders are asked to come back while there is no room.
    pub retry_after: Duration,
    /// Headers that are kept with the spans.
    pub keep_headers: Vec<HeaderName>,
    /// The header that names the tenant.
    pub tenant_header: Option<HeaderName>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grpc: Some(SocketAddr::from(([127, 0, 0, 1], 4317))),
            http: Some(SocketAddr::from(([127, 0, 0, 1], 4318))),
            kafka: None,
            grpc_tls: None,
            http_tls: None,
            auth: None,
            cors: None,
            max_request_bytes: 64 << 20,
            max_in_flight_bytes: 64 << 20,
            max_in_flight_per_connection: None,
            max_in_flight_per_tenant: None,
            max_connections: 4096,
            max_streams: 200,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(5),
            max_connection_age: None,
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
            keep_headers: Vec::new(),
            tenant_header: None,
        }
    }
}

/// A receiver could not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The port cannot be taken.
    #[error("cannot listen on {address} for OTLP/{protocol}: {source}; is another process using the port?")]
    Port {
        /// Where.
        address: SocketAddr,
        /// `gRPC` or `HTTP`.
        protocol: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// It cannot be told who may send.
    #[error("{0}")]
    Auth(#[from] AuthError),
    /// Kafka cannot be spoken to as configured.
    #[error("receive.kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// TLS cannot be set up.
    #[error("cannot secure OTLP/{protocol} with TLS: {error}")]
    Tls {
        /// `gRPC` or `HTTP`.
        protocol: &'static str,
        /// Why, and which file.
        error: TlsError,
    },
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Receivers that have their ports, and do not listen yet: whoever connects is refused, as if nobody were there.
#[derive(Debug)]
pub struct Receivers {
    grpc: Option<Bound>,
    http: Option<Bound>,
    grpc_tls: Option<Arc<Tls>>,
    http_tls: Option<Arc<Tls>>,
    kafka: Option<kafka::Consumer>,
    shared: Arc<Shared>,
    connections: Connections,
}

/// A socket that has its port.
#[derive(Debug)]
struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
}

/// Receivers that listen.
#[derive(Debug)]
pub struct Listening {
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
    grpc_tls: Option<Arc<Tls>>,
    http_tls: Option<Arc<Tls>>,
    kafka: Option<kafka::Consumer>,
    shared: Arc<Shared>,
    connections: Connections,
}

/// Takes the ports, and reads the certificates. No connection is made before [`Receivers::listen`].
pub fn bind(config: Config, handler: Arc<dyn Handler>, metrics: Arc<Metrics>) -> Result<Receivers, BindError> {
    let grpc = config.grpc.map(|address| Bound::to(address, GRPC)).transpose()?;
    let http = config.http.map(|address| Bound::to(address, HTTP)).transpose()?;
    let tls = |config: Option<TlsConfig>, protocol| {
        config
            .map(|config| Tls::new(config, SPOKEN).map(Arc::new))
            .transpose()
            .map_err(|error| BindError::Tls { protocol, error })
    };
    // A listener that is not there needs no files.
    let grpc_tls = tls(config.grpc_tls.filter(|_| grpc.is_some()), GRPC)?;
    let http_tls = tls(config.http_tls.filter(|_| http.is_some()), HTTP)?;
    let budget = Budget::new(config.max_in_flight_bytes);
    metrics.watch(&budget);
    let per_connection = config.max_in_flight_per_connection.unwrap_or(usize::MAX);
    let per_tenant = config.max_in_flight_per_tenant.unwrap_or(usize::MAX);
    let least = config.max_in_flight_bytes.min(per_connection).min(per_tenant);
    let limits = Limits {
        request_bytes: config.max_request_bytes.min(least),
        body_timeout: config.body_timeout,
        retry_after: config.retry_after,
    };
    let connections = Connections {
        max: config.max_connections.max(1),
        max_streams: config.max_streams,
        header_timeout: config.header_timeout,
        idle_timeout: config.idle_timeout,
        max_age: config.max_connection_age,
        keep_alive: config.keep_alive,
        drain: config.drain,
    };
    let keep = Keep { headers: config.keep_headers, tenant: config.tenant_header };
    let auth = config.auth.map(Auth::new).transpose()?.map(Arc::new);
    let cors = config.cors.map(|cors| cors::Policy::new(cors, auth.is_some()));
    let admission = Admission::new(budget, per_connection, per_tenant);
    let shared = Arc::new(Shared { handler, auth, admission, limits, keep, cors, metrics });
    let kafka = config.kafka.map(|kafka| kafka::Consumer::new(kafka, &shared)).transpose()?;
    Ok(Receivers { grpc, http, grpc_tls, http_tls, kafka, shared, connections })
}

/// What receivers speak over TLS.
const SPOKEN: &[&[u8]] = &[b"h2", b"http/1.1"];
const GRPC: &str = "gRPC";
const HTTP: &str = "HTTP";

impl Bound {
    fn to(address: SocketAddr, protocol: &'static str) -> Result<Self, BindError> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A port whose last connections are still being closed is free.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind().map_err(|source| BindError::Port { address, protocol, source })
    }

    fn listen(self, protocol: &'static str) -> Result<TcpListener, BindError> {
        let Self { socket, address } = self;
        socket.listen(BACKLOG).map_err(|source| BindError::Port { address, protocol, source })
    }
}

impl Receivers {
    /// Where OTLP/gRPC listens.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|bound| bound.address)
    }

    /// Where OTLP/HTTP listens.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|bound| bound.address)
    }

    /// The certificates of those that have TLS, to have them read anew. They are followed by themselves as well.
    pub fn certificates(&self) -> Certificates {
        Certificates::of([&self.grpc_tls, &self.http_tls].into_iter().flatten().cloned())
    }

    /// Says how it stands with the consumer of Kafka, where there is one.
    pub fn kafka_status(&self) -> Option<Box<dyn Fn() -> kafka::Status + Send + Sync>> {
        self.kafka.as_ref().map(kafka::Consumer::status)
    }

    /// The bytes in flight.
    pub fn budget(&self) -> &Budget {
        self.shared.admission.budget()
    }

    /// Lets connections in; they are served by [`Listening::serve`]. Fails where another process has taken the port meanwhile.
    pub fn listen(self) -> Result<Listening, BindError> {
        let Self { grpc, http, grpc_tls, http_tls, kafka, shared, connections } = self;
        let grpc = grpc.map(|bound| bound.listen(GRPC)).transpose()?;
        let http = http.map(|bound| bound.listen(HTTP)).transpose()?;
        Ok(Listening { grpc, http, grpc_tls, http_tls, kafka, shared, connections })
    }
}

impl Listening {
    /// Serves until `shutdown` is cancelled and the calls in flight have ended, or the bound for them has passed.
    pub async fn serve(self, shutdown: CancellationToken) {
        let mut listeners = JoinSet::new();
        let grpc = (self.grpc, self.grpc_tls, Protocol::grpc);
        let http = (self.http, self.http_tls, Protocol::http);
        for (listener, tls, protocol) in [grpc, http] {
            let Some(listener) = listener else { continue };
            let shared = Arc::clone(&self.shared);
            listeners.spawn(listen::serve(listener, protocol, tls, shared, self.connections, shutdown.clone()));
        }
        if let Some(kafka) = self.kafka {
            listeners.spawn(kafka.run(self.connections.drain, shutdown.clone()));
        }
        // Ends with this.
        let _following: JoinSet<()> = self.shared.auth.iter().map(|auth| Arc::clone(auth).follow()).collect();
        while listeners.join_next().await.is_some() {}
    }
}

/// What all requests share.
struct Shared {
    handler: Arc<dyn Handler>,
    auth: Option<Arc<Auth>>,
    admission: Admission,
    limits: Limits,
    keep: Keep,
    cors: Option<cors::Policy>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("admission", &self.admission)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The bounds of a connection, and of all of them.
#[derive(Debug, Clone, Copy)]
struct Connections {
    max: usize,
    max_streams: u32,
    header_timeout: Duration,
    idle_timeout: Duration,
    max_age: Option<Duration>,
    keep_alive: Duration,
    drain: Duration,
}

/// The bounds of a request.
#[derive(Debug, Clone, Copy)]
struct Limits {
    request_bytes: usize,
    body_timeout: Duration,
    retry_after: Duration,
}

impl Limits {
    /// Room for a body of so many bytes.
    fn admit(&self, payer: &Payer, bytes: usize) -> Result<Permit, Failure> {
        if bytes > self.request_bytes {
            return Err(Failure::too_large(self.request_bytes));
        }
        payer.take(bytes).map_err(|full| Failure::no_room(full, self.retry_after))
    }

    /// Makes a permit cover so many bytes.
    fn cover(&self, permit: &mut Permit, bytes: usize) -> Result<(), Failure> {
        if bytes > self.request_bytes {
            return Err(Failure::too_large(self.request_bytes));
        }
        permit.resize(bytes).map_err(|full| Failure::no_room(full, self.retry_after))
    }
}

impl Shared {
    /// Whether there is anybody for a signal: where not, there is no such endpoint.
    fn served(&self, signal: Signal) -> Result<(), Failure> {
        if self.handler.takes(signal) { Ok(()) } else { Err(Failure::no_destination(signal)) }
    }

    fn ready(&self, signal: Signal) -> Result<(), Failure> {
        self.handler.refuses(signal).map_or(Ok(()), |refusal| Err(Failure::refused(refusal, Reason::NotReady)))
    }

    async fn in_time<T>(&self, reading: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.limits.body_timeout;
        let late = |_| Err(Failure::slow_body(limit, self.limits.retry_after));
        tokio::time::timeout(limit, reading).await.unwrap_or_else(late)
    }

    /// Whether who sends such headers may send: before anything else is said, and before a body is read.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Granted, Failure> {
        let Some(auth) = &self.auth else { return Ok(Granted::default()) };
        let denied = |denied| Failure::denied(denied, auth.challenge(), self.limits.retry_after);
        auth.check(headers).await.map_err(denied)
    }

    /// Who pays for a request that begins so.
    fn payer(&self, peer: &Peer, head: &Parts, granted: &Granted) -> Payer {
        self.keep.payer_of(peer, &head.headers, granted, &self.admission)
    }

    async fn handle(
        &self,
        signal: Signal,
        held: Held,
        peer: &Peer,
        headers: &HeaderMap,
        granted: &Granted,
    ) -> Result<Accepted, Failure> {
        let context = self.keep.of_request(peer, headers, granted);
        let request = Request { signal, body: held.bytes, context, permit: held.permit, custody: None };
        self.handler.handle(request).await.map_err(Failure::by_handler)
    }
}

fn outcome(accepted: &Accepted) -> Outcome {
    if accepted.rejected == 0 { Outcome::Accepted } else { Outcome::Partial }
}
