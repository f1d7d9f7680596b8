//! What is left to send of a batch, and what the failures of an attempt mean for it.
//!
//! Brokers bound the size of what arrives at once for a partition, which is messages that librdkafka has joined. So what they find too large is
//! sent again alone first; what is too large alone is taken apart, and an item that is too large alone is rejected. What is delivered is never sent
//! again for the sake of what is not.

use otlp::signal::Signal;
use otlp::wire::WireError;
use rdkafka::error::RDKafkaErrorCode;

use super::super::answer::Answer;
use super::super::queue::Batch;
use super::plan::Plan;

/// Kept from attempt to attempt.
#[derive(Debug)]
pub(in super::super) struct Unsent {
    signal: Signal,
    plan: Plan,
    left: Vec<usize>,
    rejected: u64,
    /// Why, last.
    why: String,
    /// Whether each message goes without company.
    is_alone: bool,
}

/// A message that was not delivered.
pub(in super::super) struct Failure {
    pub message: usize,
    pub code: RDKafkaErrorCode,
}

/// What comes after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Next {
    /// What is left goes at once, in less.
    Smaller,
    Answered(Answer),
}

impl Unsent {
    pub fn new(signal: Signal, batch: &Batch) -> Result<Self, WireError> {
        let plan = if signal == Signal::Traces {
            Plan::by_trace(batch.bodies().cloned().collect())?
        } else {
            Plan::whole(batch.parcels().collect())
        };
        Ok(Self::of(signal, plan))
    }

    fn of(signal: Signal, plan: Plan) -> Self {
        let left = (0..plan.len()).collect();
        Self { signal, plan, left, rejected: 0, why: String::new(), is_alone: false }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The messages that are still to be sent.
    pub fn left(&self) -> &[usize] {
        &self.left
    }

    /// Whether each of them is to be sent without company.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// How many items were delivered, and how many rejected.
    pub fn done_with(&self) -> (u64, u64) {
        let all: u64 = (0..self.plan.len()).map(|message| self.plan.items(message)).sum();
        let left: u64 = self.left.iter().map(|message| self.plan.items(*message)).sum();
        (all.saturating_sub(left + self.rejected), self.rejected)
    }

    /// What the failures of an attempt mean for the batch.
    pub fn judge(&mut self, failures: Vec<Failure>, last: Option<&str>) -> Next {
        let words = |code: RDKafkaErrorCode| match last {
            Some(last) => format!("{code} ({last})"),
            None => code.to_string(),
        };
        self.left.clear();
        let (mut passing, mut is_smaller) = (None, false);
        for Failure { message, code } in failures {
            if is_too_large(code) {
                is_smaller = true;
                self.take_apart(message, || words(code));
            } else if is_for_good(code) {
                self.reject(self.plan.items(message), words(code));
            } else {
                passing.get_or_insert_with(|| words(code));
                self.left.push(message);
            }
        }
        self.is_alone |= is_smaller;
        match passing {
            Some(reason) => Next::Answered(Answer::Retry { after: None, reason }),
            None if !self.left.is_empty() => Next::Smaller,
            None => {
                let (rejected, message) = (self.rejected, std::mem::take(&mut self.why));
                Next::Answered(Answer::Accepted { rejected, message })
            }
        }
    }

    /// A message is too large: in company if it had any, else in halves, else never.
    fn take_apart(&mut self, message: usize, why: impl FnOnce() -> String) {
        if !self.is_alone {
            self.left.push(message);
            return;
        }
        match self.plan.split(message, self.signal) {
            Some(parts) => self.left.extend(parts),
            None => self.reject(self.plan.items(message), why()),
        }
    }

    fn reject(&mut self, items: u64, why: String) {
        self.rejected += items;
        self.why = why;
    }
}

fn is_too_large(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::MessageSizeTooLarge)
}

