//! Conditions on spans, judged in the host before anything crosses into the plugin.

use crate::bindings::types::{self, Operator, Value};

/// One condition on one path, for [`PlanBuilder::when`](crate::PlanBuilder::when).
///
/// Values are compared by their type; an absent value or one of another type is no match.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(pub(crate) types::Condition);

/// Begins a condition: `when("status.code").equals(2)`.
pub fn when(path: impl Into<String>) -> Subject {
    Subject(path.into())
}

/// The path of a condition, before its operator.
#[derive(Debug, Clone)]
pub struct Subject(String);

impl Subject {
    /// The path has a value.
    pub fn exists(self) -> Condition {
        self.condition(Operator::Exists, Vec::new())
    }

    /// The value is this one.
    pub fn equals(self, value: impl Into<Value>) -> Condition {
        self.condition(Operator::Equals, vec![value.into()])
    }

    /// The value is one of these.
    pub fn equals_any<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Condition {
        self.condition(Operator::Equals, collect(values))
    }

    /// The text begins with this.
    pub fn prefix(self, text: impl Into<String>) -> Condition {
        self.prefix_any([text.into()])
    }

    /// The text begins with one of these.
    pub fn prefix_any<V: Into<Value>>(self, texts: impl IntoIterator<Item = V>) -> Condition {
        self.condition(Operator::Prefix, collect(texts))
    }

    /// The text contains this.
    pub fn contains(self, text: impl Into<String>) -> Condition {
        self.contains_any([text.into()])
    }

    /// The text contains one of these.
    pub fn contains_any<V: Into<Value>>(self, texts: impl IntoIterator<Item = V>) -> Condition {
        self.condition(Operator::Contains, collect(texts))
    }

    /// The text matches this regular expression, in the syntax of Rust's `regex`, anywhere unless it is anchored.
    pub fn matches(self, expression: impl Into<String>) -> Condition {
        self.matches_any([expression.into()])
    }

    /// The text matches one of these regular expressions.
    pub fn matches_any<V: Into<Value>>(self, expressions: impl IntoIterator<Item = V>) -> Condition {
        self.condition(Operator::Matches, collect(expressions))
    }

    /// The number is greater than this.
    pub fn greater(self, than: impl Into<Value>) -> Condition {
        self.condition(Operator::Greater, vec![than.into()])
    }

    /// The number is less than this.
    pub fn less(self, than: impl Into<Value>) -> Condition {
        self.condition(Operator::Less, vec![than.into()])
    }

    fn condition(self, operator: Operator, values: Vec<Value>) -> Condition {
        Condition(types::Condition { path: self.0, operator, values, negated: false })
    }
}

impl Condition {
    /// The condition as the contract has it, for what reads conditions from settings.
    pub fn as_contract(&self) -> &types::Condition {
        &self.0
    }

    /// Turns the whole condition around, so that an absent value matches.
    #[must_use]
    pub fn negated(mut self) -> Self {
        self.0.negated = !self.0.negated;
        self
    }
}

impl From<types::Condition> for Condition {
    fn from(condition: types::Condition) -> Self {
        Self(condition)
    }
}

fn collect<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}
