//! What is kept, what is dropped, when, and what is written on it.

use super::{
    DECISIONS, DROPPED, FILE, SAMPLER, endless, errors, everything, holds, names, send, settings, setup, steps,
};
use anyhow::Result;
use harness::accounts::Accounts;
use harness::sink::Keep;
use harness::traces::{arrived, request, text_of};
use harness::{Sink, Trace};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use system::reached;

const LATE: &str = "tracemill_tail_late_spans_total";

#[tokio::test]
async fn an_error_is_kept_whole_and_at_once_and_what_comes_late_follows() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let (failed, fine) = (Trace(1), Trace(2));
    setup(&sink, &errors())?
        .set("tail", endless())
        .run(async |proxy| {
            send(proxy, vec![failed.span(1), failed.span(2), fine.span(1)]).await?;
            holds(proxy, 3).await?;
            assert_eq!(sink.spans(), 0);
            send(proxy, vec![failed.error(3)]).await?;
            sink.wait_for_spans(3).await?;
            send(proxy, vec![failed.span(0), failed.span(4), fine.span(0)]).await?;
            sink.wait_for_spans(5).await?;
            assert_eq!(names(&sink)?, BTreeMap::from([(failed.id(), steps([0, 1, 2, 3, 4]))]));
            let metrics = proxy.metrics().await?;
            let early = [("plugin", SAMPLER), ("decision", "keep"), ("due", "early")];
            assert_eq!((metrics.sum(DECISIONS, &early), metrics.sum(DECISIONS, &[])), (1.0, 1.0));
            assert_eq!(metrics.sum(LATE, &[("decision", "keep")]), 2.0);
            holds(proxy, 2).await?;
            // The other trace is decided because there is no more time.
            assert!(proxy.stop().await?.success());
            let last = Accounts::of_log(&proxy.log())?.expect("final accounts").door;
            assert_eq!((last.admitted, last.dropped, last.held), (5, 2, 0));
            assert_eq!(sink.spans(), 5);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn slow_traces_are_kept_and_of_the_others_those_of_enough_randomness_with_their_threshold() -> Result<()> {
    const TRACES: u64 = 400;
    let sink = Sink::keeping(Keep::Requests).await?;
    let policies = json!([
        { "name": "slow", "type": "latency", "latency": { "threshold_ms": 2000 } },
        { "name": "a quarter", "type": "probabilistic", "probabilistic": { "sampling_percentage": 25 } },
    ]);
    let is_slow = |trace: &Trace| trace.0.is_multiple_of(10);
    // One in four by the specification: R >= T.
    let is_chosen = |trace: &Trace| trace.randomness() >= 3 << 54;
    setup(&sink, &policies)?
        .run(async |proxy| {
            // The spans of a trace come in three requests, the root last.
            for number in (0..3).rev() {
                let span = |trace: Trace| match number {
                    2 if is_slow(&trace) => trace.slow(2, 2001),
                    _ => trace.span(number),
                };
                send(proxy, (0..TRACES).map(|number| span(Trace(number))).collect()).await?;
            }
            holds(proxy, 0).await?;
            let accounts = proxy.settled().await?;
            let traces = sink.arrivals(arrived);
            for trace in (0..TRACES).map(Trace) {
                let spans = traces.get(&trace.id()).map_or(&[][..], Vec::as_slice);
                let expected = if is_slow(&trace) || is_chosen(&trace) { 3 } else { 0 };
                assert_eq!(spans.len(), expected, "{trace:?}");
                let state = if is_slow(&trace) { "" } else { "ot=th:c" };
                assert!(spans.iter().all(|span| span.trace_state == state), "{spans:?}");
            }
            let kept = (0..TRACES).map(Trace).filter(|trace| is_slow(trace) || is_chosen(trace)).count() as u64;
            assert_eq!((accounts.door.admitted, accounts.door.dropped), (3 * kept, 3 * (TRACES - kept)));
            let kept_share = kept as f64 / TRACES as f64;
            assert!((0.25..0.40).contains(&kept_share), "{kept_share}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn late_spans_of_dropped_traces_are_dropped_and_counted_apart() -> Result<()> {
    let sink = Sink::start().await?;
    setup(&sink, &errors())?
        .run(async |proxy| {
            send(proxy, Trace(1).spans(3)).await?;
            reached(proxy, DECISIONS, &[("plugin", SAMPLER), ("decision", "drop"), ("due", "root_seen")], 1.0).await?;
            // Even if they failed: the decision has been made.
            send(proxy, vec![Trace(1).error(7), Trace(1).span(8)]).await?;
            reached(proxy, DROPPED, &[("plugin", SAMPLER)], 3.0).await?;
            let metrics = proxy.metrics().await?;
            assert_eq!(metrics.sum(DROPPED, &[("plugin", SAMPLER)]), 3.0);
            assert_eq!(metrics.sum(DROPPED, &[("plugin", "tail"), ("reason", "late")]), 2.0);
            assert_eq!(metrics.sum(LATE, &[("decision", "drop")]), 2.0);
            // A trace without its root is dropped when nothing more comes.
            send(proxy, vec![Trace(2).span(1)]).await?;
            reached(proxy, DECISIONS, &[("decision", "drop"), ("due", "idle")], 1.0).await?;
            let accounts = proxy.settled().await?;
            assert_eq!((accounts.door.dropped, sink.spans()), (6, 0));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn kept_spans_say_who_kept_them_and_why_where_that_is_asked_for() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let policies = json!([
        errors()[0],
        { "name": "long", "type": "span_count", "span_count": { "min_spans": 3 } },
    ]);
    setup(&sink, &policies)?
        .set("tail.note_reason", true)
        .run(async |proxy| {
            send(proxy, vec![Trace(1).error(1), Trace(1).span(0)]).await?;
            send(proxy, Trace(2).spans(3)).await?;
            send(proxy, Trace(3).spans(2)).await?;
            sink.wait_for_spans(5).await?;
            holds(proxy, 0).await?;
            let traces = sink.arrivals(arrived);
            assert_eq!(traces.len(), 2);
            for (trace, reason) in [(Trace(1), "errors"), (Trace(2), "long")] {
                for span in &traces[&trace.id()] {
                    assert_eq!(text_of(span, "tracemill.sampling.plugin"), Some(SAMPLER));
                    assert_eq!(text_of(span, "tracemill.sampling.reason"), Some(reason));
                }
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_trace_id_that_two_tenants_use_is_two_traces() -> Result<()> {
    const TENANT: &str = "x-scope-orgid";
    let sink = Sink::keeping(Keep::Requests).await?;
    setup(&sink, &errors())?
        .set("receive.tenant_header", TENANT)
        .run(async |proxy| {
            let trace = Trace(1);
            for (tenant, second) in [("blue", trace.error(1)), ("red", trace.span(2))] {
                let client = proxy.grpc().header(TENANT, tenant)?;
                assert!(client.send(&request("shop", vec![trace.span(0), second])).await?.is_whole());
            }
            holds(proxy, 0).await?;
            let accounts = proxy.settled().await?;
            assert_eq!((accounts.door.admitted, accounts.door.dropped), (2, 2));
            assert_eq!(names(&sink)?, BTreeMap::from([(trace.id(), steps([0, 1]))]));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn where_the_samplers_abstain_the_setting_decides() -> Result<()> {
    for (setting, arriving) in [("keep", 5), ("drop", 2)] {
        let sink = Sink::start().await?;
        let abstains = json!({ "settings": { "policies": errors(), "otherwise": "abstain" } });
        setup(&sink, &errors())?
            .sidecar(FILE, &abstains)?
            .set("tail.default", setting)
            .run(async |proxy| {
                send(proxy, vec![Trace(1).error(1), Trace(1).span(0)]).await?;
                send(proxy, Trace(2).spans(3)).await?;
                reached(proxy, DECISIONS, &[("plugin", "tail"), ("decision", setting)], 1.0).await?;
                reached(proxy, DECISIONS, &[("plugin", SAMPLER), ("decision", "keep")], 1.0).await?;
                let accounts = proxy.settled().await?;
                assert_eq!((accounts.door.admitted, sink.spans()), (arriving, arriving));
                let dropped = proxy.metrics().await?.sum(DROPPED, &[("plugin", "tail"), ("reason", "default")]);
                assert_eq!(dropped as u64, 5 - arriving);
                Ok(())
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_samplers_are_asked_in_the_order_of_the_folder() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let first = json!({ "settings": { "policies": errors(), "otherwise": "abstain" } });
    setup(&sink, &everything())?
        .plugin("10-errors", SAMPLER)?
        .sidecar("10-errors", &first)?
        .sidecar(FILE, &settings(&json!([{ "name": "long", "type": "span_count", "span_count": { "min_spans": 3 } }])))?
        .run(async |proxy| {
            send(proxy, vec![Trace(1).error(1), Trace(1).span(0)]).await?;
            send(proxy, Trace(2).spans(3)).await?;
            send(proxy, Trace(3).spans(2)).await?;
            for (plugin, decision) in [("errors", "keep"), (SAMPLER, "keep"), (SAMPLER, "drop")] {
                reached(proxy, DECISIONS, &[("plugin", plugin), ("decision", decision)], 1.0).await?;
            }
            proxy.settled().await?;
            assert_eq!(
                names(&sink)?.into_keys().collect::<BTreeSet<_>>(),
                BTreeSet::from([Trace(1).id(), Trace(2).id()])
            );
            Ok(())
        })
        .await
}
