//! What samplers are asked and what becomes of their answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use otlp::columns::{Cells, Texts, Words};
use otlp::condition::{Condition, Operator};
use otlp::edit::Constant;
use otlp::path::{Layout, Path, Want};
use parking_lot::Mutex;

use super::rig::{Decide, Native, Rig, SECOND, Sent, id};
use crate::chain::place::Place;
use crate::chain::program::{Fault, FaultKind};
use crate::chain::sampler::{Decisions, Due, NO_ROOT, Question, SamplerPlan, Show, Traces};
use crate::chain::trial::{Mode, Trial};
use crate::custody::{Custody, Fate};
use crate::tail::TailConfig;
use crate::tail::config::Otherwise;
use crate::tail::metrics::KEEP;

/// Answers the same about every trace.
pub fn always(action: u8, number: f64, reason: &'static str) -> Decide {
    by(move |_, _| (action, number), reason)
}

/// Answers for each trace by itself.
pub fn by(decide: impl Fn(&Traces, usize) -> (u8, f64) + Send + Sync + 'static, reason: &'static str) -> Decide {
    Arc::new(move |question: Question<'_>| {
        let count = question.traces.len();
        let (actions, numbers) = (0..count).map(|at| decide(question.traces, at)).unzip();
        let mut words = Texts::default();
        words.push(reason.as_bytes());
        Ok(Decisions { actions, numbers, reasons: Words { codes: vec![0; count], words } })
    })
}

pub fn plan(show: Show, early: Vec<Vec<Condition>>) -> SamplerPlan {
    SamplerPlan { show, early }
}

pub fn errors() -> Vec<Vec<Condition>> {
    let values = vec![Constant::Integer(2)];
    vec![vec![Condition { path: Path::StatusCode, operator: Operator::Equals, values, negated: false }]]
}

fn quiet() -> SamplerPlan {
    plan(Show::NoSpans, Vec::new())
}

pub fn rig(samplers: Vec<(&str, Native)>, config: TailConfig) -> Rig {
    let rig = Rig::new(2, config);
    let stages: Vec<_> = samplers.into_iter().map(|(name, native)| rig.stage(name, native)).collect();
    rig.chains.publish(stages);
    rig
}

pub fn native(decide: Decide) -> Native {
    Native::new(quiet(), Vec::new(), decide)
}

