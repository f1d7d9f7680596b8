//! What the senders of one destination share: its configuration, its queue, and what is counted and said of its requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::config::DestinationConfig;
use super::super::kafka::Producer;
use super::super::metrics::Outcome;
use super::super::queue::{Batch, Parts, Queue};
use super::super::sizes::Sizes;
use super::super::target::{DRAINING_DELAY, Resting, Target};
use super::super::targets::Targets;
use crate::log_gate::Gate;

/// What the senders of one destination share.
pub(in super::super) struct Shared {
    pub config: DestinationConfig,
    /// The one that it all goes to, where each endpoint has a queue of its own.
    pub endpoint: Option<String>,
    pub queue: Arc<Queue>,
    /// What sends, where that is Kafka's client.
    pub kafka: Option<Producer>,
    pub targets: Arc<Targets>,
    pub sizes: Sizes,
    pub failures: Gate,
    pub rejections: Gate,
    pub warnings: Gate,
    pub oversize: Gate,
    pub exhausted: Gate,
}

impl Shared {
    /// Waits until a target may be tried again. What it asked for is waited out even while draining, but not once another
    /// destination has taken over.
    pub(super) async fn keep_quiet(&self, resting: Resting) {
        let Resting { until, asked } = resting;
        let closing = self.queue.closing();
        if !closing.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = closing.cancelled() => {}
            }
        }
        if !self.queue.is_replaced() {
            let until = if asked { until } else { until.min(Instant::now() + DRAINING_DELAY) };
            tokio::time::sleep_until(until).await;
        }
    }

    /// Waits before the next attempt: less long once the queue is closing.
    pub(super) async fn pause(&self, delay: Duration) {
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

    pub(super) fn count(&self, target: &Target, outcome: Outcome) {
        self.queue.counters().requests(outcome).inc();
        target.site.count(outcome);
    }

    /// A target has answered, whatever it said.
    pub(super) fn is_well(&self, target: &Target) {
        self.queue.set_retry_hint(None);
        if target.answered() {
            tracing::info!(destination = self.config.name, endpoint = target.site.name, "the back end answers again");
            self.targets.news().notify_waiters();
        }
    }

    /// One target of several takes nothing.
    pub(super) fn is_failing_at(&self, target: &Target, reason: &str) {
        self.queue.trouble().is(reason);
        if let Some(unsaid) = self.failures.open() {
            let endpoint = &target.site.name;
            tracing::warn!(
                destination = self.config.name,
                signal = %self.config.signal(),
                endpoint,
                reason,
                unsaid,
                "export failed, to be tried elsewhere"
            );
        }
    }

    /// Nothing takes a batch before that delay.
    pub(super) fn is_failing(&self, reason: &str, delay: Duration) {
        self.queue.set_retry_hint(Some(delay));
        self.queue.trouble().is(reason);
        if let Some(unsaid) = self.failures.open() {
            let signal = self.config.signal();
            let (destination, endpoint) = (&self.config.name, self.endpoint.as_deref());
            tracing::warn!(destination, endpoint, %signal, reason, ?delay, unsaid, "export failed, to be tried again");
        }
    }

    pub(super) fn note_oversize(&self, parts: &Parts) {
        if parts.too_large() > 0
            && let Some(unsaid) = self.oversize.open()
        {
            let (destination, signal, items) = (&self.config.name, self.config.signal(), parts.too_large());
            let limit = self.config.batch.max_request_bytes;
            tracing::warn!(destination, %signal, items, limit, unsaid, "dropped: each is larger than batch.max_request");
        }
    }

    pub(super) fn note_too_large(&self, bytes: usize, reason: &str) {
        if let Some(limit) = self.sizes.refused(bytes) {
            let destination = &self.config.name;
            tracing::warn!(
                destination,
                bytes,
                reason,
                limit,
                "the back end takes no request of that size: smaller ones are sent from now on; set batch.max_request to its limit"
            );
        }
    }

    /// Whether a batch is given up rather than tried again when so much time has passed.
    pub(super) fn is_over(&self, batch: &Batch, passed: Duration, reason: &str) -> bool {
        let is_over = self.config.retry.max_elapsed.is_some_and(|most| passed > most);
        if is_over && let Some(unsaid) = self.exhausted.open() {
            tracing::warn!(
                destination = self.config.name,
                endpoint = self.endpoint,
                signal = %self.config.signal(),
                items = batch.items(),
                reason,
                unsaid,
                "dropped: the back end did not take them within retry.max_elapsed"
            );
        }
        is_over
    }

    pub(super) fn note_accepted(&self, target: &Target, batch: &Batch, rejected: u64, message: &str) {
        self.count(target, if rejected > 0 { Outcome::Partial } else { Outcome::Ok });
        if (rejected > 0 || !message.is_empty())
            && let Some(unsaid) = self.warnings.open()
        {
            tracing::warn!(
                destination = self.config.name,
                signal = %self.config.signal(),
                items = batch.items(),
                rejected,
                message,
                unsaid,
                "the back end took a request only in part, or with a warning"
            );
        }
    }
}
