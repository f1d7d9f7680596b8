//! Seeded traffic against the buffer, with all that goes wrong in the world: spans that come late and out of order, huge traces, traces that never end,
//! clocks that disagree, a queue that stalls, a budget that is too small.
//!
//! Whatever happens: a span leaves once or is counted as dropped once, a trace leaves whole or not at all, and the buffer stays within its budget.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use otlp::edit::Sampling;
use otlp::sampling::{Arrived, Odds};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::rig::{Left, Native, Rig, SECOND, Sent};
use super::samplers::{by, errors, plan};
use crate::chain::sampler::{Due, Show};
use crate::tail::TailConfig;
use crate::tail::config::{DiskConfig, Remember};

const SLOW: u64 = 2 * SECOND;

/// What is done to the buffer.
#[derive(Debug, Clone, Copy)]
struct World {
    seed: u64,
    traces: u64,
    /// They begin within so many.
    seconds: u64,
    /// One in so many spans is an error.
    errors: u32,
    /// The largest trace.
    most_spans: u64,
    memory: usize,
    spills: bool,
    /// Whether the queue is full half of the time.
    stalls: bool,
    /// Whether the process ends now and then, and begins anew with what is in its folder.
    restarts: bool,
}

/// What came of it.
struct Lived {
    rig: Rig,
    /// The spans of each trace, with when they arrived.
    all: BTreeMap<Vec<u8>, Vec<(u64, Sent)>>,
    kept: BTreeSet<Vec<u8>>,
}

/// Keeps errors as soon as they are there, slow traces when they are complete, and of the rest a fifth.
fn sampler() -> Native {
    let decide = by(
        |traces, at| match traces.due[at] {
            _ if traces.errors[at] > 0 => (1, 0.0),
            Due::Early => (3, 0.0),
            _ if traces.durations[at] > SLOW => (1, 0.0),
            _ => (4, 0.2),
        },
        "policy",
    );
    Native::new(plan(Show::NoSpans, errors()), Vec::new(), decide)
}

/// The spans of a trace, with when they arrive.
fn trace(random: &mut StdRng, number: u64, world: World) -> Vec<(u64, Sent)> {
    if number == 0 {
        // So that there is one of which something comes until it has waited long enough.
        let slow = |at| Sent { is_root: false, end: 10 * SECOND, ..Sent::new(0, at) };
        return (0..12).map(|at| (at * 4 * SECOND, slow(at))).collect();
    }
    let never_ends = random.random_ratio(1, 40);
    let spans = if random.random_ratio(1, 50) && !never_ends {
        random.random_range(1..=world.most_spans)
    } else {
        random.random_range(1..=12)
    };
    let begins = random.random_range(0..world.seconds * SECOND);
    let has_root = random.random_ratio(9, 10);
    let is_slow = random.random_ratio(1, 10);
    let skew = random.random_range(0..100 * SECOND);
    let one = |at: u64| {
        let mut sent = Sent { is_root: has_root && at == 0, ..Sent::new(number, at) };
        sent.is_error = random.random_ratio(1, world.errors);
        sent.size = random.random_range(1..400);
        // Each service has its own idea of the time.
        sent.start = 1000 * SECOND + if at.is_multiple_of(3) { skew } else { 0 };
        sent.end = sent.start + if is_slow { 3 * SECOND } else { SECOND };
        let arrives = match () {
            () if never_ends => at * 4 * SECOND,
            () if random.random_ratio(1, 30) => random.random_range(0..50 * SECOND),
            () => random.random_range(0..SECOND),
        };
        (begins + arrives, sent)
    };
    (0..spans).map(one).collect()
}

fn begin(world: World, folder: &Path, now: u64) -> Rig {
    let disk = DiskConfig { folder: folder.to_owned(), max_bytes: 1 << 30, is_durable: world.restarts };
    let config = TailConfig {
        max_bytes: world.memory,
        remember: Remember { kept: 20_000, dropped: 200_000 },
        disk: (world.spills || world.restarts).then_some(disk),
        ..TailConfig::default()
    };
    let rig = Rig::new(2, config);
    rig.now.store(now, Ordering::SeqCst);
    let stage = rig.stage("policies", sampler());
    rig.chains.publish([stage]);
    rig
}

