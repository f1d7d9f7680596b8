//! What a plugin declares: the columns it sees, the places it writes, why it drops, which spans it cares about.
//!
//! Every declaration gives back a small handle, and reading and editing take handles only. So what a plugin does is
//! covered by its plan, and the plan is at once its permission.

use std::marker::PhantomData;

use crate::bindings::types::{self, Affinity, Failure};
use crate::layout::{Booleans, Bytes, Entries, Floats, Ids, Integers, Layout, Text, Words};
use crate::tables::Table;
use crate::when::Condition;

/// A column of a given layout that the plan names. Read it with [`Batch::read`](crate::Batch::read).
pub struct Column<L> {
    pub(crate) index: u32,
    layout: PhantomData<L>,
}

impl<L> Clone for Column<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Column<L> {}

impl<L: Layout> Column<L> {
    /// The column of a path, which is added to `columns` if it is not there in this layout.
    pub(crate) fn among(columns: &mut Vec<types::Want>, path: String) -> Self {
        let want = types::Want { path, layout: L::LAYOUT };
        let known = columns.iter().position(|known| known.path == want.path && known.layout == want.layout);
        let index = known.unwrap_or_else(|| {
            columns.push(want);
            columns.len() - 1
        });
        Self { index: index as u32, layout: PhantomData }
    }
}

/// A place that the plugin may write, move or remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target(pub(crate) u32);

/// A place that the plugin may copy from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub(crate) u32);

/// Why spans are dropped or sampled away: counted by the host and shown to whoever asks why a span is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub(crate) u32);

/// The plan as it is being declared.
pub struct PlanBuilder {
    declared: Declared,
}

/// A finished plan, with what the handles stand for.
pub(crate) struct Declared {
    pub(crate) plan: types::Plan,
    pub(crate) reasons: Vec<String>,
}

impl Default for PlanBuilder {
    fn default() -> Self {
        let plan = types::Plan {
            columns: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            may_drop: false,
            when: Vec::new(),
            affinity: Affinity::Any,
            on_error: Failure::Pass,
            tables: Vec::new(),
            options: Vec::new(),
        };
        Self { declared: Declared { plan, reasons: Vec::new() } }
    }
}

/// What every plan can declare: columns of one value per row, by `column`.
macro_rules! scalar_columns {
    () => {
        /// One text per row. Cheapest for Rust where values seldom repeat.
        pub fn text(&mut self, path: impl Into<String>) -> Column<Text> {
            self.column(path)
        }

        /// One code per row into distinct words, so that each distinct word is judged once.
        pub fn words(&mut self, path: impl Into<String>) -> Column<Words> {
            self.column(path)
        }

        /// One `i64` per row; times and durations are in nanoseconds.
        pub fn integers(&mut self, path: impl Into<String>) -> Column<Integers> {
            self.column(path)
        }

        /// One `f64` per row.
        pub fn floats(&mut self, path: impl Into<String>) -> Column<Floats> {
            self.column(path)
        }

        /// One `bool` per row.
        pub fn booleans(&mut self, path: impl Into<String>) -> Column<Booleans> {
            self.column(path)
        }
    };
}
pub(crate) use scalar_columns;

impl PlanBuilder {
    scalar_columns!();

    /// Trace ids (16 bytes) or span ids (8 bytes).
    pub fn ids(&mut self, path: impl Into<String>) -> Column<Ids> {
        self.column(path)
    }

    /// Raw bytes per row, read by [`Str::as_bytes`](crate::layout::Str::as_bytes).
    pub fn bytes(&mut self, path: impl Into<String>) -> Column<Bytes> {
        self.column(path)
    }

    /// Every value with its place: maps, arrays and the paths that stand for many places, such as `strings`.
    pub fn entries(&mut self, path: impl Into<String>) -> Column<Entries> {
        self.column(path)
    }

    /// A column in the layout `L`. The same path in the same layout is declared only once.
    pub fn column<L: Layout>(&mut self, path: impl Into<String>) -> Column<L> {
        Column::among(&mut self.declared.plan.columns, path.into())
    }

    /// A place to copy from. Columns and conditions need no such declaration.
    pub fn reads(&mut self, path: impl Into<String>) -> Source {
        Source(add(&mut self.declared.plan.reads, path.into()))
    }

