//! What changes while traces wait: the sampler, the settings, and the end.

use super::{
    DECISIONS, DROPPED, FILE, SAMPLER, endless, errors, everything, held, holds, names, send, settings, setup,
};
use anyhow::Result;
use harness::accounts::Accounts;
use harness::load::{self, Load};
use harness::plugins::{official, renewed};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::traces::{arrived, text_of};
use harness::{Behaviour, Generator, Profile, Sink, Trace, wait};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use system::reached;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_of_the_sampler_under_load_loses_nothing_of_what_waits() -> Result<()> {
    const SPANS: usize = 25_000;
    let sink = Sink::start().await?;
    setup(&sink, &everything())?
        // What has its root goes at once; what has none waits until it is told otherwise.
        .set("tail", json!({ "root_delay": "200ms", "idle": "1h", "longest": "1h" }))
        .run(async |proxy| {
            // Compiled beforehand, so that it is swapped in while there is load.
            let plugin = fs::read(official(SAMPLER)?)?;
            let other = renewed(&plugin, 1);
            for file in [&other, &plugin] {
                let before = proxy.generation().await?;
                proxy.install(&format!("{FILE}.wasm"), file)?;
                proxy.generation_after(before).await?;
            }
            let generator = Generator::new(Profile::Small, 401).mix(Mix::PLAIN).traces_of(8);
            let load = Load { spans: SPANS, per_request: 50, rate: 5_000, senders: 2 };
            let client = proxy.grpc();
            let sending = tokio::spawn(async move { load::run(&client, generator, load).await });
            send(proxy, vec![Trace(1).span(1), Trace(1).span(2)]).await?;
            sink.wait_for_spans(500).await?;
            for version in 1..=4 {
                let (before, waiting) = (proxy.generation().await?, held(proxy).await?);
                assert!(waiting >= 2.0, "{waiting} spans wait at swap {version}");
                if version == 2 {
                    proxy.install(&format!("{FILE}.wasm"), &other)?;
                } else {
                    // The same file with other settings.
                    let name = format!("version {version}");
                    let policies = json!([{ "name": name, "type": "always_sample" }]);
                    proxy.install(&format!("{FILE}.yaml"), settings(&policies).to_string().as_bytes())?;
                }
                proxy.generation_after(before).await?;
            }
            let sent = sending.await??;
            assert_eq!(sent.acknowledged.len(), SPANS);
            // Through all swaps.
            assert!(held(proxy).await? >= 2.0);
            proxy.configure("tail.idle", json!("100ms"))?;
            holds(proxy, 0).await?;
            let accounts = proxy.settled().await?;
            assert_eq!(
                (accounts.door.dropped, accounts.door.admitted, sink.spans()),
                (0, SPANS as u64 + 2, SPANS as u64 + 2)
            );
            let once = |id: &&u64| sink.arrivals(|arrivals| arrivals.ids.get(*id).is_some_and(|one| one.times == 1));
            assert_eq!(sent.acknowledged.iter().filter(once).count(), SPANS);
            let by_others = proxy.metrics().await?.sum(DECISIONS, &[("plugin", "tail")]);
            assert_eq!(by_others, 0.0, "while a sampler is swapped there is always one");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn without_a_sampler_spans_pass_and_what_waits_is_decided_by_the_setting() -> Result<()> {
    let sink = Sink::start().await?;
    setup(&sink, &errors())?
        .set("tail", endless())
        .run(async |proxy| {
            send(proxy, (1..=50).flat_map(|number| Trace(number).spans(2)).collect()).await?;
            holds(proxy, 100).await?;
            let before = proxy.generation().await?;
            fs::remove_file(proxy.plugins().join(format!("{FILE}.wasm")))?;
            proxy.generation_after(before).await?;
            send(proxy, Trace(60).spans(3)).await?;
            sink.wait_for_spans(3).await?;
            assert_eq!((sink.spans(), held(proxy).await?), (3, 100.0));
            proxy.configure("tail.idle", json!("100ms"))?;
            sink.wait_for_spans(103).await?;
            reached(proxy, DECISIONS, &[("plugin", "tail"), ("decision", "keep")], 50.0).await?;
            proxy.settled().await?;
            assert!(sink.arrivals(|arrivals| arrivals.ids.values().all(|one| one.times == 1)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn settings_that_are_reloaded_count_for_what_waits_already() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let abstains = json!({ "settings": { "policies": errors(), "otherwise": "abstain" } });
    setup(&sink, &errors())?
        .sidecar(FILE, &abstains)?
        .set("tail", endless())
        .run(async |proxy| {
            send(proxy, Trace(1).spans(3)).await?;
            holds(proxy, 3).await?;
            proxy.configure("tail.note_reason", json!(true))?;
            proxy.configure("tail.root_delay", json!("100ms"))?;
            sink.wait_for_spans(3).await?;
            let noted = sink.arrivals(arrived);
            let reasons: Vec<_> =
                noted[&Trace(1).id()].iter().map(|span| text_of(span, "tracemill.sampling.reason")).collect();
            assert_eq!(reasons, [Some("default"); 3]);
            proxy.configure("tail.default", json!("drop"))?;
            proxy.configure("tail.memory", json!("256MiB"))?;
            let limited = async || {
                (proxy.metrics().await.ok()?.sum("tracemill_tail_memory_limit_bytes", &[]) == f64::from(256 << 20))
                    .then_some(())
            };
            wait::until("the smaller buffer", limited).await?;
            send(proxy, Trace(2).spans(4)).await?;
            reached(proxy, DROPPED, &[("plugin", "tail"), ("reason", "default")], 4.0).await?;
            // What is remembered stays as it is until a restart, and that is said.
            proxy.configure("tail.remember", json!({ "kept": 7 }))?;
            let said = async || proxy.log().contains("tail.remember").then_some(());
            wait::until("the log to name what needs a restart", said).await?;
            proxy.settled().await?;
            assert_eq!(sink.spans(), 3);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn at_the_end_everything_is_decided() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let long = json!([{ "name": "long", "type": "span_count", "span_count": { "min_spans": 2 } }]);
    setup(&sink, &long)?
        .set("tail", endless())
        .set("tail.note_reason", true)
        .run(async |proxy| {
            for number in 0..40 {
                send(proxy, Trace(number).spans(1 + number as u16 % 3)).await?;
            }
            let (all, short) = (14 + 2 * 13 + 3 * 13, 14);
            holds(proxy, all).await?;
            assert!(proxy.stop().await?.success(), "{}", proxy.log());
            let last = Accounts::of_log(&proxy.log())?.expect("final accounts").door;
            assert_eq!((last.received, last.dropped, last.admitted, last.held), (all, short, all - short, 0));
            let traces = names(&sink)?;
            assert_eq!(traces.len(), 26);
            assert!(
                (0..40)
                    .filter(|number| number % 3 > 0)
                    .all(|number| { traces[&Trace(number).id()].len() as u64 == 1 + number % 3 })
            );
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_could_not_leave_before_the_end_is_reported() -> Result<()> {
    // Decided at the end only; or before it, as far as the queue has room.
    for is_endless in [true, false] {
        could_not_leave(is_endless).await?;
    }
    Ok(())
}

async fn could_not_leave(is_endless: bool) -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Hang);
    let setup = setup(&sink, &everything())?;
    let setup = if is_endless { setup.set("tail", endless()) } else { setup };
    setup
        .set("export.sink.batch", json!({ "size": "64KiB" }))
        .set("export.sink.queue", json!({ "size": "256KiB" }))
        .set("shutdown.timeout", "500ms")
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Large, 402).mix(Mix::PLAIN);
            for _ in 0..5 {
                assert!(proxy.grpc().send(&generator.request(100).request).await?.is_whole());
            }
            if is_endless {
                holds(proxy, 500).await?;
            } else {
                // The queue takes some of them, and never gives any: the others wait for it.
                reached(proxy, "tracemill_admitted_spans_total", &[], 1.0).await?;
            }
            proxy.balanced().await?;
            proxy.signal(Signal::SIGTERM)?;
            assert_eq!(proxy.ended().await?.code(), Some(2));
            let log = proxy.log();
            assert!(log.contains("were in the trace buffer and could not leave before the end"), "{log}");
            let last = Accounts::of_log(&log)?.expect("final accounts");
            assert!(last.door.held > 0 && (is_endless || last.door.admitted > 0), "{last:?}");
            assert_eq!(last.destination("sink").map(|sink| sink.dropped), Some(last.door.admitted));
            Ok(())
        })
        .await
}
