//! What goes beyond the Collector: rates by key, targets, budgets, load, what is rare, linked traces.

use crate::common::{SECOND, id, ids, trace, with};
use tail_sample::TailSample;
use tracemill_sdk::prelude::*;
use tracemill_sdk::testing::{Gathered, Link};

/// Traces of one span for each service, as many as said, spread over the instances.
fn send(sampler: &mut testing::Sampler<TailSample>, instances: usize, services: &[(&str, u64)]) -> Vec<f64> {
    let share = |(service, count): &(&str, u64)| {
        let mut kept = 0;
        for instance in 0..instances {
            let ids = ids(*count).skip(instance).step_by(instances);
            kept += sampler.decide_in(instance, ids.map(|id| trace(id, 1, service))).kept();
        }
        kept as f64 / *count as f64
    };
    services.iter().map(share).collect()
}

#[test]
fn dynamic_rates_meet_their_goal_and_keep_what_is_rare() {
    for kind in ["dynamic", "ema_dynamic"] {
        let mut sampler = with(&format!(
            r#"{{"name": "a", "type": "{kind}", "{kind}": {{"goal_sample_rate": 10, "field_list": ["service.name"]}}}}"#
        ));
        let instances = 1 + sampler.add_instance().expect("the settings are the same");
        let services = [("frequent", 2000), ("usual", 300), ("rare", 10)];
        let first = send(&mut sampler, instances, &services);
        // A tenth, of so many that chance is no matter.
        let alike = first[..2].iter().all(|share| (0.05..0.2).contains(share));
        assert!(alike && first[2] < 0.5, "{kind}: all alike at first: {first:?}");
        for round in 1..4 {
            sampler.set_now(round * 30 * SECOND);
            sampler.decide_in(0, [trace(id(0.1), 1, "usual")]);
            sampler.set_now(round * 30 * SECOND + 2 * SECOND);
            let shares = send(&mut sampler, instances, &services);
            let kept = shares[0] * 2000.0 + shares[1] * 300.0 + shares[2] * 10.0;
            assert!((195.0..270.0).contains(&kept), "{kind}: {kept} of 2310, a tenth is wanted");
            assert!(shares[2] > 0.99 && shares[1] > 2.0 * shares[0], "{kind}: {shares:?}");
        }
    }
}

#[test]
fn what_is_kept_for_certain_is_no_part_of_a_goal() {
    let mut sampler = with(
        r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
           {"name": "rest", "type": "throughput", "throughput": {"goal_throughput_per_sec": 10}}"#,
    );
    let error = |id| testing::trace(id, [Span::named("a").status(2, "")]);
    let both = || ids(1000).map(error).chain(ids(1000).map(|id| trace(id, 1, "a")));
    for second in 0..20 {
        sampler.set_now(second * SECOND);
        let decided = sampler.decide(both());
        assert!((0..1000).all(|index| decided.decision(index) == Decision::Keep));
        if second > 2 {
            let kept = decided.kept() - 1000;
            assert!((5..16).contains(&kept), "{kept} in second {second}, ten are wanted");
            assert!(matches!(decided.decision(1500), Decision::Sample(share) if (share - 0.01).abs() < 0.001));
        }
    }
}

#[test]
fn a_share_is_of_what_arrives() {
    let mut sampler = with(
        r#"{"name": "a", "type": "throughput", "throughput": {"goal_throughput_per_sec": 50, "adjustment_interval": "1s"}}"#,
    );
    let halved = |id: String| testing::trace(id, [Span::named("a").trace_state("ot=th:8")]);
    for second in 0..4 {
        sampler.set_now(second * SECOND);
        // Ids of the upper half alone, as a sampler before this one has left them.
        let decided = sampler.decide((0..100).map(|index| halved(id(0.5 + f64::from(index) / 200.0))));
        if second > 0 {
            assert!(matches!(decided.decision(0), Decision::Sample(share) if (share - 0.25).abs() < 0.01));
            assert!((48..=52).contains(&decided.kept()), "{}", decided.kept());
        }
    }
}

