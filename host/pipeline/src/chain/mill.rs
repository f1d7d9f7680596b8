//! A mill: one place where batches are run, with its own instances of the plugins and its own buffers.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use otlp::batch::{Incoming, RequestContext};
use otlp::encode;
use otlp::signal::Signal;

use super::handover::hand_over;
use super::live::{Chain, Chains};
use super::metrics::SignalLabel;
use super::note;
use super::outlet::Outlet;
use super::pending::Pending;
use super::place::Place;
use super::run::Run;
use super::shadow::Shadows;
use super::stage::{Slot, Stage};
use super::tally::{Rejection, Rows, Tally};
use super::trial::{Mode, Part};
use crate::compact;
use crate::custody::Custody;
use crate::export::{Parcel, Taken};
use crate::request::{Accepted, Answer, Refusal};

/// A place in the chain, with one mill's instances of what stands there.
struct Seat {
    place: Place,
    stage: Slot,
    canary: Slot,
}

/// One mill. Used by one thread at a time.
#[derive(Default)]
pub(super) struct Mill {
    run: Run,
    /// The places of the chain that it ran last, with its instances.
    seats: Vec<Seat>,
    generation: u64,
    /// What [`Batch::load`](otlp::batch::Batch::load) said of each request of the batch.
    answers: Vec<Answer>,
    /// What has to happen before those are true.
    pending: Option<Pending>,
}

impl Mill {
    /// Runs requests as one batch; [`Mill::answers`] has what each of them is answered. `custody` has that of each request.
    pub(super) fn run(
        &mut self,
        requests: &[Incoming],
        custody: &[Option<Arc<Custody>>],
        chains: &Chains,
        outlet: &dyn Outlet,
        note: bool,
    ) {
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
        let outcome =
            if self.run.batch.rows() == 0 { Ok(()) } else { self.pass(&chain, custody, chains, outlet, note, whole) };
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
        custody: &[Option<Arc<Custody>>],
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
        for seat in &mut self.seats {
            if self.run.batch.live() == 0 {
                break;
            }
            if let Err(refusal) = seat.pass(&mut self.run, chains.shadows()) {
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
            let (context, custody) = (context.unwrap_or_default(), Custody::join(custody));
            let parcel = Parcel { signal, body, items, context, custody };
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
        if self.generation == chain.generation && self.seats.len() == chain.places.len() {
            return;
        }
        let mut old = std::mem::take(&mut self.seats);
        let mut kept = |stage: Option<&Arc<Stage>>| {
            let stage = stage?;
            old.iter_mut().find_map(|seat| seat.slot_of(stage)?.take())
        };
        self.seats = chain
            .places
            .iter()
            .map(|place| Seat {
                stage: kept(place.stage.as_ref()),
                canary: kept(place.trial.as_ref().map(|trial| trial.stage())),
                place: place.clone(),
            })
            .collect();
        // What is left of the old ones belongs to versions that were replaced.
        for seat in self.seats.iter_mut().filter(|seat| seat.stage.is_none()) {
            let Some(stage) = &seat.place.stage else { continue };
            seat.stage = old.iter_mut().find_map(|old| {
                let before = old.place.stage.as_ref().filter(|before| before.spec().name == stage.spec().name)?;
                hand_over(before, old.stage.take()?, stage)
            });
        }
        self.generation = chain.generation;
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

    /// Where this mill's instance of a stage is, if the stage stands here.
    fn slot_of(&mut self, stage: &Arc<Stage>) -> Option<&mut Slot> {
        let is_it = |known: &Arc<Stage>| Arc::ptr_eq(known, stage);
        if self.place.stage.as_ref().is_some_and(is_it) {
            Some(&mut self.stage)
        } else if self.place.trial.as_ref().is_some_and(|trial| is_it(trial.stage())) {
            Some(&mut self.canary)
        } else {
            None
        }
    }
}

/// Whether two requests may travel in one batch.
pub(super) fn joinable(a: &RequestContext, b: &RequestContext) -> bool {
    a.tenant == b.tenant && a.headers == b.headers
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
