//! A mill: one place where batches are run, with its own instances of the plugins and its own buffers.

use std::sync::Arc;
use std::time::Duration;

use otlp::batch::{Incoming, RequestContext};
use otlp::encode;
use otlp::signal::Signal;

use super::live::{Chain, Chains};
use super::metrics::SignalLabel;
use super::note;
use super::outlet::Outlet;
use super::pending::Pending;
use super::place::Place;
use super::run::Run;
use super::seats::{Kind, Seat, Seats};
use super::shadow::Shadows;
use super::stage::Slot;
use super::tally::{Rejection, Rows, Tally};
use super::trial::{Mode, Part};
use crate::compact;
use crate::custody::Custody;
use crate::export::{Parcel, Taken};
use crate::request::{Accepted, Answer, Refusal, RefusalKind};
use crate::spanmetrics::{Measured, Recorder};
use crate::tail::{self, Sorter, Tail};
use crate::unix;

/// One mill. Used by one thread at a time.
pub(super) struct Mill {
    run: Run,
    /// The places of the chain that it ran last, with its instances.
    seats: Seats,
    /// What [`Batch::load`](otlp::batch::Batch::load) said of each request of the batch.
    answers: Vec<Answer>,
    /// What has to happen before those are true.
    pending: Option<Pending>,
    recorder: Recorder,
    sorter: Sorter,
}

/// Where a batch goes behind the stages.
#[derive(Clone, Copy)]
pub(super) struct Behind<'b> {
    /// The trace buffer, if there is one: it takes the batch where the chain has samplers.
    pub(super) tail: Option<&'b Tail>,
    pub(super) outlet: &'b dyn Outlet,
    /// That of each request, where its sender can send it again.
    pub(super) custody: &'b [Option<Arc<Custody>>],
    /// See [`note`].
    pub(super) note: bool,
}

impl Default for Mill {
    fn default() -> Self {
        Self {
            run: Run::default(),
            seats: Seats::new(Kind::Processors),
            answers: Vec::new(),
            pending: None,
            recorder: Recorder::default(),
            sorter: Sorter::default(),
        }
    }
}

impl Mill {
    /// Runs requests as one batch; [`Mill::answers`] has what each of them is answered.
    pub(super) fn run(&mut self, requests: &[Incoming], chains: &Chains, behind: Behind<'_>) {
        let chain = chains.current();
        self.follow(&chain);
        self.run.tally.clear();
        self.run.now = unix::nanos();
        self.answers.clear();
        self.pending = None;
        for outcome in self.run.batch.load(requests) {
            if outcome.is_err() {
                chains.metrics().malformed.get_or_create(&SignalLabel::of(Signal::Traces)).inc();
            }
            self.answers.push(outcome.map(|()| Accepted::default()).map_err(|e| Refusal::malformed(e.to_string())));
        }
        let whole = requests.iter().map(|request| request.body.len()).sum();
        let outcome = if self.run.batch.rows() == 0 { Ok(()) } else { self.pass(&chain, chains, behind, whole) };
        // Of joined requests it is not known which is it: alone each hears what it is.
        let outcome = outcome.map_err(|refusal| match refusal.kind {
            RefusalKind::TooLarge if requests.len() > 1 => {
                Refusal::unavailable(Duration::from_secs(1), refusal.message)
            }
            _ => refusal,
        });
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
        let message = "internal error, try again later";
        let refusal = match requests {
            1 => Refusal::failed(Duration::from_secs(1), message),
            // One of them is the cause: the others are none the worse for it, and come in other company.
            _ => Refusal::unavailable(Duration::from_secs(1), message),
        };
        self.answers.resize(requests, Err(refusal));
    }

    /// Takes the batch, loaded from `whole` bytes, through the stages, and to the trace buffer or the outlet.
    fn pass(&mut self, chain: &Chain, chains: &Chains, behind: Behind<'_>, whole: usize) -> Result<(), Refusal> {
        let refused = |run: &Run, reason, refusal| {
            Tally::count_refused(Rows::of(&run.batch), reason, chains.metrics());
            Err(refusal)
        };
        let tail = behind.tail.filter(|_| chain.has_samplers());
        if let Some(refusal) = tail.map_or_else(|| behind.outlet.is_full(), Tail::is_full) {
            return refused(&self.run, full_label(tail), refusal);
        }
        self.reject_invalid_ids();
        for seat in self.seats.iter_mut() {
            if self.run.batch.live() == 0 {
                break;
            }
            if let Err(refusal) = seat.pass(&mut self.run, chains.shadows()) {
                return refused(&self.run, "breaker_open", refusal);
            }
        }
        if self.run.batch.live() > 0 {
            if behind.note {
                note::generation(&mut self.run.batch, chain.generation);
            }
            let handed = match tail {
                Some(tail) => self.buffer(chain, chains, tail, behind.custody, whole),
                None => self.hand_out(chains, behind, whole),
            };
            match handed {
                Ok(Handed::Whole) => {}
                Ok(Handed::Counted) => return Ok(()),
                Err(refusal) => return refused(&self.run, full_label(tail), refusal),
            }
        }
        self.recorder.record(chains.span_metrics(), &self.run.batch);
        self.run.tally.count_admitted(Rows::of(&self.run.batch), chains.metrics());
        Ok(())
    }