#[test]
fn a_state_that_is_full_opens_no_budget() {
    let mut sampler = with(
        r#"{"name": "a", "type": "throughput", "throughput": {"goal_throughput_per_sec": 100, "adjustment_interval": "1s"}}"#,
    );
    for second in 0..40 {
        sampler.set_now(second * SECOND);
        sampler.fill_state((3..20).contains(&second));
        let kept = sampler.decide(ids(1000).map(|id| trace(id, 1, "a"))).kept();
        assert!(second == 0 || (90..110).contains(&kept), "{kept} in second {second}, 100 are wanted");
    }
}

#[test]
fn budgets_are_shared_at_each_level() {
    let mut sampler = with(
        r#"{"name": "a", "type": "budget", "budget": {"per_second": 100, "adjustment_interval": "1s", "weight": 1,
            "by": ["tenant", "service.name"]}}"#,
    );
    let of = |tenant: &'static str, service: &'static str, count: u64| {
        ids(count).map(move |id| testing::trace(id, [Span::named("a").attribute("tenant", tenant).service(service)]))
    };
    // One tenant floods with one service and has a modest one; the other asks for little.
    let all = || of("loud", "flood", 2000).chain(of("loud", "modest", 20)).chain(of("quiet", "shop", 30));
    for second in 0..5 {
        sampler.set_now(second * SECOND);
        let decided = sampler.decide(all());
        let kept = |from: usize, to: usize| (from..to).filter(|&index| decided.is_kept(index)).count();
        if second > 0 {
            assert_eq!((kept(2000, 2020), kept(2020, 2050)), (20, 30), "second {second}");
            assert!((40..61).contains(&kept(0, 2000)), "{} of 50", kept(0, 2000));
            assert_eq!(decided.decision(0), Decision::Sample(0.025));
        }
    }
}

#[test]
fn a_budget_is_shared_by_who_began_the_trace_unless_told_otherwise() {
    let mut sampler = with(
        r#"{"name": "a", "type": "budget", "budget": {"per_second": 200, "adjustment_interval": "1s", "weight": 1}}"#,
    );
    // A trace of two spans: the root's, and one of whichever service it has called.
    let of = |service: &'static str, route: &'static str, count: u64| {
        ids(count).enumerate().map(move |(number, id)| {
            let root = Span { span_id: "00000000000000aa".into(), ..Span::named("a").service(service) };
            let called =
                Span::named("b").service(&format!("called {}", number % 50)).attribute("http.route", "/called");
            let called = Span { parent_span_id: "00000000000000aa".into(), ..called };
            testing::trace(id, [called, root.attribute("http.route", route)])
        })
    };
    let all = || of("flood", "/", 2000).chain(of("shop", "/cart", 500)).chain(of("shop", "/pay", 20));
    for second in 0..5 {
        sampler.set_now(second * SECOND);
        let decided = sampler.decide(all());
        if second > 0 {
            // 200 spans a second are 100 traces: half of them the flood's, and of the shop's half all of the payments.
            let shares = [Decision::Sample(0.025), Decision::Sample(0.06), Decision::Keep];
            assert_eq!([0, 2000, 2500].map(|index| decided.decision(index)), shares, "second {second}");
        }
    }
}

