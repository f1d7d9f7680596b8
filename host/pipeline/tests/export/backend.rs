//! A back end behind TLS, whose certificate can be changed while it runs. It takes everything.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracemill_pipeline::export::config::Protocol;

/// What has come so far.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Each span's number, and how often it came.
    pub taken: BTreeMap<u64, u32>,
    /// Connections that came to nothing because of TLS.
    pub refused: u32,
    /// What was agreed on with each connection that was secured: the protocol, and whether a client certificate came.
    pub agreed: Vec<(Vec<u8>, bool)>,
}

/// A running back end.
#[derive(Clone)]
pub struct Backend {
    pub address: SocketAddr,
    protocol: Protocol,
    tls: Arc<ArcSwapOption<ServerConfig>>,
    seen: watch::Sender<Seen>,
}

impl Backend {
    /// On a port of loopback; in plain text where no TLS is given.
    pub async fn start(protocol: Protocol, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backend = Self { address, protocol, tls: Arc::new(tls.into()), seen: watch::channel(Seen::default()).0 };
        let serving = backend.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().accept(stream));
            }
        });
        backend
    }

    /// Secures connections so from now on.
    pub fn change(&self, tls: Arc<ServerConfig>) {
        self.tls.store(Some(tls));
    }

    /// Waits until what has come is as wished.
    pub async fn until(&self, wished: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(std::time::Duration::from_mins(1), seen.wait_for(|seen| wished(seen))).await;
        let seen = waited.unwrap_or_else(|_| panic!("not so in a minute: {:?}", *self.seen.borrow()));
        seen.expect("the sender is this back end's own").clone()
    }

    async fn accept(self, stream: TcpStream) {
        let Some(tls) = self.tls.load_full() else { return self.serve(stream).await };
        match TlsAcceptor::from(tls).accept(stream).await {
            Err(_) => self.seen.send_modify(|seen| seen.refused += 1),
            Ok(stream) => {
                let (_, connection) = stream.get_ref();
                let alpn = connection.alpn_protocol().unwrap_or_default().to_vec();
                let has_certificate = connection.peer_certificates().is_some();
                self.seen.send_modify(|seen| seen.agreed.push((alpn, has_certificate)));
                self.serve(stream).await;
            }
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let builder = auto::Builder::new(TokioExecutor::new());
        let builder = match self.protocol {
            Protocol::Grpc => builder.http2_only(),
            Protocol::Http | Protocol::Kafka => builder.http1_only(),
        };
        let service = service_fn(move |request| self.clone().take(request));
        // A client that goes away is no failure of the back end.
        drop(builder.serve_connection(TokioIo::new(stream), service).await);
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
        let body = request.into_body().collect().await?.to_bytes();
        let (content_type, framing, frames) = match self.protocol {
            Protocol::Http | Protocol::Kafka => ("application/x-protobuf", 0, Vec::new()),
            Protocol::Grpc => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", 0.into());
                let empty = Frame::data(Bytes::from_static(&[0; 5]));
                ("application/grpc", 5, vec![Ok::<_, Infallible>(empty), Ok(Frame::trailers(trailers))])
            }
        };
        let numbers = numbers(&body[framing..]);
        self.seen.send_modify(|seen| {
            for number in numbers {
                *seen.taken.entry(number).or_default() += 1;
            }
        });
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        Ok(Response::builder().header("content-type", content_type).body(body).unwrap())
    }
}

fn numbers(message: &[u8]) -> Vec<u64> {
    let request = ExportTraceServiceRequest::decode(message).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| u64::from_be_bytes(span.span_id.try_into().unwrap())).collect()
}
