//! Sends batches, one at a time, until a back end has answered each for good. A destination has several senders.

use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::answer::{self, Answer};
use super::backoff::Backoff;
use super::config::Protocol;
use super::kafka::Unsent;
use super::link::{Link, LinkError};
use super::metrics::{DropReason, Outcome};
use super::queue::Batch;
use super::sizes::{Work, cut};
use super::target::Target;
use super::targets::Choice;

mod shared;

pub(super) use shared::Shared;

/// A batch that the back end would take in smaller requests, if at all.
struct TooLarge {
    batch: Batch,
    reason: String,
}

/// One sender.
pub(super) struct Sender {
    shared: Arc<Shared>,
    number: usize,
    /// The targets that it knows, and its way to those that it has sent to.
    known: Arc<Vec<Arc<Target>>>,
    links: Vec<(Arc<Target>, Link)>,
    /// What is left of a batch that goes to Kafka, message by message.
    unsent: Option<Unsent>,
}

impl Sender {
    /// The sender of that number.
    pub fn new(shared: Arc<Shared>, number: usize) -> Self {
        let known = shared.targets.current();
        Self { shared, number, known, links: Vec::new(), unsent: None }
    }

    /// Sends what comes until the queue is closed and empty.
    pub async fn run(mut self) {
        while let Some(batch) = self.shared.queue.clone().next().await {
            self.deliver_all(batch).await;
        }
    }

    /// Sends a batch in as many requests as it takes.
    async fn deliver_all(&mut self, batch: Batch) {
        let shared = Arc::clone(&self.shared);
        let most = shared.config.batch.max_request_bytes;
        // What is still to be sent, the next at the end.
        let mut left = vec![Work::Batch(batch)];
        while let Some(next) = left.pop() {
            let batch = match next {
                Work::Batch(batch) if batch.bytes() > shared.sizes.limit() => {
                    cut(batch, shared.sizes.limit(), most, &mut left);
                    continue;
                }
                Work::Batch(batch) => batch,
                Work::Parts(mut parts) => {
                    let Some(part) = parts.next() else {
                        shared.note_oversize(&parts);
                        continue;
                    };
                    left.push(Work::Parts(parts));
                    part
                }
            };
            let Some(TooLarge { batch, reason }) = self.deliver(batch).await else { continue };
            let bytes = batch.bytes();
            shared.note_too_large(bytes, &reason);
            // Whatever is made of it is smaller, so that this ends.
            cut(batch, bytes / 2, bytes - 1, &mut left);
        }
    }

