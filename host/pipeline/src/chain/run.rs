//! One batch through one stage: select the rows, show columns, call, check and apply the edits; and when the plugin fails,
//! find the span that did it.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use otlp::batch::Batch;
use otlp::columns::cache::Cache;
use otlp::edit::apply::apply;
use otlp::edit::check::check;

use super::ask;
use super::breaker::Pass;
use super::metrics::FAULT;
use super::plan::{Affinity, Failure};
use super::program::{Call, Fault, FaultKind};
use super::stage::{Slot, Stage};
use super::tally::{Rejection, Tally};
use super::trial::Part;
use crate::request::Refusal;

/// How many deadlines the search for the span that makes a plugin fail may take beyond the call that failed, so that hostile
/// input cannot buy endless time.
pub(super) const SEARCH_DEADLINES: u32 = 2;

/// A batch on its way through the stages, with the buffers that are reused from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) batch: Batch,
    pub(super) cache: Cache,
    pub(super) tally: Tally,
    rows: Vec<u32>,
    spare: Vec<u32>,
    /// Nanoseconds since the Unix epoch; what plugins are told for the whole batch.
    pub(super) now: u64,
    /// By what plugins' time is measured.
    pub(super) clock: Clock,
}

/// How long something takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Clock {
    /// On the wall.
    #[default]
    Wall,
    /// By the thread's CPU time: where a thread of low priority waits for its turn most of the time.
    Cpu,
}

impl Clock {
    /// Starts; the answer tells how long ago that was.
    fn start(self) -> impl Fn() -> Duration {
        let wall = Instant::now();
        let begun = self.cpu();
        move || match (begun, self.cpu()) {
            (Some(begun), Some(now)) => now.saturating_sub(begun),
            _ => wall.elapsed(),
        }
    }

    fn cpu(self) -> Option<Duration> {
        let time = (self == Self::Cpu).then(|| clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok());
        time.flatten().map(Duration::from)
    }
}

impl Run {
    /// Takes a part of the batch through a stage. `own` is the mill's instance of it. An error refuses the whole batch: an open breaker
    /// of a stage without which nothing may pass. Answers how many rows the plugin was shown.
    pub(super) fn stage(&mut self, stage: &Stage, own: &mut Slot, part: Part<'_>) -> Result<u32, Refusal> {
        let mut rows = std::mem::take(&mut self.rows);
        let outcome = self.stage_rows(stage, own, part, &mut rows);
        self.rows = rows;
        outcome
    }

    fn stage_rows(
        &mut self,
        stage: &Stage,
        own: &mut Slot,
        part: Part<'_>,
        rows: &mut Vec<u32>,
    ) -> Result<u32, Refusal> {
        rows.clear();
        let spans = self.batch.spans();
        if self.batch.live() == self.batch.rows() {
            rows.extend(0..self.batch.rows());
        } else {
            rows.extend((0..).zip(spans).filter(|(_, span)| !span.dropped).map(|(row, _)| row));
        }
        part.narrow(&self.batch, rows);
        let elapsed = self.clock.start();
        stage.select(&self.batch, rows, &mut self.spare);
        if rows.is_empty() {
            // To find that nothing matches is work for the plugin as well.
            stage.count_calls(0, 0, elapsed());
            return Ok(0);
        }
        let Some(mut leave) = Leave::take(stage) else { return self.blocked(stage, rows).map(|()| 0) };
        let mut calls = Calls { made: 0, failed: None, left: stage.spec().deadline * SEARCH_DEADLINES };
        match stage.spec().program.plan().affinity {
            Affinity::Any => self.rows(stage, own, rows, &mut calls),
            // Invariant: one instance lock at a time.
            Affinity::One => self.rows(stage, &mut stage.lock(0), rows, &mut calls),
            Affinity::Trace => {
                let shards = stage.shards();
                for number in 0..shards {
                    let mine: Vec<u32> =
                        rows.iter().copied().filter(|&row| shard_of(&self.batch, row, shards) == number).collect();
                    if !mine.is_empty() {
                        self.rows(stage, &mut stage.lock(number), &mine, &mut calls);
                    }
                }
            }
        }
        stage.count_calls(calls.made, rows.len() as u64, elapsed());
        leave.failed = calls.failed.is_some();
        leave.is_over();
        Ok(rows.len() as u32)
    }

