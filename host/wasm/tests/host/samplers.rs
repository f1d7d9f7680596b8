//! Samplers with real guests: `tests/guests/picks` decides as its settings say, well or badly, and `plugins/tail-sample` as it is released.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use otlp::columns::{Cells, Column, Words};
use otlp::condition::{Condition, Operator};
use otlp::edit::{Constant, Sampling};
use otlp::path::{Layout, Path, Want};
use pipeline::chain::plan::{Affinity, Failure, Plan};
use pipeline::chain::program::{Fault, FaultKind, Instance, Program};
use pipeline::chain::sampler::{Decision, Decisions, Due, NO_ROOT, Question, SamplerPlan, Show, Traces};
use tracemill_wasm::{Component, Metrics, Options, Role, StateStore};

use crate::guests;
use crate::setup::{Plugin, call, column, engine, probe, texts, words};
use crate::tables;

const PATIENCE: Duration = Duration::from_secs(10);

fn picks() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| tracemill_wasm::load(engine(), guests::picks()).expect("a plugin"))
}

fn instance(plugin: &Plugin, verb: &str) -> Box<dyn Instance> {
    plugin.configure(picks(), verb).expect("a program").instantiate().expect("an instance")
}

/// So many traces of one span each, without their columns; every other one has an error.
fn traces(count: u32) -> Traces {
    let all = count as usize;
    Traces {
        due: vec![Due::RootSeen; all],
        starts: (0..=count).collect(),
        whole: vec![1; all],
        ids: (0..count).flat_map(|at| u128::from(at + 1).to_be_bytes()).collect(),
        roots: (0..count).collect(),
        spans: vec![1; all],
        sizes: vec![100; all],
        errors: (0..count).map(|at| (at + 1) % 2).collect(),
        weights: vec![1.0; all],
        start_times: vec![1_700_000_000_000_000_000; all],
        durations: vec![5_000_000; all],
    }
}

fn about(traces: &Traces) -> Question<'_> {
    Question { traces, columns: &[], now: 1_700_000_000_000_000_000, deadline: PATIENCE }
}

/// One call of a fresh instance about two traces.
fn act(verb: &str) -> Result<Decisions, Fault> {
    instance(&Plugin::default(), verb).decide(about(&traces(2)))
}

fn reasons(decisions: &Decisions) -> Vec<String> {
    (0..decisions.actions.len()).map(|at| String::from_utf8_lossy(decisions.reason(at)).into_owned()).collect()
}

fn is_error() -> Condition {
    let values = vec![Constant::Integer(2)];
    Condition { path: Path::StatusCode, operator: Operator::Equals, values, negated: false }
}

#[test]
fn its_plan_says_that_it_is_one() {
    assert_eq!((picks().role(), probe().role()), (Role::Sampler, Role::Processor));
    let program = Plugin::default().configure(picks(), "whole-plan").expect("a program");
    let named = Condition { path: Path::Name, operator: Operator::Exists, values: Vec::new(), negated: false };
    let expected = Plan {
        columns: vec![
            Want { path: Path::Name, layout: Layout::Words },
            Want { path: Path::Attribute("http.route".into()), layout: Layout::Text },
        ],
        reads: Vec::new(),
        writes: Vec::new(),
        may_drop: false,
        when: Vec::new(),
        affinity: Affinity::Any,
        on_error: Failure::Pass,
        tables: Some(vec!["teams".to_owned()]),
        sampler: Some(SamplerPlan { show: Show::Roots, early: vec![vec![is_error(), named], vec![is_error()]] }),
        options: vec![("later".to_owned(), "yes".to_owned())],
    };
    assert_eq!(*program.plan(), expected);
}

