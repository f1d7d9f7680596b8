//! Spans whose sender has been told that they are another's to decide; and such as are lost here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::rig::{Native, Rig, SECOND, Sent};
use super::samplers::{always, numbers, plan};
use crate::chain::sampler::Show;
use crate::custody::{Custody, Fate, Gone};
use crate::tail::config::{DiskConfig, Remember};
use crate::tail::verdict::BUFFER;
use crate::tail::{Origin, TailConfig};

fn rig(action: u8, config: TailConfig) -> Rig {
    let rig = Rig::new(2, config);
    let native = Native::new(plan(Show::NoSpans, Vec::new()), Vec::new(), always(action, 0.0, "all"));
    rig.chains.publish([rig.stage("all", native)]);
    rig
}

fn origin(gone: &Gone) -> Origin {
    Custody::until_gone(Arc::clone(gone), |_| ())
}

#[test]
fn what_is_anothers_to_decide_leaves_undecided_and_may_come_again() {
    for action in [1, 2] {
        let mut rig = rig(action, TailConfig::default());
        let (gone, stays) = (Gone::default(), Gone::default());
        rig.send_for("", &[Sent::new(1, 10), Sent::new(2, 20)], Some(&origin(&gone))).unwrap();
        let fates = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&fates);
        let hears = Custody::until_gone(Arc::clone(&gone), move |fate| told.lock().push(fate));
        rig.send_for("", &[Sent::new(1, 11)], Some(&hears)).unwrap();
        drop(hears);
        rig.send_for("", &[Sent::new(2, 21), Sent::new(3, 30)], Some(&origin(&stays))).unwrap();
        gone.store(true, Ordering::Relaxed);
        // At once, long before they are due.
        rig.after(0);
        assert_eq!(rig.dropped(BUFFER, "handed_over"), 2, "of the trace that has nothing else");
        assert_eq!((rig.metrics.held.get(), &fates.lock()[..]), (3, &[Fate::Failed][..]));
        // Its partition comes back: nothing of it is there twice, or decided.
        rig.send_for("", &[Sent::new(1, 10), Sent::new(1, 11)], Some(&origin(&stays))).unwrap();
        rig.after(6 * SECOND);
        assert_eq!(numbers(&mut rig), if action == 1 { vec![10, 11, 20, 21, 30] } else { vec![] });
        assert_eq!(rig.dropped("all", "all"), if action == 1 { 0 } else { 5 });
        // What comes behind it under the same is another's too.
        rig.send_for("", &[Sent::new(4, 40)], Some(&origin(&gone))).unwrap();
        rig.after(0);
        assert_eq!((rig.dropped(BUFFER, "handed_over"), rig.metrics.held.get()), (3, 0));
    }
}

#[tokio::test]
async fn at_the_end_what_is_anothers_is_not_decided_either() {
    let mut rig = rig(1, TailConfig::default());
    let gone = Gone::default();
    rig.send_for("", &[Sent::new(1, 10)], Some(&origin(&gone))).unwrap();
    rig.send(&[Sent::new(2, 20)]).unwrap();
    gone.store(true, Ordering::Relaxed);
    assert_eq!(rig.drain().await, 0);
    assert_eq!((numbers(&mut rig), rig.dropped(BUFFER, "handed_over")), (vec![20], 1));
}

#[test]
fn what_a_spill_does_not_give_back_is_not_settled() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskConfig { folder: folder.path().to_owned(), max_bytes: 1 << 30, is_durable: false };
    let remember = Remember { kept: 1000, dropped: 1000 };
    let mut rig = rig(1, TailConfig { max_bytes: 16 << 20, disk: Some(disk), remember, ..TailConfig::default() });
    let fates = Arc::new(Mutex::new(Vec::new()));
    for trace in 0..200 {
        let told = Arc::clone(&fates);
        let origin = Custody::new(move |fate| told.lock().push(fate));
        let spans: Vec<_> = (0..40).map(|number| Sent { size: 1500, ..Sent::new(trace, number) }).collect();
        rig.send_for("", &spans, Some(&origin)).unwrap();
        rig.after(0);
    }
    assert!(rig.metrics.spilled.get() > 0);
    for cell in &rig.inner().cells {
        cell.spill.as_ref().unwrap().spoil();
    }
    rig.after(6 * SECOND);
    rig.after(0);
    rig.outlet.parcels.lock().clear();
    assert!(rig.dropped(BUFFER, "spill_unreadable") > 0);
    let fates = fates.lock();
    assert_eq!(fates.len(), 200);
    assert!(fates.contains(&Fate::Failed));
}
