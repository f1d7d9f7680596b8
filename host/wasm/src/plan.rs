//! A plan on its way out: what `configure` answered, checked, in the host's own types.

use otlp::condition::{Condition, ConditionError, ConditionFault, Filter, Operator};
use otlp::path::{Layout, Path, PathError, Want, WantError};
use pipeline::chain::plan::{Affinity, Failure, Plan};
use pipeline::chain::sampler::{SamplerPlan, Show};

use crate::bindings::sampler::contract as sampler;
use crate::bindings::tracemill::plugin::types as wit;
use crate::lift;

/// Columns, reads, writes, conditions and options that a plan may have, of each.
const MOST: usize = 1024;

/// A plan that the host cannot follow.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A path that does not exist.
    #[error("{place}: {error}")]
    Path {
        /// Where in the plan.
        place: String,
        /// What is wrong.
        error: PathError,
    },
    /// A layout that the path cannot have.
    #[error("{place}: {error}")]
    Layout {
        /// Where in the plan.
        place: String,
        /// What is wrong.
        error: WantError,
    },
    /// A column twice.
    #[error("columns[{second}]: `{path}` as {layout} is columns[{first}] already")]
    Twice {
        /// Where it stands first.
        first: usize,
        /// Where it stands again.
        second: usize,
        /// Of what.
        path: Path,
        /// In which layout.
        layout: Layout,
    },
    /// A write that cannot be.
    #[error("writes[{at}]: `{path}` can be read, but not written")]
    ReadOnly {
        /// Where in `writes`.
        at: usize,
        /// What.
        path: Path,
    },
    /// A condition that can never be judged.
    #[error("{place}, on `{path}`: {fault}")]
    Condition {
        /// Where in the plan.
        place: String,
        /// What it is about.
        path: Path,
        /// What is wrong.
        fault: ConditionFault,
    },
    /// Too long a list.
    #[error("{list} has {length} elements; the limit is {MOST}")]
    TooMany {
        /// Which.
        list: &'static str,
        /// How many.
        length: usize,
    },
}

/// A plan as a guest of some version of the contract has answered it, in the newest version's words.
pub(crate) enum Answered {
    /// A processor's.
    Processor {
        /// As it came.
        plan: wit::Plan,
        /// Whether its version knows `tables`.
        names_tables: bool,
    },
    /// A sampler's.
    Sampler(sampler::SamplerPlan),
}

/// Checks a plan.
pub(crate) fn lift(answered: Answered) -> Result<Plan, PlanError> {
    match answered {
        Answered::Processor { plan, names_tables } => processor(plan, names_tables),
        Answered::Sampler(plan) => of_sampler(plan),
    }
}

fn processor(plan: wit::Plan, names_tables: bool) -> Result<Plan, PlanError> {
    let wit::Plan { columns, reads, writes, may_drop, when, affinity, on_error, tables, options } = plan;
    bounded([
        ("columns", columns.len()),
        ("reads", reads.len()),
        ("writes", writes.len()),
        ("when", count(&when)),
        ("tables", tables.len()),
        ("options", options.len()),
    ])?;
    let columns = wants(columns)?;
    let reads = paths("reads", reads)?;
    let writes = paths("writes", writes)?;
    if let Some((at, path)) = writes.iter().enumerate().find(|(_, path)| !path.is_writable()) {
        return Err(PlanError::ReadOnly { at, path: path.clone() });
    }
    let when = conditions("when", when)?;
    let affinity = match affinity {
        wit::Affinity::Any => Affinity::Any,
        wit::Affinity::Trace => Affinity::Trace,
        wit::Affinity::One => Affinity::One,
    };
    let on_error = match on_error {
        wit::Failure::Pass => Failure::Pass,
        wit::Failure::Drop => Failure::Drop,
        wit::Failure::Reject => Failure::Reject,
    };
    let tables = names_tables.then_some(tables);
    Ok(Plan { columns, reads, writes, may_drop, when, affinity, on_error, tables, sampler: None, options })
}

