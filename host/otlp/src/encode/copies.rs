//! Where rows stand once edits of some of them have copied their resource or scope.

use crate::batch::{Batch, Resource};
use crate::wire::Slice;

/// A live row and where it is written. Ordered as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placed {
    pub(super) resource: u32,
    pub(super) original_scope: u32,
    pub(super) scope: u32,
    pub(super) row: u32,
}

/// The rows of one original resource, by the resources and scopes that they have now.
#[derive(Debug, Default)]
pub(super) struct Copies {
    pub(super) placed: Vec<Placed>,
    /// Each original scope of this resource, and where its part of `gaps` begins.
    bounds: Vec<(u32, usize)>,
    /// What stands between spans.
    gaps: Vec<Slice>,
}

impl Copies {
    /// `None` where a batch has no copies.
    pub(super) fn of(batch: &Batch) -> Option<Self> {
        // Copies are made after loading, so they come last.
        let last = batch.scopes.len().checked_sub(1)?;
        (batch.scopes[last].original as usize != last).then(Self::default)
    }

    /// Looks where the live rows of an original resource stand.
    pub(super) fn gather(&mut self, batch: &Batch, resource: &Resource) {
        self.placed.clear();
        for row in resource.rows.range() {
            let span = &batch.spans[row];
            if !span.dropped {
                let scope = batch.scope(span);
                self.placed.push(Placed {
                    resource: scope.resource,
                    original_scope: scope.original,
                    scope: span.scope,
                    row: row as u32,
                });
            }
        }
        self.placed.sort_unstable();
        self.gaps.clear();
        self.bounds.clear();
        for number in resource.scopes.range() {
            let scope = &batch.scopes[number];
            self.bounds.push((number as u32, self.gaps.len()));
            let mut from = scope.body.at;
            for span in &batch.spans[scope.rows.range()] {
                if from < span.field.at {
                    self.gaps.push(Slice::between(from, span.field.at));
                }
                from = span.field.end();
            }
            if from < scope.body.end() {
                self.gaps.push(Slice::between(from, scope.body.end()));
            }
        }
    }

    /// What stands between the spans of an original scope of the gathered resource.
    pub(super) fn gaps(&self, original_scope: u32) -> &[Slice] {
        let Ok(at) = self.bounds.binary_search_by_key(&original_scope, |(scope, _)| *scope) else {
            return &[];
        };
        let end = self.bounds.get(at + 1).map_or(self.gaps.len(), |(_, end)| *end);
        &self.gaps[self.bounds[at].1..end]
    }
}