    /// What an open breaker does with rows.
    fn blocked(&mut self, stage: &Stage, rows: &[u32]) -> Result<(), Refusal> {
        let spec = stage.spec();
        if spec.on_error == Failure::Reject {
            let message = format!("plugin {} is out of service after repeated faults, try again later", spec.name);
            return Err(Refusal::unavailable(spec.breaker.pause, message));
        }
        self.give_up(stage, rows, "breaker open");
        Ok(())
    }

    /// Calls the plugin for all rows, in as many calls as the contract's bounds ask for.
    fn rows(&mut self, stage: &Stage, slot: &mut Slot, mut rows: &[u32], calls: &mut Calls) {
        let wants = &stage.spec().program.plan().columns;
        while !rows.is_empty() {
            let (shown, rest) = rows.split_at(otlp::columns::fitting(&self.batch, rows, wants));
            rows = rest;
            let begun = Instant::now();
            let outcome = match &calls.failed {
                Some(known) if calls.left.is_zero() => Err(known.clone()),
                _ => self.call(stage, slot, shown, stage.spec().deadline, calls),
            };
            if let Err(fault) = outcome {
                // What the first one that fails takes is the batch's own; whatever else fails takes of what is left.
                if calls.failed.replace(fault.clone()).is_some() {
                    calls.spend(begun);
                }
                self.search(stage, slot, shown, &fault, calls);
            }
        }
    }

    /// One call, whole or not at all.
    fn call(
        &mut self,
        stage: &Stage,
        slot: &mut Slot,
        rows: &[u32],
        deadline: Duration,
        calls: &mut Calls,
    ) -> Result<(), Fault> {
        let spec = stage.spec();
        calls.made += 1;
        let outcome = self.try_call(stage, slot, rows, deadline);
        if let Err(fault) = &outcome {
            // Invariant: an instance that failed is never used again.
            *slot = None;
            stage.count_fault(fault.kind);
            tracing::debug!(plugin = %spec.name, %fault, rows = rows.len(), "call failed");
        } else if slot.as_ref().is_some_and(|instance| instance.is_worn()) {
            *slot = None;
        }
        outcome
    }

    fn try_call(&mut self, stage: &Stage, slot: &mut Slot, rows: &[u32], deadline: Duration) -> Result<(), Fault> {
        let spec = stage.spec();
        let instance = match slot {
            Some(instance) => instance,
            None => slot.insert(spec.program.instantiate()?),
        };
        let shown = self.cache.show(&self.batch, rows, &spec.program.plan().columns);
        let call = Call { rows: rows.len() as u32, columns: &shown.columns, now: self.now, deadline };
        let edits = match instance.call(call) {
            Ok(edits) => edits,
            Err(fault) => {
                instance.settle(false);
                return Err(fault);
            }
        };
        if edits.is_empty() {
            instance.settle(true);
            return Ok(());
        }
        if let Err(error) = check(&self.batch, &shown, stage.permissions(), &edits) {
            instance.settle(false);
            return Err(Fault { kind: FaultKind::Edits, message: error.to_string() });
        }
        instance.settle(true);
        let applied = apply(&mut self.batch, &shown, &edits);
        self.cache.invalidate(&applied.written);
        for (reason, rows) in &applied.dropped {
            self.tally.dropped(stage.drop_labels(reason), u64::from(*rows));
        }
        Ok(())
    }

