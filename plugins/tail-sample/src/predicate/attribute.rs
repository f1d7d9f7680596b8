//! Attributes of a span or of its resource, as the Collector's policies look at them.
//!
//! Facts, from contrib's `tailsamplingprocessor`: a trace matches if one of its spans or one of their resources does. A value of another
//! type counts as that type's zero: an empty text, 0, false. A span's empty text is not looked at; a resource's is, which only an
//! expression can match.

use std::collections::HashSet;

use regex::bytes::{Regex, RegexBuilder};
use tracemill_sdk::Refusal;
use tracemill_sdk::bindings::types;
use tracemill_sdk::layout::{self, Presence};
use tracemill_sdk::prelude::*;

/// An expression's compiled size at most: one that is larger would take more memory than an instance has to spare.
const MOST_BYTES: usize = 1 << 20;

/// A column of the span's attribute, and one of its resource's.
struct Pair<L> {
    key: String,
    span: Column<L>,
    resource: Column<L>,
}

impl<L: layout::Layout> Pair<L> {
    fn declare(key: &str, plan: &mut SamplerPlanBuilder) -> Self {
        let (span, resource) = (plan.column(attribute(key)), plan.column(resource_attribute(key)));
        Self { key: key.to_owned(), span, resource }
    }

    /// A condition on each of both.
    fn either(&self, all: impl Fn(&str) -> Vec<Condition>) -> Vec<Vec<types::Condition>> {
        let paths = [attribute(&self.key), resource_attribute(&self.key)];
        let contract = |path: &String| all(path).iter().map(|condition| condition.as_contract().clone()).collect();
        paths.iter().map(contract).collect()
    }
}

/// A text attribute.
pub struct Texts {
    columns: Pair<Words>,
    wanted: Wanted,
}

/// Which texts match.
enum Wanted {
    Exact(HashSet<String>),
    Matching(Vec<Regex>),
}

impl Texts {
    /// Declares the columns. `at` is where the values stand in the settings.
    pub fn declare(
        key: &str,
        values: &[String],
        are_expressions: bool,
        at: &str,
        plan: &mut SamplerPlanBuilder,
    ) -> Result<Self, Refusal> {
        let compile = |(index, value): (usize, &String)| {
            let compiled = RegexBuilder::new(value).size_limit(MOST_BYTES).build();
            compiled
                .map_err(|error| Refusal::at(&format!("{at}[{index}]"), format!("is no regular expression: {error}")))
        };
        let wanted = if are_expressions {
            Wanted::Matching(values.iter().enumerate().map(compile).collect::<Result<_, _>>()?)
        } else {
            Wanted::Exact(values.iter().filter(|value| !value.is_empty()).cloned().collect())
        };
        Ok(Self { columns: Pair::declare(key, plan), wanted })
    }

    /// Marks the rows that match.
    pub fn mark(&self, traces: &Traces<'_>, marks: &mut Mask) {
        traces.read(self.columns.span).mark_where(|text| !text.is_empty() && self.wanted.has(text), marks);
        let resource = traces.read(self.columns.resource);
        resource.mark_where(|text| self.wanted.has(text), marks);
        if self.wanted.has(Str::from("")) && !resource.present().all() {
            let others = (0..traces.rows()).filter(|&row| resource.present().presence(row) == Presence::OtherType);
            others.for_each(|row| marks.set(row));
        }
    }

    /// See [`Predicate::early`](super::Predicate::early).
    pub fn early(&self) -> Option<Vec<Vec<types::Condition>>> {
        let lists = match &self.wanted {
            Wanted::Exact(texts) => self.columns.either(|path| vec![when(path).equals_any(texts)]),
            // An expression that matches nothing at all has the host look at every text for one that would not count.
            Wanted::Matching(_) if self.wanted.has(Str::from("")) => return None,
            Wanted::Matching(expressions) => {
                self.columns.either(|path| vec![when(path).matches_any(expressions.iter().map(Regex::as_str))])
            }
        };
        Some(lists)
    }
}

impl Wanted {
    fn has(&self, text: Str<'_>) -> bool {
        match self {
            Self::Exact(texts) => text.to_str().is_some_and(|text| texts.contains(text)),
            Self::Matching(expressions) => expressions.iter().any(|expression| expression.is_match(text.as_bytes())),
        }
    }
}

/// A number attribute within bounds.
pub struct Numbers {
    columns: Pair<Integers>,
    least: i64,
    most: i64,
}

impl Numbers {
    /// Declares the columns.
    pub fn declare(key: &str, least: i64, most: i64, plan: &mut SamplerPlanBuilder) -> Self {
        Self { columns: Pair::declare(key, plan), least, most }
    }

    /// Marks the rows that match.
    pub fn mark(&self, traces: &Traces<'_>, marks: &mut Mask) {
        let is_within = |number| (self.least..=self.most).contains(&number);
        for column in [self.columns.span, self.columns.resource] {
            let numbers = traces.read(column);
            for row in 0..traces.rows() {
                let number = match numbers.present().presence(row) {
                    Presence::Present => numbers.as_slice()[row as usize],
                    Presence::OtherType => 0,
                    Presence::Absent => continue,
                };
                if is_within(number) {
                    marks.set(row);
                }
            }
        }
    }

    /// See [`Predicate::early`](super::Predicate::early).
    pub fn early(&self) -> Vec<Vec<types::Condition>> {
        self.columns.either(|path| {
            let above = self.least.checked_sub(1).map(|least| when(path).greater(least));
            let below = self.most.checked_add(1).map(|most| when(path).less(most));
            above.into_iter().chain(below).collect()
        })
    }
}

/// A boolean attribute.
pub struct Booleans {
    columns: Pair<layout::Booleans>,
    wanted: bool,
}

impl Booleans {
    /// Declares the columns.
    pub fn declare(key: &str, wanted: bool, plan: &mut SamplerPlanBuilder) -> Self {
        Self { columns: Pair::declare(key, plan), wanted }
    }

    /// Marks the rows that match.
    pub fn mark(&self, traces: &Traces<'_>, marks: &mut Mask) {
        for column in [self.columns.span, self.columns.resource] {
            let booleans = traces.read(column);
            for row in 0..traces.rows() {
                let boolean = match booleans.present().presence(row) {
                    Presence::Present => booleans.get(row) == Some(true),
                    Presence::OtherType => false,
                    Presence::Absent => continue,
                };
                if boolean == self.wanted {
                    marks.set(row);
                }
            }
        }
    }

    /// See [`Predicate::early`](super::Predicate::early).
    pub fn early(&self) -> Vec<Vec<types::Condition>> {
        self.columns.either(|path| vec![when(path).equals(self.wanted)])
    }
}
