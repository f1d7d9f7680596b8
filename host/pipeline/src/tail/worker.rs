//! A shard's own thread: waits until something is due, has it decided, and lets it leave. Invariant: plugins, codecs and queues are called without
//! the shard's lock, so that no mill waits for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use otlp::batch::Batch;
use parking_lot::MutexGuard;

use super::budget::Pressure;
use super::chunk::Packer;
use super::clocks::Nanos;
use super::emit::Emitter;
use super::intake::Sorter;
use super::journal::Journal;
use super::judge::{Judge, Outcome, Turn};
use super::leaving::Leaving;
use super::outbox::{AGAIN, Outbox};
use super::shard::{AT_ONCE, Candidate, SOME_SPANS, Shard, TOGETHER};
use super::show::Limits;
use super::spill::Spill;
use super::tally::Tally;
use super::verdict::Fate;
use super::{Cell, Inner};
use crate::chain::sampler::{Due, Show};
use crate::unix;

/// Decisions that are so close together are made at once.
const TICK: Duration = Duration::from_millis(40);
/// How long it sleeps at most.
const LOOK: Duration = Duration::from_secs(1);
/// And where its traces may become another's: what comes back must not find them waiting.
const LOOK_OVER: Duration = Duration::from_millis(100);
/// No more leaves at once than this part of what the queues have room for: what they could never take would be lost.
const LEAVE_SHARE: usize = 4;
/// So often it begins anew in one turn, before it looks at the clock.
const ROUNDS: usize = 64;
/// So many chunks are packed, spilled or compacted between two looks at the clock.
const CHUNKS: usize = 64;

/// One shard's thread.
pub(super) struct Worker {
    inner: Arc<Inner>,
    number: usize,
    judge: Judge,
    emitter: Emitter,
    outbox: Outbox,
    packer: Packer,
    tally: Tally,
    candidates: Vec<Candidate>,
    journal: Option<Journal>,
    batch: Batch,
    sorter: Sorter,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.outbox.give_up();
        if let Some(durable) = &self.inner.durable {
            durable.give_up();
            durable.flush();
        }
    }
}

impl Worker {
    pub(super) fn new(inner: Arc<Inner>, number: usize) -> Self {
        let shards = inner.cells.len();
        Self {
            number,
            judge: Judge::new(),
            emitter: Emitter::new(inner.part),
            outbox: Outbox::new(inner.ledger.clone(), inner.part),
            packer: Packer::new(inner.part),
            tally: Tally::new(&inner.ledger),
            candidates: Vec::new(),
            journal: inner.journals.clone().map(|journals| Journal::new(journals, shards)),
            batch: Batch::new(),
            sorter: Sorter::default(),
            inner,
        }
    }

