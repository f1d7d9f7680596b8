//! The outcomes as a table for people.

use crate::item::{Outcome, Strength, Verdict};
use std::fmt::Write as _;

/// One line an item, then the sums.
pub fn shown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for Outcome { item, verdict, seen } in outcomes {
        let verdict = match verdict {
            Verdict::Passed => "pass",
            Verdict::Failed => "FAIL",
            Verdict::NotApplicable => "n/a",
        };
        let strength = match item.strength {
            Strength::Required => "required",
            Strength::Advised => "advised",
        };
        line(&mut text, &format!("{:<4} {verdict:<5} {strength:<9} {}", item.id, item.says));
        line(&mut text, &format!("{:<21}→ {}", "", one_line(seen)));
    }
    let count = |strength, verdict| {
        outcomes.iter().filter(|each| each.item.strength == strength && each.verdict == verdict).count()
    };
    for (name, strength) in [("required", Strength::Required), ("advised", Strength::Advised)] {
        let [passed, failed, other] =
            [Verdict::Passed, Verdict::Failed, Verdict::NotApplicable].map(|verdict| count(strength, verdict));
        line(&mut text, &format!("{name}: {passed} passed, {failed} failed, {other} not applicable"));
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes any line");
}

/// What was seen may be a body of any kind.
fn one_line(seen: &str) -> String {
    const LONGEST: usize = 300;
    let plain: String = seen.chars().map(|each| if each.is_control() { ' ' } else { each }).take(LONGEST).collect();
    plain.trim().to_owned()
}
