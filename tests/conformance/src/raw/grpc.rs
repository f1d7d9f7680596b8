//! gRPC with every header and byte in our hands, over hyper's HTTP/2.

use super::body::Sent;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use harness::client::GRPC_PATH;
use harness::wire::{self, Compression, Status};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// gRPC's codes, by their names there.
pub const OK: i32 = 0;
pub const INVALID_ARGUMENT: i32 = 3;
pub const DEADLINE_EXCEEDED: i32 = 4;
pub const RESOURCE_EXHAUSTED: i32 = 8;
pub const UNIMPLEMENTED: i32 = 12;
pub const INTERNAL: i32 = 13;
pub const UNAVAILABLE: i32 = 14;

/// One connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    sender: http2::SendRequest<Sent>,
}

/// A call to be.
#[derive(Debug)]
pub struct Call {
    path: String,
    headers: HeaderMap,
    body: Sent,
}

/// What came back, as it came.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's status.
    pub http: u16,
    /// Headers and trailers.
    pub headers: HeaderMap,
    /// `grpc-status`, where there is one.
    pub code: Option<i32>,
    /// The frames.
    pub body: Bytes,
}

impl Connection {
    /// Opens one.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // How it ends is seen by its calls.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender })
    }

    /// Calls, and waits for the whole answer.
    pub async fn call(&self, call: Call) -> Result<Answer> {
        let mut request = Request::post(format!("http://conformance{}", call.path)).body(call.body)?;
        *request.headers_mut() = call.headers;
        let mut sender = self.sender.clone();
        sender.ready().await.context("the connection takes no calls")?;
        let (head, body) = sender.send_request(request).await.context("calling")?.into_parts();
        let body = body.collect().await.context("reading the answer")?;
        let mut headers = head.headers;
        headers.extend(body.trailers().cloned().unwrap_or_default());
        let code = headers.get("grpc-status").map(|code| anyhow::Ok(code.to_str()?.parse()?)).transpose()?;
        Ok(Answer { http: head.status.as_u16(), headers, code, body: body.to_bytes() })
    }
}

impl Call {
    /// The export of a message, plain.
    pub fn export(message: &Bytes) -> Result<Self> {
        Ok(Self::raw(wire::frame(message, Compression::None)?))
    }

    /// The export of a message that is compressed already.
    pub fn packed(encoding: &'static str, packed: &Bytes) -> Result<Self> {
        Ok(Self::raw(framed(1, packed)?).header("grpc-encoding", encoding))
    }

    /// A call with these bytes as its body, be they frames or not.
    pub fn raw(body: Bytes) -> Self {
        Self::with(Sent::whole(body))
    }

    /// A call whose body stops after these bytes until the rest is given.
    pub fn begun(body: Bytes) -> (Self, oneshot::Sender<Bytes>) {
        let (body, rest) = Sent::begun(body);
        (Self::with(body), rest)
    }

    fn with(body: Sent) -> Self {
        let call = Self { path: GRPC_PATH.to_owned(), headers: HeaderMap::new(), body };
        call.header("content-type", "application/grpc").header("te", "trailers")
    }

    /// Sets a header.
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, http::HeaderValue::from_static(value));
        self
    }

    /// To another method.
    pub fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }
}

/// A frame with any flag.
pub fn framed(flag: u8, message: &Bytes) -> Result<Bytes> {
    Ok([&[flag][..], &u32::try_from(message.len())?.to_be_bytes(), message].concat().into())
}

/// The beginning of a frame that promises so many bytes.
pub fn promised(size: usize) -> Result<Bytes> {
    Ok([&[0][..], &u32::try_from(size)?.to_be_bytes(), &[0x0a]].concat().into())
}

impl Answer {
    /// Fails unless the code is one of these.
    pub fn expect(self, what: &str, codes: &[i32]) -> Result<Self> {
        let found = self.code.is_some_and(|code| codes.contains(&code));
        ensure!(found, "{what}: {}, wanted code {codes:?}", self.shown());
        Ok(self)
    }

    /// Fails unless it is full success, whether that is said in no words or in an empty partial success: OTLP calls these equal.
    pub fn expect_full(self, what: &str) -> Result<()> {
        let answer = self.expect(what, &[OK])?;
        let response = ExportTraceServiceResponse::decode(answer.message()?)?;
        let full =
            response.partial_success.as_ref().is_none_or(|partial| *partial == ExportTracePartialSuccess::default());
        ensure!(full, "{what}: success with {response:?}");
        Ok(())
    }

    /// The one message.
    pub fn message(&self) -> Result<Bytes> {
        let encoding = self.headers.get("grpc-encoding").map(http::HeaderValue::to_str).transpose()?;
        wire::unframe(&self.body, Compression::named(encoding)?)
    }

    /// `google.rpc.Status`, where the trailers have it.
    pub fn status(&self) -> Result<Option<Status>> {
        let details = self.headers.get("grpc-status-details-bin");
        details.map(|details| Status::from_header(details.to_str()?)).transpose()
    }

    /// For people.
    pub fn shown(&self) -> String {
        let message = self.headers.get("grpc-message").map(|text| String::from_utf8_lossy(text.as_bytes()));
        let code = self.code.map_or("no grpc-status".to_owned(), |code| format!("code {code}"));
        format!("HTTP {}, {code}, {:?}", self.http, message.unwrap_or_default())
    }
}
