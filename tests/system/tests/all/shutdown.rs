//! SIGTERM: nothing more is taken, what is held is delivered within a bound, and what could not be is reported.

use anyhow::Result;
use harness::accounts::Accounts;
use harness::load::{self, Load};
use harness::spans::Mix;
use harness::{Behaviour, Generator, Profile, Proxy, Sink};
use nix::sys::signal::Signal;

#[tokio::test]
async fn what_is_held_at_sigterm_is_delivered() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Hang);
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let made = Generator::new(Profile::Medium, 71).mix(Mix::PLAIN).request(500);
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            proxy.balanced().await?;
            proxy.signal(Signal::SIGTERM)?;
            sink.behave(Behaviour::Accept);
            let status = proxy.ended().await?;
            assert!(status.success(), "{status}: {}", proxy.log());
            assert_eq!(sink.spans(), 500);
            assert!(sink.arrivals(|arrivals| made.ids.iter().all(|id| arrivals.ids[id].times == 1)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_cannot_be_delivered_is_reported_when_the_bound_is_over() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Hang);
    let setup = Proxy::setup()?.export_grpc("sink", &sink).set("shutdown.timeout", "500ms");
    setup
        .run(async |proxy| {
            let made = Generator::new(Profile::Small, 72).mix(Mix::PLAIN).request(123);
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            proxy.balanced().await?;
            proxy.signal(Signal::SIGTERM)?;
            let status = proxy.ended().await?;
            assert_eq!(status.code(), Some(2), "the exit code says that not everything was delivered");
            let log = proxy.log();
            let report = log.lines().find(|line| line.contains("could not be delivered")).expect("a report");
            for part in ["destination=\"sink\"", "signal=traces", "items=123"] {
                assert!(report.contains(part), "no {part} in {report}");
            }
            let last = Accounts::of_log(&log)?.expect("final accounts");
            assert_eq!(
                last.destination("sink").map(|sink| (sink.admitted, sink.sent, sink.dropped)),
                Some((123, 0, 123))
            );
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_nothing_that_was_acknowledged() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).plugin("10-drop-health", "drop-health")?;
    setup
        .run(async |proxy| {
            let client = proxy.grpc();
            let mut generator = Generator::new(Profile::Small, 73).mix(Mix::PLAIN);
            let sending = tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                loop {
                    let made = generator.request(50);
                    // A refusal or a closed connection is what shutting down looks like.
                    match client.send(&made.request).await {
                        Ok(answer) if answer.is_whole() => acknowledged.extend(made.ids),
                        _ => return acknowledged,
                    }
                }
            });
            sink.wait_for_spans(5_000).await?;
            proxy.signal(Signal::SIGTERM)?;
            assert!(proxy.ended().await?.success());
            let acknowledged = sending.await?;
            let lost = |id: &&u64| sink.arrivals(|arrivals| !arrivals.ids.contains_key(*id));
            assert_eq!(acknowledged.iter().filter(lost).count(), 0, "of {} acknowledged spans", acknowledged.len());
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_proxy_without_traffic_ends_at_once() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).set("shutdown.timeout", "1h");
    setup
        .run(async |proxy| {
            let load = Load { spans: 100, per_request: 10, rate: 0, senders: 1 };
            load::run(&proxy.grpc(), Generator::new(Profile::Small, 74).mix(Mix::PLAIN), load).await?;
            proxy.settled().await?;
            // Nobody waits for that hour here.
            assert!(proxy.stop().await?.success());
            Ok(())
        })
        .await
}
