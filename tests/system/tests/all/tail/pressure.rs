//! What the buffer does when there is no room: behind it, in it, and on its disk.

use super::{DECISIONS, endless, everything, held, holds, insist, setup};
use anyhow::Result;
use harness::sink::Keep;
use harness::spans::Mix;
use harness::traces::{request, text};
use harness::{Behaviour, Generator, Profile, Protocol, Proxy, Sink, Trace};
use opentelemetry_proto::tonic::trace::v1::Span;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use system::reached;

const REFUSED: &str = "tracemill_refused_spans_total";
const MEMORY: &str = "tracemill_tail_memory_bytes";
const SMALL: f64 = (16 << 20) as f64;

/// Traces of eight spans, each of about 2 KB that hardly compress.
struct Heavy {
    random: SmallRng,
    next: u64,
}

impl Heavy {
    fn new(seed: u64) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), next: 0 }
    }

    /// About 320 KB.
    fn request(&mut self) -> Vec<Span> {
        let traces = (0..20).map(|_| {
            self.next += 1;
            Trace(self.next)
        });
        let mut spans: Vec<Span> = traces.flat_map(|trace| trace.spans(8)).collect();
        for span in &mut spans {
            let noise: String = (0..2000).map(|_| char::from(self.random.random_range(b' '..b'\x7f'))).collect();
            span.attributes.push(text("db.query.text", noise));
        }
        spans
    }
}

/// Of so many spans that were acknowledged, none is lost and none came twice.
fn expect_all(sink: &Sink, spans: u64) {
    let doubles = sink.arrivals(|arrivals| arrivals.ids.values().filter(|one| one.times > 1).count());
    let distinct = sink.arrivals(|arrivals| arrivals.ids.len() as u64);
    assert_eq!((distinct, doubles), (spans, 0));
}