    /// To the queues.
    fn hand_out(&mut self, chains: &Chains, behind: Behind<'_>, whole: usize) -> Result<Handed, Refusal> {
        let parcel = Parcel { custody: Custody::join(behind.custody), ..self.parcel(whole) };
        Ok(match behind.outlet.accept(parcel)? {
            Taken::Whole => Handed::Whole,
            Taken::Later(commit) => {
                self.pending = Some(Pending::commit(commit, Rows::of(&self.run.batch), self.measure(chains)));
                Handed::Counted
            }
        })
    }

    /// What is left of a batch that was loaded from `whole` bytes.
    fn parcel(&self, whole: usize) -> Parcel {
        // Of joined requests, what is left may be a small part: of those that were malformed nothing is.
        let body = compact::part(encode::encode(&self.run.batch), whole);
        let context = self.run.batch.requests().first().map(|request| request.context.clone());
        let (signal, items) = (Signal::Traces, self.run.batch.live());
        Parcel { signal, body, items, context: context.unwrap_or_default(), custody: None }
    }

    /// To the trace buffer.
    fn buffer(
        &mut self,
        chain: &Chain,
        chains: &Chains,
        tail: &Tail,
        custody: &[Option<Arc<Custody>>],
        whole: usize,
    ) -> Result<Handed, Refusal> {
        let custody = Custody::join(custody);
        if tail.is_durable() {
            let logging = tail.log(self.parcel(whole), custody)?;
            self.pending = Some(Pending::log(logging, Rows::of(&self.run.batch), self.measure(chains)));
            return Ok(Handed::Counted);
        }
        let intaken = tail.take(&self.run.batch, chain, custody.as_ref(), &mut self.sorter)?;
        if intaken.dropped > 0 {
            self.run.tally.dropped(tail::late(), intaken.dropped);
        }
        self.recorder.record(chains.span_metrics(), &self.run.batch);
        self.run.tally.count_held(Rows::of(&self.run.batch), chains.metrics());
        Ok(Handed::Counted)
    }

    /// What the batch adds to the metrics of spans, once it is taken.
    fn measure(&mut self, chains: &Chains) -> Measured {
        self.recorder.measure(chains.span_metrics(), &self.run.batch)
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
        if !self.seats.is_at(chains.generation()) {
            self.follow(&chains.current());
        }
    }

    /// Turns to another chain.
    pub(super) fn follow(&mut self, chain: &Chain) {
        self.seats.follow(chain);
    }
}

impl Seat {
    /// Takes a batch through what stands here.
    fn pass(&mut self, run: &mut Run, shadows: &Shadows) -> Result<(), Refusal> {
        let Self { place: Place { stage, trial }, stage: slot, canary } = self;
        let stage = stage.as_deref();
        let usual = |run: &mut Run, slot: &mut Slot, part| match stage {
            Some(stage) => run.stage(stage, slot, part).map(drop),
            None => Ok(()),
        };
        let Some(trial) = trial else { return usual(run, slot, Part::All) };
        match trial.mode() {
            Mode::Canary(_) => {
                if trial.stage().is_open() {
                    // It is about to be withdrawn. Whatever its `on_error` says is for its own failures.
                    return usual(run, slot, Part::All);
                }
                usual(run, slot, Part::OutsideOf(trial))?;
                match run.stage(trial.stage(), canary, Part::Of(trial)) {
                    Ok(rows) => trial.has_seen(rows),
                    Err(_) => usual(run, slot, Part::Of(trial))?,
                }
                Ok(())
            }
            Mode::Shadow => {
                let before = shadows.before(trial, &run.batch);
                usual(run, slot, Part::All)?;
                if let Some(before) = before {
                    shadows.offer(trial, before, &run.batch, run.now);
                }
                Ok(())
            }
        }
    }
}

/// What became of a batch that was handed on.
enum Handed {
    Whole,
    /// It is counted, or will be, by what has it now.
    Counted,
}

fn full_label(tail: Option<&Tail>) -> &'static str {
    if tail.is_some() { "tail_full" } else { "queue_full" }
}

/// Whether two requests may travel in one batch.
pub(crate) fn joinable(a: &RequestContext, b: &RequestContext) -> bool {
    a.tenant == b.tenant && a.headers == b.headers
}
