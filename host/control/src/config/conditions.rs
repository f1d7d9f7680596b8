//! `when`: which spans a plugin is shown, and which resources a destination gets, as people write it. Paths and operators are the
//! contract's.
//!
//! A list of conditions, one of which suffices; an element that is itself a list wants all of its conditions.

use otlp::condition::{Condition, Operator};
use otlp::edit::Constant;
use otlp::path::Path;

use super::report::Problems;
use super::table::Table;
use super::yaml::{Node, Value};

const OPERATORS: [(&str, Operator); 6] = [
    ("equals", Operator::Equals),
    ("prefix", Operator::Prefix),
    ("contains", Operator::Contains),
    ("matches", Operator::Matches),
    ("greater", Operator::Greater),
    ("less", Operator::Less),
];

/// Reads the elements of `when`.
pub fn read(path: &str, items: &[Node], problems: &Problems) -> Vec<Vec<Condition>> {
    let one = |(i, item): (usize, &Node)| {
        let path = format!("{path}[{i}]");
        match &item.value {
            Value::List(all) => {
                let each = |(i, item)| Table::read(&format!("{path}[{i}]"), item, problems, condition);
                all.iter().enumerate().filter_map(each).collect()
            }
            _ => Table::read(&path, item, problems, condition).into_iter().collect(),
        }
    };
    items.iter().enumerate().map(one).collect()
}

/// Reads those under a key of a table.
pub(super) fn of(table: &mut Table<'_>, key: &'static str) -> Vec<Vec<Condition>> {
    let items = table.items(key);
    read(&table.path_of(key), items, table.problems())
}

fn condition(table: &mut Table<'_>) -> Option<Condition> {
    let path = table.text("path");
    let negated = table.flag("not").unwrap_or(false);
    let exists = table.flag("exists");
    let mut tests = Vec::new();
    for (word, operator) in OPERATORS {
        if !table.has(word) {
            // Asked for all the same, so that it is known as a valid key.
            table.node(word);
            continue;
        }
        let values = table.items(word).iter().filter_map(constant).collect::<Vec<_>>();
        if values.is_empty() {
            table.refuse(word, "must be a value or a list of values");
        }
        tests.push((operator, values));
    }
    match exists {
        Some(true) => tests.push((Operator::Exists, Vec::new())),
        Some(false) => table.refuse("exists", "must be true; write `not: true` for its opposite"),
        None => {}
    }
    let path = path.map(|path| path.parse::<Path>());
    if let Some(Err(error)) = &path {
        table.refuse("path", error.to_string());
    }
    let (Some(path), [(operator, values)]) = (path, &tests[..]) else {
        let words: Vec<&str> = OPERATORS.iter().map(|(word, _)| *word).collect();
        table.refuse_whole(format!("needs `path` and exactly one of exists, {}", words.join(", ")));
        return None;
    };
    Some(Condition { path: path.ok()?, operator: *operator, values: values.clone(), negated })
}

fn constant(node: &Node) -> Option<Constant> {
    match &node.value {
        Value::Text(text) => Some(Constant::Text(text.clone())),
        Value::Boolean(flag) => Some(Constant::Boolean(*flag)),
        Value::Integer(number, _) => Some(Constant::Integer(*number)),
        Value::Float(number, _) => Some(Constant::Float(*number)),
        _ => None,
    }
}