pub fn numbers(rig: &mut Rig) -> Vec<u64> {
    let mut numbers: Vec<u64> = rig.left().iter().map(|left| left.number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_trace_is_decided_when_it_is_due_and_leaves_whole() {
    let mut rig = rig(vec![("keeps", native(always(1, 0.0, "kept")))], TailConfig::default());
    rig.send(&[Sent::new(1, 1), Sent::new(1, 2)]).unwrap();
    rig.after(SECOND);
    rig.send(&[Sent::new(1, 0)]).unwrap();
    rig.after(SECOND);
    assert!(rig.left().is_empty(), "stragglers may come for two seconds");
    rig.send(&[Sent::new(1, 3)]).unwrap();
    rig.after(SECOND);
    let left = rig.left();
    assert_eq!(left.iter().map(|left| left.number).collect::<Vec<_>>().len(), 4);
    // Each under what it came with.
    assert!(left.iter().all(|left| u64::from(left.service) == left.number % 3 && left.state.is_empty()));
    assert_eq!((rig.metrics.held.get(), rig.chain_metrics.admitted.get()), (0, 4));
    // A late one follows, at once.
    rig.send(&[Sent::new(1, 4)]).unwrap();
    rig.after(0);
    assert_eq!(numbers(&mut rig), [4]);
}

#[test]
fn other_waits_count_for_what_waits_already() {
    let mut rig = rig(vec![("keeps", native(always(1, 0.0, "kept")))], TailConfig::default());
    rig.send(&[Sent::new(1, 1), Sent::new(2, 0)]).unwrap();
    rig.after(SECOND);
    let patient = Duration::from_secs(20);
    rig.tail.reconfigure(TailConfig { root_delay: patient, ..TailConfig::default() });
    rig.after(3 * SECOND);
    assert!(numbers(&mut rig).is_empty(), "two seconds after its root it would have been decided");
    rig.tail.reconfigure(TailConfig { root_delay: patient, idle: Duration::from_secs(4), ..TailConfig::default() });
    rig.after(0);
    assert_eq!(numbers(&mut rig), [0, 1]);
}

#[test]
fn a_dropped_trace_is_counted_by_reason_and_its_late_spans_too() {
    let mut rig = rig(vec![("drops", native(always(2, 0.0, "not wanted")))], TailConfig::default());
    rig.send(&[Sent::new(1, 0), Sent::new(1, 1)]).unwrap();
    rig.after(5 * SECOND);
    assert_eq!(rig.dropped("drops", "not wanted"), 2);
    let late = rig.send(&[Sent::new(1, 2), Sent::new(2, 0)]).unwrap();
    assert_eq!((late.held, late.dropped), (1, 1));
    assert_eq!(rig.dropped("tail", "late"), 1);
    rig.after(5 * SECOND);
    assert!(rig.left().is_empty());
    assert_eq!(rig.metrics.held.get(), 0);
}

#[test]
fn samplers_are_asked_in_order_until_one_does_not_abstain() {
    let first = by(|traces, at| (u8::from(traces.spans[at] > 2), 0.0), "large");
    let second = by(|traces, at| (if traces.errors[at] > 0 { 2 } else { 0 }, 0.0), "broken");
    let config = TailConfig { note_reason: true, ..TailConfig::default() };
    let mut rig = rig(vec![("10-first", native(first)), ("20-second", native(second))], config);
    let error = Sent { is_error: true, ..Sent::new(2, 0) };
    let large = (0..3).map(|number| Sent { is_error: true, ..Sent::new(1, number) });
    rig.send(&large.chain([error, Sent::new(3, 7)]).collect::<Vec<_>>()).unwrap();
    rig.after(6 * SECOND);
    let mut left = rig.left();
    left.sort_by_key(|left| (left.trace.clone(), left.number));
    let told = |at: usize| {
        let note = |key: &str| left[at].attributes[&format!("tracemill.sampling.{key}")].clone();
        (left[at].trace.clone(), note("plugin"), note("reason"))
    };
    assert_eq!(left.len(), 4);
    assert_eq!(told(0), (id(1), "10-first".to_owned(), "large".to_owned()));
    assert_eq!(told(3), (id(3), "tail".to_owned(), "default".to_owned()));
    assert_eq!(rig.dropped("20-second", "broken"), 1);
}

#[test]
fn where_all_abstain_the_setting_decides() {
    let config = TailConfig { default: Otherwise::Drop, ..TailConfig::default() };
    let mut rig = rig(vec![("abstains", native(always(0, 0.0, "")))], config);
    rig.send(&[Sent::new(1, 0)]).unwrap();
    rig.after(6 * SECOND);
    assert!(rig.left().is_empty());
    assert_eq!(rig.dropped("tail", "default"), 1);
}

#[test]
fn an_early_answer_comes_at_once_and_not_yet_delays_nothing() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let sure = by(
        move |traces, at| {
            seen.lock().push((traces.due[at], traces.spans[at]));
            if traces.spans[at] >= 3 { (1, 0.0) } else { (3, 1e12) }
        },
        "three",
    );
    let other = by(|traces, at| (if traces.due[at] == Due::Early { 2 } else { 1 }, 0.0), "never asked early");
    let sampler = Native::new(plan(Show::NoSpans, errors()), Vec::new(), sure);
    let mut rig = rig(vec![("sure", sampler), ("other", native(other))], TailConfig::default());
    let error = |number| Sent { is_error: true, is_root: false, ..Sent::new(1, number) };
    rig.send(&[Sent { is_root: false, ..Sent::new(1, 0) }]).unwrap();
    rig.after(SECOND);
    assert!(asked.lock().is_empty());
    rig.send(&[error(1)]).unwrap();
    rig.after(0);
    assert_eq!(*asked.lock(), [(Due::Early, 2)]);
    rig.after(SECOND);
    assert_eq!(asked.lock().len(), 1, "once for each time");
    rig.send(&[error(2)]).unwrap();
    rig.after(0);
    assert_eq!(asked.lock()[1..], [(Due::Early, 3)]);
    assert_eq!(numbers(&mut rig), [0, 1, 2]);
    // Another trace, of which nothing more comes: `wait` is heard then, but not beyond the longest time.
    rig.send(&[Sent { trace: 2, ..error(5) }]).unwrap();
    rig.after(0);
    rig.after(5 * SECOND);
    assert_eq!(asked.lock()[2..], [(Due::Early, 1), (Due::Idle, 1)]);
    rig.after(24 * SECOND);
    assert!(rig.left().is_empty());
    rig.after(SECOND);
    assert_eq!(asked.lock().last(), Some(&(Due::WaitedLongEnough, 1)));
    assert_eq!(numbers(&mut rig), [5], "the next one is asked where waiting is not heard");
}

#[test]
fn the_host_samples_by_the_traces_randomness_and_says_so() {
    let sampler = always(4, 0.25, "a quarter");
    let mut rig = rig(vec![("samples", native(sampler))], TailConfig::default());
    let traces = 400;
    for trace in 0..traces {
        rig.send(&[Sent::new(trace, 0), Sent::new(trace, 1)]).unwrap();
    }
    rig.after(6 * SECOND);
    let left = rig.left();
    let expected: Vec<u64> = (0..traces).filter(|trace| randomness(*trace) >= 3 << 54).collect();
    let mut kept: Vec<Vec<u8>> = left.iter().map(|left| left.trace.clone()).collect();
    kept.sort();
    kept.dedup();
    assert_eq!(kept, expected.iter().map(|trace| id(*trace)).collect::<Vec<_>>());
    assert_eq!(left.len(), 2 * expected.len());
    assert!(expected.len() > 60 && expected.len() < 140);
    assert!(left.iter().all(|left| left.state == "ot=th:c"));
    // Late spans say the same.
    rig.send(&[Sent::new(expected[0], 2)]).unwrap();
    rig.after(0);
    assert_eq!(rig.left()[0].state, "ot=th:c");
}

fn randomness(trace: u64) -> u64 {
    let id = id(trace);
    u64::from_be_bytes(id[8..].try_into().unwrap()) & ((1 << 56) - 1)
}

#[test]
fn a_kept_trace_stays_whole_where_a_span_says_another_randomness() {
    let mut rig = rig(vec![("samples", native(always(4, 0.5, "half")))], TailConfig::default());
    let high = Sent { state: "ot=rv:ffffffffffffff".into(), ..Sent::new(1, 0) };
    let low = Sent { state: "ot=rv:00000000000000;th:0".into(), ..Sent::new(1, 1) };
    rig.send(&[high, low]).unwrap();
    rig.after(6 * SECOND);
    let mut states: Vec<_> = rig.left().into_iter().map(|left| (left.number, left.state)).collect();
    states.sort();
    let expected = [(0, "ot=th:8;rv:ffffffffffffff".to_owned()), (1, "ot=rv:00000000000000".to_owned())];
    assert_eq!(states, expected);
}

#[test]
fn what_a_sampler_chose_itself_is_weighed() {
    let choose = by(|traces, at| (5, if traces.errors[at] > 0 { 0.0 } else { 0.5 }), "chosen");
    let mut rig = rig(vec![("chooses", native(choose))], TailConfig::default());
    let state = |rv: &str| format!("ot=th:0;rv:{rv}");
    let known = Sent { state: state("ffffffffffffff"), ..Sent::new(1, 1) };
    let unknown = Sent { state: state("ffffffffffffff"), is_error: true, ..Sent::new(2, 2) };
    rig.send(&[known, unknown]).unwrap();
    rig.after(6 * SECOND);
    let mut states: Vec<_> = rig.left().into_iter().map(|left| (left.number, left.state)).collect();
    states.sort();
    let expected = [(1, "ot=th:8;rv:ffffffffffffff".to_owned()), (2, "ot=rv:ffffffffffffff".to_owned())];
    assert_eq!(states, expected);
}

/// What a sampler was shown: starts, whole, roots and the names.
type Shown = Arc<Mutex<Vec<(Traces, Vec<String>)>>>;

fn looks(show: Show) -> (Native, Shown) {
    let shown = Shown::default();
    let seen = shown.clone();
    let keep = always(1, 0.0, "seen");
    let decide: Decide = Arc::new(move |question: Question<'_>| {
        let Cells::Text(names) = &question.columns[0].cells else { panic!("texts were asked for") };
        let text = |at| String::from_utf8_lossy(names.get(at).unwrap()).trim_start_matches('0').to_owned();
        seen.lock().push((question.traces.clone(), (0..names.len()).map(text).collect()));
        keep(question)
    });
    let columns = vec![Want { path: Path::Name, layout: Layout::Text }];
    (Native::new(plan(show, Vec::new()), columns, decide), shown)
}

