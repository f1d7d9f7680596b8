//! Sends batches, one at a time, until the back end has answered each for good. A destination has several senders.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::backoff::Backoff;
use super::config::{DestinationConfig, Protocol};
use super::gate::Gate;
use super::link::{Link, LinkError};
use super::metrics::{DropReason, Outcome};
use super::queue::{Batch, Parts, Queue};
use super::wire::Template;

/// While the process drains, a back end that does not answer is tried this often: there is little time left.
const DRAINING_DELAY: Duration = Duration::from_millis(500);

/// What the senders of one destination share.
pub(super) struct Shared {
    pub config: DestinationConfig,
    pub queue: Arc<Queue>,
    pub template: Template,
    /// Until when the back end asked to be left alone.
    pub quiet: Mutex<Option<Instant>>,
    pub failures: Gate,
    pub rejections: Gate,
    pub warnings: Gate,
    pub oversize: Gate,
    pub exhausted: Gate,
}

/// One sender.
pub(super) struct Sender {
    pub shared: Arc<Shared>,
    pub link: Link,
}

impl Sender {
    /// Sends what comes until the queue is closed and empty.
    pub async fn run(mut self) {
        while let Some(batch) = self.shared.queue.clone().next().await {
            let limit = self.shared.config.batch.max_request_bytes;
            if batch.bytes() <= limit {
                self.deliver(batch).await;
            } else {
                self.deliver_parts(batch.in_parts(limit)).await;
            }
        }
    }

    async fn deliver_parts(&mut self, mut parts: Parts) {
        while let Some(part) = parts.next() {
            self.deliver(part).await;
        }
        if parts.too_large() > 0
            && let Some(unsaid) = self.shared.oversize.open()
        {
            tracing::warn!(
                destination = self.shared.config.name,
                spans = parts.too_large(),
                limit = self.shared.config.batch.max_request_bytes,
                unsaid,
                "spans dropped: each is larger than batch.max_request"
            );
        }
    }

    async fn deliver(&mut self, batch: Batch) {
        let shared = Arc::clone(&self.shared);
        let counters = shared.queue.counters();
        let started = Instant::now();
        let mut backoff = Backoff::new(&shared.config.retry);
        let mut first = true;
        loop {
            shared.keep_quiet().await;
            if shared.queue.is_replaced() {
                return batch.hand_over();
            }
            if !first {
                counters.retries.inc();
            }
            first = false;
            let (after, reason) = match self.attempt(&batch).await {
                Answer::Accepted { rejected, message } => {
                    shared.queue.set_retry_hint(None);
                    shared.queue.trouble().is_over();
                    shared.note_accepted(&batch, rejected, &message);
                    return batch.delivered(rejected);
                }
                Answer::Rejected { reason } => {
                    shared.queue.set_retry_hint(None);
                    shared.queue.trouble().is(&reason);
                    counters.requests(Outcome::Rejected).inc();
                    if let Some(unsaid) = shared.rejections.open() {
                        tracing::warn!(destination = shared.config.name, spans = batch.spans(), %reason, unsaid,
                            "the back end rejected spans for good");
                    }
                    return batch.rejected();
                }
                Answer::Retry { after, reason } => (after, reason),
            };
            counters.requests(Outcome::Retry).inc();
            let delay = backoff.delay(after, rand::random());
            if shared.config.retry.max_elapsed.is_some_and(|most| started.elapsed() + delay > most) {
                if let Some(unsaid) = shared.exhausted.open() {
                    tracing::warn!(destination = shared.config.name, spans = batch.spans(), %reason, unsaid,
                        "spans dropped: the back end did not take them within retry.max_elapsed");
                }
                return batch.dropped(DropReason::RetriesExhausted);
            }
            shared.queue.set_retry_hint(Some(delay));
            shared.queue.trouble().is(&reason);
            if let Some(unsaid) = shared.failures.open() {
                tracing::warn!(destination = shared.config.name, %reason, ?delay, unsaid, "export failed, to be tried again");
            }
            if after.is_some() {
                // The back end means all senders, not this one.
                let until = Instant::now() + delay;
                let mut quiet = shared.quiet.lock();
                *quiet = Some(quiet.map_or(until, |known| known.max(until)));
            } else {
                shared.pause(delay).await;
            }
        }
    }

    async fn attempt(&mut self, batch: &Batch) -> Answer {
        let shared = &self.shared;
        let counters = shared.queue.counters();
        let request = match shared.template.request(batch.bodies().cloned().collect(), batch.head()).await {
            Ok(request) => request,
            Err(error) => return Answer::Rejected { reason: error.to_string() },
        };
        counters.bytes.inc_by(request.body().bytes());
        let started = Instant::now();
        let answer = self.link.send(&request, shared.config.timeout).await;
        counters.duration.observe(started.elapsed().as_secs_f64());
        match answer {
            Ok(reply) => match shared.config.endpoint.protocol() {
                Protocol::Grpc => answer::of_grpc(&reply),
                Protocol::Http => answer::of_http(&reply, SystemTime::now()),
            },
            Err(error @ LinkError::AnswerTooLarge) => Answer::Rejected { reason: error.to_string() },
            Err(error) => Answer::Retry { after: None, reason: error.to_string() },
        }
    }
}

impl Shared {
    /// Waits as long as the back end asked for: even while draining, but not once another destination has taken over.
    async fn keep_quiet(&self) {
        let until = *self.quiet.lock();
        let Some(until) = until else { return };
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.queue.closing().cancelled() => {
                if !self.queue.is_replaced() {
                    tokio::time::sleep_until(until).await;
                }
            }
        }
    }

    /// Waits before the next attempt: less long once the queue is closing.
    async fn pause(&self, delay: Duration) {
        let closing = self.queue.closing();
        if closing.is_cancelled() {
            tokio::time::sleep(delay.min(DRAINING_DELAY)).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = closing.cancelled() => {}
            }
        }
    }

    fn note_accepted(&self, batch: &Batch, rejected: u64, message: &str) {
        let outcome = if rejected > 0 { Outcome::Partial } else { Outcome::Ok };
        self.queue.counters().requests(outcome).inc();
        if (rejected > 0 || !message.is_empty())
            && let Some(unsaid) = self.warnings.open()
        {
            tracing::warn!(
                destination = self.config.name,
                spans = batch.spans(),
                rejected,
                message,
                unsaid,
                "the back end took a request only in part, or with a warning"
            );
        }
    }
}