#[tokio::test]
async fn a_full_queue_holds_up_what_leaves_and_nothing_is_lost() -> Result<()> {
    const SPANS: u64 = 3_000;
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Hang);
    setup(&sink, &everything())?
        .set("export.sink.batch", json!({ "size": "64KiB" }))
        .set("export.sink.queue", json!({ "size": "256KiB" }))
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Medium, 411).mix(Mix::PLAIN);
            for _ in 0..30 {
                let answer = proxy.grpc().send(&generator.request(100).request).await?;
                assert!(answer.is_whole(), "the buffer has room, whatever the queue has: {answer:?}");
            }
            // All of it is decided; most cannot leave.
            let admitted = reached(proxy, "tracemill_admitted_spans_total", &[], 1.0);
            admitted.await?;
            let accounts = proxy.balanced().await?;
            assert!(accounts.door.held > 1_000 && accounts.door.refused == 0, "{accounts:?}");
            sink.behave(Behaviour::Accept);
            sink.wait_for_spans(SPANS).await?;
            proxy.settled().await?;
            expect_all(&sink, SPANS);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_full_buffer_refuses_retryably_stays_within_its_memory_and_gives_it_back() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Hang);
    setup(&sink, &everything())?
        .set("tail.memory", "16MiB")
        .set("export.sink.batch", json!({ "size": "64KiB" }))
        .set("export.sink.queue", json!({ "size": "256KiB" }))
        .run(async |proxy| {
            let mut heavy = Heavy::new(412);
            let empty = proxy.metrics().await?.sum(MEMORY, &[]);
            let mut taken = 0;
            let refusal = loop {
                let spans = heavy.request();
                let count = spans.len() as u64;
                match proxy.grpc().send(&request("shop", spans)).await?.refusal() {
                    None => taken += count,
                    Some(refusal) => break refusal.clone(),
                }
                assert!(taken < 10_000, "16 MiB hold no 20 MB that do not compress");
                let memory = proxy.metrics().await?.sum(MEMORY, &[]);
                assert!(memory <= SMALL, "{memory} bytes of {SMALL}");
            };
            assert!(taken > 2_000, "{taken} spans of 2 KB in 16 MiB");
            assert_eq!(refusal.code, 14, "UNAVAILABLE: {refusal:?}");
            assert!(refusal.is_retryable() && refusal.delay.is_some_and(|delay| !delay.is_zero()), "{refusal:?}");
            // Between two requests some room may have been made.
            let refusal = loop {
                let spans = heavy.request();
                let count = spans.len() as u64;
                match proxy.http(Protocol::HttpProtobuf).send(&request("shop", spans)).await?.refusal() {
                    None => taken += count,
                    Some(refusal) => break refusal.clone(),
                }
                assert!(taken < 12_000, "it is full");
            };
            assert!(refusal.http == 503 && refusal.delay.is_some(), "{refusal:?}");
            reached(proxy, REFUSED, &[("reason", "tail_full")], 320.0).await?;
            proxy.balanced().await?;
            sink.behave(Behaviour::Accept);
            sink.wait_for_spans(taken).await?;
            proxy.settled().await?;
            expect_all(&sink, taken);
            // And takes spans again.
            insist(proxy, heavy.request()).await?;
            sink.wait_for_spans(taken + 160).await?;
            holds(proxy, 0).await?;
            let left = proxy.metrics().await?.sum(MEMORY, &[]);
            assert!(left < empty + SMALL / 8.0, "{left} bytes of memory for nothing, {empty} before");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_buffer_under_pressure_decides_early_what_weighs_most() -> Result<()> {
    let sink = Sink::start().await?;
    setup(&sink, &everything())?
        .set("tail", endless())
        .set("tail.memory", "16MiB")
        .run(async |proxy| {
            let mut heavy = Heavy::new(413);
            let mut sent = 0;
            for _ in 0..80 {
                let spans = heavy.request();
                sent += spans.len() as u64;
                insist(proxy, spans).await?;
                let memory = proxy.metrics().await?.sum(MEMORY, &[]);
                assert!(memory <= SMALL, "{memory} bytes of {SMALL}");
            }
            reached(proxy, DECISIONS, &[("due", "over_budget"), ("decision", "keep")], 500.0).await?;
            assert_eq!(proxy.metrics().await?.sum(DECISIONS, &[("due", "root_seen")]), 0.0);
            assert!(held(proxy).await? > 1_000.0, "no more is decided early than has to be");
            assert!(proxy.stop().await?.success());
            expect_all(&sink, sent);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_memory_has_no_room_for_waits_on_the_disk() -> Result<()> {
    const REQUESTS: usize = 80;
    let sink = Sink::keeping(Keep::Requests).await?;
    let folder = tempfile::tempdir()?;
    setup(&sink, &everything())?
        .set("tail", endless())
        .set("tail.memory", "16MiB")
        .set("tail.mode", "spill")
        .set("tail.folder", folder.path().join("tail").to_string_lossy())
        .run(async |proxy| {
            let mut heavy = Heavy::new(414);
            let mut sent: Vec<Span> = Vec::new();
            for _ in 0..REQUESTS {
                let spans = heavy.request();
                sent.extend(spans.iter().cloned());
                insist(proxy, spans).await?;
                pressed(proxy).await?;
            }
            // Twice as much as memory has: on the disk, and undecided.
            holds(proxy, sent.len() as u64).await?;
            let metrics = proxy.metrics().await?;
            let disk = metrics.sum("tracemill_tail_disk_bytes", &[]);
            assert!(disk > SMALL / 2.0, "{disk} bytes on the disk");
            assert!(metrics.sum("tracemill_tail_spilled_bytes_total", &[]) >= disk / 2.0);
            assert_eq!(metrics.sum(DECISIONS, &[]), 0.0);
            assert!(proxy.stop().await?.success());
            let mut arrived: Vec<Span> = sink.arrivals(|arrivals| arrivals.all_spans().cloned().collect());
            let by_id = |one: &Span, other: &Span| one.span_id.cmp(&other.span_id);
            arrived.sort_by(by_id);
            sent.sort_by(by_id);
            assert!(arrived == sent, "{} of {} spans came back, or others than were sent", arrived.len(), sent.len());
            Ok(())
        })
        .await
}

/// Waits until the disk has taken what memory should not hold.
async fn pressed(proxy: &Proxy) -> Result<()> {
    let relieved = async || (proxy.metrics().await.ok()?.sum(MEMORY, &[]) < SMALL * 0.7).then_some(());
    harness::wait::until("memory to be relieved", relieved).await
}
