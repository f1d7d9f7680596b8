//! Conditions over paths, judged as the host judges a `when`: by column where a path is one place, by entries where it is many.

use regex::bytes::{Regex, RegexBuilder};
use tracemill_sdk::Refusal;
use tracemill_sdk::bindings::types::{self, Operator, Value};
use tracemill_sdk::layout::{EntryValue, Presence};
use tracemill_sdk::prelude::*;

/// An expression's compiled size at most.
const MOST_BYTES: usize = 1 << 20;

/// Paths that are always there, as numbers.
const NUMBERS: [&str; 11] = [
    "kind",
    "status.code",
    "flags",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "duration",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
    "resource",
    "scope",
];

/// Paths for many places of a span's own.
const MANY: [&str; 4] = ["attributes", "events", "events.name", "links"];
const MANY_WITH_KEY: [&str; 2] = ["events.attributes[", "links.attributes["];

/// Paths for many places that spans share: which of them share a value is not shown.
const SHARED: [&str; 4] = ["resource.attributes", "scope.attributes", "strings", "values"];

/// Alternatives; each wants all of its tests of one span.
pub struct Condition {
    lists: Vec<Vec<types::Condition>>,
    tests: Vec<Vec<Test>>,
}

/// One condition.
struct Test {
    values: Vec<(Wanted, Place)>,
    operator: Operator,
    negated: bool,
}

/// The column that holds values of a type.
enum Place {
    Words(Column<Words>),
    Integers(Column<Integers>),
    Floats(Column<Floats>),
    Booleans(Column<Booleans>),
    Entries(Column<Entries>),
}

/// What a value is compared with.
enum Wanted {
    Anything,
    Text(String),
    Expression(Regex),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

impl Condition {
    /// Declares the columns. `at` is where the conditions stand in the settings.
    pub fn declare(
        lists: Vec<Vec<types::Condition>>,
        at: &str,
        plan: &mut SamplerPlanBuilder,
    ) -> Result<Self, Refusal> {
        let mut tests = Vec::new();
        for (index, list) in lists.iter().enumerate() {
            let at = format!("{at}[{index}]");
            tests.push(list.iter().map(|condition| Test::declare(condition, &at, plan)).collect::<Result<_, _>>()?);
        }
        Ok(Self { lists, tests })
    }

    /// As the contract has them.
    pub fn lists(&self) -> &[Vec<types::Condition>] {
        &self.lists
    }

    /// Marks the rows that meet one of the lists.
    pub fn mark(&self, traces: &Traces<'_>, marks: &mut Mask) {
        for list in &self.tests {
            let mut rows = Mask::all(traces.rows());
            for test in list {
                if rows.is_none() {
                    break;
                }
                test.narrow(traces, &mut rows);
            }
            rows.iter().for_each(|row| marks.set(row));
        }
    }
}

impl Test {
    fn declare(condition: &types::Condition, at: &str, plan: &mut SamplerPlanBuilder) -> Result<Self, Refusal> {
        let path = condition.path.as_str();
        if SHARED.contains(&path) {
            let problem =
                format!("`{path}` stands for values that spans share; name one place, `{path}[\"KEY\"]` for instance");
            return Err(Refusal::at(at, problem));
        }
        let is_many = MANY.contains(&path) || MANY_WITH_KEY.iter().any(|prefix| path.starts_with(prefix));
        let wanted = if condition.operator == Operator::Exists {
            vec![Wanted::Anything]
        } else {
            condition.values.iter().map(|value| Wanted::new(condition.operator, value, at)).collect::<Result<_, _>>()?
        };
        let place = |wanted: &Wanted, plan: &mut SamplerPlanBuilder| match wanted {
            _ if is_many => Place::Entries(plan.entries(path)),
            Wanted::Integer(_) => Place::Integers(plan.integers(path)),
            Wanted::Anything if NUMBERS.contains(&path) => Place::Integers(plan.integers(path)),
            Wanted::Float(_) => Place::Floats(plan.floats(path)),
            Wanted::Boolean(_) => Place::Booleans(plan.booleans(path)),
            Wanted::Anything | Wanted::Text(_) | Wanted::Expression(_) => Place::Words(plan.words(path)),
        };
        let values = wanted.into_iter().map(|wanted| {
            let place = place(&wanted, plan);
            (wanted, place)
        });
        Ok(Self { values: values.collect(), operator: condition.operator, negated: condition.negated })
    }

