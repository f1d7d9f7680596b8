//! The outcomes as tables for people.

mod markdown;

pub use markdown::{markdown, summary};

use crate::item::{Item, Outcome, Strength, Verdict};
use std::fmt::Write as _;

/// The outcomes of one server.
#[derive(Debug)]
pub struct Column {
    /// Who.
    pub name: &'static str,
    /// Its items, in the same order as in every other column.
    pub outcomes: Vec<Outcome>,
}

impl Column {
    fn of(&self, item: &Item) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.item.id == item.id)
    }
}

/// One line an item with a verdict for each server, what was seen below it, then the sums.
pub fn shown(columns: &[Column]) -> String {
    let mut text = String::new();
    if columns.len() > 1 {
        let names: Vec<_> = columns.iter().map(|column| format!("{:<9}", column.name)).collect();
        line(&mut text, &format!("{:<4} {} {:<9} what it says", "", names.join(" "), ""));
    }
    for item in items(columns) {
        let outcomes: Vec<_> = columns.iter().filter_map(|column| Some((column.name, column.of(item)?))).collect();
        let verdicts: Vec<_> = outcomes.iter().map(|(_, outcome)| format!("{:<9}", word(outcome.verdict))).collect();
        line(&mut text, &format!("{:<4} {} {:<9} {}", item.id, verdicts.join(" "), strength(item.strength), item.says));
        for (name, outcome) in outcomes {
            let who = if columns.len() > 1 { format!("{name}: ") } else { String::new() };
            line(&mut text, &format!("{:>15} {who}{}", "→", one_line(&outcome.seen)));
        }
    }
    for column in columns {
        for wanted in [Strength::Required, Strength::Advised] {
            let [passed, failed, other] =
                counts(column.outcomes.iter().filter(|outcome| outcome.item.strength == wanted));
            let (name, kind) = (column.name, strength(wanted));
            line(&mut text, &format!("{name}, {kind}: {passed} passed, {failed} failed, {other} not applicable"));
        }
    }
    text
}

/// The items of the first column, which are those of all.
fn items(columns: &[Column]) -> impl Iterator<Item = &'static Item> {
    columns.first().into_iter().flat_map(|column| column.outcomes.iter().map(|outcome| outcome.item))
}

/// How many passed, failed, and did not apply.
fn counts<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> [usize; 3] {
    outcomes.fold([0; 3], |mut counts, outcome| {
        counts[match outcome.verdict {
            Verdict::Passed => 0,
            Verdict::Failed => 1,
            Verdict::NotApplicable => 2,
        }] += 1;
        counts
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "pass",
        Verdict::Failed => "FAIL",
        Verdict::NotApplicable => "n/a",
    }
}

fn strength(strength: Strength) -> &'static str {
    match strength {
        Strength::Required => "required",
        Strength::Advised => "advised",
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("a text takes any line");
}

/// What was seen may be a body of any kind.
fn one_line(seen: &str) -> String {
    const LONGEST: usize = 300;
    let plain: String = seen.chars().map(|each| if each.is_control() { ' ' } else { each }).take(LONGEST).collect();
    plain.trim().to_owned()
}
