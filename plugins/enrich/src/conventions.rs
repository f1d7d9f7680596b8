//! Attribute names of old semantic conventions, brought up to date.
//!
//! Most are plain renames, which the host does. A value moves only where the current name is free: what a span says
//! under a current name is never replaced.

mod table;

use table::{BY_KIND, RESOURCE, SPAN};
use tracemill_sdk::bindings::types::Texts;
use tracemill_sdk::prelude::*;

/// The declared renames.
pub struct Conventions {
    renames: Vec<(Target, Target)>,
    /// Old name, new name on server and consumer spans, new name on all others.
    by_kind: Vec<(Target, Target, Target)>,
    kinds: Column<Integers>,
    target: Column<Text>,
    old_target: Target,
    path: Target,
    query: Target,
}

/// OTLP's kinds of spans that receive.
const SERVER: i64 = 2;
const CONSUMER: i64 = 5;

impl Conventions {
    /// Declares every old name and its current one.
    pub fn configure(plan: &mut PlanBuilder) -> Self {
        let span = SPAN.iter().map(|(old, new)| (attribute(old), attribute(new)));
        let resource = RESOURCE.iter().map(|(old, new)| (resource_attribute(old), resource_attribute(new)));
        let renames: Vec<_> = span.chain(resource).collect();
        let renames = renames.into_iter().map(|(old, new)| (plan.writes(old), plan.writes(new))).collect();
        let by_kind = BY_KIND.iter().map(|(old, receiving, sending)| {
            (plan.writes(attribute(old)), plan.writes(attribute(receiving)), plan.writes(attribute(sending)))
        });
        let by_kind = by_kind.collect();
        Self {
            renames,
            by_kind,
            kinds: plan.integers("kind"),
            target: plan.text(attribute("http.target")),
            old_target: plan.writes(attribute("http.target")),
            path: plan.writes(attribute("url.path")),
            query: plan.writes(attribute("url.query")),
        }
    }

    /// Renames in every span.
    pub fn apply(&self, batch: &Batch<'_>, edits: &mut Edits<'_>) {
        for &(old, new) in &self.renames {
            edits.rename(old, new, Rows::Every, Mode::Insert);
        }
        let mut receiving = Mask::none(batch.rows());
        batch.read(self.kinds).for_each_where(|kind| kind == SERVER || kind == CONSUMER, |row| receiving.set(row));
        let mut others = Mask::all(batch.rows());
        others.subtract(&receiving);
        for &(old, when_receiving, when_sending) in &self.by_kind {
            edits.rename(old, when_receiving, receiving.clone(), Mode::Insert);
            edits.rename(old, when_sending, others.clone(), Mode::Insert);
        }
        self.split_targets(batch, edits);
    }

    /// `http.target` was path and query in one: `/users?page=2`.
    fn split_targets(&self, batch: &Batch<'_>, edits: &mut Edits<'_>) {
        let targets = batch.read(self.target);
        if targets.texts().data().is_empty() {
            return;
        }
        let (mut rows, mut paths) = (Vec::new(), Texts::default());
        let (mut rows_with_query, mut queries) = (Vec::new(), Texts::default());
        for (target, row) in targets.texts().iter().zip(0u32..).filter(|(target, _)| !target.is_empty()) {
            let target = target.as_bytes();
            let cut = target.iter().position(|&byte| byte == b'?');
            rows.push(row);
            paths.push(&target[..cut.unwrap_or(target.len())]);
            if let Some(query) = cut.map(|cut| &target[cut + 1..]).filter(|query| !query.is_empty()) {
                rows_with_query.push(row);
                queries.push(query);
            }
        }
        edits.set_each(self.path, rows.clone(), paths, Mode::Insert);
        edits.set_each(self.query, rows_with_query, queries, Mode::Insert);
        edits.remove(self.old_target, rows);
    }
}
