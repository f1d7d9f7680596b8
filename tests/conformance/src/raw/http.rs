//! HTTP/1.1 as bytes on a socket.

use anyhow::{Context as _, Result, bail, ensure};
use harness::wire::Status;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

pub const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

/// When an answer is due that waits for nothing.
const SOON: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// A request that can be sent, also as it should not be.
#[derive(Debug, Clone)]
pub struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body, without its chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// `METHOD PATH` with a body and its length.
    pub fn new(start: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        let head = format!("{start} HTTP/1.1\r\nhost: conformance\r\ncontent-length: {}\r\n", body.len());
        Self { head: head.into_bytes(), body }
    }

    /// An export in this format.
    pub fn export(content_type: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST /v1/traces", body).header("content-type", content_type)
    }

    /// An export whose length is not that of what is sent with it.
    pub fn promising(length: usize, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let head = format!("POST /v1/traces HTTP/1.1\r\nhost: conformance\r\ncontent-length: {length}\r\n");
        Self { head: head.into_bytes(), body: body.as_ref().to_vec() }.header("content-type", content_type)
    }

    /// An export of which only the head is there, with this header instead of a length.
    pub fn unfinished(header: &str, content_type: &str) -> Self {
        let head = format!("POST /v1/traces HTTP/1.1\r\nhost: conformance\r\n{header}\r\n");
        Self { head: head.into_bytes(), body: Vec::new() }.header("content-type", content_type)
    }

    /// An export in chunks of seven bytes.
    pub fn chunked(content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let head = b"POST /v1/traces HTTP/1.1\r\nhost: conformance\r\ntransfer-encoding: chunked\r\n".to_vec();
        let mut chunks = Vec::new();
        for chunk in body.as_ref().chunks(7) {
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        Self { head, body: chunks }.header("content-type", content_type)
    }

    /// Adds a header, whose value may be any bytes.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    /// Sends it on a connection of its own.
    pub async fn to(self, address: &str) -> Result<Answer> {
        let mut connection = Connection::open(address).await?;
        connection.send(&self).await?;
        connection.answer().await
    }
}

impl Connection {
    /// Opens one.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends head and body. A server may refuse before it has read all: then the answer tells.
    pub async fn send(&mut self, request: &Request) -> Result<()> {
        self.write(&[&request.head[..], b"\r\n"].concat()).await?;
        drop(self.stream.write_all(&request.body).await);
        Ok(())
    }

    /// Sends the head alone.
    pub async fn send_head(&mut self, request: &Request) -> Result<()> {
        self.write(&[&request.head[..], b"\r\n"].concat()).await
    }

    /// Sends the body alone.
    pub async fn send_body(&mut self, request: &Request) -> Result<()> {
        self.write(&request.body).await
    }

    /// Sends any bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("sending")
    }

    /// The next answer, if it comes soon: for a server that need not wait for what it is promised.
    pub async fn answer_soon(&mut self) -> Result<Answer> {
        tokio::time::timeout(SOON, self.answer()).await.with_context(|| format!("no answer within {SOON:?}"))?
    }

    /// Waits for the server to close, whatever it says before.
    pub async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(self.stream.read_to_end(&mut rest).await);
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Result<Answer> {
        let start = self.line().await?;
        let status = start.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.with_context(|| format!("no answer of HTTP/1.1: {start:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        answer.body = self.body(&answer).await.context("reading the answer's body")?;
        Ok(answer)
    }

    async fn body(&mut self, answer: &Answer) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if answer.status < 200 || matches!(answer.status, 204 | 304) {
            return Ok(body);
        }
        if let Some(length) = answer.header("content-length") {
            body.resize(length.parse()?, 0);
            self.stream.read_exact(&mut body).await?;
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let size = usize::from_str_radix(self.line().await?.trim(), 16)?;
                let from = body.len();
                body.resize(from + size, 0);
                self.stream.read_exact(&mut body[from..]).await?;
                ensure!(self.line().await?.is_empty(), "no end of a chunk");
                if size == 0 {
                    break;
                }
            }
        } else {
            self.stream.read_to_end(&mut body).await?;
        }
        Ok(body)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.context("reading the answer")?;
        if line.is_empty() {
            bail!("the connection was closed without an answer");
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

impl Answer {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..])
    }

    /// Fails unless the status is one of these.
    pub fn expect(self, what: &str, statuses: &[u16]) -> Result<Self> {
        ensure!(statuses.contains(&self.status), "{what}: {}, wanted {statuses:?}", self.shown());
        Ok(self)
    }

    /// Fails unless it is full success, whether that is said in no words or in an empty partial success: OTLP calls these equal.
    pub fn expect_full(self, what: &str) -> Result<()> {
        let answer = self.expect(what, &[200])?;
        let response = answer.response().with_context(|| format!("{what}: {}", answer.shown()))?;
        let full = response.partial_success.is_none_or(|partial| partial == ExportTracePartialSuccess::default());
        ensure!(full, "{what}: success with {}", answer.shown());
        Ok(())
    }

    fn response(&self) -> Result<ExportTraceServiceResponse> {
        Ok(match self.header("content-type") {
            Some(kind) if kind.starts_with(JSON) => serde_json::from_slice(&self.body)?,
            _ => ExportTraceServiceResponse::decode(&self.body[..])?,
        })
    }

    /// The `Status` in its body, read as its own content type says.
    pub fn rpc_status(&self) -> Result<Status> {
        match self.header("content-type").unwrap_or_default() {
            JSON => {
                let value: Value = serde_json::from_slice(&self.body).with_context(|| self.shown())?;
                let message = value["message"].as_str().with_context(|| format!("no message in {}", self.shown()))?;
                let mut status = Status::new(value["code"].as_i64().unwrap_or_default() as i32, message, None);
                for detail in value["details"].as_array().into_iter().flatten() {
                    let type_url = detail["@type"].as_str().unwrap_or_default().to_owned();
                    status.details.push(prost_types::Any { type_url, value: Vec::new() });
                }
                Ok(status)
            }
            PROTOBUF => Status::decode(&self.body[..]).with_context(|| self.shown()),
            other => bail!("a body of {other:?}: {}", self.shown()),
        }
    }

    /// For people.
    pub fn shown(&self) -> String {
        let kind = self.header("content-type").unwrap_or("no content type");
        format!("{} {kind} {:?}", self.status, String::from_utf8_lossy(&self.body[..self.body.len().min(160)]))
    }
}