#[test]
fn a_budget_in_bytes_is_shared_by_what_traces_weigh() {
    let mut sampler = with(
        r#"{"name": "a", "type": "budget", "budget": {"per_second": 100000, "unit": "bytes", "adjustment_interval": "1s", "weight": 1,
            "by": ["tenant", "service.name"]}}"#,
    );
    // Traces of two sizes in turn, a span each.
    let of = |tenant: &'static str, service: &'static str, count: u64, sizes: [u64; 2]| {
        ids(count).zip(sizes.into_iter().cycle()).map(move |(id, size)| {
            testing::trace(id, [Span::named("a").attribute("tenant", tenant).service(service)]).size(size)
        })
    };
    // By number the shop has the most of them, by weight next to nothing; in spans all of it is far within the budget.
    let heavy = || of("loud", "heavy", 1000, [500, 3500]);
    let all = || heavy().chain(of("loud", "light", 350, [40, 80])).chain(of("quiet", "shop", 3000, [5, 15]));
    for second in 0..5 {
        sampler.set_now(second * SECOND);
        let decided = sampler.decide(all());
        if second > 0 {
            // Of 100,000 bytes the shop takes 30,000 and the light ones 21,000: 49,000 of 2,000,000 are left for the heavy ones.
            let shares = [Decision::Sample(0.0245), Decision::Keep, Decision::Keep];
            assert_eq!([0, 1000, 1350].map(|index| decided.decision(index)), shares, "second {second}");
            let kept: u64 = (0..1000).filter(|&index| decided.is_kept(index)).map(|index| [500, 3500][index % 2]).sum();
            assert!((39_000..59_001).contains(&kept), "{kept} bytes of 49,000");
        }
    }
}

#[test]
fn above_a_load_everything_is_thinned() {
    let mut sampler = with(
        r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
           {"name": "stress", "type": "stress_relief", "stress_relief": {"per_second": 100}}"#,
    );
    let error = |id| testing::trace(id, [Span::named("a").status(2, "")]);
    for (second, load, expected) in
        [(0, 50, None), (1, 400, None), (2, 400, Some(0.25)), (3, 50, Some(0.25)), (4, 50, None)]
    {
        sampler.set_now(second * SECOND);
        let decided = sampler.decide(ids(load).map(error));
        let decision = expected.map_or(Decision::Keep, Decision::Sample);
        assert_eq!(decided.decision(0), decision, "second {second}");
    }
}

#[test]
fn what_is_decided_at_once_counts_as_much_as_traces_do() {
    let mut sampler = with(
        r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
           {"name": "stress", "type": "stress_relief", "stress_relief": {"per_second": 100}}"#,
    );
    // A storm: of each trace the first span has failed, and 19 are still to come.
    let storm = || ids(90).map(|id| testing::trace(id, [Span::named("a").status(2, "")]).due(Due::Early));
    for second in 0..60 {
        sampler.set_now(second * SECOND);
        let decided = sampler.decide(storm().chain(ids(10).map(|id| trace(id, 20, "a"))));
        if second == 59 {
            let Decision::Sample(share) = decided.decision(0) else { panic!("{:?}", decided.decision(0)) };
            assert!((0.045..0.055).contains(&share), "{share} of 2,000 spans a second, a twentieth is wanted");
        }
    }
}

#[test]
fn the_first_of_each_key_are_kept() {
    let mut sampler = with(
        r#"{"name": "new", "type": "rare", "rare": {"field_list": ["service.name", "http.route"], "first": 2, "interval": "10s"}},
           {"name": "share", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}"#,
    );
    let other = sampler.add_instance().expect("the settings are the same");
    let of = |service: &str, route: &str| {
        testing::trace(id(0.1), [Span::named("a").service(service).attribute("http.route", route)])
    };
    let mut kept = |instance, service, route| {
        let decided = sampler.decide_in(instance, [of(service, route)]);
        (decided.is_kept(0), decided.reason(0).to_owned())
    };
    assert_eq!(kept(0, "cart", "/a"), (true, "new".to_owned()));
    assert_eq!(kept(other, "cart", "/a"), (true, "new".to_owned()));
    assert_eq!(kept(0, "cart", "/a"), (false, "share".to_owned()));
    assert!(kept(other, "cart", "/b").0 && kept(0, "shop", "/a").0, "other keys have their own");
    sampler.set_now(5 * SECOND);
    let decided = sampler.decide([of("cart", "/a"), of("cart", "/a")]);
    assert_eq!((decided.decision(0), decided.decision(1)), (Decision::Kept(None), Decision::Sample(0.5)));
}

