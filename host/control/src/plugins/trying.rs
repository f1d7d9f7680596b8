//! How a version is tried before it counts, as its sidecar says it: `mode`, `share`, and the rule `promote` by which it is promoted without
//! anybody asking.

use std::time::Duration;

use pipeline::chain::trial::{Mode, Seen};
use serde::{Deserialize, Serialize};

use crate::config::table::Table;

/// What a sidecar says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trying {
    /// How it is tried; `None` where it counts at once.
    pub mode: Option<Mode>,
    /// When it is promoted by itself.
    pub rule: Option<Rule>,
}

/// The conditions of a promotion, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// So many batches without a fault.
    pub batches: u64,
    /// What a span may cost, in nanoseconds of its CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_ns: Option<u64>,
    /// In the shadow: the part of the spans that may differ, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<f64>,
}

/// What a rule says of what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough was seen.
    Wait,
    /// It is promoted.
    Promote,
    /// It is not promoted by itself any more, and why.
    Never(String),
}

/// Reads `mode`, `share` and `promote`.
pub fn read(table: &mut Table<'_>) -> Trying {
    let mode = table.choice("mode", &[("live", Kind::Live), ("shadow", Kind::Shadow), ("canary", Kind::Canary)]);
    let share = table.percent("share", 0.0..=1.0);
    let rule = Some(table.section("promote", rule)).filter(|_| table.has("promote"));
    let mode = mode.unwrap_or(Kind::Live);
    if mode != Kind::Canary && share.is_some() {
        table.refuse("share", "is for `mode: canary` alone");
    }
    if mode == Kind::Live && rule.is_some() {
        table.refuse("promote", "is for `mode: shadow` and `mode: canary`: with `live` a version counts at once");
    }
    if mode == Kind::Canary && rule.is_some_and(|rule| rule.differences.is_some()) {
        table.refuse("promote", "`differences` is for `mode: shadow`: a canary's spans meet no other version");
    }
    let mode = match mode {
        Kind::Live => None,
        Kind::Shadow => Some(Mode::Shadow),
        Kind::Canary => {
            if !table.has("share") {
                table.refuse_whole("`mode: canary` needs a `share` of the traces, as `share: 5%`");
            }
            Some(Mode::Canary(share.unwrap_or_default()))
        }
    };
    Trying { mode, rule }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Live,
    Shadow,
    Canary,
}

fn rule(table: &mut Table<'_>) -> Rule {
    let cost = table.duration("cost", Duration::from_nanos(1)..=Duration::from_secs(1));
    Rule {
        batches: table.count("batches", 1..=1_000_000_000).unwrap_or(1000),
        cost_ns: cost.map(|cost| cost.as_nanos() as u64),
        differences: table.percent("differences", 0.0..=1.0),
    }
}

impl Rule {
    /// Judges.
    #[must_use]
    pub fn judge(&self, seen: &Seen) -> Verdict {
        if seen.work.faults > 0 {
            return Verdict::Never(format!("it has failed {} times", seen.work.faults));
        }
        if seen.batches < self.batches {
            return Verdict::Wait;
        }
        let cost = cost_of(seen);
        if let (Some(most), Some(cost)) = (self.cost_ns, cost)
            && cost > most
        {
            return Verdict::Never(format!("a span costs {cost} ns, and may cost {most}"));
        }
        let differing = share_of(seen);
        if let (Some(most), Some(differing)) = (self.differences, differing)
            && differing > most
        {
            let percent = |share: f64| share * 100.0;
            let why = format!("{:.3} % of the spans differ, and {:.3} % may", percent(differing), percent(most));
            return Verdict::Never(why);
        }
        Verdict::Promote
    }
}

/// What a span has cost it, in nanoseconds.
#[must_use]
pub fn cost_of(seen: &Seen) -> Option<u64> {
    seen.work.nanos.checked_div(seen.work.rows)
}

/// Which part of the spans differs, 0 to 1.
fn share_of(seen: &Seen) -> Option<f64> {
    (seen.differences.rows > 0).then(|| seen.differences.differing() as f64 / seen.differences.rows as f64)
}

#[cfg(test)]
mod tests {
    use otlp::compare::Differences;
    use pipeline::chain::trial::Work;

    use super::*;

    fn seen(batches: u64, faults: u64, nanos: u64, differing: u64) -> Seen {
        let rows = batches * 10;
        let differences = Differences { rows, edited_otherwise: differing, ..Differences::default() };
        Seen { batches, skipped: 0, work: Work { calls: batches, rows, faults, nanos }, differences }
    }

    #[test]
    fn a_rule_waits_promotes_or_gives_up() {
        let rule = Rule { batches: 100, cost_ns: Some(500), differences: Some(0.01) };
        assert_eq!(rule.judge(&Seen::default()), Verdict::Wait);
        assert_eq!(rule.judge(&seen(99, 0, 0, 0)), Verdict::Wait);
        assert_eq!(rule.judge(&seen(100, 0, 500_000, 10)), Verdict::Promote);
        let Verdict::Never(dear) = rule.judge(&seen(100, 0, 501_000, 0)) else { panic!("too dear") };
        assert!(dear.contains("501 ns"), "{dear}");
        let Verdict::Never(other) = rule.judge(&seen(100, 0, 0, 11)) else { panic!("too different") };
        assert!(other.contains("1.100 %"), "{other}");
        // One fault is enough, however early.
        assert!(matches!(rule.judge(&seen(1, 1, 0, 0)), Verdict::Never(_)));
        let alone = Rule { batches: 100, cost_ns: None, differences: None };
        assert_eq!(alone.judge(&seen(100, 0, u64::MAX, 1000)), Verdict::Promote);
    }
}