/// A sampler edits nothing, sees whatever trace is due in whichever instance is free, and abstains where it fails.
fn of_sampler(plan: sampler::SamplerPlan) -> Result<Plan, PlanError> {
    let sampler::SamplerPlan { columns, show, early, tables, options } = plan;
    bounded([
        ("columns", columns.len()),
        ("early", count(&early)),
        ("tables", tables.len()),
        ("options", options.len()),
    ])?;
    let columns = wants(columns)?;
    let show = match show {
        sampler::Show::NoSpans => Show::NoSpans,
        sampler::Show::Roots => Show::Roots,
        sampler::Show::EverySpan => Show::EverySpan,
    };
    let early = conditions("early", early)?;
    Ok(Plan {
        columns,
        reads: Vec::new(),
        writes: Vec::new(),
        may_drop: false,
        when: Vec::new(),
        affinity: Affinity::Any,
        on_error: Failure::Pass,
        tables: Some(tables),
        sampler: Some(SamplerPlan { show, early }),
        options,
    })
}

fn bounded<const N: usize>(lists: [(&'static str, usize); N]) -> Result<(), PlanError> {
    let long = lists.into_iter().find(|(_, length)| *length > MOST);
    long.map_or(Ok(()), |(list, length)| Err(PlanError::TooMany { list, length }))
}

/// Conditions, or lists of them where some are empty.
fn count(lists: &[Vec<wit::Condition>]) -> usize {
    lists.iter().map(Vec::len).sum::<usize>().max(lists.len())
}

fn wants(columns: Vec<wit::Want>) -> Result<Vec<Want>, PlanError> {
    let mut wants: Vec<Want> = Vec::with_capacity(columns.len());
    for (second, want) in columns.into_iter().enumerate() {
        let place = || format!("columns[{second}]");
        let path: Path = want.path.parse().map_err(|error| PlanError::Path { place: place(), error })?;
        let want = Want::new(path, layout(want.layout)).map_err(|error| PlanError::Layout { place: place(), error })?;
        if let Some(first) = wants.iter().position(|known| *known == want) {
            return Err(PlanError::Twice { first, second, path: want.path, layout: want.layout });
        }
        wants.push(want);
    }
    Ok(wants)
}

fn paths(list: &str, texts: Vec<String>) -> Result<Vec<Path>, PlanError> {
    let parse = |(at, text): (usize, String)| {
        text.parse().map_err(|error| PlanError::Path { place: format!("{list}[{at}]"), error })
    };
    texts.into_iter().enumerate().map(parse).collect()
}

/// Lists of conditions that can be judged.
fn conditions(name: &'static str, lists: Vec<Vec<wit::Condition>>) -> Result<Vec<Vec<Condition>>, PlanError> {
    let condition = |list: usize, at: usize, condition: wit::Condition| {
        let wit::Condition { path, operator: by, values, negated } = condition;
        let path = path.parse().map_err(|error| PlanError::Path { place: format!("{name}[{list}][{at}]"), error })?;
        let values = values.into_iter().map(lift::constant).collect();
        Ok(Condition { path, operator: operator(by), values, negated })
    };
    let list = |(at, list): (usize, Vec<wit::Condition>)| {
        list.into_iter().enumerate().map(|(i, one)| condition(at, i, one)).collect()
    };
    let lists = lists.into_iter().enumerate().map(list).collect::<Result<Vec<Vec<Condition>>, PlanError>>()?;
    let compiled = Filter::compile(&lists).map_err(|ConditionError { list, condition, path, fault }| {
        // There they are counted from 1, as people do; here as the plan's other places.
        PlanError::Condition { place: format!("{name}[{}][{}]", list - 1, condition - 1), path, fault }
    });
    compiled.map(|_| lists)
}

pub(crate) fn layout(of: wit::Layout) -> Layout {
    match of {
        wit::Layout::Text => Layout::Text,
        wit::Layout::Words => Layout::Words,
        wit::Layout::Integers => Layout::Integers,
        wit::Layout::Floats => Layout::Floats,
        wit::Layout::Booleans => Layout::Booleans,
        wit::Layout::Ids => Layout::Ids,
        wit::Layout::Bytes => Layout::Bytes,
        wit::Layout::Entries => Layout::Entries,
    }
}

fn operator(of: wit::Operator) -> Operator {
    match of {
        wit::Operator::Exists => Operator::Exists,
        wit::Operator::Equals => Operator::Equals,
        wit::Operator::Prefix => Operator::Prefix,
        wit::Operator::Contains => Operator::Contains,
        wit::Operator::Matches => Operator::Matches,
        wit::Operator::Greater => Operator::Greater,
        wit::Operator::Less => Operator::Less,
    }
}
