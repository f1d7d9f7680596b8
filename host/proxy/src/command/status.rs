//! `tracemill status`: what a running proxy says about itself, as a table.

mod table;

use anyhow::{Context as _, Result, ensure};
use control::admin::view::Status;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

use crate::cli;
use crate::command::{complain, say};
use crate::end::End;

/// Asks and shows.
pub fn status(options: &cli::Status) -> End {
    let asked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")
        .and_then(|runtime| runtime.block_on(ask(&options.admin)));
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

async fn ask(admin: &str) -> Result<(String, Status)> {
    let patience = std::time::Duration::from_secs(10);
    let text = tokio::time::timeout(patience, get(admin)).await.context("no answer within 10 s")??;
    let status = serde_json::from_str(&text).context("the answer is not that of a tracemill of this version")?;
    Ok((text, status))
}

async fn get(admin: &str) -> Result<String> {
    let stream = tokio::net::TcpStream::connect(admin).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/status").header(http::header::HOST, admin).body(Empty::<bytes::Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status().is_success(), "it answers {}", answer.status());
    let body = answer.into_body().collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok(String::from_utf8(body.into())?)
}