    /// A place to write, to move from or to, or to remove; a path for many places (`attributes`, `strings`, `events`)
    /// covers all of them and is what `rewrite`, `remove_entries` and `event` need.
    pub fn writes(&mut self, path: impl Into<String>) -> Target {
        Target(add(&mut self.declared.plan.writes, path.into()))
    }

    /// A reason for which the plugin drops, samples or weighs spans. Declares `may-drop`.
    pub fn drops(&mut self, reason: impl Into<String>) -> Reason {
        self.declared.plan.may_drop = true;
        Reason(add(&mut self.declared.reasons, reason.into()))
    }

    /// For plugins that [`weigh`](crate::Edits::weigh) without ever dropping.
    pub fn may_drop(&mut self) {
        self.declared.plan.may_drop = true;
    }

    /// Shows the plugin only spans that meet all of these conditions. Called again, it adds an alternative: any of the
    /// lists suffices. Judged in the host, so a batch without such a span never enters the plugin.
    ///
    /// ```
    /// # use tracemill_sdk::prelude::*;
    /// # let mut plan = PlanBuilder::default();
    /// plan.when([when("kind").equals(2), when(attribute("http.route")).exists()]);
    /// plan.when([when("name").prefix("grpc.health.")]);
    /// ```
    pub fn when(&mut self, all: impl IntoIterator<Item = Condition>) -> &mut Self {
        self.declared.plan.when.push(all.into_iter().map(|condition| condition.0).collect());
        self
    }

    /// Which instance sees a span: any (the default), always the same one for a trace, or one for all.
    pub fn affinity(&mut self, affinity: Affinity) -> &mut Self {
        self.declared.plan.affinity = affinity;
        self
    }

    /// What becomes of spans on which the plugin fails: they pass (the default), are dropped, or are refused to their
    /// sender. The operator may set another.
    pub fn on_error(&mut self, failure: Failure) -> &mut Self {
        self.declared.plan.on_error = failure;
        self
    }

    /// A lookup table that the plugin asks; see [`tables`](crate::tables).
    pub fn table(&mut self, name: impl Into<String>) -> Table {
        let name = name.into();
        add(&mut self.declared.plan.tables, name.clone());
        Table::new(name)
    }

    /// Something that later hosts may understand; unknown names are ignored.
    pub fn option(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.declared.plan.options.push((name.into(), value.into()));
        self
    }

    pub(crate) fn finish(self) -> Declared {
        self.declared
    }
}

impl Declared {
    pub(crate) fn target(&self, target: Target) -> String {
        self.plan.writes[target.0 as usize].clone()
    }

    pub(crate) fn source(&self, source: Source) -> String {
        self.plan.reads[source.0 as usize].clone()
    }

    pub(crate) fn reason(&self, reason: Reason) -> String {
        self.reasons[reason.0 as usize].clone()
    }
}

/// The index of `item` in `list`, to which it is added if it is new.
pub(crate) fn add(list: &mut Vec<String>, item: String) -> u32 {
    let known = list.iter().position(|known| *known == item);
    known.unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::attribute;
    use crate::when::when;

    #[test]
    fn the_same_declaration_gives_the_same_handle() {
        let mut plan = PlanBuilder::default();
        let route = plan.words(attribute("http.route"));
        let name = plan.text("name");
        assert_eq!((route.index, name.index), (0, 1));
        assert_eq!(plan.words(attribute("http.route")).index, 0);
        assert_eq!(plan.text(attribute("http.route")).index, 2);
        assert_eq!(plan.writes("name"), plan.writes("name"));
    }

    #[test]
    fn declarations_end_up_in_the_plan() {
        let mut plan = PlanBuilder::default();
        assert!(!plan.declared.plan.may_drop);
        plan.drops("why");
        plan.reads("name");
        plan.writes("status.message");
        plan.when([when("kind").equals(2), when("name").exists().negated()]);
        plan.when([when("name").prefix("a")]);
        plan.on_error(Failure::Reject).affinity(Affinity::Trace).option("a", "b");
        let plan = plan.finish().plan;
        assert!(plan.may_drop);
        assert_eq!(
            (plan.reads.as_slice(), plan.writes.as_slice()),
            (&["name".to_owned()][..], &["status.message".to_owned()][..])
        );
        assert_eq!(plan.when.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert!(plan.when[0][1].negated);
        assert_eq!((plan.on_error, plan.affinity), (Failure::Reject, Affinity::Trace));
        assert_eq!(plan.options, [("a".to_owned(), "b".to_owned())]);
    }
}
