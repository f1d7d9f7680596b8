//! Conditions: which spans a plan (or a sidecar) is about, judged in the host.
//!
//! [`Filter::compile`] compiles them once; [`Filter::select`] judges the rows of a batch. What spans share is judged once for
//! each scope or request, and a value that several conditions are about is looked up once.

use std::fmt;

use crate::edit::Constant;
use crate::path::Path;

mod filter;
mod places;
mod test;

pub use filter::{ConditionError, ConditionFault, Filter};

/// How a condition compares; see the contract's `operator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// There is a value, of any type.
    Exists,
    /// Equal, and of the same type.
    Equals,
    /// A text that begins with it.
    Prefix,
    /// A text that contains it.
    Contains,
    /// A text that a regular expression matches.
    Matches,
    /// A number above it.
    Greater,
    /// A number below it.
    Less,
}

/// One condition, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Of what.
    pub path: Path,
    /// How it compares.
    pub operator: Operator,
    /// One of these suffices.
    pub values: Vec<Constant>,
    /// Turns the whole condition around.
    pub negated: bool,
}

/// For people: `http.route` equals `"/health"` or `"/ready"`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, operator, values, negated } = self;
        if *negated {
            f.write_str("not ")?;
        }
        let word = match operator {
            Operator::Exists => return write!(f, "{path} exists"),
            Operator::Equals => "equals",
            Operator::Prefix => "begins with",
            Operator::Contains => "contains",
            Operator::Matches => "matches",
            Operator::Greater => "is above",
            Operator::Less => "is below",
        };
        write!(f, "{path} {word} ")?;
        for (at, value) in values.iter().enumerate() {
            let or = if at == 0 { "" } else { " or " };
            match value {
                Constant::Text(text) => write!(f, "{or}{text:?}")?,
                Constant::Boolean(value) => write!(f, "{or}{value}")?,
                Constant::Integer(value) => write!(f, "{or}{value}")?,
                Constant::Float(value) => write!(f, "{or}{value}")?,
                Constant::Bytes(bytes) => write!(f, "{or}{} bytes", bytes.len())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
