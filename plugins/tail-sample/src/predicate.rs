//! Yes-or-no questions about a trace. Those about spans are judged column by column, once for each call, and leave a mark on each row
//! that says yes; those about the whole trace need no row.

mod attribute;
mod condition;
mod state;

pub use attribute::{Booleans, Numbers, Texts};
pub use condition::Condition;
pub use state::TraceStates;

use tracemill_sdk::bindings::types;
use tracemill_sdk::prelude::*;
use tracemill_sdk::when::Condition as SpanCondition;

/// OTLP's `STATUS_CODE_ERROR`.
pub const STATUS_ERROR: i64 = 2;
/// The bit of the flags that says that the trace was sampled.
const SAMPLED: i64 = 1;
const NANOSECONDS: u64 = 1_000_000;

/// A question about a trace.
pub enum Predicate {
    /// It took more than so many milliseconds, and no more than others.
    Latency { over: u64, upto: Option<u64> },
    /// It has so many spans.
    SpanCount { least: u32, most: Option<u32> },
    /// One of its spans failed.
    Errors,
    /// One of its spans has one of these status codes.
    StatusCodes(Column<Integers>, Vec<i64>),
    /// One of its spans has the flag of sampled traces.
    Sampled(Column<Integers>),
    /// One of its trace states has such an entry.
    TraceState(TraceStates),
    /// A text attribute.
    Text(Texts),
    /// A number attribute.
    Number(Numbers),
    /// A boolean attribute.
    Boolean(Booleans),
    /// One of its spans meets conditions.
    Condition(Condition),
}

impl Predicate {
    /// The rows that say yes; none if no row is asked.
    pub fn judge(&self, traces: &Traces<'_>) -> Option<Mask> {
        let mut marks = Mask::none(traces.rows());
        match self {
            Self::Latency { .. } | Self::SpanCount { .. } | Self::Errors => return None,
            Self::StatusCodes(column, codes) => {
                traces.read(*column).for_each_where(|code| codes.contains(&code), |row| marks.set(row));
            }
            Self::Sampled(column) => {
                traces.read(*column).for_each_where(|flags| flags & SAMPLED != 0, |row| marks.set(row));
            }
            Self::TraceState(states) => states.mark(traces, &mut marks),
            Self::Text(texts) => texts.mark(traces, &mut marks),
            Self::Number(numbers) => numbers.mark(traces, &mut marks),
            Self::Boolean(booleans) => booleans.mark(traces, &mut marks),
            Self::Condition(condition) => condition.mark(traces, &mut marks),
        }
        Some(marks)
    }

    /// The answer for a trace, from the marks of this predicate.
    pub fn holds(&self, trace: &Trace<'_>, marks: Option<&Mask>) -> bool {
        match self {
            Self::Latency { over, upto } => {
                let milliseconds = trace.duration() / NANOSECONDS;
                milliseconds > *over && upto.is_none_or(|upto| milliseconds <= upto)
            }
            Self::SpanCount { least, most } => trace.spans() >= *least && most.is_none_or(|most| trace.spans() <= most),
            Self::Errors => trace.errors() > 0,
            _ => {
                let rows = trace.rows();
                marks.is_some_and(|marks| marks.as_bytes()[rows.start as usize..rows.end as usize].contains(&1))
            }
        }
    }

    /// Conditions on a single span, any of whose lists is enough for the answer to be yes, and to stay so however the trace grows; none
    /// where there are no such conditions.
    pub fn early(&self) -> Option<Vec<Vec<types::Condition>>> {
        let one = |condition: SpanCondition| Some(vec![vec![condition.as_contract().clone()]]);
        match self {
            // A trace takes at least as long as each of its spans.
            Self::Latency { over, upto: None } => {
                let least = i64::try_from((over + 1).saturating_mul(NANOSECONDS)).ok()?;
                one(when("duration").greater(least - 1))
            }
            Self::Errors => one(when("status.code").equals(STATUS_ERROR)),
            Self::StatusCodes(_, codes) => one(when("status.code").equals_any(codes.iter().copied())),
            Self::Text(texts) => texts.early(),
            Self::Number(numbers) => Some(numbers.early()),
            Self::Boolean(booleans) => Some(booleans.early()),
            Self::Condition(condition) => Some(condition.lists().to_vec()),
            Self::Latency { .. } | Self::SpanCount { .. } | Self::Sampled(_) | Self::TraceState(_) => None,
        }
    }
}
