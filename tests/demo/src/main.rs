//! `cargo xtask demo`: starts tracemill with the official plugins, sends it the traffic of a small shop, and shows as a live
//! table what came in and what went out. It needs no back end: it is one itself.
#![forbid(unsafe_code)]

mod changed;
mod shop;
mod view;

use anyhow::{Context as _, Result};
use changed::Pairs;
use clap::Parser;
use harness::sink::Keep;
use harness::{Proxy, Sink, plugins};
use parking_lot::Mutex;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use view::View;

#[derive(Parser)]
struct Arguments {
    /// Ends by itself after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
}

const EVERY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = fresh_folder()?;
    let sink = Sink::keeping(Keep::Requests).await?;
    let mut proxy = start(&folder, &sink).await?;
    let pairs = Arc::new(Mutex::new(Pairs::default()));
    let mut shop = tokio::spawn(shop::trade(proxy.grpc(), Arc::clone(&pairs)));
    let watched = watch(&proxy, &sink, &pairs, &folder, arguments.seconds);
    let ended = tokio::select! {
        ended = watched => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for Ctrl-C"),
        closed = &mut shop => closed.context("the shop").flatten().map(|never| match never {}),
    };
    shop.abort();
    ended?;
    view::goodbye(&proxy.settled().await?);
    proxy.stop().await?;
    Ok(())
}

/// Below the build's own folder, so that it is easy to find and to throw away.
fn fresh_folder() -> Result<PathBuf> {
    let folder = backends::root().join("target/demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("clearing the folder of an earlier demo")?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

async fn start(folder: &std::path::Path, sink: &Sink) -> Result<Proxy> {
    let region = json!({ "settings": { "attributes": { "cloud.region": "eu-north-1" }, "span_names": true } });
    let half = json!({ "settings": { "rate": 0.5 } });
    Proxy::setup_in(folder)?
        .export_grpc("demo", sink)
        .plugin("10-drop-health", "drop-health")?
        .plugin("20-scrub-pii", "scrub-pii")?
        .plugin("30-enrich", "enrich")?
        .sidecar("30-enrich", &region)?
        .plugin("90-sample", "sample")?
        .sidecar("90-sample", &half)?
        .start()
        .await
}

async fn watch(
    proxy: &Proxy,
    sink: &Sink,
    pairs: &Mutex<Pairs>,
    folder: &std::path::Path,
    seconds: Option<u64>,
) -> Result<()> {
    let guest = plugins::guest("stamp").ok();
    let mut view = View::new(folder, guest);
    let mut ticks = tokio::time::interval(EVERY);
    let mut tick = 0;
    while seconds.is_none_or(|seconds| tick < seconds) {
        ticks.tick().await;
        for request in sink.take_requests() {
            pairs.lock().came_out(&request);
        }
        view.show(&proxy.metrics().await?, pairs.lock().latest(), tick);
        tick += 1;
    }
    Ok(())
}
