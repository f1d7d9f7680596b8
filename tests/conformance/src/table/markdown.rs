//! The outcomes as Markdown, for the documentation: counts by group, where the servers differ, and every item.

use super::{Column, counts, items, line, one_line, strength, word};
use crate::item::Verdict;
use crate::items::GROUPS;

/// All of it.
pub fn markdown(columns: &[Column]) -> String {
    let mut text = String::new();
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    line(&mut text, "## By group\n");
    head(&mut text, &["", "items"], &names);
    for (letter, group) in GROUPS {
        let number = items(columns).filter(|item| item.id.starts_with(letter)).count();
        if number == 0 {
            continue;
        }
        let cells: Vec<_> = columns.iter().map(|column| cell(column, |id| id.starts_with(letter))).collect();
        row(&mut text, &[format!("{letter}: {group}"), number.to_string()], &cells);
    }
    let cells: Vec<_> = columns.iter().map(|column| cell(column, |_| true)).collect();
    row(&mut text, &["all".to_owned(), items(columns).count().to_string()], &cells);
    if columns.len() > 1 {
        line(&mut text, "\n## What some do not pass\n");
        head(&mut text, &["item", "", "what it says"], &["who does not, and what was seen"]);
        for item in items(columns) {
            let failed = columns.iter().filter_map(|column| Some((column.name, column.of(item)?)));
            let failed = failed.filter(|(_, outcome)| outcome.verdict == Verdict::Failed);
            let failed: Vec<_> = failed.map(|(name, outcome)| format!("{name}: {}", escaped(&outcome.seen))).collect();
            if !failed.is_empty() {
                let cells = [item.id.to_owned(), strength(item).to_owned(), escaped(item.says)];
                row(&mut text, &cells, &[failed.join("; ")]);
            }
        }
    }
    line(&mut text, "\n## Every item\n");
    head(&mut text, &["item", "", "what it says"], &names);
    for item in items(columns) {
        let verdicts = columns.iter().map(|column| column.of(item).map_or("", |outcome| word(outcome.verdict)));
        let verdicts: Vec<_> = verdicts.map(|verdict| verdict.replace("FAIL", "**fail**")).collect();
        row(&mut text, &[item.id.to_owned(), strength(item).to_owned(), escaped(item.says)], &verdicts);
    }
    text
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
            assert!(text.contains(&format!("| {} | {} | ", item.id, strength(item))), "{}", item.id);
        }
        assert!(text.contains("| G: gRPC server | 18 | 18 pass | 17 pass, 1 fail |"), "{text}");
        assert!(text.contains("| other: a\\|b c |"), "{text}");
        assert!(text.contains("| pass | **fail** |"), "{text}");
    }
}
