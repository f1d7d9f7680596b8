//! A back end that does as it is told: takes spans, refuses, hangs, hangs up. On real sockets, or in memory for paused time.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// What one request is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    Ok,
    /// Takes all but so many spans (it says).
    Partial(i64),
    /// An HTTP status and a gRPC code that mean the same, and when to come back.
    Status(u16, u32, Option<Duration>),
    /// Reads and never answers.
    Hang,
    /// Takes all, but answers only once it is let go on.
    Held,
    /// Closes without an answer.
    HangUp,
    /// An answer of so many bytes.
    Huge(usize),
    /// The request is larger than is taken.
    TooLarge,
}

/// What arrived, and what is answered next.
#[derive(Clone)]
pub struct Sink(Arc<Inner>);

struct Inner {
    script: Mutex<VecDeque<Reply>>,
    otherwise: Reply,
    /// How large a request may be, uncompressed.
    most: usize,
    /// After how many requests a connection is ended in good order.
    lasts: usize,
    goes_on: watch::Sender<bool>,
    seen: Mutex<Seen>,
    news: watch::Sender<()>,
}

#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Each span's number, and how often it was taken.
    pub taken: BTreeMap<u64, u32>,
    /// The same numbers as they came.
    pub order: Vec<u64>,
    /// Where each request went, and what it held, uncompressed.
    pub bodies: Vec<(String, Vec<u8>)>,
    /// The headers of each request.
    pub requests: Vec<HeaderMap>,
    /// When each came.
    pub times: Vec<Instant>,
    /// How many spans each held.
    pub sizes: Vec<usize>,
    /// How many connections were begun, and how many of them have ended.
    pub connections: (usize, usize),
}

impl Sink {
    pub fn new(script: impl IntoIterator<Item = Reply>, otherwise: Reply) -> Self {
        Self::with(usize::MAX, usize::MAX, script, otherwise)
    }

    /// Takes requests up to a size, and refuses others as back ends do.
    pub fn of_size(most: usize) -> Self {
        Self::with(usize::MAX, most, [], Reply::Ok)
    }

    /// Ends connections in good order after so many requests.
    pub fn lasting(lasts: usize) -> Self {
        Self::with(lasts, usize::MAX, [], Reply::Ok)
    }

    fn with(lasts: usize, most: usize, script: impl IntoIterator<Item = Reply>, otherwise: Reply) -> Self {
        Self(Arc::new(Inner {
            script: Mutex::new(script.into_iter().collect()),
            otherwise,
            most,
            lasts,
            goes_on: watch::channel(false).0,
            seen: Mutex::default(),
            news: watch::channel(()).0,
        }))
    }

