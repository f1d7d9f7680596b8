//! `tracemill status`: what a running proxy says about itself, as a table.

mod table;

use anyhow::{Context as _, Result, ensure};
use control::admin::view::Status;
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
            complain(&format!("no proxy answers at {}: {error:#} (--admin ADDR names another)", options.admin));
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
    ensure!(is_tls || options.ca.is_none(), "--ca is for TLS: write --admin https://{address}");
    let stream = TcpStream::connect(address).await?;
    if !is_tls {
        return exchange(stream, address).await;
    }
    let name = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    exchange(client::secure(stream, name, options.ca.as_deref()).await?, address).await
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, host: &str) -> Result<String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/status").header(http::header::HOST, host).body(Empty::<bytes::Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status().is_success(), "it answers {}", answer.status());
    let body = answer.into_body().collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok(String::from_utf8(body.into())?)
}
