//! Rate limits and composites: budgets of the whole process, and what is known of the probability of what they keep.

use crate::common::{SECOND, id, settings, trace, with};
use tail_sample::TailSample;
use tracemill_sdk::prelude::*;

const LIMIT: &str = r#"{"name": "limit", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 10}}"#;
const SHARE: &str = r#"{"name": "share", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}"#;
const ERRORS: &str = r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}"#;

fn kept(sampler: &mut testing::Sampler<TailSample>, instance: usize, traces: usize, spans: usize) -> usize {
    sampler.decide_in(instance, (0..traces).map(|_| trace(id(0.4), spans, "a"))).kept()
}

#[test]
fn a_rate_holds_for_all_instances_together() {
    let mut sampler = with(LIMIT);
    let other = sampler.add_instance().expect("the settings are the same");
    assert_eq!((kept(&mut sampler, 0, 6, 2), kept(&mut sampler, other, 6, 2)), (6, 4), "the burst is twice the rate");
    assert_eq!(kept(&mut sampler, 0, 1, 1), 0);
    sampler.set_now(SECOND);
    assert_eq!((kept(&mut sampler, other, 3, 2), kept(&mut sampler, 0, 3, 2)), (3, 2));
    sampler.set_now(100 * SECOND);
    assert_eq!((kept(&mut sampler, 0, 1, 21), kept(&mut sampler, 0, 1, 20)), (0, 1), "what is larger never fits");
}

#[test]
fn bytes_are_limited_likewise() {
    let mut sampler = with(
        r#"{"name": "a", "type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": 1000, "burst_capacity": 1500}}"#,
    );
    let of_size = |size| trace(id(0.4), 1, "a").size(size);
    assert_eq!(sampler.decide([of_size(1000), of_size(1000), of_size(500)]).kept(), 2);
    assert_eq!(sampler.decide([of_size(1)]).kept(), 0);
}

#[test]
fn what_a_limit_chose_has_no_known_probability() {
    let mut sampler = with(&format!("{SHARE}, {LIMIT}, {ERRORS}"));
    let error = testing::trace(id(0.4), [Span::named("a").status(2, "")]);
    let decided = sampler.decide([trace(id(0.4), 10, "a"), trace(id(0.6), 1, "a"), error]);
    assert_eq!(
        decided.decisions().collect::<Vec<_>>(),
        [Decision::Kept(None), Decision::Sample(0.5), Decision::Keep],
        "the randomness of the first does not suffice for the share"
    );
    assert_eq!([0, 1, 2].map(|index| decided.reason(index)), ["limit", "share", "errors"]);
    // An explicit randomness is that of the trace.
    let explicit = Span::named("a").trace_state("ot=rv:ffffffffffffff");
    assert_eq!(sampler.decide([testing::trace(id(0.1), [explicit])]).decision(0), Decision::Sample(0.5));
}

#[test]
fn a_limit_within_and_is_taken_from_last() {
    let both = |first: &str, second: &str| {
        with(&format!(r#"{{"name": "a", "type": "and", "and": {{"and_sub_policy": [{first}, {second}]}}}}"#))
    };
    for mut sampler in [both(SHARE, LIMIT), both(LIMIT, SHARE)] {
        assert_eq!(kept(&mut sampler, 0, 100, 1), 0, "the randomness does not suffice");
        let high = |count: usize| (0..count).map(|_| trace(id(0.7), 1, "a"));
        let decided = sampler.decide(high(30));
        assert_eq!((decided.kept(), decided.decision(0)), (20, Decision::Kept(None)), "and nothing was taken before");
    }
}

#[test]
fn an_earlier_match_spares_the_limit_if_asked_to() {
    for (first_match, expected) in [("false", 0), ("true", 20)] {
        let json = settings(&format!("{ERRORS}, {LIMIT}")).replacen(
            '{',
            &format!(r#"{{"sample_on_first_match": {first_match}, "#),
            1,
        );
        let mut sampler = testing::sampler::<TailSample>(&json);
        sampler.decide((0..20).map(|_| testing::trace(id(0.4), [Span::named("a").status(2, "")])));
        assert_eq!(kept(&mut sampler, 0, 30, 1), expected, "{first_match}");
    }
}

#[test]
fn a_limit_can_spare_from_a_drop() {
    let policies = format!(
        r#"{{"name": "all", "type": "always_sample"}},
        {{"name": "excess", "type": "drop", "drop": {{"drop_sub_policy": [
            {{"name": "not", "type": "not", "not": {{"not_sub_policy": {LIMIT}}}}},
            {{"name": "probes", "type": "string_attribute", "string_attribute": {{"key": "service.name", "values": ["probe"]}}}}]}}}}"#
    );
    let mut sampler = with(&policies);
    let decided = sampler.decide((0..30).map(|_| trace(id(0.4), 1, "probe")));
    assert_eq!((decided.kept(), decided.decision(0), decided.decision(29)), (20, Decision::Kept(None), Decision::Drop));
    assert_eq!(sampler.decide([trace(id(0.4), 1, "cart")]).decision(0), Decision::Keep);
}

#[test]
fn what_is_dropped_anyway_takes_nothing_from_a_limit() {
    let drop = format!(r#"{{"name": "half", "type": "drop", "drop": {{"drop_sub_policy": [{SHARE}]}}}}"#);
    let rare = r#"{"name": "rare", "type": "rare", "rare": {"field_list": ["service.name"], "first": 20}}"#;
    for policy in [LIMIT, rare] {
        let mut sampler = with(&format!("{drop}, {policy}"));
        assert_eq!(kept(&mut sampler, 0, 100, 1), 0, "the randomness does not suffice for the half that is left");
        let decided = sampler.decide((0..30).map(|_| trace(id(0.7), 1, "a")));
        assert_eq!(decided.kept(), 20, "{policy}");
    }
}

#[test]
fn a_composite_shares_its_rate_out() {
    let service = |name: &str| {
        format!(
            r#"{{"name": "{name}", "type": "string_attribute", "string_attribute": {{"key": "service.name", "values": ["{name}"]}}}}"#
        )
    };
    let mut sampler = with(&format!(
        r#"{{"name": "composite", "type": "composite", "composite": {{
            "max_total_spans_per_second": 100,
            "policy_order": ["cart", "shop", "rest"],
            "composite_sub_policy": [{{"name": "rest", "type": "always_sample"}}, {}, {}],
            "rate_allocation": [{{"policy": "cart", "percent": 50}}, {{"policy": "shop", "percent": 25}}]}}}}"#,
        service("shop"),
        service("cart"),
    ));
    for (service, expected) in [("cart", 50), ("shop", 25), ("other", 25)] {
        let decided = sampler.decide((0..60).map(|_| trace(id(0.4), 1, service)));
        assert_eq!(decided.kept(), expected, "{service}");
        let part = if service == "other" { "rest" } else { service };
        assert_eq!(
            (decided.decision(0), decided.reason(0)),
            (Decision::Kept(None), format!("composite/{part}").as_str())
        );
        assert_eq!((decided.decision(59), decided.reason(59)), (Decision::Drop, "no policy keeps it"));
    }
    sampler.set_now(SECOND);
    assert_eq!(sampler.decide((0..60).map(|_| trace(id(0.4), 1, "cart"))).kept(), 50, "each second anew");
}
