//! Asks one sampler about traces: within its deadline, unless its breaker is open, and with its faults counted. A sampler that fails abstains.

use std::sync::Arc;
use std::time::{Duration, Instant};

use otlp::batch::Batch;
use otlp::columns::Column;
use otlp::columns::cache::Cache;

use super::run::{Leave, SEARCH_DEADLINES};
use super::sampler::{Decision, Decisions, Due, NO_ROOT, Question, Show, Traces};
use super::stage::{Fault, Slot, Stage};

/// Leave to ask a sampler about the traces of one turn, which tells its breaker how that went.
pub(crate) struct Asking<'a> {
    stage: &'a Stage,
    slot: &'a mut Slot,
    leave: Leave<'a>,
    /// How much longer may be searched for the traces on which it fails.
    left: Duration,
}

/// What a sampler said of the traces that it was asked about.
pub(crate) struct Answered {
    /// One for each.
    pub(crate) decisions: Vec<Decision>,
    raw: Decisions,
}

impl Answered {
    /// The number of its reason for the trace at `at`, among those of this answer.
    pub(crate) fn code(&self, at: usize) -> u32 {
        self.raw.reasons.codes[at]
    }

    /// Its reason for the trace at `at`.
    pub(crate) fn reason(&self, at: usize) -> String {
        String::from_utf8_lossy(self.raw.reason(at)).into_owned()
    }
}

impl<'a> Asking<'a> {
    /// `None` while its breaker is open: it abstains from all.
    pub(crate) fn begin(stage: &'a Stage, slot: &'a mut Slot) -> Option<Self> {
        let leave = Leave::take(stage)?;
        Some(Self { stage, slot, leave, left: stage.spec().deadline * SEARCH_DEADLINES })
    }

    /// Asks. Invariant: an instance that failed is never used again.
    pub(crate) fn ask(&mut self, traces: &Traces, columns: &[Arc<Column>], now: u64) -> Result<Answered, Fault> {
        let begun = Instant::now();
        let usual = self.stage.spec().deadline;
        let deadline = if self.leave.failed { usual.min(self.left) } else { usual };
        let answered = self.try_ask(Question { traces, columns, now, deadline });
        let rows = traces.starts.last().copied().unwrap_or(0);
        self.stage.count_calls(1, u64::from(rows), begun.elapsed());
        if self.leave.failed {
            self.left = self.left.saturating_sub(begun.elapsed());
        }
        if let Err(fault) = &answered {
            *self.slot = None;
            self.leave.failed = true;
            self.stage.count_fault(fault.kind);
            tracing::debug!(plugin = %self.stage.spec().name, %fault, traces = traces.len(), "asking failed");
        } else if self.slot.as_ref().is_some_and(|instance| instance.is_worn()) {
            *self.slot = None;
        }
        answered
    }

    /// Whether there is time left to search among traces on which it fails.
    pub(crate) fn may_search(&self) -> bool {
        !self.left.is_zero()
    }

    /// It fails on so many traces, of those that were searched one by one.
    pub(crate) fn gave_up(&self, traces: usize, fault: &Fault) {
        let plugin = &self.stage.spec().name;
        if let Some(left_out) = self.stage.complaints().open() {
            tracing::warn!(%plugin, %fault, traces, left_out, "a sampler failed: it abstains from these traces");
        }
    }

    /// All that was to be asked was.
    pub(crate) fn end(mut self) {
        self.leave.is_over();
    }

    fn try_ask(&mut self, question: Question<'_>) -> Result<Answered, Fault> {
        let instance = match self.slot {
            Some(instance) => instance,
            None => self.slot.insert(self.stage.spec().program.instantiate()?),
        };
        let outcome = instance.decide(question).and_then(|raw| {
            let decisions = raw.read(question.traces.len())?;
            Ok(Answered { decisions, raw })
        });
        instance.settle(outcome.is_ok());
        outcome
    }
}

/// Asks a sampler about the traces of sample spans; nothing but its fault comes of it.
pub(super) fn probe(stage: &Stage, batch: &Batch, cache: &mut Cache) -> Result<(), Fault> {
    let plan = stage.spec().program.plan();
    let show = plan.sampler.as_ref().map_or(Show::NoSpans, |sampler| sampler.show);
    let mut instance = stage.spec().program.instantiate()?;
    let id = |row: &u32| batch.get(batch.spans()[*row as usize].trace_id);
    let mut rows: Vec<u32> = (0..batch.rows()).filter(|row| id(row).len() == 16).collect();
    rows.sort_by_key(|row| (id(row), *row));
    for trace in rows.chunk_by(|one, other| id(one) == id(other)) {
        let (traces, shown) = sample(batch, id(&trace[0]), trace, show);
        let columns = cache.show(batch, &shown, &plan.columns).columns;
        let question = Question { traces: &traces, columns: &columns, now: 0, deadline: stage.spec().deadline };
        let outcome = instance.decide(question).and_then(|decisions| decisions.read(traces.len()));
        instance.settle(false);
        outcome?;
    }
    Ok(())
}

/// One trace of these rows, and which of them are shown.
fn sample(batch: &Batch, id: &[u8], rows: &[u32], show: Show) -> (Traces, Vec<u32>) {
    let spans = || rows.iter().map(|row| &batch.spans()[*row as usize]);
    let root = spans().position(|span| batch.parent(span).is_none());
    let (shown, root) = match show {
        Show::NoSpans => (Vec::new(), None),
        Show::Roots => (root.map(|at| rows[at]).into_iter().collect(), root.map(|_| 0)),
        Show::EverySpan => (rows.to_vec(), root),
    };
    let start = spans().map(|span| span.start_time).min().unwrap_or(0);
    let end = spans().map(|span| span.end_time).max().unwrap_or(0);
    let traces = Traces {
        due: vec![Due::RootSeen],
        starts: vec![0, shown.len() as u32],
        whole: vec![1],
        ids: id.to_vec(),
        roots: vec![root.map_or(NO_ROOT, |root| root as u32)],
        spans: vec![rows.len() as u32],
        sizes: vec![spans().map(|span| u64::from(span.field.len)).sum()],
        errors: vec![spans().filter(|span| span.status_code == 2).count() as u32],
        weights: vec![rows.len() as f64],
        start_times: vec![start],
        durations: vec![end.saturating_sub(start)],
    };
    (traces, shown)
}
