//! What the buffer does with its memory, and what it holds in it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::rig::{Rig, SECOND, Sent, id};
use super::samplers::{always, native, rig};
use crate::tail::TailConfig;
use crate::tail::config::Remember;
use crate::tail::metrics::{DROP, KEEP};

const FEW: Remember = Remember { kept: 1000, dropped: 1000 };

#[test]
fn what_it_can_never_hold_is_too_large_and_not_to_be_sent_again() {
    let mut rig = rig(Vec::new(), TailConfig { max_bytes: 16 << 20, remember: FEW, ..TailConfig::default() });
    let large = Sent { size: 20 << 20, ..Sent::new(1, 0) };
    let refusal = rig.send(&[large]).unwrap_err();
    assert!(
        !refusal.is_retryable() && refusal.message.contains("the trace buffer, which is not so large"),
        "{refusal}"
    );
    rig.send(&[Sent { size: 4 << 20, ..Sent::new(1, 0) }]).unwrap();
}

#[test]
fn its_memory_never_becomes_less_than_what_it_takes_anyway() {
    let config = TailConfig { max_bytes: 128 << 20, ..TailConfig::default() };
    let mut rig = rig(Vec::new(), config.clone());
    rig.tail.reconfigure(TailConfig { max_bytes: 1 << 20, ..config.clone() });
    rig.send(&[Sent::new(1, 0)]).unwrap();
    let too_little = TailConfig { max_bytes: 1 << 20, remember: Remember { kept: 1, dropped: 1_000_000 }, ..config };
    let error = Rig::try_new(2, too_little).err().expect("it cannot hold a span").to_string();
    assert!(error.contains("`tail.memory`") && error.contains("give it at least"), "{error}");
}

#[test]
fn a_very_large_trace_that_is_dropped_is_let_go_of_in_pieces() {
    let mut rig = rig(vec![("drops", native(always(2, 0.0, "not wanted")))], TailConfig::default());
    let spans: Vec<Sent> = (0..20_000).map(|number| Sent::new(1, number)).collect();
    rig.send(&spans).unwrap();
    rig.send(&[Sent::new(2, 0)]).unwrap();
    rig.after(6 * SECOND);
    assert_eq!((rig.dropped("drops", "not wanted"), rig.metrics.held.get()), (20_001, 0));
    let held: usize = rig.inner().cells.iter().map(|cell| cell.shard.lock().spans.records()).sum();
    assert_eq!(held, 0);
}

#[test]
fn of_what_waits_the_heaviest_is_the_largest_by_how_long_it_has_waited() {
    let mut rig = Rig::new(1, TailConfig::default());
    let began = rig.now.load(Ordering::SeqCst);
    // By size they are in another order, and by age too.
    for (trace, size, at) in [(4, 100, 0), (2, 3000, 2), (1, 8000, 10), (3, 20_000, 11)] {
        rig.now.store(began + at * SECOND, Ordering::SeqCst);
        rig.send(&[Sent { size, ..Sent::new(trace, 1) }]).unwrap();
    }
    let inner = Arc::clone(rig.inner());
    let heaviest = |bytes| {
        let mut found = Vec::new();
        inner.cells[0].shard.lock().heaviest(began + 12 * SECOND, bytes, &mut found);
        found.iter().map(|candidate| candidate.key.id.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(heaviest(20_000), [id(2), id(3)], "no more than it takes");
    assert_eq!(heaviest(usize::MAX), [id(1), id(4)]);
}

#[test]
fn decisions_that_are_no_longer_known_are_counted() {
    let config = TailConfig { remember: Remember { kept: 2, dropped: 100 }, ..TailConfig::default() };
    let forgotten = |rig: &Rig, label| rig.metrics.forgotten.get_or_create(&label).get();
    let mut rig = Rig::new(1, config.clone());
    let stage = rig.stage("keeps", native(always(1, 0.0, "wanted")));
    rig.chains.publish([stage]);
    for trace in 0..3 {
        rig.send(&[Sent::new(trace, 0)]).unwrap();
        rig.after(6 * SECOND);
    }
    assert_eq!((forgotten(&rig, KEEP), rig.left().len()), (1, 3));
    // Of the two that are known a late span leaves at once; the third one is a new trace.
    rig.send(&[Sent::new(0, 1), Sent::new(1, 1), Sent::new(2, 1)]).unwrap();
    rig.after(0);
    assert_eq!((rig.left().len(), rig.metrics.held.get()), (2, 1));

    let mut rig = Rig::new(1, config);
    let stage = rig.stage("drops", native(always(2, 0.0, "not wanted")));
    rig.chains.publish([stage]);
    for trace in 0..250 {
        rig.send(&[Sent::new(trace, 0)]).unwrap();
        rig.after(6 * SECOND);
    }
    assert_eq!(forgotten(&rig, DROP), 2, "a hundred at once");
    let late = rig.send(&(240..250).map(|trace| Sent::new(trace, 1)).collect::<Vec<_>>()).unwrap();
    assert_eq!((late.held, late.dropped), (0, 10));
    // One of them may be taken for another that is known.
    let late = rig.send(&(0..10).map(|trace| Sent::new(trace, 1)).collect::<Vec<_>>()).unwrap();
    assert!(late.held > 5, "{late:?}");
}