#[test]
fn samplers_see_as_much_of_traces_as_they_ask_for() {
    for show in [Show::NoSpans, Show::Roots, Show::EverySpan] {
        let (native, shown) = looks(show);
        let mut rig = rig(vec![("looks", native)], TailConfig::default());
        let error = Sent { is_error: true, start: 500, end: 2000, ..Sent::new(1, 5) };
        let state = "ot=th:e;rv:ffffffffffffff".to_owned();
        let root = Sent { is_root: true, has_zeros: true, start: 700, end: 900, state, ..Sent::new(1, 3) };
        let third = Sent { is_root: false, start: 600, end: 900, ..Sent::new(1, 4) };
        let bytes: usize = [&error, &root, &third].map(Sent::bytes).iter().sum();
        rig.send(&[error]).unwrap();
        rig.send(&[root, third]).unwrap();
        rig.after(6 * SECOND);
        let shown = shown.lock();
        let [(traces, names)] = &shown[..] else { panic!("one question: {shown:?}") };
        assert_eq!(
            (&traces.due[..], &traces.spans[..], &traces.errors[..]),
            (&[Due::RootSeen][..], &[3][..], &[1][..])
        );
        assert_eq!(
            (&traces.start_times[..], &traces.durations[..], &traces.ids[..]),
            (&[500][..], &[1500][..], &id(1)[..])
        );
        // One of them says that it stands for eight.
        assert_eq!((&traces.sizes[..], &traces.weights[..]), (&[bytes as u64][..], &[10.0][..]));
        let mut sorted = names.clone();
        sorted.sort();
        match show {
            Show::NoSpans => {
                assert_eq!((&traces.starts[..], &traces.roots[..], names.len()), (&[0, 0][..], &[NO_ROOT][..], 0));
            }
            Show::Roots => {
                assert_eq!(
                    (&traces.starts[..], &traces.roots[..], &names[..]),
                    (&[0, 1][..], &[0][..], &["3".to_owned()][..])
                );
            }
            Show::EverySpan => {
                assert_eq!((&traces.starts[..], sorted), (&[0, 3][..], vec!["3".to_owned(), "4".into(), "5".into()]));
                assert_eq!(names[traces.roots[0] as usize], "3");
            }
        }
        assert_eq!(traces.whole, [1]);
    }
}

