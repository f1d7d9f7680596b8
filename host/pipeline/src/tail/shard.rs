//! A shard: the traces whose ids fall to it, with all that is known of them. Does nothing by itself, and knows the time only as it is told.
//!
//! A trace waits until it is due ([`Shard::due`]); then samplers are asked about it, while its spans may still come; then it is settled
//! ([`Shard::settle`]): it waits on, is let go of, or leaves ([`Shard::leave`]).

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use otlp::batch::{Batch, RequestContext};
use otlp::encode::parted;

use super::chunk::Packed;
use super::clocks::{Appointment, Clocks, Nanos, step_of};
use super::config::Remember;
use super::envelope::Envelopes;
use super::key::{Hashing, Key};
use super::leaving::{Leaving, LeavingTrace};
use super::origin::{Origin, Origins};
use super::remembered::Remembered;
use super::slab::{NONE, Slab};
use super::spans::{Spans, Which};
use super::trace::{NEVER, State, Summary, Trace, Waits};
use super::verdict::{Fate, Mark, Verdict, Verdicts};
use crate::chain::sampler::Due;

mod gone;

/// One shard.
#[derive(Debug)]
pub(super) struct Shard {
    traces: Slab<Trace>,
    slots: HashTable<u32>,
    pub(super) spans: Spans,
    envelopes: Envelopes,
    origins: Origins,
    verdicts: Verdicts,
    remembered: Remembered,
    clocks: Clocks,
    /// Kept traces whose spans have yet to leave.
    ready: VecDeque<u32>,
    /// The first spans of dropped ones that have yet to be let go of: of a very large trace not all at once.
    going: Vec<u32>,
    waits: Waits,
    hashing: Hashing,
    stamp: u32,
    /// When its thread wakes by itself.
    pub(super) wakes_at: Nanos,
    /// Until when it does not want to be woken: what is due by then is done together.
    pub(super) rests_until: Nanos,
    /// Its bytes, its traces, and of the bytes those that deciding frees none of, as the others know them.
    pub(super) settled: (usize, usize, usize),
    /// Somebody wants its thread to look now.
    pub(super) is_called: bool,
    /// Of kept spans that have yet to leave.
    leaving_bytes: usize,
    /// What has happened since somebody asked.
    pub(super) events: Events,
}

/// What has happened, to be counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Events {
    /// Spans that came after their trace was decided.
    pub(super) late_kept: u64,
    pub(super) late_dropped: u64,
    /// Kept traces that are no longer known.
    pub(super) forgotten: u64,
    /// Generations of dropped ones that are not.
    pub(super) forgotten_dropped: u64,
}

/// A span on its way in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'b> {
    pub(super) batch: &'b Batch,
    pub(super) row: u32,
    pub(super) key: Key,
    pub(super) hash: u64,
    /// Of which samplers it meets the `early`.
    pub(super) early: u64,
    pub(super) envelope: u32,
    pub(super) origin: u32,
}

/// What became of a span that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Held,
    /// Its trace was dropped.
    Dropped,
}

/// A trace about which samplers are to be asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) slot: u32,
    pub(super) key: Key,
    pub(super) hash: u64,
    pub(super) due: Due,
    pub(super) early: u64,
    pub(super) summary: Summary,
    /// When its first span came.
    pub(super) first: Nanos,
}

/// What was decided of a candidate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settled<'v> {
    /// It waits for its other clocks.
    NotYet,
    /// It waits at least until then.
    Wait(Nanos),
    By(&'v Verdict),
}

/// How many candidates are taken at once.
pub(super) const AT_ONCE: usize = 2048;

/// For so many what is read of memory is asked for together.
pub(super) const TOGETHER: usize = 32;

/// How many spans are let go of before others get the lock.
pub(super) const SOME_SPANS: usize = 4096;

impl Shard {
    pub(super) fn new(chunk: usize, waits: Waits, remember: Remember, hashing: Hashing) -> Self {
        Self {
            traces: Slab::default(),
            slots: HashTable::new(),
            spans: Spans::new(chunk),
            envelopes: Envelopes::default(),
            origins: Origins::default(),
            verdicts: Verdicts::default(),
            remembered: Remembered::new(remember, hashing.clone()),
            clocks: Clocks::default(),
            ready: VecDeque::new(),
            going: Vec::new(),
            waits,
            hashing,
            stamp: 0,
            wakes_at: 0,
            rests_until: 0,
            settled: (0, 0, 0),
            is_called: false,
            leaving_bytes: 0,
            events: Events::default(),
        }
    }

