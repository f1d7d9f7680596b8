//! What the buffer does with its memory where nobody presses it.

use super::rig::{Rig, SECOND, Sent};
use super::samplers::{always, native, rig};
use crate::tail::TailConfig;
use crate::tail::config::Remember;

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