#[test]
fn a_trace_with_too_many_rows_is_shown_cut_off_with_its_root_and_leaves_whole() {
    let (native, shown) = looks(Show::EverySpan);
    let mut rig = rig(vec![("looks", native)], TailConfig { max_rows: 10, ..TailConfig::default() });
    let spans: Vec<Sent> = (0..50).map(|number| Sent { is_root: number == 40, ..Sent::new(1, number) }).collect();
    rig.send(&spans).unwrap();
    rig.send(&[Sent::new(2, 0)]).unwrap();
    rig.after(6 * SECOND);
    let shown = shown.lock();
    let large = shown.iter().find_map(|(traces, names)| {
        let at = traces.spans.iter().position(|spans| *spans == 50)?;
        let rows = traces.starts[at] as usize..traces.starts[at + 1] as usize;
        Some((traces.whole[at], names[rows].len(), names[traces.roots[at] as usize].clone()))
    });
    assert_eq!(large, Some((0, 10, "40".to_owned())));
    assert!(shown.iter().any(|(traces, _)| traces.spans.iter().zip(&traces.whole).any(|pair| pair == (&1, &1))));
    assert_eq!(rig.left().len(), 51);
}

/// Shows 2,000 traces of 7 spans, each of 1,500 bytes and some more. Answers how many rows the calls had.
fn rows_of_calls(config: TailConfig, is_short: bool) -> Vec<usize> {
    let (native, shown) = looks(Show::EverySpan);
    let mut rig = rig(vec![("looks", native)], config);
    for trace in 0..2000 {
        let spans: Vec<Sent> = (0..7).map(|number| Sent { size: 1500, ..Sent::new(trace, number) }).collect();
        rig.send(&spans).unwrap();
    }
    let budget = &rig.inner().ledger.budget;
    let taken = if is_short { budget.limit() - budget.used() } else { 0 };
    budget.settle(0, taken);
    rig.after(6 * SECOND);
    rig.inner().ledger.budget.settle(taken, 0);
    rig.after(0);
    let shown = shown.lock();
    assert!(shown.iter().all(|(traces, _)| traces.whole.iter().all(|whole| *whole == 1)));
    assert_eq!(shown.iter().map(|(traces, _)| traces.len()).sum::<usize>(), 2000);
    assert_eq!(rig.left().len(), 14_000);
    shown.iter().map(|(_, names)| names.len()).collect()
}

