//! The shadow: one thread at low priority on which versions are tried on copies of live batches, beside the data path. What it has no time
//! for is skipped and counted; nothing waits for it, and nothing of it reaches the output.

use std::mem::size_of_val;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use otlp::batch::Batch;
use otlp::compare::Differences;

use super::run::{Clock, Run};
use super::trial::{Part, Trial};

/// How many batches wait, and how many bytes they hold at most.
const WAITING: usize = 8;
const WAITING_BYTES: usize = 32 << 20;
/// The shadow's priority: it takes what the others leave.
const NICE: i32 = 15;

/// The shadow of one chain; its thread begins with the first batch, and ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    queue: OnceLock<Option<Sender<Job>>>,
    waiting: Arc<AtomicUsize>,
}

/// A batch before and after the stage that counts.
struct Job {
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
        let busy = self.queue.get().is_some_and(|queue| queue.as_ref().is_none_or(Sender::is_full));
        let has_room = |waiting| (waiting + bytes <= WAITING_BYTES && !busy).then_some(waiting + bytes);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room).is_err() {
            trial.report().skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let held = Held { waiting: Arc::clone(&self.waiting), bytes };
        Some(Before { batch: batch.clone(), held })
    }

    /// Has the copy tried and compared with what the stage that counts has made of the batch.
    pub(super) fn offer(&self, trial: &Arc<Trial>, before: Before, after: &Batch, now: u64) {
        let Before { batch, held } = before;
        let job = Job { trial: Arc::clone(trial), before: batch, after: after.clone(), now, _bytes: held };
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
    let Job { trial, before, after, now, _bytes } = job;
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