/// Lives through it, and answers what came of it.
fn live(world: World) -> Lived {
    println!("{world:?}");
    let mut random = StdRng::seed_from_u64(world.seed);
    let folder = tempfile::tempdir().unwrap();
    let mut rig = begin(world, folder.path(), SECOND);
    let mut left = Vec::new();
    let mut arrivals: Vec<(u64, Sent)> =
        (0..world.traces).flat_map(|number| trace(&mut random, number, world)).collect();
    arrivals.sort_by_key(|(at, sent)| (*at, sent.trace, sent.number));
    let mut all: BTreeMap<Vec<u8>, Vec<(u64, Sent)>> = BTreeMap::new();
    for (at, sent) in &arrivals {
        all.entry(sent.id()).or_default().push((*at, sent.clone()));
    }
    let total = arrivals.len() as u64;
    let mut waiting = arrivals.into_iter().peekable();
    let mut taken = 0;
    while waiting.peek().is_some() {
        if world.stalls && random.random_ratio(1, 20) {
            let full = &rig.outlet.full;
            full.store(!full.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        let now = rig.now.load(Ordering::SeqCst);
        if world.restarts && random.random_ratio(1, 100) {
            left.append(&mut rig.left());
            drop(rig);
            rig = begin(world, folder.path(), now);
        }
        let mut batch = Vec::new();
        while batch.len() < 500
            && let Some((_, sent)) = waiting.next_if(|(at, _)| *at <= now)
        {
            batch.push(sent);
        }
        // Senders come back with what was refused.
        let mut tries = 0;
        while !batch.is_empty() {
            let sent = if world.restarts {
                rig.send_safely(&batch).map(|()| batch.len() as u64)
            } else {
                rig.send(&batch).map(|intaken| intaken.held + intaken.dropped)
            };
            match sent {
                Ok(spans) => {
                    taken += spans;
                    break;
                }
                Err(refusal) => assert!(refusal.is_retryable(), "{refusal}"),
            }
            tries += 1;
            assert!(tries < 10_000, "the buffer makes no room");
            if tries > 100 {
                rig.outlet.full.store(false, Ordering::SeqCst);
            }
            rig.after(SECOND / 50);
        }
        rig.after(random.random_range(0..SECOND / 20));
        let budget = rig.inner().budget();
        // Beyond the limit for spans is what was set aside for those that leave.
        assert!(budget.used() <= world.memory, "{} of {}", budget.used(), budget.limit());
    }
    rig.outlet.full.store(false, Ordering::SeqCst);
    for _ in 0..100 {
        rig.after(SECOND);
    }
    assert_eq!(taken, total);
    left.append(&mut rig.left());
    let kept = kept_whole(left, &all, world.restarts);
    if !world.restarts {
        let dropped = rig.dropped("policies", "policy") + rig.dropped("tail", "late");
        assert_eq!(rig.chain_metrics.admitted.get() + dropped, total);
    }
    assert_eq!((rig.metrics.held.get(), rig.metrics.traces.get()), (0, 0));
    let inner = rig.inner();
    let held: usize = inner.cells.iter().map(|cell| cell.shard.lock().bytes()).sum();
    assert_eq!(inner.budget().used(), held, "nothing is forgotten in the account");
    Lived { rig, all, kept }
}

/// Which traces have left. All of their spans have, once each; what a restart brought back may have left before it too.
fn kept_whole(left: Vec<Left>, all: &BTreeMap<Vec<u8>, Vec<(u64, Sent)>>, may_repeat: bool) -> BTreeSet<Vec<u8>> {
    let mut numbers: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    for span in left {
        assert_eq!(u64::from(span.service), span.number % 3, "each is under what it came with");
        numbers.entry(span.trace).or_default().push(span.number);
    }
    let mut kept = BTreeSet::new();
    for (trace, spans) in all {
        let Some(mut of_this) = numbers.remove(trace) else { continue };
        of_this.sort_unstable();
        if may_repeat {
            of_this.dedup();
        }
        let mut expected: Vec<u64> = spans.iter().map(|(_, sent)| sent.number).collect();
        expected.sort_unstable();
        // A filter takes a trace for one that was dropped once in some thousand times: then all of it goes, so that this is no such case.
        assert_eq!(of_this, expected, "a kept trace is whole: {trace:?}");
        kept.insert(trace.clone());
    }
    assert!(numbers.is_empty(), "nothing leaves that did not come");
    kept
}

const USUAL: World = World {
    seed: 0,
    traces: 3000,
    seconds: 60,
    errors: 60,
    most_spans: 300,
    memory: 256 << 20,
    spills: false,
    stalls: false,
    restarts: false,
};

fn seed() -> u64 {
    std::env::var("TRACEMILL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random)
}

/// Where nothing has to be hurried, traces of which all came in time are. More than `least` are kept, and more are not.
fn decided_by_what_is_in_them(Lived { all, kept, .. }: &Lived, least: u32) {
    let fifth = Odds::new(0.2, Sampling::Equalizing).unwrap();
    let mut counts = [0; 2];
    for (trace, spans) in all {
        let times = || spans.iter().map(|(at, _)| *at);
        if times().max() > times().min().map(|first| first + SECOND) {
            continue;
        }
        let start = spans.iter().map(|(_, sent)| sent.start).min().unwrap();
        let end = spans.iter().map(|(_, sent)| sent.end).max().unwrap();
        let is_kept = spans.iter().any(|(_, sent)| sent.is_error)
            || end.saturating_sub(start) > SLOW
            || fifth.keeps(Arrived::read(trace, b""));
        assert_eq!(kept.contains(trace), is_kept, "{trace:?}");
        counts[usize::from(is_kept)] += 1;
    }
    assert!(counts.iter().all(|count| *count > least), "{counts:?}");
}

#[test]
fn traces_leave_whole_or_not_at_all() {
    let lived = live(World { seed: seed(), ..USUAL });
    decided_by_what_is_in_them(&lived, 100);
    let Lived { rig, .. } = lived;
    let labels = |due: Due| crate::tail::metrics::DecisionLabels {
        plugin: "policies".into(),
        decision: "keep",
        due: due.label(),
    };
    let decided = |due| rig.metrics.decisions.get_or_create(&labels(due)).get();
    assert!(decided(Due::Early) > 0 && decided(Due::RootSeen) > 0 && decided(Due::Idle) > 0);
    assert!(decided(Due::WaitedLongEnough) > 0, "some never end");
    assert_eq!(decided(Due::OverBudget), 0);
}

#[test]
fn whatever_ends_and_begins_anew_what_is_kept_is_whole() {
    // Half as many traces.
    decided_by_what_is_in_them(&live(World { seed: seed(), traces: 1500, seconds: 30, restarts: true, ..USUAL }), 50);
}

#[test]
fn a_stalled_queue_changes_nothing() {
    live(World { seed: seed(), stalls: true, ..USUAL });
}

#[test]
fn a_budget_that_is_too_small_is_kept_to() {
    let Lived { rig, .. } = live(World {
        seed: seed(),
        traces: 12_000,
        seconds: 8,
        errors: 5000,
        most_spans: 5000,
        memory: 16 << 20,
        ..USUAL
    });
    assert!(rig.metrics.packed.get() > 0);
}

#[test]
fn with_a_folder_the_disk_takes_what_memory_cannot() {
    let Lived { rig, .. } = live(World {
        seed: seed(),
        traces: 12_000,
        seconds: 8,
        errors: 5000,
        most_spans: 5000,
        memory: 16 << 20,
        spills: true,
        ..USUAL
    });
    assert!(rig.metrics.spilled.get() > 0);
}

#[test]
fn a_queue_that_stalls_with_a_small_budget_has_senders_wait() {
    live(World {
        seed: seed(),
        traces: 6000,
        seconds: 8,
        errors: 5000,
        most_spans: 2000,
        memory: 16 << 20,
        stalls: true,
        ..USUAL
    });
}

#[test]
fn a_trace_of_a_million_spans_leaves_whole() {
    let mut rig = Rig::new(2, TailConfig::default());
    let stage = rig.stage("policies", sampler());
    rig.chains.publish([stage]);
    let spans: u64 = 1_000_000;
    for from in (0..spans).step_by(10_000) {
        let some: Vec<Sent> = (from..from + 10_000)
            .map(|number| Sent { is_error: number == 100, is_root: false, ..Sent::new(1, number) })
            .collect();
        rig.send(&some).unwrap();
        if from == 500_000 {
            // Decided in the middle of it.
            rig.after(SECOND / 10);
        }
    }
    rig.after(40 * SECOND);
    let mut numbers: Vec<u64> = rig.left().into_iter().map(|left| left.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len() as u64, spans);
    assert!(numbers.into_iter().eq(0..spans));
    assert!(rig.outlet.parcels.lock().iter().all(|parcel| parcel.body.len() < 4 << 20), "in pieces");
}