#[test]
fn many_traces_are_shown_in_calls_of_bounded_size() {
    let rows = rows_of_calls(TailConfig::default(), false);
    // 4 MiB of names are fewer rows than 4,096.
    assert!(rows.iter().all(|rows| *rows <= 2796) && rows.iter().any(|rows| *rows > 2000), "{rows:?}");
}

#[test]
fn where_memory_is_short_less_is_shown_in_one_call() {
    let rows = rows_of_calls(TailConfig::default(), true);
    // Half of a mebibyte is set aside for it; what the first shard lets go of is there for the second.
    assert!(rows[..10].iter().all(|rows| (200..350).contains(rows)), "{rows:?}");
}

#[test]
fn a_sampler_that_fails_on_a_trace_abstains_from_that_one_alone() {
    let fails: Decide = Arc::new(|question: Question<'_>| {
        if question.traces.errors.iter().any(|errors| *errors > 0) {
            return Err(Fault { kind: FaultKind::Trap, message: "poison".into() });
        }
        always(2, 0.0, "dropped")(question)
    });
    let mut rig = rig(vec![("fails", native(fails))], TailConfig::default());
    let spans = (0..100).map(|trace| Sent { is_error: trace == 42, ..Sent::new(trace, trace) });
    rig.send(&spans.collect::<Vec<_>>()).unwrap();
    rig.after(6 * SECOND);
    assert_eq!(numbers(&mut rig), [42]);
    assert_eq!(rig.dropped("fails", "dropped"), 99);
}

#[test]
fn a_canary_decides_its_share_of_the_traces() {
    let mut rig = Rig::new(1, TailConfig::default());
    let old = rig.stage("samples", native(always(2, 0.0, "old")));
    let new = rig.stage("samples", native(always(1, 0.0, "new")));
    let trial = Arc::new(Trial::new(new, Mode::Canary(0.3)));
    rig.chains.publish([Place { stage: Some(old), trial: Some(trial) }]);
    rig.send(&(0..1000).map(|trace| Sent::new(trace, trace)).collect::<Vec<_>>()).unwrap();
    rig.after(6 * SECOND);
    let kept = rig.left().len();
    assert!(kept > 220 && kept < 380, "{kept}");
    assert_eq!(rig.dropped("samples", "old") as usize, 1000 - kept);
}

#[test]
fn a_sampler_is_tried_in_the_shadow_and_nothing_of_it_reaches_the_output() {
    let mut rig = Rig::new(1, TailConfig::default());
    let old = by(|traces, at| (if traces.errors[at] > 0 { 1 } else { 2 }, 0.0), "errors");
    let old = rig.stage("samples", native(old));
    // It wants to see what the other does not.
    let (new, shown) = looks(Show::EverySpan);
    let new = rig.shadow_stage("samples", new);
    let trial = Arc::new(Trial::new(new, Mode::Shadow));
    rig.chains.publish([Place { stage: Some(old), trial: Some(Arc::clone(&trial)) }]);
    rig.send(&(0..10).map(|trace| Sent { is_error: trace < 4, ..Sent::new(trace, trace) }).collect::<Vec<_>>())
        .unwrap();
    rig.after(6 * SECOND);
    assert_eq!((rig.left().len(), rig.dropped("samples", "errors")), (4, 6));
    let until = std::time::Instant::now() + Duration::from_mins(1);
    while trial.seen().batches == 0 {
        assert!(std::time::Instant::now() < until, "the shadow has its turn");
        std::thread::yield_now();
    }
    let seen = trial.seen();
    assert_eq!((seen.differences.rows, seen.differences.only_first_dropped, seen.differences.differing()), (10, 6, 6));
    assert_eq!(shown.lock().iter().map(|(_, names)| names.len()).sum::<usize>(), 10);
}