#[test]
fn plans_that_cannot_be_followed_say_where() {
    let refused = |verb| Plugin::default().configure(picks(), verb).expect_err("no plan").to_string();
    for (verb, expected) in [
        ("twice", "columns[1]: `name` as text is columns[0] already"),
        ("many-early", "early has 2000 elements; the limit is 1024"),
        ("many-tables", "tables has 2000 elements; the limit is 1024"),
    ] {
        assert_eq!(refused(verb), format!("its plan cannot be followed: {expected}"));
    }
    for (verb, place) in [
        ("unknown-column", "columns[0]: there is no path `nmae`"),
        ("unknown-early", "early[0][1]: there is no path `nmae`"),
        ("bad-early", "early[1][1], on `name`: `GET (` is no regular expression"),
    ] {
        let said = refused(verb);
        assert!(said.starts_with(&format!("its plan cannot be followed: {place}")), "{said}");
    }
    assert_eq!(refused("refuse"), "settings.keep: one in none is none");
    let program = Plugin::default().configure(picks(), "fickle").expect("a program");
    let fault = program.instantiate().err().expect("another plan");
    assert_eq!(fault.to_string(), "instantiate: configure answered another plan than before to the same settings");
}

#[test]
fn every_list_of_the_traces_reaches_the_guest() {
    let traces = Traces {
        due: Due::ALL.to_vec(),
        starts: vec![0, 2, 2, 3, 3, 3, 3],
        whole: vec![0, 1, 1, 1, 1, 1],
        ids: (1..=6).flat_map(|id: u128| id.to_be_bytes()).collect(),
        roots: vec![1, NO_ROOT, 2, NO_ROOT, NO_ROOT, NO_ROOT],
        spans: vec![7, 1, 1, 0, 0, 0],
        sizes: vec![1 << 40, 10, 20, 0, 0, 0],
        errors: vec![3, 0, 1, 0, 0, 0],
        weights: vec![28.5, 1.0, 1.0, 0.0, 0.0, 0.0],
        start_times: vec![u64::MAX, 1, 2, 3, 4, 5],
        durations: vec![9, 8, 7, 6, 5, 4],
    };
    let names = [column(Cells::Text(texts(&["GET", "\u{e4}", "SELECT"])))];
    let question = Question { columns: &names, ..about(&traces) };
    let decisions = instance(&Plugin::default(), "echo").decide(question).expect("decisions");
    let id = |id: u32| format!("{id:032x}");
    assert_eq!(
        reasons(&decisions),
        [
            format!(
                "Due::Early {} whole 0 root 1 spans 7 bytes 1099511627776 errors 3 weight 28.5 from 18446744073709551615 for 9: GET \u{e4}",
                id(1)
            ),
            format!(
                "Due::RootSeen {} whole 1 root 4294967295 spans 1 bytes 10 errors 0 weight 1 from 1 for 8: ",
                id(2)
            ),
            format!("Due::Idle {} whole 1 root 2 spans 1 bytes 20 errors 1 weight 1 from 2 for 7: SELECT", id(3)),
            format!(
                "Due::WaitedLongEnough {} whole 1 root 4294967295 spans 0 bytes 0 errors 0 weight 0 from 3 for 6: ",
                id(4)
            ),
            format!(
                "Due::OverBudget {} whole 1 root 4294967295 spans 0 bytes 0 errors 0 weight 0 from 4 for 5: ",
                id(5)
            ),
            format!(
                "Due::ShuttingDown {} whole 1 root 4294967295 spans 0 bytes 0 errors 0 weight 0 from 5 for 4: ",
                id(6)
            ),
        ]
    );
}

#[test]
fn every_action_comes_back() {
    let traces = traces(7);
    let decisions = instance(&Plugin::default(), "every-action").decide(about(&traces)).expect("decisions");
    let expected = [
        Decision::Abstain,
        Decision::Keep,
        Decision::Drop,
        Decision::Wait(Duration::from_secs(1)),
        Decision::Sample { probability: 0.25, how: Sampling::Equalizing },
        Decision::Chosen(Some(0.5)),
        Decision::Sample { probability: 1.0, how: Sampling::Proportional },
    ];
    assert_eq!(decisions.read(7).expect("the contract's"), expected);
    assert_eq!(decisions.reason(6), b"so it is told");
    assert_eq!(
        act("wait-for-ever").and_then(|decisions| decisions.read(2)),
        Ok(vec![Decision::Wait(Duration::from_nanos(u64::MAX)); 2])
    );
}

