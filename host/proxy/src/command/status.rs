//! `tracemill status`: what a running proxy says about itself, as a table.

mod table;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use control::admin::view::Status;
use http::header::{AUTHORIZATION, HOST};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use pipeline::tls::client;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::cli;
use crate::command::{complain, say};
use crate::end::End;

/// Asks and shows.
pub fn status(options: &cli::Status) -> End {
    let asked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")
        .and_then(|runtime| runtime.block_on(ask(options)));
    let (text, status) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            complain(&format!(
                "no proxy answers at {}: {error:#} (--admin ADDR names another, https://ADDR one with TLS)",
                options.admin
            ));
            return End::Failed;
        }
    };
    let shown = if options.json { text } else { table::show(&status) };
    say(shown.trim_end());
    if table::failed(&status) { End::Failed } else { End::Well }
}

async fn ask(options: &cli::Status) -> Result<(String, Status)> {
    let patience = std::time::Duration::from_secs(10);
    let text = tokio::time::timeout(patience, get(options)).await.context("no answer within 10 s")??;
    let status = serde_json::from_str(&text).context("the answer is not that of a tracemill of this version")?;
    Ok((text, status))
}

async fn get(options: &cli::Status) -> Result<String> {
    let (is_tls, address) = match options.admin.strip_prefix("https://") {
        Some(rest) => (true, rest.trim_end_matches('/')),
        None => (false, options.admin.trim_start_matches("http://").trim_end_matches('/')),
    };
    let identity = options.cert.as_deref().zip(options.key.as_deref());
    ensure!(
        is_tls || (options.ca.is_none() && identity.is_none()),
        "--ca, --cert and --key are for TLS: write --admin https://{address}"
    );
    let mut request = http::Request::get("/status").header(HOST, address);
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
fn credentials(options: &cli::Status) -> Result<Option<String>> {
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
) -> Result<String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    ensure!(
        answer.status() != http::StatusCode::UNAUTHORIZED,
        "it asks for credentials that it knows: --token-file or --password-file"
    );
    ensure!(answer.status().is_success(), "it answers {}", answer.status());
    let body = answer.into_body().collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok(String::from_utf8(body.into())?)
}