#[test]
fn the_buffer_outlives_a_swap_of_its_sampler() {
    let mut rig = rig(vec![("samples", native(always(2, 0.0, "old")))], TailConfig::default());
    rig.send(&[Sent::new(1, 1)]).unwrap();
    let new = rig.stage("samples", native(always(1, 0.0, "new")));
    rig.chains.publish([new]);
    rig.send(&[Sent::new(1, 2)]).unwrap();
    rig.after(6 * SECOND);
    assert_eq!(numbers(&mut rig), [1, 2]);
    // Without any sampler what is held leaves all the same.
    rig.send(&[Sent::new(2, 3)]).unwrap();
    rig.chains.publish(Vec::<Place>::new());
    rig.after(6 * SECOND);
    assert_eq!(numbers(&mut rig), [3]);
}

#[test]
fn a_full_queue_holds_up_what_leaves_and_nothing_is_lost() {
    let keep_errors = by(|traces, at| (if traces.errors[at] > 0 { 1 } else { 2 }, 0.0), "errors");
    let mut rig = rig(vec![("errors", native(keep_errors))], TailConfig::default());
    rig.outlet.full.store(true, Ordering::SeqCst);
    let spans = |from| (from..from + 100).map(|trace| Sent { is_error: trace % 2 == 0, ..Sent::new(trace, trace) });
    rig.send(&spans(0).collect::<Vec<_>>()).unwrap();
    rig.after(6 * SECOND);
    rig.send(&spans(100).collect::<Vec<_>>()).unwrap();
    rig.after(6 * SECOND);
    assert!(rig.left().is_empty());
    assert_eq!((rig.dropped("errors", "errors"), rig.metrics.held.get()), (100, 100));
    rig.outlet.full.store(false, Ordering::SeqCst);
    rig.after(0);
    assert_eq!(numbers(&mut rig), (0..200).step_by(2).collect::<Vec<_>>());
    assert_eq!(rig.metrics.held.get(), 0);
}

#[test]
fn no_parcel_is_larger_than_the_queues_have_room_for() {
    let mut rig = rig(vec![("keeps", native(always(1, 0.0, "kept")))], TailConfig::default());
    *rig.outlet.room.lock() = Some(20_000);
    let spans: Vec<Sent> = (0..100).map(|trace| Sent { size: 1000, ..Sent::new(trace, 0) }).collect();
    rig.send(&spans).unwrap();
    rig.after(5 * SECOND);
    let parcels: Vec<usize> = rig.outlet.parcels.lock().iter().map(|parcel| parcel.body.len()).collect();
    assert!(parcels.len() > 10 && parcels.iter().all(|bytes| *bytes < 10_000), "{parcels:?}");
    assert_eq!(rig.left().len(), 100);
}

#[test]
fn late_spans_are_counted_one_by_one() {
    let mut rig = rig(vec![("keeps", native(always(1, 0.0, "kept")))], TailConfig::default());
    rig.send(&[Sent::new(1, 0)]).unwrap();
    rig.after(5 * SECOND);
    rig.send(&[Sent::new(1, 1), Sent::new(1, 2), Sent::new(1, 3), Sent::new(2, 0)]).unwrap();
    assert_eq!(rig.metrics.late.get_or_create(&KEEP).get(), 3);
}

#[test]
fn traces_of_two_tenants_are_two() {
    let keep_large = by(|traces, at| (if traces.spans[at] == 2 { 1 } else { 2 }, 0.0), "small");
    let mut rig = rig(vec![("large", native(keep_large))], TailConfig::default());
    rig.send_for("a", &[Sent::new(1, 0), Sent::new(1, 1)], None).unwrap();
    rig.send_for("b", &[Sent::new(1, 2)], None).unwrap();
    rig.after(6 * SECOND);
    let left = rig.left();
    assert!(left.len() == 2 && left.iter().all(|left| left.tenant == "a"), "{left:?}");
    assert_eq!(rig.dropped("large", "small"), 1);
}

