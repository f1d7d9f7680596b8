//! The chain over real batches: what leaves, what is counted, what a fault costs.

mod support;
#[path = "chain/swap.rs"]
mod swap;
#[path = "support/wait.rs"]
mod wait;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::signal::Signal;
use prost::Message;

use support::{ByName, Rig, request_of, spans_of};
use tracemill_pipeline::chain::metrics::SignalLabel;
use tracemill_pipeline::chain::plan::{Affinity, Failure};
use tracemill_pipeline::chain::stage::{BreakerPolicy, Stage, StageSpec};
use tracemill_pipeline::custody::{Custody, Gone};
use tracemill_pipeline::request::RefusalKind;
use wait::block_until;

#[tokio::test]
async fn what_is_dropped_is_counted_by_plugin_and_reason_and_the_rest_leaves() {
    let rig = Rig::new(2);
    let stage = rig.stage("by-name", ByName::new(Failure::Pass, Affinity::Any));
    rig.chains.publish(vec![stage]);
    let answer = rig.send(request_of(&["a", "drop-me", "b", "drop-me"])).await.unwrap();
    assert_eq!(answer.rejected, 0, "what a plugin drops is not rejected");
    assert_eq!(rig.outlet.names(), ["a", "b"]);
    assert_eq!(rig.sums(&[], &[("by-name", "named")]), [4, 0, 2, 2]);
}

#[tokio::test]
async fn an_idle_mill_keeps_no_column_of_its_last_batch() {
    let rig = Rig::new(1);
    let program = ByName::new(Failure::Pass, Affinity::Any);
    let columns = program.columns.clone();
    rig.chains.publish(vec![rig.stage("by-name", program)]);
    rig.send(request_of(&["a", "b"])).await.unwrap();
    let columns = columns.lock();
    assert_eq!(columns.len(), 1);
    assert!(columns.iter().all(|column| column.upgrade().is_none()), "a column is still held");
}

#[tokio::test]
async fn one_poisonous_span_costs_only_itself() {
    let names: Vec<&str> = (0..200).map(|i| if i == 77 { "poison" } else { "fine" }).collect();
    for (on_error, left, rejected) in [(Failure::Pass, 200, 0), (Failure::Drop, 199, 0), (Failure::Reject, 199, 1)] {
        let rig = Rig::new(1);
        let program = ByName::new(on_error, Affinity::Any);
        let seen = program.seen.clone();
        rig.chains.publish(vec![rig.stage("by-name", program)]);
        let answer = rig.send(request_of(&names)).await.unwrap();
        assert_eq!(answer.rejected, rejected, "{on_error:?}");
        assert_eq!(rig.outlet.names().len(), left, "{on_error:?}");
        let [received, refused, dropped, admitted] = rig.sums(&["plugin_fault"], &[("by-name", "plugin_fault")]);
        assert_eq!(received, refused + dropped + admitted, "{on_error:?}");
        // The search halves: some sixteen calls, not two hundred, and all others were cleared by the plugin.
        let seen = seen.lock();
        assert!(seen.len() <= 18, "{} calls", seen.len());
        let cleared: usize =
            seen.iter().filter(|(_, names)| !names.contains(&"poison".into())).map(|(_, n)| n.len()).sum();
        assert_eq!(cleared, 199);
    }
}

#[tokio::test]
async fn a_batch_is_searched_for_two_deadlines_at_most_however_many_calls_and_instances_it_takes() {
    let deadline = Duration::from_millis(20);
    // One in each call of 4,096 rows.
    let names: Vec<&str> = (0..5 * 4096).map(|row| if row % 4096 == 7 { "endless" } else { "fine" }).collect();
    for affinity in [Affinity::Any, Affinity::Trace, Affinity::One] {
        let rig = Rig::new(4);
        let program = ByName::new(Failure::Pass, affinity);
        let endless = program.endless.clone();
        rig.chains.publish(vec![rig.stage_with("by-name", program, deadline)]);
        rig.send(request_of(&names)).await.unwrap();
        assert_eq!(rig.outlet.names().len(), names.len(), "{affinity:?}");
        let spent: Duration = endless.lock().iter().sum();
        assert!(endless.lock().len() > 1 && spent <= 3 * deadline, "{affinity:?}: {:?}", endless.lock());
    }
}

