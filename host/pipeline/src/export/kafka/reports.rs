//! Delivery reports: from librdkafka's thread to the sender that waits for all of an attempt.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tokio::sync::Notify;

use crate::kafka::Logs;

/// The reports of one attempt.
#[derive(Debug, Default)]
pub(super) struct Reports {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many receipts are out.
    out: usize,
    delivered: Vec<usize>,
    failed: Vec<(usize, RDKafkaErrorCode)>,
}

/// Goes with a message, and comes back with what became of it.
#[derive(Debug)]
pub(super) struct Receipt {
    reports: Arc<Reports>,
    message: usize,
    is_out: bool,
}

impl Reports {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until no receipt is out. Answers the messages that failed.
    pub async fn complete(&self) -> Vec<(usize, RDKafkaErrorCode)> {
        loop {
            let news = self.news.notified();
            {
                let mut state = self.state.lock();
                if state.out == 0 {
                    return std::mem::take(&mut state.failed);
                }
            }
            news.await;
        }
    }

    /// Those of these messages that are not known to be delivered.
    pub fn unreported<'m>(&self, messages: &'m [usize]) -> impl Iterator<Item = usize> + use<'m> {
        let mut delivered = self.state.lock().delivered.clone();
        delivered.sort_unstable();
        messages.iter().copied().filter(move |message| delivered.binary_search(message).is_err())
    }

    fn back(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        note(&mut state);
        state.out -= 1;
        if state.out == 0 {
            self.news.notify_one();
        }
    }
}

impl Receipt {
    pub fn new(reports: &Arc<Reports>, message: usize) -> Self {
        reports.state.lock().out += 1;
        Self { reports: Arc::clone(reports), message, is_out: true }
    }

    /// The message was never taken.
    pub fn withdraw(mut self) {
        self.is_out = false;
        self.reports.back(|_| ());
    }

    fn report(mut self, outcome: Result<(), RDKafkaErrorCode>) {
        self.is_out = false;
        let message = self.message;
        self.reports.back(|state| match outcome {
            Ok(()) => state.delivered.push(message),
            Err(code) => state.failed.push((message, code)),
        });
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // The client has gone without a word of it.
        if self.is_out {
            let message = self.message;
            self.reports.back(|state| state.failed.push((message, RDKafkaErrorCode::Fail)));
        }
    }
}

/// What librdkafka calls.
pub(super) struct Context(pub Logs);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Box<Receipt>) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        receipt.report(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_is_over_when_each_receipt_is_back_however() {
        let reports = Reports::new();
        let receipts: Vec<_> = (0..4).map(|message| Receipt::new(&reports, message)).collect();
        let waiting = tokio::spawn({
            let reports = Arc::clone(&reports);
            async move { reports.complete().await }
        });
        let [delivered, failed, withdrawn, lost] = <[Receipt; 4]>::try_from(receipts).unwrap();
        delivered.report(Ok(()));
        failed.report(Err(RDKafkaErrorCode::MessageTimedOut));
        withdrawn.withdraw();
        assert_eq!(reports.unreported(&[0, 1, 2, 3]).collect::<Vec<_>>(), [1, 2, 3]);
        drop(lost);
        let failed = waiting.await.unwrap();
        assert_eq!(failed, [(1, RDKafkaErrorCode::MessageTimedOut), (3, RDKafkaErrorCode::Fail)]);
    }
}
