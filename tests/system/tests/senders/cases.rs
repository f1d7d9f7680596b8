//! What happens to senders: nothing, a restart of the proxy, a back end that crashes, one that is slow.

use crate::after::{SERVICE, all_there, settled};
use anyhow::{Context as _, Result, ensure};
use harness::ports::FreePorts;
use harness::proxy::Setup;
use harness::sender::{App, Report};
use harness::{BackEnd as _, Gate, Jaeger, Protocol, Proxy, Sender};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;
use system::reached;

/// Spans between two events: several exports of each sender.
const SOME: usize = 200;

/// Without a disturbance nothing is lost, and nothing comes twice.
pub async fn quiet(app: App, protocol: Protocol) -> Result<()> {
    let jaeger = jaeger().await?;
    let mut proxy = setup(&jaeger.grpc_url())?.start().await?;
    let mut sender = start(app, protocol, &proxy).await?;
    sender.accepted_more(2 * SOME).await?;
    let report = sender.finish().await?;
    settled(&mut proxy).await?;
    let doubled = all_there(&report, &jaeger).await?;
    tell(app, protocol, "quiet", &report, doubled);
    ensure!(report.failed.is_empty() && report.untold() == 0, "spans were lost in quiet");
    ensure!(doubled == 0, "{doubled} spans came twice in quiet");
    Ok(())
}

/// SIGTERM, and a start on the same ports once an export has met closed doors.
pub async fn restart(app: App, protocol: Protocol) -> Result<()> {
    let jaeger = jaeger().await?;
    let ports = FreePorts::hold()?;
    let [grpc, http] = ports.numbers;
    let setup = || {
        let listen = |port: u16| format!("127.0.0.1:{port}");
        anyhow::Ok(
            setup(&jaeger.grpc_url())?
                .set("receive.grpc.listen", listen(grpc))
                .set("receive.http.listen", listen(http)),
        )
    };
    let mut proxy = setup()?.start().await?;
    let mut sender = start(app, protocol, &proxy).await?;
    sender.accepted_more(SOME).await?;
    proxy.signal(Signal::SIGTERM)?;
    let status = proxy.ended().await?;
    ensure!(status.success(), "the proxy ended with {status}:\n{}", proxy.log());
    sender.exporting().await?;
    let mut proxy = setup()?.start().await?;
    sender.accepted_more(SOME).await.with_context(|| proxy.log())?;
    let report = sender.finish().await?;
    settled(&mut proxy).await?;
    let doubled = all_there(&report, &jaeger).await?;
    tell(app, protocol, "restart", &report, doubled);
    if app.tries_again(protocol) {
        ensure!(report.failed.is_empty() && report.untold() == 0, "spans were lost although it tries again");
    } else {
        ensure!(
            !report.failed.is_empty(),
            "it was to give up what it sent to closed doors: tell users that it no longer does"
        );
    }
    Ok(())
}

/// The queue has room for the while, so that senders notice nothing.
pub async fn back_end_down(app: App, protocol: Protocol) -> Result<()> {
    let mut jaeger = Jaeger::start_lasting().await?;
    let mut proxy = setup(&jaeger.grpc_url())?.set("export.jaeger.retry.max", "1s").start().await?;
    let mut sender = start(app, protocol, &proxy).await?;
    sender.accepted_more(SOME).await?;
    jaeger.crash().await?;
    reached(&proxy, "tracemill_export_retries_total", &[], 2.0).await?;
    sender.accepted_more(SOME).await?;
    jaeger.again().await?;
    sender.accepted_more(SOME).await?;
    let report = sender.finish().await?;
    settled(&mut proxy).await?;
    let doubled = all_there(&report, &jaeger).await?;
    tell(app, protocol, "back end down", &report, doubled);
    ensure!(report.failed.is_empty() && report.untold() == 0, "spans were lost although the queue had room");
    Ok(())
}

/// The queue is soon full, and senders are told to come back.
pub async fn back_end_slow(app: App, protocol: Protocol) -> Result<()> {
    let jaeger = jaeger().await?;
    let gate = Gate::to(jaeger.grpc_port()).await?;
    let mut proxy = setup(&gate.url())?
        .set("export.jaeger.concurrency", 1)
        .set("export.jaeger.batch.size", "16KiB")
        .set("export.jaeger.queue.size", "64KiB")
        .start()
        .await?;
    let mut sender = start(app, protocol, &proxy).await?;
    sender.accepted_more(SOME).await?;
    gate.delay(Duration::from_secs(1));
    reached(&proxy, "tracemill_refused_spans_total", &[("reason", "queue_full")], 1.0).await?;
    sender.accepted_more(SOME).await?;
    gate.delay(Duration::ZERO);
    sender.accepted_more(SOME).await?;
    let report = sender.finish().await?;
    settled(&mut proxy).await?;
    let doubled = all_there(&report, &jaeger).await?;
    tell(app, protocol, "back end slow", &report, doubled);
    Ok(())
}

/// Browsers keep pages from sending where the proxy does not list them: what the tests above see is CORS at work.
pub async fn strange_origin() -> Result<()> {
    let jaeger = jaeger().await?;
    let setup = setup(&jaeger.grpc_url())?.set("receive.http.cors.origins", json!(["https://shop.example"]));
    let mut proxy = setup.start().await?;
    let mut sender = start(App::Browser, Protocol::HttpJson, &proxy).await?;
    sender.failed().await?;
    ensure!(sender.accepted() == 0, "a page of a strange origin has sent spans");
    let received = proxy.metrics().await?.sum("tracemill_receive_spans_total", &[]) as u64;
    ensure!(received == 0, "{received} spans of a strange origin were received");
    drop(sender);
    settled(&mut proxy).await
}

async fn jaeger() -> Result<Jaeger> {
    Jaeger::start().await?.context("Jaeger is not here")
}

fn setup(jaeger: &str) -> Result<Setup> {
    let setup = Proxy::setup()?.set("export.jaeger.grpc", jaeger);
    Ok(setup.set("receive.http.cors.origins", json!(["http://127.0.0.1:*"])))
}

async fn start(app: App, protocol: Protocol, proxy: &Proxy) -> Result<Sender> {
    Sender::start(app, protocol, proxy.ports(), SERVICE).await
}

/// A line of the table in clients/README.md.
fn tell(app: App, protocol: Protocol, case: &str, report: &Report, doubled: usize) {
    let ended = report.ended.unwrap_or_default();
    let (accepted, failed, untold) = (report.accepted.len(), report.failed.len(), report.untold());
    eprintln!(
        "| {app:?} | {protocol:?} | {case} | ended {ended} | accepted {accepted} | given up {failed} | never tried {untold} | doubled {doubled} |"
    );
}
