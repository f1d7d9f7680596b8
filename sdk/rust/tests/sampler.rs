//! Samplers through the native harness: what they are shown, what they answer, and what the host makes of it.

use std::time::Duration;

use tracemill_sdk::prelude::*;
use tracemill_sdk::sampler::Sampler as Decider;

/// A sampler made of two functions, so that each test shows its own.
macro_rules! sampler {
    ($name:ident { $($field:ident: $type:ty),* }, |$plan:ident| $declare:expr, |$this:ident, $traces:ident, $decisions:ident| $act:expr) => {
        struct $name { $($field: $type),* }
        impl Decider for $name {
            type Settings = NoSettings;
            fn configure(_: NoSettings, $plan: &mut SamplerPlanBuilder) -> Result<Self, Refusal> {
                let ($($field,)*) = $declare;
                Ok(Self { $($field),* })
            }
            fn decide(&mut self, $traces: &Traces<'_>, $decisions: &mut Decisions<'_>) -> Result<(), Refusal> {
                let $this = self;
                $act;
                Ok(())
            }
        }
    };
}

/// An id whose randomness is just above one half.
const HIGH: &str = "00000000000000000080000000000001";
/// An id whose randomness is just below one half.
const LOW: &str = "0000000000000000007fffffffffffff";

#[test]
fn summaries_and_rows_are_those_of_each_trace() {
    sampler!(
        Looks { name: Column<Words>, said: Reason },
        |plan| (plan.words("name"), plan.reason("seen")),
        |this, traces, decisions| {
            let names = traces.read(this.name);
            let seen: Vec<String> = traces
                .iter()
                .map(|trace| {
                    let names: Vec<_> = trace.rows().filter_map(|row| names.get(row)).map(|name| name.to_string()).collect();
                    decisions.keep(&trace, this.said);
                    format!(
                        "{:?} {} {names:?} root {:?} whole {} spans {} size {} errors {} weight {} start {} duration {}",
                        trace.due(), trace.id()[15], trace.root(), trace.is_whole(), trace.spans(), trace.size(),
                        trace.errors(), trace.weight(), trace.start(), trace.duration()
                    )
                })
                .collect();
            state::put("seen", seen.join("\n").as_bytes())?;
        }
    );
    let mut child = Span::named("child").status(2, "").lasting(30).trace_state("ot=th:8");
    child.parent_span_id = "00000000000000ff".to_owned();
    (child.start_time_unix_nano, child.end_time_unix_nano) = (10, 40);
    let mut root = Span::named("root");
    (root.start_time_unix_nano, root.end_time_unix_nano) = (5, 20);
    let mut sampler = testing::sampler::<Looks>("{}");
    let decided = sampler.decide([
        testing::trace(HIGH, [child.clone(), root]).due(Due::RootSeen),
        testing::trace(LOW, [child.clone(), child]).cut_at(1).size(7),
    ]);
    assert_eq!((decided.kept(), decided.reason(1)), (2, "seen"));
    let seen = String::from_utf8(sampler.state("seen").expect("it was put")).expect("text");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(
        lines,
        [
            r#"Due::RootSeen 1 ["child", "root"] root Some(1) whole true spans 2 size 200 errors 1 weight 3 start 5 duration 35"#,
            r#"Due::Idle 255 ["child"] root None whole false spans 2 size 7 errors 2 weight 2 start 10 duration 30"#,
        ]
    );
}

#[test]
fn what_is_shown_is_what_the_plan_asks_for() {
    sampler!(
        Roots { name: Column<Text>, why: Reason },
        |plan| {
            plan.show(Show::Roots);
            (plan.text("name"), plan.reason("why"))
        },
        |this, traces, decisions| {
            let names = traces.read(this.name);
            for trace in traces {
                if trace.root().and_then(|root| names.get(root)).is_some_and(|name| name == "root") {
                    decisions.keep(&trace, this.why);
                }
            }
        }
    );
    let mut orphan = Span::named("root");
    orphan.parent_span_id = "00000000000000ff".to_owned();
    let decided = testing::sampler::<Roots>("{}")
        .decide([testing::trace(LOW, [orphan.clone(), Span::named("root")]), testing::trace(HIGH, [orphan])]);
    assert_eq!(decided.decisions().collect::<Vec<_>>(), [Decision::Keep, Decision::Abstain]);
}