    /// Listens on a port of loopback.
    pub async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sink = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(sink.clone().serve(stream));
            }
        });
        address
    }

    /// Takes connections from within the process.
    pub fn in_memory(&self) -> mpsc::Sender<tokio::io::DuplexStream> {
        let (sender, mut receiver) = mpsc::channel(4);
        let sink = self.clone();
        tokio::spawn(async move {
            while let Some(stream) = receiver.recv().await {
                tokio::spawn(sink.clone().serve(stream));
            }
        });
        sender
    }

    pub async fn serve<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static>(self, stream: T) {
        self.0.seen.lock().connections.0 += 1;
        let (requests, enough) = (AtomicUsize::new(0), Notify::new());
        let service = service_fn(|request| {
            if requests.fetch_add(1, Ordering::Relaxed) + 1 == self.0.lasts {
                enough.notify_one();
            }
            self.clone().handle(request)
        });
        let builder = auto::Builder::new(TokioExecutor::new());
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // A client that goes away is no failure of the sink.
        tokio::select! {
            ended = connection.as_mut() => drop(ended),
            () = enough.notified() => {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
        self.0.seen.lock().connections.1 += 1;
        self.0.news.send_replace(());
    }

    /// Lets those that are held be answered.
    pub fn go_on(&self) {
        self.0.goes_on.send_replace(true);
    }

    pub fn seen(&self) -> Seen {
        self.0.seen.lock().clone()
    }

    /// Waits until what has arrived is as wished.
    pub async fn until(&self, wished: impl Fn(&Seen) -> bool) -> Seen {
        let (mut news, begun) = (self.0.news.subscribe(), std::time::Instant::now());
        loop {
            news.mark_unchanged();
            let seen = self.seen();
            if wished(&seen) {
                return seen;
            }
            assert!(begun.elapsed() < super::PATIENCE, "not so after {:?}: {seen:?}", super::PATIENCE);
            // Paused time goes on by itself, so that the real clock is looked at.
            drop(tokio::time::timeout(Duration::from_secs(1), news.changed()).await);
        }
    }

    async fn handle(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let is_grpc = head.headers["content-type"] == "application/grpc";
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let plain = plain(&body, &head.headers, is_grpc);
        let is_traces = head.uri.path().ends_with("/v1/traces") || head.uri.path().ends_with("TraceService/Export");
        let (bytes, spans) = (plain.len(), if is_traces { spans_of(&plain) } else { Vec::new() });
        let mut reply = self.0.script.lock().pop_front().unwrap_or_else(|| self.0.otherwise.clone());
        if bytes > self.0.most {
            reply = Reply::TooLarge;
        }
        {
            let mut seen = self.0.seen.lock();
            if let Reply::Ok | Reply::Held | Reply::Partial(_) = reply {
                for &span in &spans {
                    *seen.taken.entry(span).or_default() += 1;
                    seen.order.push(span);
                }
            }
            seen.bodies.push((head.uri.path().to_owned(), plain));
            seen.requests.push(head.headers);
            seen.times.push(Instant::now());
            seen.sizes.push(spans.len());
        }
        self.0.news.send_replace(());
        let (status, code, message, delay) = match reply {
            Reply::Ok => (200, 0, Vec::new(), None),
            Reply::Held => {
                drop(self.0.goes_on.subscribe().wait_for(|goes_on| *goes_on).await);
                (200, 0, Vec::new(), None)
            }
            Reply::Partial(rejected_spans) => {
                let partial = ExportTracePartialSuccess { rejected_spans, error_message: "not these".into() };
                (200, 0, ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec(), None)
            }
            Reply::Status(status, code, delay) => (status, code, Vec::new(), delay),
            Reply::Huge(bytes) => (200, 0, vec![0; bytes], None),
            Reply::TooLarge => (413, 8, Vec::new(), None),
            Reply::Hang => std::future::pending().await,
            Reply::HangUp => return Err(std::io::Error::other("hung up")),
        };
        Ok(if is_grpc { grpc_answer(code, &message, delay) } else { http_answer(status, message, delay) })
    }
}

/// A request, uncompressed.
fn plain(body: &[u8], headers: &HeaderMap, is_grpc: bool) -> Vec<u8> {
    let (message, encoding) = if is_grpc {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
        assert_eq!(body.len(), 5 + length as usize);
        (&body[5..], if body[0] == 1 { headers.get("grpc-encoding") } else { None })
    } else {
        assert_eq!(headers["content-length"], body.len().to_string());
        (body, headers.get("content-encoding"))
    };
    let mut plain = Vec::new();
    match encoding.map(|encoding| encoding.to_str().unwrap()) {
        None => plain.extend_from_slice(message),
        Some("gzip") => drop(flate2::read::MultiGzDecoder::new(message).read_to_end(&mut plain).unwrap()),
        Some("zstd") => plain = zstd::decode_all(message).unwrap(),
        Some(other) => panic!("unknown encoding {other}"),
    }
    plain
}

/// The numbers of a request's spans.
fn spans_of(plain: &[u8]) -> Vec<u64> {
    let request = ExportTraceServiceRequest::decode(plain).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let number = |span: Span| u64::from_be_bytes(span.span_id.try_into().unwrap());
    scopes.flat_map(|scope| scope.spans).map(number).collect()
}

fn http_answer(
    status: u16,
    message: Vec<u8>,
    delay: Option<Duration>,
) -> Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
    let mut response = Response::builder().status(status).header("content-type", "application/x-protobuf");
    if let Some(delay) = delay {
        response = response.header("retry-after", delay.as_secs());
    }
    response.body(http_body_util::Full::new(message.into()).boxed()).unwrap()
}

fn grpc_answer(
    code: u32,
    message: &[u8],
    delay: Option<Duration>,
) -> Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    if code == 8 && delay.is_none() {
        trailers.insert("grpc-message", HeaderValue::from_static("grpc: received message larger than max"));
    }
    if let Some(delay) = delay {
        let delay = prost_types::Duration { seconds: delay.as_secs() as i64, nanos: delay.subsec_nanos() as i32 };
        // RetryInfo and Status, written by hand: each has the next inside.
        let info = [&[0x0a, delay.encoded_len() as u8][..], &delay.encode_to_vec()].concat();
        let any = prost_types::Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info };
        let status = [&[0x1a, any.encoded_len() as u8][..], &any.encode_to_vec()].concat();
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, status);
        trailers.insert("grpc-status-details-bin", HeaderValue::from_str(&encoded).unwrap());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    let mut frames = vec![Ok(Frame::trailers(trailers))];
    if code == 0 {
        frames.insert(0, Ok(Frame::data(Bytes::from(framed))));
    }
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}
