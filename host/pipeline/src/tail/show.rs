//! What samplers are to see of traces, copied out of their shard: as requests that are loaded as one batch.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use otlp::batch::{Incoming, RequestContext};
use otlp::columns::MAX_ROWS;
use parking_lot::Mutex;

use super::assemble::{Assembler, Part};
use super::chunk::{Piece, gather};
use super::envelope::Envelope;
use super::shard::{Candidate, Shard};
use super::slab::NONE;
use crate::chain::sampler::{NO_ROOT, Show};

/// How much may be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Rows of a trace.
    pub(super) rows: usize,
    /// Bytes of all traces together, and of one.
    pub(super) bytes: usize,
    /// How many bytes buffers keep from one time to the next.
    pub(super) kept: usize,
}

/// Copies traces out. Its buffers are used again.
#[derive(Default)]
pub(super) struct Shower {
    assembler: Assembler,
    records: Vec<u32>,
    /// The envelopes of a trace.
    seen: HashSet<u32, RandomState>,
    arena: Vec<u8>,
    plain: Vec<u8>,
    order: Vec<u32>,
}

/// The first of some candidates: as many as there are ranges of rows.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// To be loaded as one batch.
    pub(super) requests: Vec<Incoming>,
    /// The rows of each trace.
    pub(super) rows: Vec<Range<u32>>,
    /// The row of each root, or [`NO_ROOT`].
    pub(super) roots: Vec<u32>,
    /// Whether all of a trace's spans are among its rows.
    pub(super) whole: Vec<bool>,
}

/// Spans as they come out of the shard, one trace behind the other.
#[derive(Default)]
struct Taken {
    envelopes: Vec<Arc<Envelope>>,
    pieces: Vec<Piece>,
    traces: Vec<TakenTrace>,
}

struct TakenTrace {
    /// Where it ends among all spans.
    end: usize,
    /// Where its root is among them.
    root: Option<usize>,
    is_whole: bool,
}

/// Traces of which all spans came under the same, one behind the other: they travel in one request, so that what they share is read once.
struct Run {
    envelope: Arc<Envelope>,
    parts: Vec<Part>,
}

impl Shower {
    /// At least one of the candidates, as many as a call may have rows, and about as many bytes.
    pub(super) fn show(&mut self, shard: &Mutex<Shard>, candidates: &[Candidate], show: Show, limits: Limits) -> Shown {
        if show == Show::NoSpans {
            let count = candidates.len();
            return Shown {
                requests: Vec::new(),
                rows: vec![0..0; count],
                roots: vec![NO_ROOT; count],
                whole: vec![true; count],
            };
        }
        self.arena.clear();
        self.plain.clear();
        let taken = self.take(&shard.lock(), candidates, show, limits);
        // All at once, so that a packed chunk is unpacked once.
        let places = gather(&taken.pieces, &self.arena, &mut self.plain);
        let shown = self.assemble(taken, &places);
        self.arena.shrink_to(limits.kept);
        self.plain.shrink_to(limits.kept);
        shown
    }

    fn take(&mut self, shard: &Shard, candidates: &[Candidate], show: Show, limits: Limits) -> Taken {
        let mut taken = Taken::default();
        let mut bytes = 0;
        for candidate in candidates {
            let root = shard.root(candidate.slot);
            let (is_whole, size) = self.pick(shard, candidate, root, show, limits);
            bytes += size;
            let is_too_much = taken.pieces.len() + self.records.len() > MAX_ROWS as usize || bytes > limits.bytes;
            if is_too_much && !taken.traces.is_empty() {
                break;
            }
            let begin = taken.pieces.len();
            for &record in &self.records {
                taken.envelopes.push(Arc::clone(shard.envelope(record)));
                taken.pieces.push(shard.spans.piece(record, &mut self.arena));
            }
            let root = root.and_then(|root| self.records.iter().position(|record| *record == root));
            let root = root.map(|at| begin + at);
            taken.traces.push(TakenTrace { end: taken.pieces.len(), root, is_whole });
        }
        taken
    }

