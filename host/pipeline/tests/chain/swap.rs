//! A new chain while a batch is in the old one: the batch stays in the old one to its end, and the old one ends with it.

use std::sync::Arc;

use futures_util::FutureExt;
use tracemill_pipeline::chain::plan::{Affinity, Failure};

use super::support::{ByName, Rig, Seen, request_of, spans_of};
use super::wait::block_until;

/// The names that a plugin was shown, over all calls.
fn shown(seen: &Seen) -> Vec<String> {
    seen.lock().iter().flat_map(|(_, names)| names.clone()).collect()
}

/// Which generation is noted on which span, in the order in which they left.
fn noted(rig: &Rig) -> Vec<(String, String)> {
    let parcels = rig.outlet.parcels.lock();
    let spans = parcels.iter().flat_map(|parcel| spans_of(&parcel.body));
    spans
        .map(|span| {
            (span.name, format!("{:?}", span.attributes[0].value.as_ref().expect("an attribute has a value").value))
        })
        .collect()
}

fn swapped_under_way(affinity: Affinity) {
    let rig = Arc::new(Rig::new(2));
    let program = || ByName::new(Failure::Pass, affinity);
    let (first, second, new) = (program(), program(), program());
    let (turn, seen_by_first) = (first.turn.clone(), first.seen.clone());
    let (seen_by_second, seen_by_new) = (second.seen.clone(), new.seen.clone());
    let old = vec![rig.stage("first", first), rig.stage("second", second)];
    let alive: Vec<_> = old.iter().map(Arc::downgrade).collect();
    let programs: Vec<_> = old.iter().map(|stage| Arc::downgrade(&stage.spec().program)).collect();
    rig.chains.publish(old);

    let held = turn.lock();
    let under_way = {
        let rig = rig.clone();
        std::thread::spawn(move || FutureExt::now_or_never(rig.send(request_of(&["under way"]))))
    };
    block_until("the batch to be in the first plugin", || !seen_by_first.lock().is_empty());
    rig.chains.publish(vec![rig.stage("new", new)]);
    rig.intake.sweep();
    let next = FutureExt::now_or_never(rig.send(request_of(&["next"])));
    assert!(next.expect("it waits for nobody").is_ok());
    assert_eq!(shown(&seen_by_new), ["next"], "the next batch takes the new chain");
    assert_eq!(shown(&seen_by_second), [""; 0]);
    assert!(alive.iter().all(|stage| stage.upgrade().is_some()), "what a batch goes through stays");

    drop(held);
    assert!(under_way.join().expect("it does not panic").expect("it runs where it arrives").is_ok());
    assert_eq!(shown(&seen_by_first), ["under way"]);
    assert_eq!(shown(&seen_by_second), ["under way"], "it goes on where it began");
    assert_eq!(shown(&seen_by_new), ["next"]);
    let expected = [("next", "Some(IntValue(2))"), ("under way", "Some(IntValue(1))")];
    assert_eq!(noted(&rig), expected.map(|(name, generation)| (name.to_owned(), generation.to_owned())));
    // Nothing comes after it, and it was the last of the old chain.
    assert!(alive.iter().all(|stage| stage.upgrade().is_none()), "a retired stage is still held");
    assert!(programs.iter().all(|program| program.upgrade().is_none()), "a retired plugin is still held");
}

#[test]
fn a_batch_under_way_finishes_on_the_chain_that_it_began_with_which_then_is_freed() {
    for affinity in [Affinity::Any, Affinity::Trace, Affinity::One] {
        swapped_under_way(affinity);
    }
}