#[test]
fn the_host_offers_what_it_offers_to_processors() {
    let plugin = Plugin::default();
    let mut sampler = instance(&plugin, "uses-the-host");
    let decided = |sampler: &mut Box<dyn Instance>, count| {
        sampler.decide(about(&traces(count))).map(|decisions| reasons(&decisions).remove(0))
    };
    assert_eq!(decided(&mut sampler, 30).as_deref(), Ok("30 so far, 30 tokens, at 1700000000000000000"));
    assert!(!plugin.scrape().contains("name=\"traces\""), "nobody knows yet whether it stands");
    sampler.settle(true);
    assert!(plugin.scrape().contains("tracemill_plugin_custom_total{plugin=\"probe\",name=\"traces\"} 30\n"));
    assert_eq!(decided(&mut sampler, 20).as_deref(), Ok("50 so far, 20 tokens, at 1700000000000000000"));
    sampler.settle(false);
    let fault = decided(&mut sampler, 101).expect_err("too many at once");
    assert_eq!(fault.kind, FaultKind::Trap);
    let mut next = instance(&plugin, "uses-the-host");
    let said = decided(&mut next, 100);
    assert_eq!(said.as_deref(), Ok("130 so far, 70 tokens, at 1700000000000000000"), "all of both was given back");
    next.settle(true);
    assert!(plugin.scrape().contains("name=\"traces\"} 130\n"));
}

#[test]
fn it_asks_the_tables_of_its_plan() {
    let plugin = tables::plugin(tables::set(&[("cart", ("shop", Some(3)))], None), None);
    assert_eq!(reasons(&instance(&plugin, "finds").decide(about(&traces(1))).expect("decisions")), ["shop"]);
}

#[test]
fn each_kind_is_asked_for_its_own_only() {
    let mut sampler = instance(&Plugin::default(), "keep");
    let fault = sampler.call(call(1, &[])).expect_err("no batches");
    assert_eq!(fault.to_string(), "error: it is no processor");
    assert!(sampler.decide(about(&traces(1))).is_err(), "one rule for all faults");
    let mut processor = Plugin::default().instance("nothing");
    let fault = processor.decide(about(&traces(1))).expect_err("no traces");
    assert_eq!(fault.to_string(), "error: it is no sampler");
}

#[test]
fn answers_that_are_none_are_told() {
    for (verb, said) in [
        ("one-too-many", "decisions: a call answered 3 decisions about 2 traces"),
        ("one-too-few", "decisions: actions has 1 elements for 2 traces"),
        ("no-numbers", "decisions: numbers has 0 elements for 2 traces"),
        ("no-reasons", "decisions: reasons has 0 elements for 2 traces"),
        ("words-that-lie", "decisions: a reason is word 0 of 2"),
        ("action-9", "decisions: trace 0: there is no action 9"),
        ("nan", "decisions: trace 0: NaN is no probability, which are 0 to 1"),
        ("more-than-certain", "decisions: trace 0: 1.5 is no probability, which are 0 to 1"),
        ("wait-back", "decisions: trace 0: to wait -1 ns is no time"),
    ] {
        let fault = act(verb).and_then(|decisions| decisions.read(2)).expect_err(verb);
        assert_eq!(fault.to_string(), said);
    }
}

#[test]
fn a_sampler_that_takes_more_than_it_is_given_ends_in_words() {
    for (verb, kind, said) in [
        ("traps", FaultKind::Trap, "unreachable"),
        ("bombs", FaultKind::Memory, "of memory; its limit is 64 MiB"),
        ("fails", FaultKind::Error, "the table of rates is empty"),
        ("giant-reason", FaultKind::Trap, "too much data is being copied"),
        ("millions", FaultKind::Decisions, "a call answered 5242880 decisions about 2 traces"),
    ] {
        let plugin = Plugin::default();
        let mut sampler = instance(&plugin, verb);
        let fault = sampler.decide(about(&traces(2))).expect_err(verb);
        assert_eq!(fault.kind, kind, "{verb}: {fault}");
        assert!(fault.message.contains(said), "{verb}: {fault}");
        let again = sampler.decide(about(&traces(2))).expect_err("it is spent");
        assert_eq!(again.message, "this instance has failed before and is not called again");
    }
    assert_eq!(act("large-reason").expect("it is the host's to cut").reason(1).len(), 1 << 20);
}

