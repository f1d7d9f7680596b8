//! What a folder keeps over an end, planned or not: spans that were acknowledged and what was decided.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::rig::{Native, Rig, SECOND, Sent};
use super::samplers::{by, plan};
use crate::chain::sampler::Show;
use crate::tail::TailConfig;
use crate::tail::config::DiskConfig;

fn config(folder: &Path, is_durable: bool) -> TailConfig {
    let disk = DiskConfig { folder: folder.to_owned(), max_bytes: 64 << 20, is_durable };
    TailConfig { disk: Some(disk), ..TailConfig::default() }
}

/// Keeps errors by a coin that it has thrown itself, and drops the rest.
fn rig(config: TailConfig) -> Rig {
    let rig = Rig::new(2, config);
    let errors = by(|traces, at| if traces.errors[at] > 0 { (5, 0.0) } else { (2, 0.0) }, "errors");
    let stage = rig.stage("errors", Native::new(plan(Show::NoSpans, Vec::new()), Vec::new(), errors));
    rig.chains.publish([stage]);
    rig
}

fn error(trace: u64, number: u64) -> Sent {
    Sent { is_error: true, state: "ot=th:8;rv:ffffffffffffff".into(), ..Sent::new(trace, number) }
}

fn left(rig: &mut Rig) -> Vec<(u64, String)> {
    let mut all: Vec<_> = rig.left().into_iter().map(|left| (left.number, left.state)).collect();
    all.sort();
    all
}

const ERASED: &str = "ot=rv:ffffffffffffff";

#[test]
fn what_was_acknowledged_is_there_after_an_end_and_is_decided_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = rig(config(folder.path(), true));
    first.send_safely(&[error(1, 0), Sent::new(2, 10)]).unwrap();
    first.after(SECOND);
    first.send_safely(&[error(1, 1)]).unwrap();
    assert_eq!(first.metrics.held.get(), 3);
    drop(first);
    let mut second = rig(config(folder.path(), true));
    second.after(0);
    assert_eq!((second.metrics.held.get(), second.metrics.replayed.get()), (3, 3));
    second.send_safely(&[Sent::new(1, 2)]).unwrap();
    second.after(6 * SECOND);
    let both = |number| (number, ERASED.to_owned());
    assert_eq!(left(&mut second), [both(0), both(1), (2, String::new())]);
    assert_eq!((second.dropped("errors", "errors"), second.metrics.held.get()), (1, 0));
    drop(second);
    // Nothing is left of what is settled.
    let mut third = rig(config(folder.path(), true));
    third.after(0);
    assert_eq!((third.metrics.held.get(), third.metrics.replayed.get()), (0, 0));
}

#[test]
fn decisions_are_known_after_a_restart() {
    for is_durable in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = rig(config(folder.path(), is_durable));
        let spans: Vec<Sent> =
            (0..100).map(|trace| if trace < 50 { error(trace, 0) } else { Sent::new(trace, 0) }).collect();
        first.send(&spans).unwrap();
        first.after(6 * SECOND);
        assert_eq!(left(&mut first).len(), 50);
        drop(first);
        let mut second = rig(config(folder.path(), is_durable));
        // Without them the first would be dropped, and the second kept.
        let late = second.send(&(0..50).map(|trace| Sent::new(trace, 1)).collect::<Vec<_>>()).unwrap();
        assert_eq!((late.held, late.dropped), (50, 0));
        let late = second.send(&(50..100).map(|trace| error(trace, 1)).collect::<Vec<_>>()).unwrap();
        assert_eq!((late.held, late.dropped), (0, 50));
        second.after(0);
        assert_eq!(left(&mut second).len(), 50);
    }
}

#[test]
fn of_a_batch_that_was_decided_in_part_the_rest_comes_back_and_what_was_decided_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = rig(config(folder.path(), true));
    let waits = |trace, number| Sent { is_root: false, ..error(trace, number) };
    first.send_safely(&[error(1, 0), Sent { is_root: true, ..Sent::new(2, 1) }, waits(3, 2)]).unwrap();
    // Those that have their root are decided, the third is not.
    first.after(SECOND * 5 / 2);
    assert_eq!(left(&mut first), [(0, ERASED.to_owned())]);
    assert_eq!(first.dropped("errors", "errors"), 1);
    drop(first);
    let mut second = rig(config(folder.path(), true));
    second.after(0);
    assert_eq!(second.metrics.replayed.get(), 3);
    // Its record was not done with: it is delivered again, and what was dropped is dropped again.
    assert_eq!(left(&mut second), [(0, ERASED.to_owned())]);
    assert_eq!(second.dropped("tail", "late"), 1);
    second.after(6 * SECOND);
    assert_eq!(left(&mut second), [(2, ERASED.to_owned())]);
    assert_eq!(second.metrics.held.get(), 0);
}

#[test]
fn what_waits_for_a_full_queue_is_still_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = rig(config(folder.path(), true));
    first.outlet.full.store(true, Ordering::SeqCst);
    first.send_safely(&[error(1, 7)]).unwrap();
    first.after(6 * SECOND);
    drop(first);
    let mut second = rig(config(folder.path(), true));
    second.after(0);
    assert_eq!(left(&mut second), [(7, ERASED.to_owned())], "it was decided, and leaves at once");
}