    /// Finds the rows on which the plugin fails by halving, within a bounded time; clears the others.
    fn search(&mut self, stage: &Stage, slot: &mut Slot, rows: &[u32], fault: &Fault, calls: &mut Calls) {
        let spec = stage.spec();
        let begun = Instant::now();
        let until = begun + calls.left;
        // Without an instance no half can do better.
        let hopeless = |fault: &Fault| fault.kind == FaultKind::Instantiate;
        let mut failing = vec![(rows, fault.clone())];
        let mut guilty = 0usize;
        while let Some((rows, fault)) = failing.pop() {
            if rows.len() == 1 || hopeless(&fault) || Instant::now() >= until {
                guilty += rows.len();
                if let [row] = *rows
                    && !hopeless(&fault)
                {
                    stage.set_aside(&self.batch, row, &fault);
                }
                self.give_up(stage, rows, &fault.message);
                continue;
            }
            let (first, second) = rows.split_at(rows.len() / 2);
            for half in [first, second] {
                let left = until.saturating_duration_since(Instant::now());
                let failed = if left.is_zero() {
                    Some(fault.clone())
                } else {
                    // The last one has what is left, and no deadline of its own beyond that.
                    self.call(stage, slot, half, spec.deadline.min(left), calls).err()
                };
                failing.extend(failed.map(|fault| (half, fault)));
            }
        }
        calls.spend(begun);
        let (plugin, on_error, total) = (&spec.name, spec.on_error, rows.len());
        tracing::warn!(%plugin, %fault, spans = guilty, of = total, ?on_error, "plugin failed on a batch");
    }

    /// What becomes of rows on which the plugin fails.
    fn give_up(&mut self, stage: &Stage, rows: &[u32], why: &str) {
        let spec = stage.spec();
        match spec.on_error {
            Failure::Pass => {}
            Failure::Drop => {
                let before = self.batch.live();
                for &row in rows {
                    self.batch.drop_row(row);
                }
                self.tally.dropped(stage.drop_labels(FAULT), u64::from(before - self.batch.live()));
            }
            Failure::Reject => {
                let message = format!("plugin {} failed: {why}", spec.name);
                self.tally.reject(&mut self.batch, rows, Rejection::Plugin, &message);
            }
        }
    }
}

/// The calls of one batch at one stage.
struct Calls {
    made: u64,
    /// How the last one of those failed that were not part of a search.
    failed: Option<Fault>,
    /// How much longer may be searched. Invariant: for the whole batch, however many calls and instances that takes.
    left: Duration,
}

impl Calls {
    fn spend(&mut self, begun: Instant) {
        self.left = self.left.saturating_sub(begun.elapsed());
    }
}

/// Leave to call a stage, which tells the breaker how it went however it ends. Invariant: a trial is always reported, because
/// no other is let through before. What ends in a panic of ours counts as failed.
pub(super) struct Leave<'a> {
    stage: &'a Stage,
    pass: Pass,
    pub(super) failed: bool,
    is_over: bool,
}

impl<'a> Leave<'a> {
    /// `None` while the breaker is open.
    pub(super) fn take(stage: &'a Stage) -> Option<Self> {
        let pass = stage.pass()?;
        Some(Self { stage, pass, failed: false, is_over: false })
    }

    /// It has ended as it is said to have.
    pub(super) fn is_over(&mut self) {
        self.is_over = true;
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let failed = self.failed || !self.is_over;
        if failed || self.pass == Pass::Trial {
            self.stage.report(self.pass, failed);
        }
    }
}

/// Which shard sees a row: always the same for a trace.
fn shard_of(batch: &Batch, row: u32, shards: usize) -> usize {
    let id = batch.get(batch.spans()[row as usize].trace_id);
    // The last bytes of a trace id are its most random ones.
    let tail = id.last_chunk::<8>().map_or(0, |chunk| u64::from_be_bytes(*chunk));
    (tail % shards as u64) as usize
}

/// A stage is tried on sample spans before it goes live: its faults are reported and nothing else comes of it.
pub(super) fn probe(stage: &Stage, sample: &otlp::batch::Incoming) -> Result<(), Fault> {
    let mut run = Run::default();
    for outcome in run.batch.load(std::slice::from_ref(sample)) {
        outcome
            .map_err(|error| Fault { kind: FaultKind::Error, message: format!("the probe's own spans: {error}") })?;
    }
    if stage.is_sampler() {
        return ask::probe(stage, &run.batch, &mut run.cache);
    }
    let rows: Vec<u32> = (0..run.batch.rows()).collect();
    run.try_call(stage, &mut None, &rows, stage.spec().deadline)
}