#[test]
fn deciding_has_a_deadline() {
    let mut sampler = instance(&Plugin::default(), "spins");
    let (traces, before) = (traces(2), Instant::now());
    let question = Question { deadline: Duration::from_millis(20), ..about(&traces) };
    let fault = sampler.decide(question).expect_err("it never ends");
    assert_eq!(fault.kind, FaultKind::Deadline);
    assert!(fault.message.contains("its deadline is 20 ms; in "), "{fault}");
    assert!(before.elapsed() < PATIENCE, "{:?}", before.elapsed());
}

#[test]
fn an_instance_wears_out_with_its_calls() {
    let plugin = Plugin::with(Options { calls: 3, ..Options::default() });
    let mut sampler = instance(&plugin, "abstain");
    for _ in 0..3 {
        assert!(!sampler.is_worn());
        sampler.decide(about(&traces(2))).expect("decisions");
        sampler.settle(true);
    }
    assert!(sampler.is_worn(), "three calls");
}

#[test]
fn what_a_sampler_knows_is_handed_over() {
    assert!(picks().hands_over() && !tail_sample().hands_over());
    let plugin = Plugin::default();
    let mut old = instance(&plugin, "remembers");
    let decided = |sampler: &mut Box<dyn Instance>| reasons(&sampler.decide(about(&traces(2))).expect("decisions"));
    assert_eq!(decided(&mut old), ["0", "1"]);
    let saved = old.save(PATIENCE).expect("it can");
    assert!(old.decide(about(&traces(2))).is_err(), "what it would learn from now on were lost");
    let mut new = instance(&plugin, "remembers");
    new.restore("abc", saved, PATIENCE).expect("it can");
    assert_eq!(decided(&mut new), ["2", "3"]);
}

/// A column of words that three rows do not have.
fn absent(want: &Want) -> Arc<Column> {
    assert_eq!(want.layout, Layout::Words);
    Arc::new(Column { present: vec![0; 3], cells: Cells::Words(Words { codes: vec![0; 3], words: texts(&[""]) }) })
}

fn tail_sample() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| tracemill_wasm::load(engine(), guests::tail_sample()).expect("a plugin"))
}

#[test]
fn the_official_sampler_decides_by_its_policies() {
    let policies = r#"[
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "checkout", "type": "string_attribute", "string_attribute": {"key": "service.name", "values": ["checkout"]}},
        {"name": "the rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}}
    ]"#;
    let settings = format!(r#"{{"policies": {policies}}}"#);
    let (state, sink) = (Arc::<StateStore>::default(), Metrics::default().sink("tail-sample"));
    let tables = tracemill_wasm::tables::Access::default();
    let program = tail_sample().configure(&settings, Options::default(), state, tables, sink).expect("a program");
    let plan = program.plan();
    let sampler = plan.sampler.as_ref().expect("a sampler");
    assert_eq!(sampler.show, Show::EverySpan);
    assert!(sampler.early.contains(&vec![is_error()]), "{:?}", sampler.early);
    // The columns that it wants, for three traces of one span each: the second one's service is `checkout`.
    let service = Want { path: Path::ResourceAttribute("service.name".into()), layout: Layout::Words };
    let services = || words(&[0, 1, 0], &["cart", "checkout"]);
    let columns = plan.columns.iter().map(|want| if *want == service { services() } else { absent(want) });
    let columns: Vec<_> = columns.collect();
    assert!(plan.columns.contains(&service), "{:?}", plan.columns);
    let mut traces = traces(3);
    traces.errors = vec![1, 0, 0];
    let mut sampler = program.instantiate().expect("an instance");
    let decisions = sampler.decide(Question { columns: &columns, ..about(&traces) }).expect("decisions");
    let expected = [Decision::Keep, Decision::Keep, Decision::Sample { probability: 0.05, how: Sampling::Equalizing }];
    let read = decisions.read(3).expect("the contract's");
    assert_eq!(read.len(), 3);
    for (at, (is, ought)) in read.iter().zip(&expected).enumerate() {
        assert_eq!(is, ought, "trace {at}: {:?}", String::from_utf8_lossy(decisions.reason(at)));
    }
    assert_eq!(reasons(&decisions), ["errors", "checkout", "the rest"]);
}
