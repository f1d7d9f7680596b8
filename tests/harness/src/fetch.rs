//! Small HTTP requests to admin and query APIs.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer read to its end.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The body, as text.
    pub text: String,
}

/// GET.
pub async fn get(url: &str) -> Result<Fetched> {
    request(Method::GET, url, Bytes::new()).await
}

/// POST without a body to speak of.
pub async fn post(url: &str, body: impl Into<Bytes>) -> Result<Fetched> {
    request(Method::POST, url, body.into()).await
}

/// GET that must be answered with 200 and JSON.
pub async fn json(url: &str) -> Result<serde_json::Value> {
    let got = get(url).await?;
    ensure!(got.status.is_success(), "{url}: {} {}", got.status, got.text);
    serde_json::from_str(&got.text).with_context(|| format!("{url} did not answer JSON: {}", got.text))
}

/// GET that is answered with protobuf: the status and the body.
pub async fn protobuf(url: &str) -> Result<(StatusCode, Bytes)> {
    let request = Request::get(url).header(http::header::ACCEPT, "application/protobuf");
    exchange(request.body(Full::default())?).await
}

/// A text as the value of a query parameter.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes any text");
        }
        out
    })
}

async fn request(method: Method, url: &str, body: Bytes) -> Result<Fetched> {
    let (status, bytes) = exchange(Request::builder().method(method).uri(url).body(Full::new(body))?).await?;
    Ok(Fetched { status, text: String::from_utf8_lossy(&bytes).into_owned() })
}

async fn exchange(request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
    let url = request.uri().to_string();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer =
        tokio::time::timeout(TIMEOUT, client.request(request)).await.with_context(|| format!("{url}: no answer"))?;
    let answer = answer.with_context(|| url.clone())?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}
