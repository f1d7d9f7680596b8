//! What a test's own clients have sent, to be compared with what the proxy says it has received: it cannot lose spans
//! before it counts them.

use crate::accounts::Door;
use crate::client::Answer;
use anyhow::{Result, ensure};
use parking_lot::Mutex;
use std::sync::Arc;

/// Spans that were sent to one proxy. Clones count into the same.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Sums>>);

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// In requests that were accepted, whole or in part.
    accepted: u64,
    /// Those of them that the answers rejected.
    rejected: u64,
    /// In requests that were refused: at the door, before anything was counted, or by the chain, after it.
    refused: u64,
    /// In requests that have had no answer, or none yet.
    open: u64,
}

/// One request. Unless it is answered its spans stay open: nobody knows what became of them.
#[derive(Debug)]
#[must_use]
pub struct Entry {
    ledger: Ledger,
    spans: u64,
}

impl Ledger {
    /// Notes a request before it is sent.
    pub fn open(&self, spans: u64) -> Entry {
        self.0.lock().open += spans;
        Entry { ledger: self.clone(), spans }
    }

    /// Notes spans that somebody else has sent and the proxy has accepted.
    pub fn accepted(&self, spans: u64) {
        self.0.lock().accepted += spans;
    }

    /// Whether the proxy has counted what was sent.
    pub fn check(&self, door: Door) -> Result<()> {
        let Sums { accepted, rejected, refused, open } = *self.0.lock();
        let unsure = refused + open;
        let known = || format!("accepted {accepted}, {rejected} of them rejected; refused {refused}; no answer {open}");
        let within = |counted: u64, least: u64| (least..=least + unsure).contains(&counted);
        ensure!(within(door.received, accepted), "received {} spans, but clients know: {}", door.received, known());
        ensure!(within(door.refused, rejected), "refused {} spans, but clients know: {}", door.refused, known());
        Ok(())
    }
}

impl Entry {
    /// Notes what the request was answered.
    pub fn answered(self, answer: &Answer) {
        let mut sums = self.ledger.0.lock();
        sums.open -= self.spans;
        match answer {
            Answer::Accepted { rejected, .. } => {
                sums.accepted += self.spans;
                sums.rejected += rejected.unsigned_abs();
            }
            Answer::Refused(_) => sums.refused += self.spans,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Spans that the proxy did not count, or counted twice, are found.

    use super::*;
    use crate::client::Refusal;

    fn door(received: u64, refused: u64) -> Door {
        Door { received, refused, admitted: received - refused, ..Door::default() }
    }

    fn accepted(rejected: i64) -> Answer {
        Answer::Accepted { rejected, message: String::new() }
    }

    #[test]
    fn what_was_accepted_is_received_no_more_and_no_less() {
        let ledger = Ledger::default();
        ledger.open(10).answered(&accepted(2));
        ledger.accepted(5);
        ledger.check(door(15, 2)).unwrap();
        for wrong in [door(0, 0), door(14, 2), door(16, 2), door(15, 0), door(15, 3)] {
            assert!(ledger.check(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_was_refused_or_not_answered_may_have_been_counted() {
        let ledger = Ledger::default();
        ledger.open(10).answered(&accepted(0));
        let refusal = Refusal { http: 503, code: 14, message: String::new(), delay: None };
        ledger.open(3).answered(&Answer::Refused(refusal));
        drop(ledger.open(4));
        for fine in [door(10, 0), door(13, 3), door(17, 7)] {
            ledger.check(fine).unwrap();
        }
        for wrong in [door(9, 0), door(18, 7), door(17, 8)] {
            assert!(ledger.check(wrong).is_err(), "{wrong:?}");
        }
    }
}
