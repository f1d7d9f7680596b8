//! What a sampler declares: the columns it sees, why it keeps and drops, which spans make a trace due at once.

use crate::bindings::sampler::contract::{SamplerPlan, Show};
use crate::bindings::types;
use crate::layout::{Booleans, Bytes, Entries, Floats, Ids, Integers, Layout, Text, Words};
use crate::plan::{Column, Reason, add, scalar_columns};
use crate::tables::Table;
use crate::when::Condition;

/// A sampler's plan as it is being declared.
#[derive(Default)]
pub struct SamplerPlanBuilder {
    columns: Vec<types::Want>,
    show: Option<Show>,
    early: Vec<Vec<types::Condition>>,
    tables: Vec<String>,
    options: Vec<(String, String)>,
    reasons: Vec<String>,
}

/// A finished plan, with what its reasons stand for.
pub(crate) struct Declared {
    pub(crate) plan: SamplerPlan,
    pub(crate) reasons: Vec<String>,
}

impl SamplerPlanBuilder {
    scalar_columns!();

    /// Trace ids (16 bytes) or span ids (8 bytes). A trace's own id is in its summary.
    pub fn ids(&mut self, path: impl Into<String>) -> Column<Ids> {
        self.column(path)
    }

    /// Raw bytes per row.
    pub fn bytes(&mut self, path: impl Into<String>) -> Column<Bytes> {
        self.column(path)
    }

    /// Every value with its place. Values of a resource or scope stand at the first row of each trace that shares it.
    pub fn entries(&mut self, path: impl Into<String>) -> Column<Entries> {
        self.column(path)
    }

    /// A column in the layout `L`. The same path in the same layout is declared only once.
    pub fn column<L: Layout>(&mut self, path: impl Into<String>) -> Column<L> {
        Column::among(&mut self.columns, path.into())
    }

    /// Which spans the columns show. Unless this is said: every span where there is a column, and none where there is no column,
    /// which is the cheapest, as summaries cost nothing.
    pub fn show(&mut self, show: Show) -> &mut Self {
        self.show = Some(show);
        self
    }

    /// Asks at once about a trace with a span that meets all of these conditions. Called again, it adds an alternative. What is not to
    /// be decided yet is answered by [`wait`](super::Decisions::wait).
    pub fn early(&mut self, all: impl IntoIterator<Item = Condition>) -> &mut Self {
        self.early.push(all.into_iter().map(|condition| condition.0).collect());
        self
    }

    /// A reason for which traces are kept, dropped or sampled.
    pub fn reason(&mut self, reason: impl Into<String>) -> Reason {
        Reason(add(&mut self.reasons, reason.into()))
    }

    /// A lookup table that the sampler asks; see [`tables`](crate::tables).
    pub fn table(&mut self, name: impl Into<String>) -> Table {
        let name = name.into();
        add(&mut self.tables, name.clone());
        Table::new(name)
    }

    /// Something that later hosts may understand; unknown names are ignored.
    pub fn option(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.options.push((name.into(), value.into()));
        self
    }

    pub(crate) fn finish(self) -> Declared {
        let unsaid = if self.columns.is_empty() { Show::NoSpans } else { Show::EverySpan };
        let plan = SamplerPlan {
            show: self.show.unwrap_or(unsaid),
            columns: self.columns,
            early: self.early,
            tables: self.tables,
            options: self.options,
        };
        Declared { plan, reasons: self.reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::attribute;
    use crate::when::when;

    #[test]
    fn declarations_end_up_in_the_plan() {
        let mut plan = SamplerPlanBuilder::default();
        let route = plan.words(attribute("http.route"));
        assert_eq!((route.index, plan.words(attribute("http.route")).index), (0, 0));
        assert_eq!(plan.reason("why"), plan.reason("why"));
        plan.early([when("status.code").equals(2), when("kind").equals(2)]);
        plan.early([when("name").prefix("a")]);
        plan.table("teams");
        plan.option("a", "b");
        let declared = plan.finish();
        let plan = declared.plan;
        assert_eq!((plan.columns.len(), plan.show, declared.reasons), (1, Show::EverySpan, vec!["why".to_owned()]));
        assert_eq!(plan.early.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((plan.tables, plan.options.len()), (vec!["teams".to_owned()], 1));
    }

    #[test]
    fn without_columns_no_span_is_shown() {
        assert_eq!(SamplerPlanBuilder::default().finish().plan.show, Show::NoSpans);
        let mut plan = SamplerPlanBuilder::default();
        plan.words("name");
        plan.show(Show::Roots);
        assert_eq!(plan.finish().plan.show, Show::Roots);
    }
}
