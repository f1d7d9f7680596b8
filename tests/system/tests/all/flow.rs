//! Destinations that are slow, full, away or unwilling.

use anyhow::Result;
use harness::ports::FreePorts;
use harness::sink::Keep;
use harness::spans::Mix;
use harness::{Behaviour, Generator, Profile, Protocol, Proxy, Sink, wait};
use serde_json::json;
use std::time::Duration;
use system::reached;

const SENT: &str = "tracemill_export_sent_spans_total";

fn generator(seed: u64) -> Generator {
    Generator::new(Profile::Medium, seed).mix(Mix::PLAIN)
}

#[tokio::test]
async fn a_destination_that_hangs_holds_nobody_up_while_its_queue_has_room() -> Result<()> {
    let (quick, stuck) = (Sink::start().await?, Sink::start().await?);
    stuck.behave(Behaviour::Hang);
    let setup =
        Proxy::setup()?.export_grpc("quick", &quick).export_grpc("stuck", &stuck).set("export.stuck.timeout", "1h");
    setup
        .run(async |proxy| {
            let mut generator = generator(61);
            for _ in 0..20 {
                // Who waited for a destination that hangs would have no answer.
                assert!(proxy.grpc().send(&generator.request(100).request).await?.is_whole());
            }
            quick.wait_for_spans(2_000).await?;
            assert_eq!(stuck.spans(), 0);
            let accounts = proxy.balanced().await?;
            assert_eq!(accounts.destination("stuck").map(|stuck| stuck.held), Some(2_000));
            stuck.behave(Behaviour::Accept);
            stuck.wait_for_spans(2_000).await?;
            proxy.settled().await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_full_queue_refuses_retryably_with_a_delay_and_nothing_is_half_delivered() -> Result<()> {
    let (quick, stuck) = (Sink::start().await?, Sink::start().await?);
    stuck.behave(Behaviour::Hang);
    let setup = Proxy::setup()?
        .export_grpc("quick", &quick)
        .export_grpc("stuck", &stuck)
        .set("export.stuck.batch", json!({ "size": "64KiB" }))
        .set("export.stuck.queue", json!({ "size": "256KiB" }));
    setup
        .run(async |proxy| {
            let mut generator = generator(62);
            let mut taken = 0;
            let refusal = loop {
                let answer = proxy.grpc().send(&generator.request(100).request).await?;
                match answer.refusal() {
                    None => taken += 100,
                    Some(refusal) => break refusal.clone(),
                }
                assert!(taken < 5_000, "256 KiB hold no 5,000 spans of 600 bytes");
            };
            assert!(taken > 0 && refusal.is_retryable(), "{refusal:?}");
            assert!(refusal.delay.is_some_and(|delay| !delay.is_zero()), "{refusal:?}");
            let http = proxy.http(Protocol::HttpProtobuf).send(&generator.request(100).request).await?;
            let refusal = http.refusal().expect("it is still full");
            assert!(matches!(refusal.http, 429 | 503) && refusal.delay.is_some(), "{refusal:?}");
            quick.wait_for_spans(taken).await?;
            stuck.behave(Behaviour::Accept);
            stuck.wait_for_spans(taken).await?;
            let accounts = proxy.settled().await?;
            assert_eq!((accounts.door.admitted, accounts.door.refused), (taken, 200));
            assert_eq!((quick.spans(), stuck.spans()), (taken, taken));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_queue_may_drop_instead_and_says_how_much() -> Result<()> {
    for policy in ["drop_oldest", "drop_newest"] {
        let (quick, stuck) = (Sink::start().await?, Sink::start().await?);
        stuck.behave(Behaviour::Hang);
        let setup = Proxy::setup()?
            .export_grpc("quick", &quick)
            .export_grpc("stuck", &stuck)
            .set("export.stuck.batch", json!({ "size": "64KiB" }))
            .set("export.stuck.queue", json!({ "size": "256KiB", "on_full": policy }));
        setup
            .run(async |proxy| {
                let mut generator = generator(63);
                for _ in 0..30 {
                    let answer = proxy.grpc().send(&generator.request(100).request).await?;
                    assert!(answer.is_whole(), "{policy}: {answer:?}");
                }
                quick.wait_for_spans(3_000).await?;
                stuck.behave(Behaviour::Accept);
                let accounts = proxy.settled().await?;
                let stuck_account = accounts.destination("stuck").expect("an account").clone();
                assert!(stuck_account.dropped > 0 && stuck_account.sent > 0, "{policy}: {stuck_account:?}");
                assert_eq!(stuck_account.sent, stuck.spans(), "{policy}");
                Ok(())
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_back_end_refuses_for_now_is_sent_again_after_its_delay() -> Result<()> {
    const DELAY: Duration = Duration::from_secs(1);
    for grpc in [true, false] {
        let sink = Sink::keeping(Keep::Requests).await?;
        sink.behave(Behaviour::Unavailable(Some(DELAY)));
        let setup = Proxy::setup()?;
        let setup = if grpc { setup.export_grpc("sink", &sink) } else { setup.export_http("sink", &sink) };
        setup
            .run(async |proxy| {
                let made = generator(64).request(50);
                assert!(proxy.grpc().send(&made.request).await?.is_whole());
                let refused = async || sink.arrivals(|arrivals| arrivals.refused_calls > 0).then_some(());
                wait::until("a refused call", refused).await?;
                sink.behave(Behaviour::Accept);
                sink.wait_for_spans(50).await?;
                // Noted before each is answered.
                let times = sink.arrivals(|arrivals| arrivals.attempts_of(made.ids[0]));
                assert!(times[1] - times[0] >= DELAY, "{times:?}");
                proxy.settled().await?;
                assert!(sink.arrivals(|arrivals| made.ids.iter().all(|id| arrivals.ids[id].times == 1)));
                Ok(())
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_back_end_rejects_for_good_is_counted_and_not_sent_again() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Invalid);
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let mut generator = generator(65);
            assert!(proxy.grpc().send(&generator.request(40).request).await?.is_whole());
            reached(proxy, "tracemill_export_rejected_spans_total", &[("destination", "sink")], 40.0).await?;
            sink.behave(Behaviour::Partial(3));
            assert!(proxy.grpc().send(&generator.request(10).request).await?.is_whole());
            reached(proxy, SENT, &[("destination", "sink")], 7.0).await?;
            let accounts = proxy.settled().await?;
            let sink_account = accounts.destination("sink").expect("an account");
            assert_eq!((sink_account.sent, sink_account.rejected), (7, 43));
            assert_eq!(sink.arrivals(|arrivals| (arrivals.calls, arrivals.refused_calls)), (1, 1));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_back_end_that_comes_back_gets_what_was_held() -> Result<()> {
    let port = FreePorts::<1>::hold()?;
    let address = ([127, 0, 0, 1], port.numbers[0]).into();
    let sink = Sink::at(address, Keep::Ids).await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let mut generator = generator(66);
            assert!(proxy.grpc().send(&generator.request(30).request).await?.is_whole());
            sink.wait_for_spans(30).await?;
            drop(sink);
            let later = generator.request(70);
            assert!(proxy.grpc().send(&later.request).await?.is_whole());
            let back = wait::until("the port to be free", async || Sink::at(address, Keep::Ids).await.ok()).await?;
            back.wait_for_spans(70).await?;
            assert!(back.arrivals(|arrivals| later.ids.iter().all(|id| arrivals.ids[id].times == 1)));
            proxy.settled().await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn connections_that_break_lose_nothing() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Break);
    let setup = Proxy::setup()?.export_http("sink", &sink);
    setup
        .run(async |proxy| {
            let made = generator(67).request(60);
            assert!(proxy.http(Protocol::HttpJson).send(&made.request).await?.is_whole());
            let held = |accounts: &harness::accounts::Accounts| accounts.destination("sink").map(|sink| sink.held);
            assert_eq!(held(&proxy.balanced().await?), Some(60));
            sink.behave(Behaviour::Accept);
            sink.wait_for_spans(60).await?;
            proxy.settled().await?;
            Ok(())
        })
        .await
}
