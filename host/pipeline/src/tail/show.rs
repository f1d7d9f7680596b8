//! What samplers are to see of traces, copied out of their shard: as requests, one or more for each trace.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::{Incoming, RequestContext};
use otlp::columns::{MAX_BYTES, MAX_ROWS};
use parking_lot::Mutex;

use super::assemble::{Assembler, Part};
use super::chunk::{Piece, gather};
use super::envelope::Envelope;
use super::shard::{Candidate, Shard};
use crate::chain::sampler::{NO_ROOT, Show};

/// How many bytes its buffers keep from one time to the next.
const KEPT: usize = MAX_BYTES;

/// Copies traces out. Its buffers are used again.
#[derive(Default)]
pub(super) struct Shower {
    assembler: Assembler,
    records: Vec<u32>,
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

/// A trace's spans as they come out of the shard.
struct Taken {
    spans: Vec<(Arc<Envelope>, Piece)>,
    root: Option<usize>,
    is_whole: bool,
}

impl Shower {
    /// At least one of the candidates, as many as a call may have rows, and about as many bytes.
    pub(super) fn show(
        &mut self,
        shard: &Mutex<Shard>,
        candidates: &[Candidate],
        show: Show,
        max_rows: usize,
    ) -> Shown {
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
        let taken = self.take(&shard.lock(), candidates, show, max_rows);
        let mut shown = Shown::default();
        for trace in taken {
            self.add(trace, &mut shown);
        }
        self.arena.shrink_to(KEPT);
        self.plain.shrink_to(KEPT);
        shown
    }

    fn take(&mut self, shard: &Shard, candidates: &[Candidate], show: Show, max_rows: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for candidate in candidates {
            let root = shard.root(candidate.slot);
            let is_whole = if show == Show::Roots {
                self.records.clear();
                self.records.extend(root);
                true
            } else {
                shard.records(candidate.slot, max_rows, MAX_BYTES, &mut self.records)
            };
            rows += self.records.len();
            bytes += self.records.iter().map(|record| shard.spans.len_of(*record)).sum::<usize>();
            if (rows > MAX_ROWS as usize || bytes > MAX_BYTES) && !taken.is_empty() {
                break;
            }
            let arena = &mut self.arena;
            let spans = self
                .records
                .iter()
                .map(|&record| (Arc::clone(shard.envelope(record)), shard.spans.piece(record, arena)));
            let spans = spans.collect();
            let root = root.and_then(|root| self.records.iter().position(|record| *record == root));
            taken.push(Taken { spans, root, is_whole });
        }
        taken
    }

    /// Adds a trace as a request for each context that its spans came with.
    fn add(&mut self, taken: Taken, shown: &mut Shown) {
        let Taken { spans, root, mut is_whole } = taken;
        let mut groups: Vec<(Arc<RequestContext>, Vec<Part>, Option<usize>)> = Vec::new();
        self.plain.clear();
        let (envelopes, pieces): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
        let places = gather(&pieces, &self.arena, &mut self.plain);
        for (number, (envelope, place)) in envelopes.into_iter().zip(places).enumerate() {
            let Some(place) = place else {
                is_whole = false;
                continue;
            };
            let context = &envelope.context;
            let known = groups.iter().position(|(known, ..)| Arc::ptr_eq(known, context) || **known == **context);
            let group = known.unwrap_or_else(|| {
                groups.push((Arc::clone(context), Vec::new(), None));
                groups.len() - 1
            });
            let (_, parts, its_root) = &mut groups[group];
            if root == Some(number) {
                *its_root = Some(parts.len());
            }
            parts.push(Part { envelope, span: place });
        }
        let first = shown.rows.last().map_or(0, |rows| rows.end);
        let mut next = first;
        let mut root_row = NO_ROOT;
        for (context, parts, its_root) in groups {
            let mut body = Vec::with_capacity(parts.iter().map(|part| part.span.len()).sum::<usize>() + 1024);
            self.assembler.assemble(&parts, &self.plain, &mut body, &mut self.order);
            if let Some(root) = its_root
                && let Some(at) = self.order.iter().position(|part| *part as usize == root)
            {
                root_row = next + at as u32;
            }
            next += parts.len() as u32;
            shown.requests.push(Incoming { body: Bytes::from(body), context });
        }
        shown.rows.push(first..next);
        shown.roots.push(root_row);
        shown.whole.push(is_whole);
    }
}
