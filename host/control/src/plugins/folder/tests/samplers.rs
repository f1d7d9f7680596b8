//! Samplers live in the folder as all plugins do, and are told from the others.

use super::trials::{SHADOW, of};
use super::*;
use crate::plugins::folder::command::Ask;
use crate::plugins::role::Sampler;

fn sampler() -> Sampler {
    Sampler { show: "roots".to_owned(), early: vec![Vec::new()] }
}

#[test]
fn the_status_tells_samplers_from_processors() {
    let setup = Setup::new(&[("10-a.wasm", "ok"), ("20-b.wasm", "ok samples"), ("30-c.wasm", "no")], &[]);
    let status = setup.until_chain(&["a", "b"]);
    let roles: Vec<_> = status.stages.iter().map(|stage| (stage.role.as_deref(), stage.sampler.clone())).collect();
    assert_eq!(roles, [(Some("processor"), None), (Some("sampler"), Some(sampler())), (None, None)]);
    // Another version may be the other: what counts is told.
    setup.put("20-b.wasm", "ok");
    setup.until("a processor", |status, _| status.stages[1].role.as_deref() == Some("processor"));
}

#[test]
fn a_sampler_is_tried_as_others_are() {
    let setup = Setup::new(&[("10-a.yaml", SHADOW), ("10-a.wasm", "ok samples 1")], &[]);
    let tried = setup.stage("a trial", |stage| stage.trial.is_some());
    assert_eq!((tried.role.as_deref(), tried.sampler), (Some("sampler"), Some(sampler())), "what is tried is one");
    assert_eq!(setup.runs(), (None, of("ok samples 1")));
    setup.ask(Ask::Promote, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok samples 1"), None));
    setup.put("10-a.yaml", "mode: canary\nshare: 50%");
    setup.put("10-a.wasm", "ok samples 2");
    let canary = setup.stage("a canary", |stage| stage.trial.as_ref().is_some_and(|trial| trial.mode == "canary"));
    assert_eq!(canary.trial.and_then(|trial| trial.share), Some(0.5));
    assert_eq!(setup.runs(), (of("ok samples 1"), of("ok samples 2")));
    setup.ask(Ask::Rollback, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok samples 1"), None));
}
