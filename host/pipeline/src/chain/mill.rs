//! A mill: one place where batches are run, with its own instances of the plugins and its own buffers.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use otlp::batch::{Incoming, RequestContext};
use otlp::encode;
use otlp::signal::Signal;

use super::live::{Chain, Chains};
use super::metrics::SignalLabel;
use super::note;
use super::outlet::Outlet;
use super::pending::Pending;
use super::run::Run;
use super::stage::{Slot, Stage};
use super::tally::{Rejection, Rows, Tally};
use crate::compact;
use crate::export::{Parcel, Taken};
use crate::request::{Accepted, Answer, Refusal};

/// One mill. Used by one thread at a time.
#[derive(Default)]
pub(super) struct Mill {
    run: Run,
    /// Its instance of each stage of the chain that it ran last.
    instances: Vec<(Arc<Stage>, Slot)>,
    generation: u64,
    /// What [`Batch::load`](otlp::batch::Batch::load) said of each request of the batch.
    answers: Vec<Answer>,
    /// What has to happen before those are true.
    pending: Option<Pending>,
}

impl Mill {
    /// Runs requests as one batch; [`Mill::answers`] has what each of them is answered.
    pub(super) fn run(&mut self, requests: &[Incoming], chains: &Chains, outlet: &dyn Outlet, note: bool) {
        let chain = chains.current();
        self.follow(&chain);
        self.run.tally.clear();
        self.run.now = now();
        self.answers.clear();
        self.pending = None;
        for outcome in self.run.batch.load(requests) {
            if outcome.is_err() {
                chains.metrics().malformed.get_or_create(&SignalLabel::of(Signal::Traces)).inc();
            }
            self.answers.push(outcome.map(|()| Accepted::default()).map_err(|e| Refusal::malformed(e.to_string())));
        }
        let whole = requests.iter().map(|request| request.body.len()).sum();
        let outcome = if self.run.batch.rows() == 0 { Ok(()) } else { self.pass(&chain, chains, outlet, note, whole) };
        self.answer(&outcome);
        if let Some(pending) = &mut self.pending {
            pending.tally = std::mem::take(&mut self.run.tally);
        }
        // Lets go of the requests' bytes and of what was shown of them: an idle mill pins nothing.
        self.run.batch.clear();
        self.run.cache.clear();
    }

    /// What the requests of the last batch are answered, in order.
    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// What has to happen before the answers that are no refusals are true, if something has.
    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    /// After a panic: starts anew, and refuses the batch's requests, retryably.
    pub(super) fn reset(&mut self, requests: usize) {
        *self = Self::default();
        let refusal = Refusal::unavailable(Duration::from_secs(1), "internal error, try again later");
        self.answers.resize(requests, Err(refusal));
    }

    /// Takes the batch, loaded from `whole` bytes, through the stages and to the outlet.
    fn pass(
        &mut self,
        chain: &Chain,
        chains: &Chains,
        outlet: &dyn Outlet,
        note: bool,
        whole: usize,
    ) -> Result<(), Refusal> {
        let refused = |run: &Run, reason, refusal| {
            Tally::count_refused(Rows::of(&run.batch), reason, chains.metrics());
            Err(refusal)
        };
        if let Some(refusal) = outlet.is_full() {
            return refused(&self.run, "queue_full", refusal);
        }
        self.reject_invalid_ids();
        for (stage, slot) in &mut self.instances {
            if self.run.batch.live() == 0 {
                break;
            }
            if let Err(refusal) = self.run.stage(stage, slot) {
                return refused(&self.run, "breaker_open", refusal);
            }
        }
        if self.run.batch.live() > 0 {
            if note {
                note::generation(&mut self.run.batch, chain.generation);
            }
            // Of joined requests, what is left may be a small part: of those that were malformed nothing is.
            let body = compact::part(encode::encode(&self.run.batch), whole);
            let context = self.run.batch.requests().first().map(|request| request.context.clone());
            let (signal, items) = (Signal::Traces, self.run.batch.live());
            let parcel = Parcel { signal, body, items, context: context.unwrap_or_default() };
            match outlet.accept(parcel) {
                Ok(Taken::Whole) => {}
                Ok(Taken::Later(commit)) => {
                    self.pending = Some(Pending::new(commit, Rows::of(&self.run.batch)));
                    return Ok(());
                }
                Err(refusal) => return refused(&self.run, "queue_full", refusal),
            }
        }
        self.run.tally.count_admitted(Rows::of(&self.run.batch), chains.metrics());
        Ok(())
    }

    fn reject_invalid_ids(&mut self) {
        let spans = self.run.batch.spans();
        if spans.iter().all(|span| span.valid_ids) {
            return;
        }
        let rows: Vec<u32> = (0..).zip(spans).filter(|(_, span)| !span.valid_ids).map(|(row, _)| row).collect();
        let message = "trace_id must be 16 bytes and span_id 8 bytes, neither all zero";
        self.run.tally.reject(&mut self.run.batch, &rows, Rejection::InvalidIds, message);
    }

    /// Fills in the answers of the requests that were loaded.
    fn answer(&mut self, outcome: &Result<(), Refusal>) {
        for (loaded, answer) in (0..).zip(self.answers.iter_mut().filter(|answer| answer.is_ok())) {
            *answer = match outcome {
                Ok(()) => Ok(self.run.tally.accepted(loaded)),
                Err(refusal) => Err(refusal.clone()),
            };
        }
    }

    /// Turns to the live chain if that is another by now.
    pub(super) fn catch_up(&mut self, chains: &Chains) {
        if self.generation != chains.generation() {
            self.follow(&chains.current());
        }
    }

    /// Turns to another chain: keeps the instances of stages that stayed, lets go of the others.
    pub(super) fn follow(&mut self, chain: &Chain) {
        if self.generation == chain.generation && self.instances.len() == chain.stages.len() {
            return;
        }
        let mut old = std::mem::take(&mut self.instances);
        self.instances = chain
            .stages
            .iter()
            .map(|stage| {
                let kept =
                    old.iter_mut().find(|(known, _)| Arc::ptr_eq(known, stage)).and_then(|(_, slot)| slot.take());
                (stage.clone(), kept)
            })
            .collect();
        self.generation = chain.generation;
    }
}

/// Whether two requests may travel in one batch.
pub(super) fn joinable(a: &RequestContext, b: &RequestContext) -> bool {
    a.tenant == b.tenant && a.headers == b.headers
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
