//! Asks the admin side of a running proxy, over TLS and with credentials where it wants them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use pipeline::tls::client;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::cli;

/// How long an answer may take. A promotion configures a plugin, which has seconds for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks, and answers what it says.
pub fn ask(options: &cli::Admin, method: Method, path: &str) -> Result<(StatusCode, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, exchanged(options, method, path)).await.context("no answer within 10 s")?
    })
}

/// What to say when nobody answers.
pub fn no_answer(options: &cli::Admin, error: &Error) -> String {
    let address = &options.address;
    format!("no proxy answers at {address}: {error:#} (--admin ADDR names another, https://ADDR one with TLS)")
}

async fn exchanged(options: &cli::Admin, method: Method, path: &str) -> Result<(StatusCode, String)> {
    let (is_tls, address) = match options.address.strip_prefix("https://") {
        Some(rest) => (true, rest.trim_end_matches('/')),
        None => (false, options.address.trim_start_matches("http://").trim_end_matches('/')),
    };
    let identity = options.cert.as_deref().zip(options.key.as_deref());
    ensure!(
        is_tls || (options.ca.is_none() && identity.is_none()),
        "--ca, --cert and --key are for TLS: write --admin https://{address}"
    );
    let request = http::Request::builder().method(method).uri(path).header(HOST, address);
    let mut request = request.header(control::admin::HEADER, "1");
    if let Some(credentials) = credentials(options)? {
        request = request.header(AUTHORIZATION, credentials);
    }
    let request = request.body(Empty::new())?;
    let stream = TcpStream::connect(address).await?;
    if !is_tls {
        return exchange(stream, request).await;
    }
    let name = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    exchange(client::secure(stream, name, options.ca.as_deref(), identity).await?, request).await
}

/// They come from files: what stands on a command line can be seen by others.
fn credentials(options: &cli::Admin) -> Result<Option<String>> {
    let read = |file: &Path| std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    if let Some(file) = &options.token_file {
        let text = read(file)?;
        let token = text.split_whitespace().next().with_context(|| format!("{} is empty", file.display()))?;
        return Ok(Some(format!("Bearer {token}")));
    }
    let Some(file) = &options.password_file else { return Ok(None) };
    Ok(Some(format!("Basic {}", STANDARD.encode(read(file)?.trim_end_matches(['\r', '\n'])))))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Empty<Bytes>>,
) -> Result<(StatusCode, String)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    ensure!(
        answer.status() != StatusCode::UNAUTHORIZED,
        "it asks for credentials that it knows: --token-file or --password-file"
    );
    let code = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok((code, String::from_utf8(body.into())?))
}