    /// Picks the records of a trace that are shown: the first ones, and the root. Answers whether that is all, and how many bytes it comes to.
    fn pick(
        &mut self,
        shard: &Shard,
        candidate: &Candidate,
        root: Option<u32>,
        show: Show,
        limits: Limits,
    ) -> (bool, usize) {
        let Self { records, seen, .. } = self;
        records.clear();
        seen.clear();
        let mut weigh = |record: u32| {
            let envelope = shard.spans.get(record).envelope;
            let beside = if seen.insert(envelope) { shard.envelope(record).bytes() } else { 0 };
            shard.spans.len_of(record) + beside
        };
        if show == Show::Roots {
            records.extend(root);
            return (true, root.map_or(0, weigh));
        }
        let mut bytes = 0;
        let mut next = shard.first(candidate.slot);
        while next != NONE {
            let size = weigh(next);
            if records.len() >= limits.rows.max(1) || (bytes + size > limits.bytes && !records.is_empty()) {
                if let Some(root) = root
                    && !records.contains(&root)
                    && let Some(last) = records.last_mut()
                {
                    *last = root;
                }
                return (false, bytes);
            }
            bytes += size;
            records.push(next);
            next = shard.spans.get(next).next;
        }
        (true, bytes)
    }

    /// Makes requests of them, in which the rows of each trace stand together.
    fn assemble(&mut self, taken: Taken, places: &[Option<Range<usize>>]) -> Shown {
        let mut shown = Shown::default();
        let mut run: Option<Run> = None;
        let mut begin = 0;
        for TakenTrace { end, root, mut is_whole } in taken.traces {
            let envelopes = &taken.envelopes[begin..end];
            is_whole &= places[begin..end].iter().all(Option::is_some);
            let first = shown.rows.last().map_or(0, |rows| rows.end);
            let parts = (begin..end).filter_map(|at| {
                let part = Part { envelope: Arc::clone(&taken.envelopes[at]), span: places[at].clone()? };
                Some((at, part))
            });
            let alone = envelopes.first().filter(|one| envelopes.iter().all(|other| Arc::ptr_eq(one, other)));
            let mut next = first;
            let mut root_row = NO_ROOT;
            if let Some(envelope) = alone {
                if run.as_ref().is_some_and(|run| !Arc::ptr_eq(&run.envelope, envelope)) {
                    self.end(run.take(), &mut shown);
                }
                let run = run.get_or_insert_with(|| Run { envelope: Arc::clone(envelope), parts: Vec::new() });
                for (at, part) in parts {
                    if root == Some(at) {
                        root_row = next;
                    }
                    next += 1;
                    run.parts.push(part);
                }
            } else {
                if !envelopes.is_empty() {
                    self.end(run.take(), &mut shown);
                }
                for (context, group) in by_context(parts) {
                    let (numbers, parts): (Vec<usize>, Vec<Part>) = group.into_iter().unzip();
                    self.request(&context, &parts, &mut shown);
                    let place = self.order.iter().position(|part| root == Some(numbers[*part as usize]));
                    if let Some(at) = place {
                        root_row = next + at as u32;
                    }
                    next += parts.len() as u32;
                }
            }
            shown.rows.push(first..next);
            shown.roots.push(root_row);
            shown.whole.push(is_whole);
            begin = end;
        }
        self.end(run, &mut shown);
        shown
    }

    fn end(&mut self, run: Option<Run>, shown: &mut Shown) {
        if let Some(Run { envelope, parts }) = run {
            self.request(&envelope.context, &parts, shown);
        }
    }

    fn request(&mut self, context: &Arc<RequestContext>, parts: &[Part], shown: &mut Shown) {
        let mut body = Vec::with_capacity(parts.iter().map(|part| part.span.len()).sum::<usize>() + 1024);
        self.assembler.assemble(parts, &self.plain, &mut body, &mut self.order);
        shown.requests.push(Incoming { body: Bytes::from(body), context: Arc::clone(context) });
    }
}

type Group = (Arc<RequestContext>, Vec<(usize, Part)>);

/// Spans of a trace by what they came with: mostly there is one such.
fn by_context(parts: impl Iterator<Item = (usize, Part)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, part) in parts {
        let context = &part.envelope.context;
        let known = groups.iter().position(|(known, _)| Arc::ptr_eq(known, context) || **known == **context);
        let group = known.unwrap_or_else(|| {
            groups.push((Arc::clone(context), Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push((number, part));
    }
    groups
}