#[test]
fn whoever_waits_for_spans_hears_when_all_of_them_are_settled() {
    let keep_errors = by(|traces, at| (if traces.errors[at] > 0 { 1 } else { 2 }, 0.0), "errors");
    let mut rig = rig(vec![("errors", native(keep_errors))], TailConfig::default());
    let ends = Arc::new(Mutex::new(Vec::new()));
    let told = ends.clone();
    let origin = Custody::new(move |fate| told.lock().push(fate));
    let spans = [Sent { is_error: true, ..Sent::new(1, 0) }, Sent::new(2, 0)];
    rig.send_for("", &spans, Some(&origin)).unwrap();
    drop(origin);
    rig.outlet.full.store(true, Ordering::SeqCst);
    rig.after(6 * SECOND);
    assert_eq!(*ends.lock(), [], "one is dropped, the other has yet to be delivered");
    rig.outlet.full.store(false, Ordering::SeqCst);
    rig.after(0);
    assert_eq!(*ends.lock(), [], "now the queue answers for it");
    rig.outlet.parcels.lock().clear();
    assert_eq!(*ends.lock(), [Fate::Settled]);
}

#[tokio::test]
async fn at_the_end_everything_is_decided_whatever_it_waits_for() {
    let due = Arc::new(Mutex::new(Vec::new()));
    let seen = due.clone();
    let waits = by(
        move |traces, at| {
            seen.lock().push(traces.due[at]);
            (if traces.due[at] == Due::ShuttingDown { 1 } else { 3 }, 1e9)
        },
        "the end",
    );
    let mut rig = rig(vec![("waits", native(waits))], TailConfig::default());
    rig.send(&(0..10).map(|trace| Sent::new(trace, trace)).collect::<Vec<_>>()).unwrap();
    assert_eq!(rig.drain().await, 0);
    assert_eq!(rig.left().len(), 10);
    assert!(due.lock().iter().all(|due| *due == Due::ShuttingDown));
}

#[test]
fn spans_whose_index_is_large_are_shown_and_leave_like_others() {
    let (native, shown) = looks(Show::EverySpan);
    let mut rig = rig(vec![("looks", native)], TailConfig::default());
    // In the company of another it is taken; by itself it would be refused at the door.
    let dense = Sent { empty_attributes: 4000, ..Sent::new(1, 1) };
    rig.send(&[dense, Sent { size: 4000, ..Sent::new(2, 2) }, Sent::new(3, 3)]).unwrap();
    rig.after(6 * SECOND);
    assert_eq!(numbers(&mut rig), [1, 2, 3]);
    assert_eq!(shown.lock().iter().map(|(_, names)| names.len()).sum::<usize>(), 3);
}

#[test]
fn what_a_sampler_is_shown_is_bounded_in_bytes() {
    let (native, shown) = looks(Show::EverySpan);
    let mut rig = rig(vec![("looks", native)], TailConfig::default());
    let spans: Vec<Sent> = (0..100).map(|number| Sent { size: 100_000, ..Sent::new(1, number) }).collect();
    rig.send(&spans).unwrap();
    rig.after(6 * SECOND);
    let shown = shown.lock();
    let [(traces, names)] = &shown[..] else { panic!("one question: {}", shown.len()) };
    assert!(names.len() > 30 && names.len() < 42, "{}", names.len());
    assert_eq!((traces.whole[0], traces.spans[0]), (0, 100));
    assert_eq!(rig.left().len(), 100);
}

#[test]
fn a_canary_that_fails_leaves_its_traces_to_the_version_that_counts() {
    let mut rig = Rig::new(1, TailConfig::default());
    let old = rig.stage("samples", native(always(2, 0.0, "old")));
    let fails: Decide = Arc::new(|_| Err(Fault { kind: FaultKind::Trap, message: "bug".into() }));
    let new = rig.stage("samples", native(fails));
    let trial = Arc::new(Trial::new(new, Mode::Canary(0.5)));
    rig.chains.publish([Place { stage: Some(old), trial: Some(trial) }]);
    rig.send(&(0..100).map(|trace| Sent::new(trace, trace)).collect::<Vec<_>>()).unwrap();
    rig.after(6 * SECOND);
    assert_eq!((rig.left().len(), rig.dropped("samples", "old")), (0, 100));
}

#[test]
fn a_sampler_that_waits_for_no_time_is_not_asked_without_end() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let waits = by(
        move |traces, _| {
            *count.lock() += traces.len();
            (3, 0.0)
        },
        "waits",
    );
    let mut rig = rig(vec![("waits", native(waits))], TailConfig::default());
    rig.send(&[Sent::new(1, 0)]).unwrap();
    rig.after(3 * SECOND);
    assert_eq!(*asked.lock(), 1);
    rig.after(SECOND);
    assert_eq!(*asked.lock(), 2);
}
