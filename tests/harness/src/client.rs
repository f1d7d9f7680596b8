//! A sender of OTLP that says exactly what it was answered: gRPC or HTTP, protobuf or JSON, compressed or not.
//!
//! It retries nothing: tests want to see refusals. Malformed bytes can be sent too.

mod answer;

pub use crate::wire::Compression;
pub use answer::{Answer, Refusal};

use crate::ledger::Ledger;
use crate::sink::spans;
use crate::{tls, wire};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use rustls::ClientConfig;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The path of OTLP/gRPC's trace service.
pub const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The path of OTLP/HTTP.
pub const HTTP_PATH: &str = "/v1/traces";

const TIMEOUT: Duration = Duration::from_mins(1);

/// How a request is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    HttpProtobuf,
    /// OTLP/HTTP with JSON.
    HttpJson,
}

/// One connection (gRPC, h2c) or a small pool of them (HTTP/1.1). Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    protocol: Protocol,
    compression: Compression,
    base: String,
    path: &'static str,
    headers: http::HeaderMap,
    ledger: Option<Ledger>,
}

impl Client {
    /// To `address` (`host:port`).
    pub fn new(protocol: Protocol, address: &str) -> Self {
        Self::build(protocol, address, protocol == Protocol::Grpc, None, None)
    }

    /// Over TLS, as the configuration says.
    pub fn over_tls(protocol: Protocol, address: &str, config: &Arc<ClientConfig>) -> Self {
        Self::build(protocol, address, protocol == Protocol::Grpc, Some(config), None)
    }

    /// From an address of this machine, any of 127.0.0.0/8 say: as another sender.
    pub fn from(protocol: Protocol, address: &str, from: IpAddr) -> Self {
        Self::build(protocol, address, protocol == Protocol::Grpc, None, Some(from))
    }

    /// OTLP/HTTP over HTTP/2 without TLS.
    pub fn h2c(protocol: Protocol, address: &str) -> Self {
        Self::build(protocol, address, true, None, None)
    }

    fn build(
        protocol: Protocol,
        address: &str,
        http2: bool,
        tls: Option<&Arc<ClientConfig>>,
        from: Option<IpAddr>,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        connector.set_local_address(from);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let connector = HttpsConnector::from((connector, Arc::clone(tls.unwrap_or(&tls::NOBODY))));
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .http2_only(http2)
            .http2_initial_stream_window_size(1 << 20)
            .http2_initial_connection_window_size(4 << 20);
        Self {
            http: builder.build(connector),
            protocol,
            compression: Compression::None,
            base: format!("{scheme}://{address}"),
            path: if protocol == Protocol::Grpc { GRPC_PATH } else { HTTP_PATH },
            headers: http::HeaderMap::new(),
            ledger: None,
        }
    }

    /// Notes what it sends.
    #[must_use]
    pub fn noting(mut self, ledger: Option<Ledger>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Compresses what it sends.
    #[must_use]
    pub fn compress(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Calls something else than the export of traces.
    #[must_use]
    pub fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let key: http::HeaderName = name.parse().with_context(|| format!("header name {name}"))?;
        self.headers.insert(key, value.parse().with_context(|| format!("header {name}: {value}"))?);
        Ok(self)
    }

    /// Sends a request; an error means that there was no answer in the protocol's terms.
    pub async fn send(&self, request: &ExportTraceServiceRequest) -> Result<Answer> {
        self.send_bytes(self.encode(request)?).await
    }

    /// The message as this client's protocol writes it, before compression.
    pub fn encode(&self, request: &ExportTraceServiceRequest) -> Result<Bytes> {
        Ok(match self.protocol {
            Protocol::Grpc | Protocol::HttpProtobuf => request.encode_to_vec().into(),
            Protocol::HttpJson => serde_json::to_vec(request)?.into(),
        })
    }

    /// Sends bytes as they are (compressed and framed, if it does that), be they a message or not.
    pub async fn send_bytes(&self, message: Bytes) -> Result<Answer> {
        let body = self.prepare(&message)?;
        let entry = self.ledger.as_ref().map(|ledger| ledger.open(self.spans_in(&message)));
        let answer = self.send_prepared(body).await?;
        if let Some(entry) = entry {
            entry.answered(&answer);
        }
        Ok(answer)
    }

    /// A message as the body of a request, compressed and framed.
    pub fn prepare(&self, message: &Bytes) -> Result<Bytes> {
        match self.protocol {
            Protocol::Grpc => wire::frame(message, self.compression),
            Protocol::HttpProtobuf | Protocol::HttpJson => self.compression.pack(message),
        }
    }

    /// Sends a body that was prepared. No ledger hears of it.
    pub async fn send_prepared(&self, body: Bytes) -> Result<Answer> {
        let request = self.request(body)?;
        let exchange = async {
            let (head, body) = self.http.request(request).await.context("sending the request")?.into_parts();
            let body = body.collect().await.context("reading the answer")?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            match self.protocol {
                Protocol::Grpc => Answer::from_grpc(&head, &trailers, &body.to_bytes()),
                Protocol::HttpProtobuf => Answer::from_protobuf(&head, &body.to_bytes()),
                Protocol::HttpJson => Answer::from_json(&head, &body.to_bytes()),
            }
        };
        tokio::time::timeout(TIMEOUT, exchange).await.context("no answer in a minute")?
    }

    /// How many spans there are in a message; none in what is no message or goes elsewhere.
    fn spans_in(&self, message: &Bytes) -> u64 {
        if ![GRPC_PATH, HTTP_PATH].contains(&self.path) {
            return 0;
        }
        let read = match self.protocol {
            Protocol::Grpc | Protocol::HttpProtobuf => ExportTraceServiceRequest::decode(&message[..]).ok(),
            Protocol::HttpJson => serde_json::from_slice(message).ok(),
        };
        read.map_or(0, |request| spans(&request).count() as u64)
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let builder = Request::post(format!("{}{}", self.base, self.path));
        let builder = match self.protocol {
            Protocol::Grpc => builder
                .header(header::CONTENT_TYPE, "application/grpc")
                .header(header::TE, "trailers")
                .header("grpc-encoding", self.compression.name()),
            Protocol::HttpProtobuf => builder.header(header::CONTENT_TYPE, "application/x-protobuf"),
            Protocol::HttpJson => builder.header(header::CONTENT_TYPE, "application/json"),
        };
        let builder = match self.compression {
            Compression::Gzip | Compression::Zstd if self.protocol != Protocol::Grpc => {
                builder.header(header::CONTENT_ENCODING, self.compression.name())
            }
            _ => builder,
        };
        let mut request = builder.body(Full::new(body))?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}