/// What fails as often as it is tried. All else may be mended by whoever runs the brokers: a topic that is not there, rights that are missing.
fn is_for_good(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{InvalidArgument, InvalidRecord, InvalidTimestamp, PolicyViolation};
    matches!(code, InvalidArgument | InvalidRecord | InvalidTimestamp | PolicyViolation)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn unsent(messages: u32) -> Unsent {
        let plan = Plan::whole((0..messages).map(|_| (Bytes::from_static(b"x"), 10)).collect());
        Unsent::of(Signal::Logs, plan)
    }

    fn failed(failures: &[(usize, RDKafkaErrorCode)]) -> Vec<Failure> {
        failures.iter().map(|&(message, code)| Failure { message, code }).collect()
    }

    #[test]
    fn what_is_delivered_is_not_sent_again_and_what_is_refused_for_good_is_counted() {
        use RDKafkaErrorCode::{InvalidRecord, MessageTimedOut};
        let mut unsent = unsent(4);
        let next = unsent.judge(failed(&[(1, MessageTimedOut), (2, InvalidRecord)]), Some("broker down"));
        let Next::Answered(Answer::Retry { after: None, reason }) = next else { panic!("{next:?}") };
        assert!(reason.ends_with("(broker down)"), "{reason}");
        assert_eq!((&unsent.left[..], unsent.done_with()), (&[1][..], (20, 10)));
        let Next::Answered(Answer::Accepted { rejected, message }) = unsent.judge(Vec::new(), None) else { panic!() };
        assert_eq!(rejected, 10);
        assert!(message.contains("InvalidRecord"), "{message}");
    }

    /// A request of one resource with so many spans of one trace.
    fn trace(spans: u8) -> Bytes {
        let put = otlp::wire::put_bytes;
        let mut scope = Vec::new();
        for number in 0..spans {
            let mut span = Vec::new();
            put(&mut span, 1, &[7; 16]);
            put(&mut span, 2, &[number; 8]);
            put(&mut scope, 2, &span);
        }
        let (mut resource, mut request) = (Vec::new(), Vec::new());
        put(&mut resource, 2, &scope);
        put(&mut request, 1, &resource);
        request.into()
    }

    #[test]
    fn what_brokers_find_too_large_goes_alone_then_in_halves_and_is_rejected_when_nothing_is_left_to_take_apart() {
        const LARGE: RDKafkaErrorCode = RDKafkaErrorCode::MessageSizeTooLarge;
        let mut unsent = Unsent::of(Signal::Traces, Plan::by_trace(vec![trace(5)]).unwrap());
        let key = unsent.plan.key(0).map(str::to_owned);
        assert_eq!(unsent.judge(failed(&[(0, LARGE)]), None), Next::Smaller);
        assert_eq!((&unsent.left[..], unsent.is_alone), (&[0][..], true), "it may have had too much company");
        let mut attempts = 0;
        // The broker takes messages of one span, and the third of them never.
        let answer = loop {
            let is_third = |body: &Bytes| body.windows(8).any(|part| part == [2; 8]);
            let too_large = |message: &usize| unsent.plan.items(*message) > 1 || is_third(&unsent.plan.body(*message));
            let failures: Vec<_> =
                unsent.left.iter().copied().filter(too_large).map(|message| (message, LARGE)).collect();
            assert!(unsent.left.iter().all(|message| unsent.plan.key(*message) == key.as_deref()));
            match unsent.judge(failed(&failures), None) {
                Next::Answered(answer) => break answer,
                Next::Smaller => attempts += 1,
            }
            assert!(attempts < 10, "it ends");
        };
        let Answer::Accepted { rejected: 1, message } = answer else { panic!("{answer:?}") };
        assert!(!message.is_empty());
        assert_eq!(unsent.done_with(), (4, 1));
    }

    #[test]
    fn what_whoever_runs_the_brokers_can_mend_is_tried_again() {
        use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopicOrPartition};
        for code in [TopicAuthorizationFailed, UnknownTopicOrPartition] {
            let next = unsent(1).judge(failed(&[(0, code)]), None);
            assert!(matches!(next, Next::Answered(Answer::Retry { .. })), "{next:?}");
        }
    }
}