#[test]
fn a_folder_that_is_full_refuses_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskConfig { folder: folder.path().to_owned(), max_bytes: 1 << 20, is_durable: true };
    let mut rig = rig(TailConfig { disk: Some(disk), ..TailConfig::default() });
    let mut trace = 0;
    let mut batch = |rig: &mut Rig| {
        trace += 1;
        // Names that no codec makes small.
        let name = |number: u64| Sent {
            start: rand::random(),
            end: rand::random(),
            ..Sent::new(trace * 1000 + number, number)
        };
        rig.send_safely(&(0..500).map(name).collect::<Vec<_>>())
    };
    let refusal = (0..1000).find_map(|_| batch(&mut rig).err()).expect("it is full at some time");
    assert!(refusal.is_retryable() && refusal.message.contains("its folder is full"), "{refusal}");
    rig.after(6 * SECOND);
    assert_eq!(rig.metrics.held.get(), 0);
    // The space comes back when the writer has come to it.
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while rig.tail.is_full().is_some() {
        assert!(std::time::Instant::now() < until, "the space comes back");
        std::thread::yield_now();
    }
    batch(&mut rig).unwrap();
}

#[test]
fn a_folder_that_is_nearly_full_has_the_oldest_decided_however_well_they_pack() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskConfig { folder: folder.path().to_owned(), max_bytes: 1 << 20, is_durable: true };
    let never = std::time::Duration::from_hours(1);
    let waits = TailConfig { root_delay: never, idle: never, longest: never, ..TailConfig::default() };
    let mut rig = rig(TailConfig { disk: Some(disk), ..waits });
    let packs = format!("vendor={}", "0123456789".repeat(20));
    let (mut trace, mut disk) = (0, 0);
    // Until something is decided before its time. Up to then nothing goes from the disk.
    while rig.metrics.held.get() as u64 == trace * 100 {
        disk = rig.inner().durable.as_ref().unwrap().disk_bytes();
        trace += 1;
        let span = |number: u64| Sent { state: packs.clone(), ..Sent::new(trace * 1000 + number, number) };
        rig.send_safely(&(0..100).map(span).collect::<Vec<_>>()).unwrap();
        rig.after(SECOND / 1000);
    }
    assert!(disk > (1 << 20) / 100 * 85, "{disk} bytes were not nearly full");
    let before = trace * 100;
    // The space comes back when the writer has come to it.
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while rig.inner().durable.as_ref().unwrap().disk_bytes() > (1 << 20) / 100 * 80 {
        assert!(std::time::Instant::now() < until, "the space comes back");
        rig.after(0);
        std::thread::yield_now();
    }
    let (held, oldest) = (rig.metrics.held.get() as u64, before - rig.metrics.held.get() as u64);
    assert!(held > before / 2 && oldest > before / 10, "{held} of {before} wait");
}

#[tokio::test]
async fn at_the_end_what_is_on_the_disk_waits_there_undecided() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = rig(config(folder.path(), true));
    first.send_safely(&[error(1, 0)]).unwrap();
    let tail = first.tail.clone();
    let until = tokio::time::Instant::now() + std::time::Duration::from_mins(2);
    let drained = tokio::spawn(async move { tail.drain(until).await });
    while !first.inner().is_ending() {
        tokio::task::yield_now().await;
    }
    first.report();
    assert_eq!(drained.await.unwrap(), 0);
    assert!(left(&mut first).is_empty());
    assert_eq!((first.metrics.log.left.get(), first.metrics.held.get()), (1, 0));
    drop(first);
    let mut second = rig(config(folder.path(), true));
    second.after(0);
    assert_eq!(second.metrics.held.get(), 1);
}

#[test]
fn nothing_is_fetched_or_decided_before_the_samplers_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = rig(config(folder.path(), true));
    first.send_safely(&[error(1, 0)]).unwrap();
    drop(first);
    let mut second = rig(config(folder.path(), true));
    second.inner().is_open.store(false, Ordering::SeqCst);
    second.after(60 * SECOND);
    assert!(left(&mut second).is_empty());
    second.tail.open();
    second.after(0);
    second.after(6 * SECOND);
    assert_eq!(left(&mut second), [(0, ERASED.to_owned())]);
}

#[test]
fn a_log_that_is_larger_than_memory_comes_back_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let large = |config: TailConfig| TailConfig { max_bytes: 16 << 20, remember: SMALL, ..config };
    let disk = || large(config(folder.path(), true));
    // A run with more memory has taken them.
    let mut first = rig(config(folder.path(), true));
    let spans =
        |trace: u64| -> Vec<Sent> { (0..100).map(|number| Sent { size: 1000, ..error(trace, number) }).collect() };
    for trace in 0..400 {
        first.send_safely(&spans(trace)).unwrap();
    }
    assert!(first.metrics.bytes.get() > 32 << 20);
    drop(first);
    let mut second = rig(disk());
    for _ in 0..200 {
        second.after(SECOND);
        assert!(second.inner().budget().used() < 24 << 20, "{}", second.inner().budget().used());
    }
    assert_eq!((left(&mut second).len(), second.metrics.held.get()), (40_000, 0));
}

#[test]
fn nothing_is_decided_before_all_of_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = rig(config(folder.path(), true));
    first.send_safely(&[Sent::new(1, 0)]).unwrap();
    // So much lies between the spans of the first trace that it takes some turns.
    for number in 1..16 {
        first.send_safely(&[Sent { is_root: false, size: 1 << 20, ..Sent::new(2, number) }]).unwrap();
    }
    first.send_safely(&[error(1, 1)]).unwrap();
    drop(first);
    let mut second = rig(config(folder.path(), true));
    // Without them its root would have been decided long before.
    for _ in 0..4 {
        assert!(second.inner().restores());
        second.after(3 * SECOND);
    }
    second.after(6 * SECOND);
    assert_eq!(left(&mut second).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(second.dropped("tail", "late"), 0);
}

const SMALL: crate::tail::config::Remember = crate::tail::config::Remember { kept: 1000, dropped: 1000 };
