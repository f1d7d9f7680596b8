//! How many rows one call may show: the contract bounds a call in rows and in bytes.

use crate::batch::{Batch, Run, Span};
use crate::find::{Shared, Source};
use crate::path::{Layout, Want};
use crate::value::Value;

/// The most rows of a call.
pub const MAX_ROWS: u32 = 4096;
/// The most bytes of a call's columns; a single span may have more.
pub const MAX_BYTES: usize = 4 << 20;

/// An upper bound of what an entry takes beside its text, for each byte that it has on the wire: 21 bytes for lists of
/// numbers, of which each element has at least 4.
const ENTRIES_PER_BYTE: usize = 7;

/// How many of `rows`, from the first on, one call with these columns may show: at least one if there is any. Rows are in
/// ascending order.
///
/// Counts what the columns take at most and not exactly, because that needs nothing to be looked up in most spans. Calls
/// begin at the same rows for every stage, however many rows were dropped in between, so that what was built for one
/// stage serves the next.
#[must_use]
pub fn fitting(batch: &Batch, rows: &[u32], wants: &[Want]) -> usize {
    let Some(&first) = rows.first() else { return 0 };
    let window = window(first);
    let count = rows.partition_point(|&row| self::window(row) == window);
    let plan = Plan::of(wants);
    let mut shared = SharedBytes::default();
    let mut total = 0;
    for (i, &row) in rows[..count].iter().enumerate() {
        total += plan.row(batch, &batch.spans[row as usize], &mut shared);
        if total > MAX_BYTES && i > 0 {
            return i;
        }
    }
    count
}

/// Which run of rows a row belongs to; no call shows rows of two.
pub(super) fn window(row: u32) -> u32 {
    row / MAX_ROWS
}

/// What a row takes, by the columns that are wanted.
struct Plan<'w> {
    /// For each row, whatever it holds.
    fixed: usize,
    /// How often a span's own texts are shown at most.
    own: usize,
    /// How many columns of entries there are.
    entries: usize,
    /// Values that spans share, shown on each of their rows.
    repeated: Vec<Source<'w>>,
    /// Values that spans share, shown once.
    once: Vec<Source<'w>>,
}

/// What the rows of one scope of one request take.
#[derive(Debug, Default)]
struct SharedBytes {
    /// The scope and the request that it is about.
    of: Option<(u32, u32)>,
    resource: Option<u32>,
    each: usize,
}

impl<'w> Plan<'w> {
    fn of(wants: &'w [Want]) -> Self {
        let mut plan = Self { fixed: 0, own: 0, entries: 0, repeated: Vec::new(), once: Vec::new() };
        for (i, want) in wants.iter().enumerate() {
            // A mark, an offset or code or number, and the hex of an id.
            plan.fixed += 9;
            match (Source::of(&want.path), want.layout) {
                (_, Layout::Entries) | (None, _) => plan.entries += 1,
                (Some(Source::Id(_, len)), _) => plan.fixed += 2 * len,
                (Some(source @ (Source::Shared(_) | Source::Request(_))), Layout::Text | Layout::Bytes) => {
                    plan.repeated.push(source);
                }
                (Some(source @ (Source::Shared(_) | Source::Request(_))), Layout::Words) => plan.once.push(source),
                // Different paths show different bytes of the span; only layouts of one path repeat them.
                (Some(Source::Text(_) | Source::Attribute(_)), Layout::Text | Layout::Words | Layout::Bytes) => {
                    let same = wants[..=i].iter().filter(|other| other.path == want.path).count();
                    plan.own = plan.own.max(same);
                }
                _ => {}
            }
        }
        plan
    }

    #[inline]
    fn row(&self, batch: &Batch, span: &Span, shared: &mut SharedBytes) -> usize {
        let mut bytes = self.fixed;
        let factor = self.own + self.entries * ENTRIES_PER_BYTE;
        if factor > 0 {
            bytes += factor * own_bytes(batch, span);
        }
        if self.entries > 0 || !self.repeated.is_empty() || !self.once.is_empty() {
            if shared.of != Some((span.scope, span.request)) {
                shared.of = Some((span.scope, span.request));
                bytes += self.owner(batch, span, shared);
            }
            bytes += shared.each;
        }
        bytes
    }

    /// What the owners of a span add once, and what they add to each of their rows.
    fn owner(&self, batch: &Batch, span: &Span, shared: &mut SharedBytes) -> usize {
        let sum =
            |sources: &[Source<'_>]| sources.iter().map(|source| shared_bytes(batch, span, source)).sum::<usize>();
        shared.each = sum(&self.repeated);
        let mut once = sum(&self.once);
        if self.entries > 0 {
            let scope = batch.scope(span);
            let mut owner = list_bytes(batch, scope.attributes) + (scope.name.len + scope.version.len) as usize + 64;
            if shared.resource != Some(scope.resource) {
                shared.resource = Some(scope.resource);
                owner += list_bytes(batch, batch.resource(span).attributes) + 64;
            }
            once += self.entries * ENTRIES_PER_BYTE * owner;
        }
        once
    }
}

/// At least what a span's own texts and values take.
#[inline]
fn own_bytes(batch: &Batch, span: &Span) -> usize {
    if span.changes.is_none() {
        return span.body.len as usize;
    }
    let own = span.name.len + span.trace_state.len + span.status_message.len;
    let parts = [&batch.events[span.events.range()], &batch.links[span.links.range()]];
    let parts: usize = parts.into_iter().flatten().map(|part| part.body.len as usize + 8).sum();
    own as usize + list_bytes(batch, span.attributes) + parts
}

fn list_bytes(batch: &Batch, run: Run) -> usize {
    batch.attributes(run).iter().map(|attribute| (attribute.key.len + attribute.value.len) as usize + 8).sum()
}

fn shared_bytes(batch: &Batch, span: &Span, source: &Source<'_>) -> usize {
    let value = match source {
        Source::Shared(shared) => Shared::get(shared, batch, span.scope),
        Source::Request(field) => field.get(&batch.requests[span.request as usize].context),
        _ => None,
    };
    match value {
        Some(Value::Text(bytes) | Value::Bytes(bytes)) => bytes.len(),
        _ => 0,
    }
}
