//! Hands messages to the handler, again and again until they are taken, or never can be.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use super::super::metrics::{Counters, Outcome, Reason};
use super::super::{Shared, outcome};
use super::context::Common;
use super::group::Group;
use super::metrics::{OfTopic, Skipped};
use crate::admit::{Full, Payer, Permit};
use crate::custody::Custody;
use crate::log_gate::Gate;
use crate::request::{Refusal, RefusalKind, Request};

/// The first pause after a refusal, and the longest of our own choosing.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// So often a fault of ours is met before what was handed over is taken apart, and what is one message is skipped.
const FAULTS: usize = 5;
/// Longer than this no handler means: a queue that has emptied meanwhile should not wait for a guess.
const LONGEST_OBEYED: Duration = Duration::from_secs(30);

/// Where deliveries go.
pub(super) struct Way {
    pub shared: Arc<Shared>,
    pub common: Arc<Common>,
    pub runtime: Handle,
    /// Who pays for all of them.
    pub payer: Payer,
    /// By the places of the topics.
    pub topics: Vec<OfTopic>,
    pub refused: Gate,
    pub skipped: Gate,
}

impl Way {
    /// Begins to deliver a group, if there is room for its bytes; else gives it back, and says where there is none.
    pub fn start(self: &Arc<Self>, group: Group) -> Result<(), (Group, Full)> {
        if group.body.len() > self.shared.limits.request_bytes {
            // Joined ones are smaller: it is one message.
            let most = self.shared.limits.request_bytes;
            let message = format!("the message is over the limit of {most} bytes (receive.limits.request)");
            self.skip(&group, Skipped::TooLarge, &Refusal::too_large(message));
            // Nobody else answers for it: it is settled.
            drop(self.custody_of(&group));
            return Ok(());
        }
        let payer = match &group.context.tenant {
            Some(tenant) => self.payer.on_behalf_of(self.shared.admission.named(tenant.as_bytes())),
            None => self.payer.clone(),
        };
        let permit = match payer.take(group.body.len()) {
            Ok(permit) => permit,
            Err(full) => return Err((group, full)),
        };
        let way = Arc::clone(self);
        drop(self.runtime.spawn(async move { way.deliver(group, permit).await }));
        Ok(())
    }

    async fn deliver(&self, group: Group, permit: Permit) {
        // Held until each message has been taken or skipped; clones of it go on with the spans.
        let custody = self.custody_of(&group);
        match self.try_until_taken(&group, &custody).await {
            Ok(()) => {}
            Err((why, refusal)) if group.parts.len() == 1 => self.skip(&group, why, &refusal),
            Err(_) => {
                // One of them is it. The others are none the worse for it.
                for one in group.apart() {
                    if self.common.flow.stop.is_cancelled() {
                        // What it has has failed: it would come twice.
                        custody.fail();
                        break;
                    }
                    if let Err((why, refusal)) = self.try_until_taken(&one, &custody).await {
                        self.skip(&one, why, &refusal);
                    }
                }
            }
        }
        drop((custody, permit));
    }

    /// Returns when it is taken, or when there is no sense in trying again: then, why. Where the consumer ends before, it is not settled; where
    /// its partition goes, it is another's.
    async fn try_until_taken(&self, group: &Group, custody: &Arc<Custody>) -> Result<(), (Skipped, Refusal)> {
        let counters = self.counters(group);
        let mut pause = FIRST;
        let mut faults = 0;
        while !custody.is_gone() {
            let request = Request {
                signal: group.signal,
                body: group.body.clone(),
                context: Arc::clone(&group.context),
                // Its bytes are paid for already, and for longer than the handler has them.
                permit: self.shared.admission.budget().take(0).expect("nothing fits always"),
                custody: Some(Arc::clone(custody)),
            };
            let refusal = match self.shared.handler.handle(request).await {
                Ok(accepted) => {
                    counters.done(outcome(&accepted));
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            let asked = match refusal.kind {
                RefusalKind::Malformed => return Err((Skipped::Malformed, refusal)),
                RefusalKind::TooLarge => return Err((Skipped::TooLarge, refusal)),
                RefusalKind::Unavailable { retry_after } => retry_after.min(LONGEST_OBEYED),
                RefusalKind::Failed { .. } | RefusalKind::Internal => {
                    faults += 1;
                    if faults == FAULTS {
                        return Err((Skipped::Internal, refusal));
                    }
                    FIRST
                }
            };
            counters.done(Outcome::Refused);
            if let Some(unsaid) = self.refused.open() {
                tracing::warn!(signal = %group.signal, unsaid, "Kafka: messages are refused, to be tried again: {refusal}");
            }
            let waiting = self.common.flow.wait_to_try_again(group.place);
            tokio::select! {
                () = sleep(asked.max(pause).mul_f64(0.75 + rand::random::<f64>() / 2.0)) => {}
                () = self.until_gone(custody) => {}
                () = self.common.flow.stop.cancelled() => {
                    // Not to be committed: whoever reads on gets it.
                    custody.fail();
                    return Ok(());
                }
            }
            drop(waiting);
            pause = (pause * 2).min(LONGEST);
            self.common.metrics.retries.inc();
        }
        // It is not settled here, should the partition be here still.
        custody.fail();
        Ok(())
    }

    async fn until_gone(&self, custody: &Custody) {
        loop {
            // Asked for before looking, so that none goes in between.
            let went = self.common.flow.went.notified();
            if custody.is_gone() {
                return;
            }
            went.await;
        }
    }

    /// A message that can never be taken: counted, and said where it stands, so that whoever wants to can look at it there.
    fn skip(&self, group: &Group, why: Skipped, refusal: &Refusal) {
        let reason = match why {
            Skipped::Malformed => Reason::Malformed,
            Skipped::TooLarge => Reason::TooLarge,
            Skipped::Internal => Reason::Internal,
        };
        self.counters(group).refused(reason, "kafka", &refusal.message);
        for (taken, _) in &group.parts {
            let (place, partition) = taken.place;
            let topic = &self.common.topics[place];
            self.topics[place].skipped(why);
            if let Some(unsaid) = self.skipped.open() {
                let offset = taken.offset;
                tracing::warn!(
                    topic,
                    partition,
                    offset,
                    unsaid,
                    "Kafka: a message is skipped, it can never be taken: {refusal}"
                );
            }
        }
    }

    fn custody_of(&self, group: &Group) -> Arc<Custody> {
        self.common.board.custody(group.parts.iter().map(|(taken, _)| *taken).collect())
    }

    fn counters(&self, group: &Group) -> &Counters {
        self.shared.metrics.of_kafka(group.signal)
    }
}

#[cfg(test)]
mod tests;