#[tokio::test]
async fn an_instance_that_failed_is_never_used_again() {
    let rig = Rig::new(1);
    let program = ByName::new(Failure::Pass, Affinity::Any);
    let (instances, seen) = (program.instances.clone(), program.seen.clone());
    rig.chains.publish(vec![rig.stage("by-name", program)]);
    rig.send(request_of(&["poison"])).await.unwrap();
    rig.send(request_of(&["fine"])).await.unwrap();
    assert_eq!(instances.load(Ordering::SeqCst), 2);
    assert_eq!(seen.lock().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn an_open_breaker_of_a_rejecting_stage_refuses_whole_requests_retryably() {
    let rig = Rig::new(1);
    rig.chains.publish(vec![fragile(&rig, "scrub", Affinity::Any, Duration::from_hours(1))]);
    for _ in 0..2 {
        assert_eq!(rig.send(request_of(&["poison"])).await.unwrap().rejected, 1);
    }
    let refusal = rig.send(request_of(&["fine", "fine"])).await.unwrap_err();
    assert!(refusal.is_retryable(), "{refusal}");
    assert!(refusal.message.contains("scrub"), "{refusal}");
    assert_eq!(rig.outlet.names(), Vec::<String>::new());
    assert_eq!(rig.sums(&["plugin_fault", "breaker_open"], &[]), [4, 4, 0, 0]);
}

/// A stage that two faults take out, for so long.
fn fragile(rig: &Rig, name: &str, affinity: Affinity, pause: Duration) -> Arc<Stage> {
    let spec = StageSpec {
        name: name.into(),
        version: "test".into(),
        program: Arc::new(ByName::new(Failure::Reject, affinity)),
        when: Vec::new(),
        on_error: Failure::Reject,
        deadline: Duration::from_secs(5),
        breaker: BreakerPolicy { faults: 2, within: Duration::from_mins(1), pause },
    };
    rig.chains.stage(spec).expect("the plan is sound")
}

#[tokio::test]
async fn a_breaker_is_shown_as_long_as_its_stage_is_live() {
    let rig = Rig::new(1);
    let mut registry = prometheus_client::registry::Registry::default();
    rig.metrics.register(&mut registry);
    let shown = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("tracemill_plugin_breaker_open{plugin="));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let stage = |name| fragile(&rig, name, Affinity::Any, Duration::from_hours(1));
    rig.chains.publish(vec![stage("scrub"), stage("enrich")]);
    for _ in 0..2 {
        rig.send(request_of(&["poison"])).await.unwrap();
    }
    assert_eq!(shown(), ["\"scrub\"} 1", "\"enrich\"} 0"]);
    // Another version starts closed, and a stage that is gone has nothing to show.
    rig.chains.publish(vec![stage("scrub")]);
    assert_eq!(shown(), ["\"scrub\"} 0"]);
    rig.chains.publish(Vec::<Arc<Stage>>::new());
    assert_eq!(shown(), Vec::<String>::new());
}

#[tokio::test]
async fn a_trial_that_ends_in_a_panic_is_followed_by_another() {
    let rig = Rig::new(1);
    rig.chains.publish(vec![fragile(&rig, "scrub", Affinity::Any, Duration::ZERO)]);
    for _ in 0..2 {
        rig.send(request_of(&["poison"])).await.unwrap();
    }
    let refusal = rig.send(request_of(&["bug"])).await.unwrap_err();
    assert!(matches!(refusal.kind, RefusalKind::Failed { .. }) && refusal.is_retryable(), "{refusal:?}");
    rig.send(request_of(&["fine"])).await.unwrap();
    assert_eq!(rig.outlet.names(), ["fine"]);
}

#[tokio::test]
async fn a_shared_instance_that_was_left_by_a_panic_is_never_used_again() {
    for affinity in [Affinity::One, Affinity::Trace] {
        let rig = Rig::new(1);
        let program = ByName::new(Failure::Pass, affinity);
        let seen = program.seen.clone();
        rig.chains.publish(vec![rig.stage("by-name", program)]);
        assert!(rig.send(request_of(&["bug"])).await.unwrap_err().is_retryable());
        rig.send(request_of(&["fine"])).await.unwrap();
        assert_eq!(seen.lock().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1], "{affinity:?}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_was_refused_counts_once() {
    let rig = Rig::new(1);
    rig.chains.publish(vec![rig.stage("by-name", ByName::new(Failure::Pass, Affinity::Any))]);
    rig.outlet.full.store(true, Ordering::SeqCst);
    let refusal = rig.send(request_of(&["a", "drop-me"])).await.unwrap_err();
    assert!(refusal.is_retryable());
    rig.outlet.full.store(false, Ordering::SeqCst);
    rig.send(request_of(&["a", "drop-me"])).await.unwrap();
    assert_eq!(rig.sums(&["queue_full"], &[("by-name", "named")]), [4, 2, 1, 1]);
}

#[tokio::test]
async fn malformed_requests_and_invalid_ids_are_told_apart() {
    let rig = Rig::new(1);
    let refusal = rig.send(vec![0x0a, 200]).await.unwrap_err();
    assert!(!refusal.is_retryable());
    assert!(refusal.message.contains("ExportTraceServiceRequest"), "{refusal}");
    let of_traces = SignalLabel::of(Signal::Traces);
    assert_eq!(rig.metrics.malformed.get_or_create(&of_traces).get(), 1);

    let mut request = ExportTraceServiceRequest::decode(&*request_of(&["a", "b"])).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].trace_id.pop();
    let answer = rig.send(request.encode_to_vec()).await.unwrap();
    assert_eq!(answer.rejected, 1);
    assert!(answer.message.contains("trace_id"), "{}", answer.message);
    assert_eq!(rig.outlet.names(), ["b"]);
    assert_eq!(rig.sums(&["invalid_ids"], &[]), [2, 1, 0, 1]);
}

#[tokio::test]
async fn a_batch_carries_the_generation_it_went_through_and_stages_that_stay_keep_their_instance() {
    let rig = Rig::new(1);
    let program = ByName::new(Failure::Pass, Affinity::Any);
    let instances = program.instances.clone();
    let stage = rig.stage("stays", program);
    rig.chains.publish(vec![stage.clone()]);
    rig.send(request_of(&["a"])).await.unwrap();
    rig.chains.publish(vec![stage, rig.stage("new", ByName::new(Failure::Pass, Affinity::Any))]);
    rig.send(request_of(&["b"])).await.unwrap();
    assert_eq!(instances.load(Ordering::SeqCst), 1);
    let noted: Vec<String> = rig
        .outlet
        .parcels
        .lock()
        .iter()
        .flat_map(|parcel| spans_of(&parcel.body))
        .map(|span| format!("{:?}", span.attributes[0].value.as_ref().unwrap().value))
        .collect();
    assert_eq!(noted, ["Some(IntValue(1))", "Some(IntValue(2))"]);
}

#[tokio::test]
async fn retired_plugins_are_let_go_by_idle_mills() {
    let rig = Rig::new(2);
    let stage = rig.stage("old", ByName::new(Failure::Pass, Affinity::Any));
    let alive = Arc::downgrade(&stage);
    rig.chains.publish(vec![stage]);
    for _ in 0..4 {
        rig.send(request_of(&["a"])).await.unwrap();
    }
    rig.chains.publish(Vec::<Arc<Stage>>::new());
    rig.intake.sweep();
    assert!(alive.upgrade().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn affinity_one_means_one_instance_and_trace_means_always_the_same() {
    for affinity in [Affinity::One, Affinity::Trace] {
        let rig = Rig::new(4);
        let program = ByName::new(Failure::Pass, affinity);
        let (instances, seen) = (program.instances.clone(), program.seen.clone());
        rig.chains.publish(vec![rig.stage("by-name", program)]);
        let names = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
        let send = || async { rig.send(request_of(&names)).await.unwrap() };
        futures_util::future::join_all((0..20).map(|_| send())).await;
        let mut by_name = std::collections::HashMap::new();
        for (number, names) in seen.lock().iter() {
            for name in names {
                assert_eq!(by_name.entry(name.clone()).or_insert(*number), number, "{affinity:?}");
            }
        }
        let expected = if affinity == Affinity::One { 1 } else { 4 };
        assert_eq!(instances.load(Ordering::SeqCst), expected);
        assert_eq!(rig.outlet.names().len(), 160);
    }
}

#[tokio::test]
async fn affinity_any_means_an_instance_for_each_mill_which_keeps_it() {
    const MILLS: usize = 3;
    let rig = Arc::new(Rig::new(MILLS));
    let program = ByName::new(Failure::Pass, Affinity::Any);
    let (instances, seen, turn) = (program.instances.clone(), program.seen.clone(), program.turn.clone());
    rig.chains.publish(vec![rig.stage("by-name", program)]);
    let held = turn.lock();
    let send = |rig: Arc<Rig>| std::thread::spawn(move || FutureExt::now_or_never(rig.send(request_of(&["a"]))));
    let senders: Vec<_> = (0..MILLS).map(|_| send(rig.clone())).collect();
    // All at the same time: nobody waits for somebody else's instance.
    block_until("every mill to be in a call", || seen.lock().len() == MILLS);
    let mut numbers: Vec<usize> = seen.lock().iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
    drop(held);
    for sender in senders {
        assert!(sender.join().unwrap().expect("it runs where it arrives").is_ok());
    }
    for _ in 0..30 {
        rig.send(request_of(&["b"])).await.unwrap();
    }
    assert_eq!(instances.load(Ordering::SeqCst), MILLS, "no batch needed another one");
    assert_eq!(rig.outlet.names().len(), MILLS + 30);
}

#[tokio::test]
async fn a_closed_gate_refuses_retryably_with_its_reason() {
    let rig = Rig::new(1);
    rig.gate.close("plugin scrub-pii is missing");
    let refusal = rig.send(request_of(&["a"])).await.unwrap_err();
    assert!(refusal.is_retryable());
    assert!(refusal.message.contains("scrub-pii"));
    rig.gate.open();
    rig.send(request_of(&["a"])).await.unwrap();
}

/// Sends requests that wait for the only mill together. Answers how many batches were made of them.
async fn batches_of(rig: &Arc<Rig>, waiting: Vec<(Option<Arc<Custody>>, Vec<u8>)>) -> usize {
    let program = ByName::new(Failure::Pass, Affinity::Any);
    let (seen, turn) = (program.seen.clone(), program.turn.clone());
    rig.chains.publish(vec![rig.stage("by-name", program)]);
    let held = turn.lock();
    // The first keeps the mill busy, so that the others wait for it.
    let first = {
        let rig = rig.clone();
        std::thread::spawn(move || FutureExt::now_or_never(rig.send(request_of(&["first"]))))
    };
    block_until("the first to be run", || !seen.lock().is_empty());
    let requests = waiting.len();
    // The mill's own thread takes what comes first, and waits for the mill with that alone: nothing joins it.
    let plug = (Some(Custody::until_gone(Gone::default(), |_| ())), request_of(&["plug"]));
    let sent = [plug].into_iter().chain(waiting).map(|(custody, body)| rig.send_under(custody, body));
    let mut waiting = futures_util::future::join_all(sent);
    assert!(FutureExt::now_or_never(&mut waiting).is_none());
    drop(held);
    assert!(waiting.await.iter().all(Result::is_ok));
    let first = first.join().expect("it does not panic");
    assert!(first.expect("it runs where it arrives").is_ok());
    assert_eq!(rig.outlet.names().len(), 2 + requests);
    let calls = seen.lock().len();
    calls - 2
}

#[tokio::test]
async fn requests_are_joined_only_as_far_as_the_queues_have_room_for_them_together() {
    let rig = Arc::new(Rig::new(1));
    let one = request_of(&["a request of this size has room, and two of them have not"]);
    assert_eq!(batches_of(&rig, vec![(None, one.clone()); 4]).await, 1);
    let rig = Arc::new(Rig::new(1));
    rig.outlet.room.store(one.len() * 3 / 2, Ordering::SeqCst);
    assert_eq!(batches_of(&rig, vec![(None, one); 4]).await, 4);
}

#[tokio::test]
async fn requests_are_joined_only_where_they_become_anothers_together() {
    let rig = Arc::new(Rig::new(1));
    let [here, there] = [Gone::default(), Gone::default()];
    let of = |gone: &Gone| (Some(Custody::until_gone(gone.clone(), |_| ())), request_of(&["a"]));
    assert_eq!(batches_of(&rig, vec![of(&here), of(&here), of(&there), of(&there)]).await, 2);
}