    /// Takes out the rows that do not meet it.
    fn narrow(&self, traces: &Traces<'_>, rows: &mut Mask) {
        let mut met = Mask::none(traces.rows());
        for (wanted, place) in &self.values {
            self.mark(wanted, place, traces, &mut met);
        }
        if self.negated {
            rows.subtract(&met);
        } else {
            rows.intersect(&met);
        }
    }

    fn mark(&self, wanted: &Wanted, place: &Place, traces: &Traces<'_>, met: &mut Mask) {
        match place {
            Place::Words(column) => {
                let texts = traces.read(*column);
                texts.mark_where(|text| wanted.meets(self.operator, EntryValue::Text(text)), met);
                if matches!(wanted, Wanted::Anything) {
                    let others = |row: &u32| texts.present().presence(*row) == Presence::OtherType;
                    (0..traces.rows()).filter(others).for_each(|row| met.set(row));
                }
            }
            Place::Integers(column) => {
                let meets = |number| wanted.meets(self.operator, EntryValue::Integer(number));
                traces.read(*column).for_each_where(meets, |row| met.set(row));
            }
            Place::Floats(column) => {
                let meets = |number| wanted.meets(self.operator, EntryValue::Float(number));
                traces.read(*column).for_each_where(meets, |row| met.set(row));
            }
            Place::Booleans(column) => {
                let booleans = traces.read(*column);
                let meets = |boolean| wanted.meets(self.operator, EntryValue::Boolean(boolean));
                let rows = (0..traces.rows()).filter(|&row| booleans.get(row).is_some_and(meets));
                rows.for_each(|row| met.set(row));
            }
            Place::Entries(column) => {
                let entries = traces.read(*column);
                let meeting = entries.iter().filter(|entry| wanted.meets(self.operator, entry.value()));
                meeting.for_each(|entry| met.set(entry.row()));
            }
        }
    }
}

impl Wanted {
    fn new(operator: Operator, value: &Value, at: &str) -> Result<Self, Refusal> {
        Ok(match value {
            Value::Text(text) if operator == Operator::Matches => {
                let expression = RegexBuilder::new(text).size_limit(MOST_BYTES).build();
                let problem = |error| Refusal::at(at, format!("`{text}` is no regular expression: {error}"));
                Self::Expression(expression.map_err(problem)?)
            }
            Value::Text(text) => Self::Text(text.clone()),
            Value::Integer(number) => Self::Integer(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            Value::Bytes(_) => return Err(Refusal::at(at, "bytes are not compared")),
        })
    }

    /// True if a value meets it.
    fn meets(&self, operator: Operator, value: EntryValue<'_>) -> bool {
        match (self, value) {
            (Self::Anything, _) => true,
            (Self::Expression(expression), EntryValue::Text(text)) => expression.is_match(text.as_bytes()),
            (Self::Text(wanted), EntryValue::Text(text)) => match operator {
                Operator::Prefix => text.starts_with(wanted),
                Operator::Contains => contains(text.as_bytes(), wanted.as_bytes()),
                _ => text == *wanted,
            },
            (Self::Integer(wanted), EntryValue::Integer(number)) => match operator {
                Operator::Greater => number > *wanted,
                Operator::Less => number < *wanted,
                _ => number == *wanted,
            },
            (Self::Float(wanted), EntryValue::Float(number)) => match operator {
                Operator::Greater => number > *wanted,
                Operator::Less => number < *wanted,
                _ => number.to_bits() == wanted.to_bits(),
            },
            (Self::Boolean(wanted), EntryValue::Boolean(boolean)) => boolean == *wanted,
            _ => false,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
