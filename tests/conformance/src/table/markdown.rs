//! The outcomes as Markdown, for the documentation: counts by group, where the servers differ, and every item.

use super::{Column, counts, items, line, one_line, strength, word};
use crate::item::{Item, Verdict};
use crate::items::GROUPS;

/// All of it: counts, what was seen where an item is not passed, and every item.
pub fn markdown(columns: &[Column]) -> String {
    let mut text = "## By group\n\n".to_owned();
    groups(&mut text, columns);
    if columns.len() > 1 {
        text.push_str("\n## What some do not pass\n\n");
        head(&mut text, &["item", "", "what it says"], &["who does not, and what was seen"]);
        for item in items(columns) {
            let failed = columns.iter().filter_map(|column| Some((column.name, column.of(item)?)));
            let failed = failed.filter(|(_, outcome)| outcome.verdict == Verdict::Failed);
            let failed: Vec<_> = failed.map(|(name, outcome)| format!("{name}: {}", escaped(&outcome.seen))).collect();
            if !failed.is_empty() {
                row(&mut text, &about(item), &[failed.join("; ")]);
            }
        }
    }
    text.push_str("\n## Every item\n\n");
    verdicts(&mut text, columns, |_| true);
    text
}

/// In short: counts, and the items in which the servers differ.
pub fn summary(columns: &[Column]) -> String {
    let mut text = String::new();
    groups(&mut text, columns);
    text.push_str("\nWhere they differ:\n\n");
    verdicts(&mut text, columns, |item| {
        let mut all = columns.iter().filter_map(|column| column.of(item)).map(|outcome| outcome.verdict);
        let first = all.next();
        all.any(|verdict| Some(verdict) != first)
    });
    text
}

fn groups(text: &mut String, columns: &[Column]) {
    head(text, &["", "items"], &names(columns));
    for (letter, group) in GROUPS {
        let number = items(columns).filter(|item| item.id.starts_with(letter)).count();
        if number > 0 {
            let cells: Vec<_> = columns.iter().map(|column| cell(column, |id| id.starts_with(letter))).collect();
            row(text, &[format!("{letter}: {group}"), number.to_string()], &cells);
        }
    }
    let cells: Vec<_> = columns.iter().map(|column| cell(column, |_| true)).collect();
    row(text, &["all".to_owned(), items(columns).count().to_string()], &cells);
}

fn verdicts(text: &mut String, columns: &[Column], is_wanted: impl Fn(&Item) -> bool) {
    head(text, &["item", "", "what it says"], &names(columns));
    for item in items(columns).filter(|item| is_wanted(item)) {
        let words = columns.iter().map(|column| column.of(item).map_or("", |outcome| word(outcome.verdict)));
        let words: Vec<_> = words.map(|verdict| verdict.replace("FAIL", "**fail**")).collect();
        row(text, &about(item), &words);
    }
}

fn names(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|column| column.name).collect()
}

fn about(item: &Item) -> [String; 3] {
    [item.id.to_owned(), strength(item.strength).to_owned(), escaped(item.says)]
}

/// The counts of a column's items whose ids are wanted.
fn cell(column: &Column, is_wanted: impl Fn(&str) -> bool) -> String {
    let [passed, failed, other] = counts(column.outcomes.iter().filter(|outcome| is_wanted(outcome.item.id)));
    let mut parts = vec![format!("{passed} pass")];
    parts.extend((failed > 0).then(|| format!("{failed} fail")));
    parts.extend((other > 0).then(|| format!("{other} n/a")));
    parts.join(", ")
}

fn head(text: &mut String, first: &[&str], rest: &[&str]) {
    let cells: Vec<_> = first.iter().chain(rest).copied().collect();
    line(text, &format!("| {} |", cells.join(" | ")));
    line(text, &format!("| {} |", vec!["---"; cells.len()].join(" | ")));
}

fn row(text: &mut String, first: &[String], rest: &[String]) {
    let cells: Vec<_> = first.iter().chain(rest).map(String::as_str).collect();
    line(text, &format!("| {} |", cells.join(" | ")));
}

/// A table's cell.
fn escaped(words: &str) -> String {
    one_line(words).replace('|', "\\|").replace('*', "\\*").replace('<', "\\<")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Outcome;
    use crate::items::all;

    fn column(name: &'static str, failed: &str) -> Column {
        let outcome = |item| Outcome {
            item,
            verdict: if item.id == failed { Verdict::Failed } else { Verdict::Passed },
            seen: "a|b\nc".to_owned(),
        };
        Column { name, outcomes: all().into_iter().map(outcome).collect() }
    }

    #[test]
    fn each_item_has_a_row_and_what_failed_says_why() {
        let text = markdown(&[column("one", ""), column("other", "G4")]);
        for item in all() {
            assert!(text.contains(&format!("| {} | {} | ", item.id, strength(item.strength))), "{}", item.id);
        }
        assert!(text.contains("| G: gRPC server | 18 | 18 pass | 17 pass, 1 fail |"), "{text}");
        assert!(text.contains("| other: a\\|b c |"), "{text}");
        assert!(text.contains("| pass | **fail** |"), "{text}");
    }

    #[test]
    fn in_short_there_are_only_the_items_in_which_they_differ() {
        let text = summary(&[column("one", "H1"), column("other", "H1")]);
        assert!(!text.contains("| H1 |"), "{text}");
        let text = summary(&[column("one", "H1"), column("other", "")]);
        assert!(text.contains("| **fail** | pass |") && !text.contains("| H2 |"), "{text}");
    }
}