    /// How many bytes it takes, index and all.
    pub(super) fn bytes(&self) -> usize {
        self.spans.bytes()
            + self.traces.bytes()
            + self.slots.capacity() * (size_of::<u32>() + 1)
            + self.envelopes.bytes()
            + self.origins.bytes()
            + self.verdicts.bytes()
            + self.remembered.bytes()
            + self.clocks.bytes()
            + (self.ready.capacity() + self.going.capacity()) * size_of::<u32>()
    }

    /// By how much that may grow for so many spans of so many bytes.
    pub(super) fn growth(chunk: usize, spans: usize, bytes: usize) -> usize {
        let traces = (spans / 1024 + 1) * Slab::<Trace>::PAGE_BYTES;
        let each = 2 * (size_of::<Appointment>() + size_of::<u32>()) + Envelopes::UPKEEP;
        Spans::growth(chunk, spans, bytes) + traces + spans * each
    }

    /// How many traces wait or leave.
    pub(super) fn traces(&self) -> usize {
        self.traces.len()
    }

    /// How many bytes of memory are taken by what is decided already: by kept spans that have yet to leave, and by spans in packed chunks that nobody wants
    /// any more.
    pub(super) fn decided_bytes(&self) -> usize {
        self.spans.in_memory(self.leaving_bytes) + self.spans.wasted()
    }

