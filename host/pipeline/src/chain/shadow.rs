//! The shadow: one thread at low priority on which versions are tried on copies of live batches, beside the data path. What it has no time
//! for is skipped and counted; nothing waits for it, and nothing of it reaches the output.

use std::mem::size_of_val;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use otlp::batch::Batch;
use otlp::columns::Column;
use otlp::compare::Differences;
use otlp::sampling::Arrived;

use super::ask::Asking;
use super::run::{Clock, Run};
use super::sampler::{Decision, Traces};
use super::trial::{Part, Trial};

/// How many batches wait, and how many bytes they hold at most.
const WAITING: usize = 8;
const WAITING_BYTES: usize = 32 << 20;
/// About what one trace takes beside its columns.
const TRACE: usize = 128;
/// The shadow's priority: it takes what the others leave.
const NICE: i32 = 15;

/// The shadow of one chain; its thread begins with the first batch, and ends when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    queue: OnceLock<Option<Sender<Job>>>,
    waiting: Arc<AtomicUsize>,
}

/// What is tried.
enum Job {
    Batch(BatchJob),
    Traces(TracesJob),
}

/// Traces, and what the sampler that counts has said of them.
struct TracesJob {
    trial: Arc<Trial>,
    asked: Asked,
    now: u64,
    _bytes: Held,
}

/// What the version that is tried is to be asked, and what was said by the one that counts.
pub(crate) struct Asked {
    pub(crate) traces: Traces,
    /// As its own plan has them.
    pub(crate) columns: Vec<Arc<Column>>,
    pub(crate) arrived: Vec<Arrived>,
    pub(crate) said: Vec<Decision>,
}

/// A batch before and after the stage that counts.
struct BatchJob {
    trial: Arc<Trial>,
    before: Batch,
    after: Batch,
    /// Nanoseconds since the Unix epoch.
    now: u64,
    /// Given back when it is done.
    _bytes: Held,
}

/// Bytes that wait.
struct Held {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A copy of a batch as it was before the stage that counts.
pub(super) struct Before {
    batch: Batch,
    held: Held,
}

impl Shadows {
    /// Copies a batch for a trial, if the shadow has time for it.
    pub(super) fn before(&self, trial: &Trial, batch: &Batch) -> Option<Before> {
        let bytes = 2 * (batch.held_bytes() + size_of_val(batch)) + batch.bytes();
        let Some(held) = self.hold(bytes) else {
            trial.report().skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        Some(Before { batch: batch.clone(), held })
    }

    /// Has the copy tried and compared with what the stage that counts has made of the batch.
    pub(super) fn offer(&self, trial: &Arc<Trial>, before: Before, after: &Batch, now: u64) {
        let Before { batch, held } = before;
        let job = BatchJob { trial: Arc::clone(trial), before: batch, after: after.clone(), now, _bytes: held };
        self.send(trial, Job::Batch(job));
    }

    /// Has the version that is tried asked about traces, if the shadow has time for it.
    pub(crate) fn ask(&self, trial: &Arc<Trial>, asked: Asked, now: u64) {
        let columns: usize = asked.columns.iter().map(|column| column.size()).sum();
        let Some(held) = self.hold(columns + asked.traces.len() * TRACE) else {
            trial.report().skipped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.send(trial, Job::Traces(TracesJob { trial: Arc::clone(trial), asked, now, _bytes: held }));
    }

    /// Takes room for what waits, if there is so much.
    fn hold(&self, bytes: usize) -> Option<Held> {
        let busy = self.queue.get().is_some_and(|queue| queue.as_ref().is_none_or(Sender::is_full));
        let has_room = |waiting| (waiting + bytes <= WAITING_BYTES && !busy).then_some(waiting + bytes);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room).ok()?;
        Some(Held { waiting: Arc::clone(&self.waiting), bytes })
    }

    fn send(&self, trial: &Trial, job: Job) {
        let queue = self.queue.get_or_init(start).as_ref();
        if queue.is_none_or(|queue| {
            matches!(queue.try_send(job), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
        }) {
            trial.report().skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn start() -> Option<Sender<Job>> {
    let (queue, jobs) = crossbeam_channel::bounded(WAITING);
    let started = std::thread::Builder::new().name("shadow".into()).spawn(move || work(&jobs));
    match started {
        Ok(_) => Some(queue),
        Err(error) => {
            tracing::error!(%error, "no thread for the shadow: nothing is tried on copies");
            None
        }
    }
}

fn work(jobs: &Receiver<Job>) {
    // Of this thread only, on Linux. Where the system forbids it the shadow just runs as the rest does.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the shadow runs at normal priority");
    }
    let mut run = new();
    for job in jobs {
        if catch_unwind(AssertUnwindSafe(|| tried(&mut run, job))).is_err() {
            tracing::error!("the shadow has failed on a batch; it is left out");
            run = new();
        }
    }
}

/// Measured by CPU time: most of the time on the wall this thread waits for its turn.
fn new() -> Run {
    let mut run = Run::default();
    run.clock = Clock::Cpu;
    run
}

fn tried(run: &mut Run, job: Job) {
    match job {
        Job::Batch(job) => tried_on_a_batch(run, job),
        Job::Traces(job) => tried_on_traces(job),
    }
}

fn tried_on_traces(job: TracesJob) {
    let TracesJob { trial, asked: Asked { traces, columns, arrived, said }, now, _bytes } = job;
    let answered = {
        let mut slot = trial.shadow();
        let Some(mut asking) = Asking::begin(trial.stage(), &mut slot) else { return };
        let answered = asking.ask(&traces, &columns, now);
        asking.end();
        answered
    };
    let Ok(answered) = answered else { return };
    let mut differences = Differences::default();
    for (at, spans) in traces.spans.iter().enumerate() {
        let (first, second) = (said[at], answered.decisions[at]);
        let id = traces.ids[at * 16..(at + 1) * 16].to_vec();
        let outcomes = [first, second].map(|decision| decision.keeps(arrived[at]));
        differences.add_decided(u64::from(*spans), id, outcomes, first == second);
    }
    trial.differences().lock().merge(differences);
    trial.has_seen(traces.len() as u32);
}

fn tried_on_a_batch(run: &mut Run, job: BatchJob) {
    let BatchJob { trial, before, after, now, _bytes } = job;
    (run.batch, run.now) = (before, now);
    run.tally.clear();
    // An open breaker refuses nothing here: its faults are told.
    if let Ok(rows) = run.stage(trial.stage(), &mut trial.shadow(), Part::All) {
        // Not under the lock: it may take as long as the call did.
        let mut differences = Differences::default();
        differences.add(&after, &run.batch);
        trial.differences().lock().merge(differences);
        trial.has_seen(rows);
    }
    run.batch.clear();
    run.cache.clear();
}
