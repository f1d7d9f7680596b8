//! Conditions, judged as the host judges them.

use regex::bytes::Regex;

use super::model::{Batch, Data, Record};
use super::place;
use crate::bindings::types::{Condition, Operator, Value};

/// The rows that meet any of the lists; all of them if there is no list.
pub(super) fn matching_rows(batch: &Batch, lists: &[Vec<Condition>]) -> Result<Vec<usize>, String> {
    let mut rows = Vec::new();
    for (number, row) in batch.rows.iter().enumerate() {
        let mut matches = lists.is_empty();
        for list in lists {
            let mut all = true;
            for condition in list {
                all &= meets(batch, row, condition)?;
            }
            matches |= all;
        }
        if matches {
            rows.push(number);
        }
    }
    Ok(rows)
}

fn meets(batch: &Batch, row: &Record, condition: &Condition) -> Result<bool, String> {
    let place = place::parse(&condition.path)?;
    let values = if place.is_many() {
        place::leaves(batch, row, &place, true, true).iter().map(|found| found.leaf.data.clone()).collect()
    } else {
        Vec::from_iter(place::read(batch, row, &place))
    };
    let mut met = false;
    for value in &values {
        if condition.operator == Operator::Exists {
            met = true;
        }
        for wanted in &condition.values {
            met |= compare(condition.operator, value, wanted)?;
        }
    }
    Ok(met != condition.negated)
}

fn compare(operator: Operator, value: &Data, wanted: &Value) -> Result<bool, String> {
    Ok(match (operator, value, wanted) {
        (Operator::Equals, Data::Text(value), Value::Text(wanted)) => value == wanted,
        (Operator::Equals, Data::Boolean(value), Value::Boolean(wanted)) => value == wanted,
        (Operator::Equals, Data::Integer(value), Value::Integer(wanted)) => value == wanted,
        (Operator::Equals, Data::Float(value), Value::Float(wanted)) => value.to_bits() == wanted.to_bits(),
        (Operator::Equals, Data::Bytes(value), Value::Bytes(wanted)) => value == wanted,
        (Operator::Prefix, Data::Text(value), Value::Text(wanted)) => value.starts_with(wanted),
        (Operator::Contains, Data::Text(value), Value::Text(wanted)) => value.contains(wanted),
        (Operator::Matches, Data::Text(value), Value::Text(wanted)) => {
            // Over bytes, as senders' texts need not be UTF-8.
            let regex = Regex::new(wanted).map_err(|error| format!("`{wanted}` is no regular expression: {error}"))?;
            regex.is_match(value.as_bytes())
        }
        (Operator::Greater, Data::Integer(value), Value::Integer(than)) => value > than,
        (Operator::Greater, Data::Float(value), Value::Float(than)) => value > than,
        (Operator::Less, Data::Integer(value), Value::Integer(than)) => value < than,
        (Operator::Less, Data::Float(value), Value::Float(than)) => value < than,
        _ => false,
    })
}