#[test]
fn every_decision_does_what_the_contract_says() {
    sampler!(All { why: Reason }, |plan| (plan.reason("why"),), |this, traces, decisions| {
        let list = [
            Decision::Keep,
            Decision::Drop,
            Decision::Sample(0.5),
            Decision::Sample(0.5),
            Decision::Proportional(0.5),
            Decision::Kept(None),
            Decision::Kept(Some(0.25)),
        ];
        for (trace, decision) in traces.iter().zip(list) {
            decisions.decide(&trace, decision, this.why);
        }
        decisions.wait(&traces.get(7), Duration::from_secs(2));
        decisions.keep(&traces.get(8), this.why);
        decisions.abstain(&traces.get(8));
    });
    let sampled = |id: &str| Span::named("a").trace(id).trace_state("ot=th:4");
    let ids = [HIGH, HIGH, HIGH, LOW, "000000000000000000ffffffffffffff", HIGH, "000000000000000000ffffffffffffff"];
    let spans = ids.into_iter().map(sampled).chain([sampled(LOW), sampled(LOW)]);
    let decided = testing::sampler::<All>("{}").decide(spans);
    let states: Vec<_> = (0..decided.len()).map(|index| decided.trace_state(index)).collect();
    let expected =
        [Some("ot=th:4"), None, Some("ot=th:8"), None, Some("ot=th:a"), Some(""), Some("ot=th:c"), None, None];
    assert_eq!(states, expected);
    assert_eq!((decided.decision(7), decided.reason(7)), (Decision::Wait(Duration::from_secs(2)), ""));
    assert_eq!((decided.decision(8), decided.reason(8)), (Decision::Abstain, ""));
}

#[test]
fn what_the_contract_refuses_is_refused() {
    sampler!(TooMuch { why: Reason }, |plan| (plan.reason("why"),), |this, traces, decisions| {
        for trace in traces {
            decisions.sample(&trace, 1.5, Sampling::Equalizing, this.why);
        }
    });
    sampler!(Fails {}, |_plan| (), |_this, traces, _decisions| {
        if !traces.is_empty() {
            return Err("no".into());
        }
    });
    sampler!(Misspelt { name: Column<Words> }, |plan| (plan.words("nmae"),), |this, traces, _decisions| {
        traces.read(this.name);
    });
    let problem = testing::sampler::<TooMuch>("{}").try_decide_in(0, [Span::named("a")]).expect_err("refused");
    assert!(problem.contains("not between 0 and 1"), "{problem}");
    let problem = testing::sampler::<Fails>("{}").try_decide_in(0, [Span::named("a")]).expect_err("refused");
    assert_eq!(problem, "no");
    assert_eq!(testing::refused_sampler::<Misspelt>("{}"), "`nmae` is no path");
    assert!(testing::refused_sampler::<Fails>(r#"{"a": 1}"#).contains("settings.a: unknown field"));
}

#[test]
fn instances_share_the_state_and_early_conditions_are_judged() {
    sampler!(
        Budget { why: Reason },
        |plan| {
            plan.early([when("status.code").equals(2), when("kind").equals(2)]);
            (plan.reason("within the budget"),)
        },
        |this, traces, decisions| {
            for trace in traces {
                if state::take("spans", 1, 1, 0.0, 3) == 1 {
                    decisions.kept(&trace, None, this.why);
                } else {
                    decisions.drop(&trace, this.why);
                }
            }
        }
    );
    let mut sampler = testing::sampler::<Budget>("{}");
    let other = sampler.add_instance().expect("the settings are the same");
    let spans = || [Span::named("a"), Span::named("b")];
    assert_eq!((sampler.decide(spans()).kept(), sampler.decide_in(other, spans()).kept()), (2, 1));
    let error = |kind| testing::trace(LOW, [Span::named("a"), Span::named("b").status(2, "").kind(kind)]);
    assert!(sampler.asks_early(&error(2)) && !sampler.asks_early(&error(3)));
}

#[test]
fn shared_values_stand_at_the_first_row_of_each_trace() {
    sampler!(
        Resources { all: Column<Entries> },
        |plan| (plan.entries("resource.attributes"),),
        |this, traces, _decisions| {
            let rows: Vec<u8> = traces.read(this.all).rows().iter().map(|&row| row as u8).collect();
            state::put("rows", &rows)?;
        }
    );
    let span = || Span::named("a").service("cart");
    let mut sampler = testing::sampler::<Resources>("{}");
    sampler.decide([testing::trace(LOW, [span(), span()]), testing::trace(HIGH, [span(), span()])]);
    assert_eq!(sampler.state("rows"), Some(vec![0, 2]));
}