#[test]
fn linked_traces_are_kept_together() {
    let mut sampler = with(
        r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
           {"name": "linked", "type": "linked"}"#,
    );
    let other = sampler.add_instance().expect("the settings are the same");
    let linking = |id: &str, to: &[&str], code| {
        let mut span = Span::named("a").status(code, "");
        span.links = to.iter().map(|id| Link { trace_id: (*id).to_owned(), ..Link::default() }).collect();
        testing::trace(id, [Span::named("a"), span])
    };
    let name = |number: u8| format!("000000000000000000000000000000{number:02x}");
    let [producer, consumer, third, batch, late, stranger] = [1, 2, 3, 4, 5, 6].map(name);
    let mut decide = |instance, trace: Gathered| {
        let decided = sampler.decide_in(instance, [trace]);
        (decided.decision(0), decided.reason(0).to_owned())
    };
    let kept = || (Decision::Kept(None), "linked".to_owned());
    assert_eq!(decide(0, linking(&producer, &[], 2)).0, Decision::Keep);
    assert_eq!(decide(other, linking(&consumer, &[&producer], 0)), kept(), "it links to one that was kept");
    assert_eq!(decide(0, linking(&third, &[&consumer], 0)).0, Decision::Drop, "kept for another's sake brings nobody");
    assert_eq!(decide(0, linking(&batch, &[&third, &late], 2)).0, Decision::Keep);
    assert_eq!(decide(other, linking(&late, &[], 0)), kept(), "one that was kept links to it");
    assert_eq!(decide(0, linking(&stranger, &[], 0)).0, Decision::Drop);
}

#[test]
fn what_is_linked_to_often_takes_the_place_of_one() {
    let mut sampler = with(
        r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
           {"name": "linked", "type": "linked", "linked": {"remember": 65536}}"#,
    );
    let link = Link { trace_id: "00000000000000000000000000000010".to_owned(), ..Link::default() };
    let failed = Span { links: vec![link; 50], ..Span::named("a").status(2, "") };
    sampler.decide([testing::trace(id(0.25), [failed.clone()]), testing::trace(id(0.5), [failed])]);
    // The link and both traces, whose ids end alike.
    assert_eq!(sampler.state("linked/0").map(|ids| ids.len()), Some(3 * 16));
}

#[test]
fn a_root_field_looks_at_the_root_alone() {
    let mut sampler =
        with(r#"{"name": "new", "type": "rare", "rare": {"field_list": ["root.name"], "interval": "1h"}}"#);
    let child = |name: &str| Span { parent_span_id: "00000000000000ff".to_owned(), ..Span::named(name) };
    let decided = sampler.decide([
        testing::trace(id(0.1), [child("x"), Span::named("GET /")]),
        testing::trace(id(0.1), [child("y"), Span::named("GET /")]),
        testing::trace(id(0.1), [child("x"), Span::named("PUT /")]),
        testing::trace(id(0.1), [child("x")]),
    ]);
    assert_eq!([0, 1, 2, 3].map(|index| decided.is_kept(index)), [true, false, true, true]);
}

#[test]
fn linked_traces_are_thinned_with_the_rest_above_a_load() {
    let mut sampler = with(
        r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
           {"name": "linked", "type": "linked"},
           {"name": "stress", "type": "stress_relief", "stress_relief": {"per_second": 1}}"#,
    );
    let link = Link { trace_id: id(0.9), ..Link::default() };
    let linking = |share: f64| testing::trace(id(share), [Span { links: vec![link.clone()], ..Span::named("a") }]);
    let error = || testing::trace(id(0.9), [Span::named("a").status(2, "")]);
    sampler.decide([error(), error()]);
    sampler.set_now(SECOND);
    let decided = sampler.decide([linking(0.4), linking(0.6)]);
    assert_eq!([decided.decision(0), decided.decision(1)], [Decision::Drop, Decision::Kept(None)], "a half is spared");
}