    /// Works until the buffer is gone. A bug of ours must not take the thread with it: what was being decided is kept.
    pub(super) fn work(mut self) {
        while !self.inner.is_gone() {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn()));
            let is_idle = turn.unwrap_or_else(|_| {
                tracing::error!("the trace buffer has failed in a turn; what was being decided is kept");
                (self.judge, self.emitter, self.batch) = (Judge::new(), Emitter::new(self.inner.part), Batch::new());
                self.cell().shard.lock().forgive(self.inner.now(), &self.candidates);
                self.candidates.clear();
                self.let_go();
                false
            });
            self.inner.report(self.number, is_idle);
            self.wait();
        }
    }

    fn cell(&self) -> &Cell {
        &self.inner.cells[self.number]
    }

    /// Does what is due by now. Answers whether nothing at all is left.
    pub(super) fn turn(&mut self) -> bool {
        let inner = Arc::clone(&self.inner);
        inner.fetch(&mut self.batch, &mut self.sorter);
        self.judge.follow(&inner.chains.current());
        if self.number == 0 && inner.restores() {
            inner.restore(&mut self.batch, &mut self.sorter);
        }
        let now = inner.now();
        let mut is_first = true;
        for _ in 0..ROUNDS {
            self.relieve();
            let decided = if inner.decides() { self.decide(now, is_first) } else { 0 };
            let has_more = self.leave();
            if decided < AT_ONCE && !has_more {
                break;
            }
            is_first = false;
        }
        self.compact();
        inner.budget().look_again();
        if let Some(durable) = &inner.durable {
            // What is undecided is on the disk, and may wait.
            return durable.is_empty() && self.outbox.is_empty() && !self.cell().shard.lock().is_leaving();
        }
        self.cell().shard.lock().traces() == 0 && self.outbox.is_empty()
    }

    fn wait(&self) {
        let cell = self.cell();
        let mut shard = cell.shard.lock();
        let is_restoring = self.number == 0 && self.inner.restores();
        if std::mem::take(&mut shard.is_called) || self.inner.is_gone() || is_restoring {
            return;
        }
        let now = self.inner.now();
        let all_is_due = self.inner.is_ending() && self.inner.decides() && shard.traces() > 0;
        let next = if all_is_due { Some(now) } else { shard.next() };
        let until_next = next.map_or(LOOK, |next| Duration::from_nanos(next.saturating_sub(now)));
        let least = if self.outbox.waits() { AGAIN } else { TICK };
        let is_pressed = self.inner.budget().pressure() != Pressure::None || self.inner.is_log_full();
        let most = match () {
            () if is_pressed => AGAIN,
            () if shard.may_be_handed_over() => LOOK_OVER,
            () => LOOK,
        };
        let pause = until_next.min(most).max(least);
        shard.rests_until = now + least.as_nanos() as u64;
        shard.wakes_at = now + pause.as_nanos() as u64;
        let _timed_out = cell.woken.wait_for(&mut shard, pause);
    }

    /// Decides what is due by then, some thousand traces at most; `relieves` if the heaviest are to go where memory is short. Answers how many there were.
    fn decide(&mut self, now: Nanos, relieves: bool) -> usize {
        let inner = Arc::clone(&self.inner);
        let config = inner.config.load_full();
        let cell = &inner.cells[self.number];
        self.candidates.clear();
        let (found, handed_over);
        {
            let mut shard = cell.shard.lock();
            handed_over = shard.hand_over();
            shard.due(now, inner.is_ending().then_some(Due::ShuttingDown), &mut self.candidates);
            if relieves && self.candidates.len() < AT_ONCE {
                if inner.budget().pressure() == Pressure::Early {
                    let share = inner.budget().excess() / inner.cells.len();
                    shard.heaviest(now, share, &mut self.candidates);
                }
                if let Some(durable) = &inner.durable {
                    let share = durable.excess(self.number, inner.cells.len());
                    durable.relieved(self.number, shard.oldest(now, share, &mut self.candidates));
                }
            }
            found = self.candidates.len();
        }
        inner.ledger.lost("handed_over", handed_over);
        if handed_over > 0 {
            self.let_go();
        }
        if self.candidates.is_empty() {
            return found;
        }
        let summaries = || self.candidates.iter().map(|candidate| candidate.summary);
        let (shown, _room) = match self.judge.shows() {
            Show::NoSpans => (0, None),
            // Roots are about as large as other spans.
            Show::Roots => {
                inner.room_to_show(summaries().map(|all| all.bytes as usize / all.spans.max(1) as usize).sum())
            }
            Show::EverySpan => inner.room_to_show(summaries().map(|all| all.bytes as usize).sum()),
        };
        let turn = Turn {
            now,
            unix: unix::nanos(),
            otherwise: config.default,
            limits: Limits { rows: config.max_rows as usize, bytes: shown, kept: inner.part },
            shadows: inner.chains.shadows(),
            bit: &|name| inner.bits.of(name),
        };
        let outcomes = self.judge.decide(&cell.shard, turn, &self.candidates);
        self.write_down(&outcomes);
        let mut shard = cell.shard.lock();
        let mut left = SOME_SPANS;
        for (some, outcomes) in self.candidates.chunks(TOGETHER).zip(outcomes.chunks(TOGETHER)) {
            shard.warm(some.iter().map(|candidate| candidate.hash));
            for (candidate, outcome) in some.iter().zip(outcomes) {
                let dropped = shard.settle(now, candidate, outcome.settled());
                if let Outcome::By(verdict) = outcome {
                    let waited = Duration::from_nanos(now.saturating_sub(candidate.first));
                    self.tally.add(verdict, candidate.due, waited, dropped);
                }
            }
            let_go(&inner, &mut shard, &mut left);
        }
        inner.settle(&mut shard);
        drop(shard);
        self.tally.settle(&inner.ledger);
        self.tell(&outcomes);
        found
    }

    fn let_go(&self) {
        let mut shard = self.cell().shard.lock();
        let_go(&self.inner, &mut shard, &mut SOME_SPANS.clone());
        self.inner.settle(&mut shard);
    }

    /// Whoever waits for it hears which traces are kept.
    fn tell(&self, outcomes: &[Outcome]) {
        let kept = |outcome: &Outcome| matches!(outcome, Outcome::By(verdict) if verdict.fate != Fate::Drop);
        let decisions = self.inner.chains.span_metrics().decisions();
        for (candidate, _) in self.candidates.iter().zip(outcomes).filter(|(_, outcome)| kept(outcome)) {
            decisions.kept(&candidate.key.id);
        }
    }

    /// Before anything comes of it: after a crash the same is known.
    fn write_down(&mut self, outcomes: &[Outcome]) {
        let Some(journal) = &mut self.journal else { return };
        let decided = self.candidates.iter().zip(outcomes).filter_map(|(candidate, outcome)| match outcome {
            Outcome::By(verdict) => Some((candidate.key, verdict)),
            Outcome::NotYet | Outcome::Wait(_) => None,
        });
        if let Err(error) = journal.write(decided)
            && let Some(left_out) = self.inner.log_gate.open()
        {
            tracing::error!(%error, left_out, "decisions cannot be written down: after a restart they are not known");
        }
    }

    /// Lets kept spans leave, as much as may at once. Answers whether there are more, and room for them.
    fn leave(&mut self) -> bool {
        let inner = Arc::clone(&self.inner);
        let is_flushed = self.outbox.flush(&*inner.outlet);
        if !is_flushed && !self.outbox.has_room() {
            return false;
        }
        let mut leaving = Leaving::default();
        let has_more = {
            let cell = self.cell();
            let mut shard = cell.shard.lock();
            shard.leave(inner.part.min(inner.outlet.room() / LEAVE_SHARE), &mut leaving);
            inner.settle(&mut shard);
            shard.is_leaving()
        };
        if leaving.traces.is_empty() {
            return false;
        }
        let spans = leaving.traces.iter().map(|trace| trace.spans.len() as u64).sum();
        let note_reason = inner.config.load().note_reason;
        let emitter = &mut self.emitter;
        let Ok(emitted) = catch_unwind(AssertUnwindSafe(|| emitter.emit(&mut leaving, note_reason))) else {
            inner.ledger.lost("internal_error", spans);
            self.emitter = Emitter::new(inner.part);
            return has_more;
        };
        inner.ledger.lost("spill_unreadable", emitted.lost);
        for parcel in emitted.parcels {
            self.outbox.put(parcel);
        }
        self.outbox.flush(&*inner.outlet) && has_more
    }

    /// Does what the budget asks for, beside deciding early.
    fn relieve(&mut self) {
        let inner = Arc::clone(&self.inner);
        let cell = &inner.cells[self.number];
        let is_pressed = |at| inner.budget().pressure() >= at;
        for _ in 0..CHUNKS {
            if !is_pressed(Pressure::Pack) || !self.pack() {
                break;
            }
        }
        let Some(spill) = &cell.spill else { return };
        for _ in 0..CHUNKS {
            if !is_pressed(Pressure::Spill) {
                break;
            }
            let found = cell.shard.lock().oldest_packed();
            let Some((which, packed)) = found else { break };
            let Some(bytes) = packed.in_memory() else { break };
            match spill.write(bytes) {
                Ok(Some(spilled)) => {
                    inner.ledger.tail.spilled.inc_by(bytes.len() as u64);
                    let mut shard = cell.shard.lock();
                    shard.spans.replace(which, &packed, packed.spilled(spilled));
                    inner.settle(&mut shard);
                }
                Ok(None) => break,
                Err(error) => {
                    if let Some(left_out) = inner.log_gate.open() {
                        tracing::error!(%error, left_out, "the trace buffer cannot spill to its folder");
                    }
                    break;
                }
            }
        }
        let spilled: u64 = inner.cells.iter().filter_map(|cell| cell.spill.as_ref()).map(Spill::used).sum();
        let logged = inner.durable.as_ref().map_or(0, |durable| durable.disk_bytes());
        inner.ledger.tail.disk.set((spilled + logged) as i64);
    }

    /// Packs one chunk.
    fn pack(&mut self) -> bool {
        let cell = self.cell();
        let found = cell.shard.lock().spans.oldest_plain().map(|(which, plain)| (which, plain.clone()));
        let Some((which, plain)) = found else { return false };
        let Ok(packed) = self.packer.pack(plain.bytes()) else { return false };
        self.inner.ledger.tail.packed.inc_by(plain.bytes().len() as u64);
        let mut shard = self.cell().shard.lock();
        shard.spans.pack(which, &plain, packed);
        drop(plain);
        self.inner.settle(&mut shard);
        true
    }

    fn compact(&mut self) {
        let inner = Arc::clone(&self.inner);
        let cell = &inner.cells[self.number];
        for _ in 0..CHUNKS {
            let mut shard = cell.shard.lock();
            if !shard.spans.is_sparse() || !shard.spans.compact() {
                break;
            }
            self.inner.settle(&mut shard);
        }
        for _ in 0..CHUNKS {
            let is_short = self.inner.budget().pressure() >= Pressure::Spill;
            let found = cell.shard.lock().spans.sparse_packed(is_short).map(|(which, packed)| (which, packed.clone()));
            let Some((which, packed)) = found else { break };
            // What is damaged is told of when somebody wants it.
            let Ok(bytes) = packed.unpack() else { break };
            let mut shard = cell.shard.lock();
            shard.spans.unpack(which, &packed, &bytes);
            self.inner.settle(&mut shard);
            drop(shard);
            // What was moved is packed again as soon as a chunk is full of it.
            if is_short {
                self.pack();
            }
        }
    }
}

/// Lets go of what was dropped. After each `left` spans mills get in between.
fn let_go(inner: &Inner, shard: &mut MutexGuard<'_, Shard>, left: &mut usize) {
    while shard.let_go(left) {
        inner.settle(shard);
        MutexGuard::bump(shard);
        *left = SOME_SPANS;
    }
}