    /// Sends a batch in one request, until it is done with; gives it back if it is too large for that.
    async fn deliver(&mut self, batch: Batch) -> Option<TooLarge> {
        let shared = Arc::clone(&self.shared);
        let counters = shared.queue.counters();
        let started = Instant::now();
        let mut backoff = Backoff::new(&shared.config.retry);
        // What went wrong last, and how often something has.
        let mut failure: Option<String> = None;
        let mut attempts = 0;
        self.unsent = None;
        loop {
            // Asked for before looking, so that nothing is told in between.
            let news = pin!(shared.targets.news().notified());
            let choice = shared.targets.choose(shared.queue.closing().is_cancelled());
            let (target, is_only) = match choice {
                Choice::Try { target, is_only } => (target, is_only),
                Choice::Wait(resting) => {
                    if let Some(reason) = &failure {
                        // None of several takes anything.
                        shared.queue.set_down(true);
                        let delay = resting.until.saturating_duration_since(Instant::now());
                        if shared.is_over(&batch, started.elapsed() + delay, reason) {
                            self.give_up(batch);
                            return None;
                        }
                        shared.is_failing(reason, delay);
                    }
                    tokio::select! {
                        () = shared.keep_quiet(resting) => {}
                        () = news => {}
                    }
                    if shared.queue.is_replaced() {
                        batch.hand_over();
                        return None;
                    }
                    continue;
                }
            };
            if shared.queue.is_replaced() {
                batch.hand_over();
                return None;
            }
            if failure.is_some() {
                counters.retries.inc();
            }
            let begun = Instant::now();
            let (after, reason) = match self.attempt(&target, &batch).await {
                Answer::Accepted { rejected, message } => {
                    shared.is_well(&target);
                    shared.queue.set_down(false);
                    shared.queue.trouble().is_over();
                    shared.note_accepted(&target, &batch, rejected, &message);
                    batch.delivered(rejected);
                    return None;
                }
                Answer::TooLarge { reason } if batch.items() > 1 => {
                    shared.is_well(&target);
                    shared.count(&target, Outcome::TooLarge);
                    return Some(TooLarge { batch, reason });
                }
                Answer::Rejected { reason } | Answer::TooLarge { reason } => {
                    shared.is_well(&target);
                    shared.queue.trouble().is(&reason);
                    shared.count(&target, Outcome::Rejected);
                    if let Some(unsaid) = shared.rejections.open() {
                        let signal = shared.config.signal();
                        tracing::warn!(destination = shared.config.name, %signal, items = batch.items(), %reason, unsaid,
                            "the back end rejected a request for good");
                    }
                    batch.rejected();
                    return None;
                }
                Answer::Retry { after, reason } => (after, reason),
            };
            shared.count(&target, Outcome::Retry);
            target.site.trouble.is(&reason);
            // Of several, each has failed: that none rests any longer by then does not mean that one takes anything.
            attempts += 1;
            if attempts >= shared.targets.current().len() {
                shared.queue.set_down(true);
            }
            if shared.queue.is_ending() && batch.is_on_disk() {
                // The next start has more time for it.
                shared.queue.leave();
                drop(batch);
                return None;
            }
            if shared.queue.is_replaced() {
                // Before it pauses: what stands behind it goes out meanwhile.
                batch.hand_over();
                return None;
            }
            let delay = backoff.delay(after, rand::random());
            if after.is_some() {
                // The back end means all senders, not this one.
                target.rests(delay);
            }
            if !is_only {
                // Another is tried at once, if there is one.
                if after.is_none() {
                    target.failed(begun);
                }
                // Whoever waits for what this request would find out need not wait so long.
                shared.targets.news().notify_waiters();
                shared.is_failing_at(&target, &reason);
            } else if after.is_none() {
                if shared.is_over(&batch, started.elapsed() + delay, &reason) {
                    self.give_up(batch);
                    return None;
                }
                shared.is_failing(&reason, delay);
                shared.pause(delay).await;
            }
            failure = Some(reason);
        }
    }

    /// A batch was tried for long enough. What of it was delivered, message by message, is not lost.
    fn give_up(&mut self, batch: Batch) {
        let (sent, rejected) = self.unsent.take().map_or((0, 0), |unsent| unsent.done_with());
        batch.given_up(sent, rejected, DropReason::RetriesExhausted);
    }

    async fn attempt(&mut self, target: &Arc<Target>, batch: &Batch) -> Answer {
        let shared = Arc::clone(&self.shared);
        let counters = shared.queue.counters();
        if let Some(kafka) = &shared.kafka {
            let started = Instant::now();
            let (answer, bytes) = kafka.send(batch, &mut self.unsent).await;
            counters.bytes.inc_by(bytes);
            counters.duration.observe(started.elapsed().as_secs_f64());
            return answer;
        }
        let request = match target.site.template.request(batch.bodies().cloned().collect(), batch.head()).await {
            Ok(request) => request,
            Err(error) => return Answer::Rejected { reason: error.to_string() },
        };
        counters.bytes.inc_by(request.body().bytes());
        let started = Instant::now();
        let answer = self.link(target).send(&request, shared.config.timeout).await;
        counters.duration.observe(started.elapsed().as_secs_f64());
        match answer {
            Ok(reply) => match target.site.template.protocol() {
                Protocol::Grpc => answer::of_grpc(&reply),
                Protocol::Http | Protocol::Kafka => answer::of_http(&reply, SystemTime::now()),
            },
            Err(error @ LinkError::AnswerTooLarge) => Answer::Rejected { reason: error.to_string() },
            Err(error) => Answer::Retry { after: None, reason: error.to_string() },
        }
    }

    /// The way to a target. Those to targets that are gone are forgotten.
    fn link(&mut self, target: &Arc<Target>) -> &mut Link {
        let current = self.shared.targets.current();
        // More than there are: one was gone already when it was sent to.
        if !Arc::ptr_eq(&current, &self.known) || self.links.len() > current.len() {
            self.links.retain(|(known, _)| current.iter().any(|kept| Arc::ptr_eq(kept, known)));
            self.known = current;
        }
        let at = self.links.iter().position(|(known, _)| Arc::ptr_eq(known, target)).unwrap_or_else(|| {
            self.links.push((Arc::clone(target), target.link(self.number)));
            self.links.len() - 1
        });
        &mut self.links[at].1
    }
}