    /// Whether kept spans have yet to leave.
    pub(super) fn is_leaving(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Other times from now on, for what waits already too.
    pub(super) fn set_waits(&mut self, waits: Waits) {
        if self.waits == waits {
            return;
        }
        self.waits = waits;
        let waiting = self.traces.iter().filter(|(_, trace)| trace.state == State::Waiting);
        for slot in waiting.map(|(slot, _)| slot).collect::<Vec<_>>() {
            self.schedule(slot);
        }
    }

    /// What a span came under. It has one user more.
    pub(super) fn enter_envelope(&mut self, context: &Arc<RequestContext>, resource: u32, scope: &[u8]) -> u32 {
        self.envelopes.enter(context, resource, scope)
    }

    /// A resource of such. It has one user more.
    pub(super) fn enter_resource(&mut self, resource: &[u8]) -> u32 {
        self.envelopes.enter_resource(resource)
    }

    pub(super) fn leave_resource(&mut self, resource: u32) {
        self.envelopes.leave_resource(resource);
    }

    pub(super) fn leave_envelope(&mut self, envelope: u32) {
        self.envelopes.leave(envelope);
    }

    /// What a batch came with. It has one user more.
    pub(super) fn enter_origin(&mut self, origin: Option<&Origin>) -> u32 {
        self.origins.enter(origin)
    }

    pub(super) fn leave_origin(&mut self, origin: u32) {
        self.origins.leave(origin);
    }

    /// Knows what was decided of a trace before: `None` is dropped.
    pub(super) fn remember(&mut self, key: Key, verdict: Option<&Verdict>) {
        let hash = self.hashing.of(key);
        match verdict {
            None => self.remembered.drop(hash),
            Some(verdict) => {
                let number = self.verdicts.enter(verdict);
                if let Some(unused) = self.remembered.keep(key, hash, number) {
                    self.verdicts.leave(unused.verdict);
                }
            }
        }
    }

    /// Takes a span. `scratch` is overwritten.
    pub(super) fn take(&mut self, now: Nanos, arrival: &Arrival<'_>, scratch: &mut Vec<u8>) -> Taken {
        let Arrival { batch, row, key, hash, early, envelope, origin } = *arrival;
        let slot = match self.find(&key, hash) {
            Some(slot) => {
                let is_decided = matches!(self.traces.get(slot).state, State::Kept(_));
                self.events.late_kept += u64::from(is_decided);
                slot
            }
            None => match self.remembered.kept(&key, hash) {
                Some(verdict) => {
                    self.events.late_kept += 1;
                    self.verdicts.share(verdict);
                    let slot = self.begin(now, key, hash);
                    self.is_kept(slot, verdict);
                    slot
                }
                None if self.remembered.is_dropped(hash) => {
                    self.events.late_dropped += 1;
                    return Taken::Dropped;
                }
                None => self.begin(now, key, hash),
            },
        };
        let span = &batch.spans()[row as usize];
        let bytes = if span.changes.is_none() {
            batch.get(span.field)
        } else {
            scratch.clear();
            parted::span(batch, row, scratch);
            &scratch[..]
        };
        self.envelopes.share(envelope);
        self.origins.share(origin);
        let trace = self.traces.get_mut(slot);
        let record = self.spans.append(trace.newest, envelope, origin, bytes);
        if trace.first == NONE {
            trace.first = record;
        }
        trace.newest = record;
        trace.summary.add(batch, span, bytes.len());
        trace.times.last = now;
        if trace.summary.spans >= trace.early_from || early & !trace.asked != 0 {
            trace.early |= early;
        }
        if let State::Kept(_) = trace.state {
            self.leaving_bytes += bytes.len();
        }
        if trace.root == NONE && batch.parent(span).is_none() {
            trace.root = record;
            trace.times.root = now;
        }
        if trace.state == State::Waiting {
            self.schedule(slot);
        }
        Taken::Held
    }

    /// Has all the places of memory come in which traces of these hashes will be looked for. One after the other each would be waited for; so many are on
    /// their way together that it takes a fraction of that.
    pub(super) fn warm(&self, hashes: impl Iterator<Item = u64>) {
        let touch = |hash: u64| {
            let known = self.slots.find(hash, |_| false).is_some();
            u64::from(self.remembered.touch(hash)) + u64::from(known)
        };
        std::hint::black_box(hashes.map(touch).sum::<u64>());
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Nanos> {
        if self.ready.is_empty() { self.clocks.next() } else { Some(0) }
    }

    /// Traces that are due by now; all that wait, if `all` is why. They are asked about from now on.
    pub(super) fn due(&mut self, now: Nanos, all: Option<Due>, out: &mut Vec<Candidate>) {
        let mut some = Vec::with_capacity(TOGETHER);
        while out.len() < AT_ONCE {
            some.clear();
            self.clocks.take(all.map_or(now, |_| NEVER), TOGETHER.min(AT_ONCE - out.len()), &mut some);
            if some.is_empty() {
                break;
            }
            // As in `warm`.
            let touch = |appointment: &Appointment| u64::from(self.is_current(appointment));
            std::hint::black_box(some.iter().map(touch).sum::<u64>());
            for appointment in &some {
                self.is_looked_at(now, all, appointment, out);
            }
        }
        let (traces, clocks) = (&self.traces, &mut self.clocks);
        clocks.tidy(traces.len(), |appointment| is_current(traces, appointment));
    }

    /// A trace's time has come, if it is the one that it waits for.
    fn is_looked_at(&mut self, now: Nanos, all: Option<Due>, appointment: &Appointment, out: &mut Vec<Candidate>) {
        if !self.is_current(appointment) {
            return;
        }
        let (at, due) = self.traces.get(appointment.slot).due(&self.waits);
        match all {
            None if at > now => {
                self.traces.get_mut(appointment.slot).times.next = NEVER;
                self.schedule(appointment.slot);
            }
            _ => out.push(self.candidate(appointment.slot, all.unwrap_or(due))),
        }
    }

    /// The traces that are the largest and have waited longest, of so many bytes at least, if there are that many. Answers of how many.
    pub(super) fn heaviest(&mut self, now: Nanos, bytes: usize, out: &mut Vec<Candidate>) -> usize {
        let age = |trace: &Trace| now.saturating_sub(trace.times.first).max(1);
        self.foremost(bytes, out, |trace| u128::from(trace.summary.bytes) * u128::from(age(trace)))
    }

    /// Those that have waited longest, likewise: what lies on a disk goes with the oldest.
    pub(super) fn oldest(&mut self, now: Nanos, bytes: usize, out: &mut Vec<Candidate>) -> usize {
        self.foremost(bytes, out, |trace| u128::from(now.saturating_sub(trace.times.first)))
    }

    fn foremost(&mut self, bytes: usize, out: &mut Vec<Candidate>, by: impl Fn(&Trace) -> u128) -> usize {
        let most = AT_ONCE.saturating_sub(out.len());
        if most == 0 || bytes == 0 {
            return 0;
        }
        let waiting = self.traces.iter().filter(|(_, trace)| trace.state == State::Waiting);
        let mut all: Vec<(u128, u32, u64)> = Vec::with_capacity(2 * most);
        let cut = |all: &mut Vec<(u128, u32, u64)>| {
            if most < all.len() {
                all.select_nth_unstable_by(most - 1, |one, other| other.0.cmp(&one.0));
                all.truncate(most);
            }
        };
        for (slot, trace) in waiting {
            all.push((by(trace), slot, trace.summary.bytes));
            // However many wait, few are noted.
            if all.len() == 2 * most {
                cut(&mut all);
            }
        }
        cut(&mut all);
        all.sort_unstable_by_key(|one| std::cmp::Reverse(one.0));
        let mut found = 0;
        for (_, slot, size) in all {
            if found >= bytes {
                break;
            }
            found += size as usize;
            out.push(self.candidate(slot, Due::OverBudget));
        }
        found
    }

    /// A candidate's first span.
    pub(super) fn first(&self, slot: u32) -> u32 {
        self.traces.get(slot).first
    }

    /// A candidate's root, if it has come.
    pub(super) fn root(&self, slot: u32) -> Option<u32> {
        let root = self.traces.get(slot).root;
        (root != NONE).then_some(root)
    }

    /// The oldest chunk that could be spilled.
    pub(super) fn oldest_packed(&self) -> Option<(Which, Packed)> {
        self.spans.oldest_packed().map(|(which, packed)| (which, packed.clone()))
    }

    /// Settles what is still asked about, after a fault of ours: it is kept.
    pub(super) fn forgive(&mut self, now: Nanos, candidates: &[Candidate]) {
        let verdict = Verdict::of_buffer("internal_error", Fate::Keep(Mark::Leave));
        for candidate in candidates {
            let is_it = |trace: &Trace| trace.state == State::Asked && trace.key == candidate.key;
            if self.traces.is_taken(candidate.slot) && is_it(self.traces.get(candidate.slot)) {
                self.settle(now, candidate, Settled::By(&verdict));
            }
        }
    }

    pub(super) fn envelope(&self, record: u32) -> &Arc<super::envelope::Envelope> {
        self.envelopes.get(self.spans.get(record).envelope)
    }

    /// Does what was decided of a candidate. Answers how many spans were dropped.
    pub(super) fn settle(&mut self, now: Nanos, candidate: &Candidate, settled: Settled<'_>) -> u64 {
        let Candidate { slot, hash, .. } = *candidate;
        let trace = self.traces.get_mut(slot);
        debug_assert_eq!(trace.state, State::Asked, "only candidates are settled");
        let verdict = match settled {
            Settled::NotYet | Settled::Wait(_) => {
                trace.state = State::Waiting;
                if let Settled::Wait(until) = settled {
                    trace.times.wait = until.max(now.saturating_add(1));
                }
                self.schedule(slot);
                return 0;
            }
            Settled::By(verdict) => verdict,
        };
        match verdict.fate {
            Fate::Keep(_) => {
                let number = self.verdicts.enter(verdict);
                self.is_kept(slot, number);
                0
            }
            Fate::Drop => {
                let Trace { first, summary, .. } = *self.traces.get(slot);
                self.going.push(first);
                let rotations = self.remembered.rotations();
                self.remembered.drop(hash);
                self.events.forgotten_dropped += self.remembered.rotations() - rotations;
                self.end(slot, hash);
                u64::from(summary.spans)
            }
        }
    }

    /// Lets go of spans of dropped traces, `left` of them at most, which becomes so much less. Answers whether there are more.
    pub(super) fn let_go(&mut self, left: &mut usize) -> bool {
        while let Some(mut next) = self.going.pop() {
            while next != NONE {
                if *left == 0 {
                    self.going.push(next);
                    return true;
                }
                let record = self.spans.release(next);
                self.envelopes.leave(record.envelope);
                self.origins.leave(record.origin);
                next = record.next;
                *left -= 1;
            }
        }
        false
    }

    /// Spans of kept traces, about so many bytes. They are the caller's from now on.
    pub(super) fn leave(&mut self, most: usize, out: &mut Leaving) {
        while out.bytes < most {
            let Some(&slot) = self.ready.front() else { return };
            let trace = *self.traces.get(slot);
            let State::Kept(number) = trace.state else { unreachable!("only kept traces are ready") };
            let mut leaving = LeavingTrace { verdict: Arc::clone(self.verdicts.get(number)), spans: Vec::new() };
            let mut next = trace.first;
            while next != NONE && out.bytes < most {
                let piece = self.spans.piece(next, &mut out.arena);
                let len = self.spans.len_of(next);
                out.bytes += len;
                self.leaving_bytes -= len;
                let record = self.spans.release(next);
                let envelope = self.envelopes.get(record.envelope);
                out.note_envelope(envelope);
                leaving.spans.push((Arc::clone(envelope), piece));
                if let Some(origin) = self.origins.get(record.origin) {
                    out.note_origin(origin);
                }
                self.envelopes.leave(record.envelope);
                self.origins.leave(record.origin);
                next = record.next;
            }
            out.traces.push(leaving);
            if next != NONE {
                self.traces.get_mut(slot).first = next;
                return;
            }
            self.ready.pop_front();
            let hash = self.hashing.of(trace.key);
            if let Some(unused) = self.remembered.keep(trace.key, hash, number) {
                self.verdicts.leave(unused.verdict);
                self.events.forgotten += u64::from(unused.is_forgotten);
            }
            self.end(slot, hash);
        }
    }

    fn find(&self, key: &Key, hash: u64) -> Option<u32> {
        self.slots.find(hash, |&slot| self.traces.get(slot).key == *key).copied()
    }

    fn begin(&mut self, now: Nanos, key: Key, hash: u64) -> u32 {
        self.stamp = self.stamp.wrapping_add(1);
        let slot = self.traces.put(Trace::new(key, self.stamp, now));
        let (traces, hashing) = (&self.traces, &self.hashing);
        self.slots.insert_unique(hash, slot, |&slot| hashing.of(traces.get(slot).key));
        slot
    }

    fn end(&mut self, slot: u32, hash: u64) {
        if let Ok(found) = self.slots.find_entry(hash, |&known| known == slot) {
            found.remove();
        }
        self.traces.remove(slot);
        if self.slots.capacity() > 1024 && self.slots.len() * 8 < self.slots.capacity() {
            let (traces, hashing) = (&self.traces, &self.hashing);
            self.slots.shrink_to(self.slots.len() * 2, |&slot| hashing.of(traces.get(slot).key));
        }
    }

    fn is_kept(&mut self, slot: u32, verdict: u32) {
        let trace = self.traces.get_mut(slot);
        trace.state = State::Kept(verdict);
        self.leaving_bytes += trace.summary.bytes as usize;
        self.ready.push_back(slot);
    }

    fn candidate(&mut self, slot: u32, due: Due) -> Candidate {
        let trace = self.traces.get_mut(slot);
        trace.state = State::Asked;
        trace.times.next = NEVER;
        let early = std::mem::take(&mut trace.early);
        if due == Due::Early {
            // The larger it is, the seldomer it is looked at again before its time.
            trace.asked |= early;
            trace.early_from = trace.summary.spans + trace.summary.spans / 8;
        }
        let hash = self.hashing.of(trace.key);
        Candidate { slot, key: trace.key, hash, due, early, summary: trace.summary, first: trace.times.first }
    }

    /// Makes sure that a trace is looked at in time.
    fn schedule(&mut self, slot: u32) {
        let trace = self.traces.get_mut(slot);
        let at = step_of(trace.due(&self.waits).0);
        if at < trace.times.next {
            trace.times.next = at;
            self.clocks.add(Appointment { at, slot, stamp: trace.stamp });
        }
    }

    fn is_current(&self, appointment: &Appointment) -> bool {
        is_current(&self.traces, appointment)
    }
}

/// Whether a trace still waits for this.
fn is_current(traces: &Slab<Trace>, appointment: &Appointment) -> bool {
    let Appointment { at, slot, stamp } = *appointment;
    let is_it = |trace: &Trace| trace.stamp == stamp && trace.times.next == at && trace.state == State::Waiting;
    traces.is_taken(slot) && is_it(traces.get(slot))
}
