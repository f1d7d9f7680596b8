//! What `configure` may answer.

use otlp::condition::{Condition, Operator};
use otlp::edit::Constant;
use otlp::path::{Layout, Path, Want};
use pipeline::chain::plan::{Affinity, Failure, Plan};
use pipeline::chain::stage::Program;

use crate::setup::{Plugin, probe};

fn refused(verb: &str) -> String {
    Plugin::default().configure(probe(), verb).expect_err("no plan").to_string()
}

#[test]
fn a_whole_plan_comes_through() {
    let program = Plugin::default().configure(probe(), "whole-plan").expect("a program");
    let attribute = |key: &str| Path::Attribute(key.into());
    let expected = Plan {
        columns: vec![Want { path: Path::Name, layout: Layout::Words }],
        reads: vec![attribute("from")],
        writes: vec![attribute("probe")],
        may_drop: true,
        when: vec![vec![Condition {
            path: attribute("http.route"),
            operator: Operator::Prefix,
            values: vec![Constant::Text("/health".to_owned()), Constant::Text("/ready".to_owned())],
            negated: true,
        }]],
        affinity: Affinity::Trace,
        on_error: Failure::Reject,
        tables: Some(Vec::new()),
        sampler: None,
        options: vec![("later".to_owned(), "yes".to_owned())],
    };
    assert_eq!(*program.plan(), expected);
}

#[test]
fn an_unknown_path_is_answered_with_the_nearest() {
    let said = refused("unknown-path");
    assert!(
        said.starts_with("its plan cannot be followed: columns[0]: there is no path `attribute[\"http.route\"]`"),
        "{said}"
    );
    assert!(said.ends_with("the nearest is `attributes[\"http.route\"]`"), "{said}");
}

#[test]
fn a_layout_that_a_path_cannot_have_is_answered_with_those_it_can() {
    let said = refused("bad-layout");
    assert_eq!(
        said,
        "its plan cannot be followed: columns[0]: `duration` cannot be laid out as words, only as integers"
    );
}

#[test]
fn plans_that_cannot_be_followed_say_where() {
    for (verb, expected) in [
        ("twice", "columns[1]: `name` as text is columns[0] already"),
        ("read-only", "writes[1]: `trace_id` can be read, but not written"),
        ("many-columns", "columns has 2000 elements; the limit is 1024"),
    ] {
        assert_eq!(refused(verb), format!("its plan cannot be followed: {expected}"));
    }
    let said = refused("bad-regex");
    assert!(said.starts_with("its plan cannot be followed: when[0][0], on `") && said.contains("`GET (`"), "{said}");
}

#[test]
fn a_refusal_is_the_plugins_own_words() {
    assert_eq!(refused("refuse"), "settings.keys[2]: `enduser` is no key");
}

#[test]
fn an_instance_that_plans_otherwise_is_not_used() {
    let program = Plugin::default().configure(probe(), "fickle").expect("a program");
    let fault = program.instantiate().err().expect("another plan");
    assert_eq!(fault.to_string(), "instantiate: configure answered another plan than before to the same settings");
}
