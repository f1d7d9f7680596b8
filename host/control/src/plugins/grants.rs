//! What the operator grants a plugin: which paths it may read and write, whether it may drop, how much the host keeps for it. A plan that asks
//! for more is refused with the list of what is missing, before a span is shown. Plugins of contract 0.1 name no lookup tables: with
//! them, asking one that is not granted is answered with an error.
//!
//! Without a grant a plugin gets what its plan names, which is least privilege already for those who read the plan (`tracemill inspect`).

use otlp::path::{Path, Want};
use pipeline::chain::plan::Plan;

use crate::config::table::Table;

/// The bounds of what the host keeps for a plugin.
const STATE: std::ops::RangeInclusive<u64> = 0..=(1 << 30);

/// The grants of a sidecar. What is not named is not narrowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Paths that it may see, and copy from.
    pub read: Option<Vec<Path>>,
    /// Paths that it may write.
    pub write: Option<Vec<Path>>,
    /// Whether it may drop, sample and weigh, or be a sampler.
    pub drop: Option<bool>,
    /// Bytes of the state that the host keeps for it.
    pub state: Option<u64>,
    /// The lookup tables that it may ask.
    pub tables: Option<Vec<String>>,
}

/// Reads the section `grants`.
pub fn read(table: &mut Table<'_>) -> Grants {
    Grants {
        read: paths(table, "read"),
        write: paths(table, "write"),
        drop: table.flag("drop"),
        state: table.size("state", STATE),
        tables: tables(table),
    }
}

fn tables(table: &mut Table<'_>) -> Option<Vec<String>> {
    let names = table.texts("tables");
    table.has("tables").then_some(names)
}

fn paths(table: &mut Table<'_>, key: &'static str) -> Option<Vec<Path>> {
    let texts = table.texts(key);
    if !table.has(key) {
        return None;
    }
    let mut paths = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse::<Path>() {
            Ok(path) => paths.push(path),
            Err(error) => table.refuse(key, error.to_string()),
        }
    }
    Some(paths)
}

impl Grants {
    /// What a plan asks for and is not granted, for people; empty where all is.
    #[must_use]
    pub fn missing(&self, plan: &Plan) -> Vec<String> {
        let mut missing = Vec::new();
        if let Some(granted) = &self.read {
            let columns = plan.columns.iter().map(|Want { path, .. }| path);
            let early = plan.sampler.iter().flat_map(|sampler| &sampler.early);
            let conditions = plan.when.iter().chain(early).flatten().map(|condition| &condition.path);
            note(&mut missing, "read", granted, columns.chain(&plan.reads).chain(conditions));
        }
        if let Some(granted) = &self.write {
            note(&mut missing, "write", granted, &plan.writes);
        }
        if let (Some(granted), Some(wanted)) = (&self.tables, &plan.tables) {
            let others = wanted.iter().filter(|table| !granted.contains(table));
            missing.extend(others.map(|table| format!("table {table}")));
        }
        // To drop is what samplers are for.
        let drops = plan.may_drop || plan.sampler.is_some();
        if drops && self.drop == Some(false) {
            missing.push("drop".to_owned());
        }
        missing
    }
}

fn note<'p>(missing: &mut Vec<String>, what: &str, granted: &[Path], wanted: impl IntoIterator<Item = &'p Path>) {
    for path in wanted.into_iter().filter(|path| !granted.iter().any(|granted| granted.covers(path))) {
        let said = format!("{what} {path}");
        if !missing.contains(&said) {
            missing.push(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use otlp::condition::{Condition, Operator};
    use otlp::path::Layout;
    use pipeline::chain::plan::{Affinity, Failure};
    use pipeline::chain::sampler::{SamplerPlan, Show};

    use super::*;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    fn plan() -> Plan {
        let column = |text, layout| Want::new(path(text), layout).unwrap();
        let when = Condition { path: path("kind"), operator: Operator::Exists, values: Vec::new(), negated: false };
        Plan {
            columns: vec![column("name", Layout::Text), column("attributes[\"http.route\"]", Layout::Words)],
            reads: vec![path("attributes[\"url.full\"]")],
            writes: vec![path("attributes[\"url.template\"]"), path("name")],
            may_drop: true,
            when: vec![vec![when.clone()], vec![when]],
            affinity: Affinity::Any,
            on_error: Failure::Pass,
            tables: Some(vec!["teams".to_owned(), "owners".to_owned()]),
            sampler: None,
            options: Vec::new(),
        }
    }

    fn paths(texts: &[&str]) -> Vec<Path> {
        texts.iter().map(|text| path(text)).collect()
    }

    #[test]
    fn without_grants_a_plan_has_what_it_names() {
        assert!(Grants::default().missing(&plan()).is_empty());
    }

    #[test]
    fn what_is_granted_covers_what_is_among_it_and_the_rest_is_named_once() {
        let all = Grants {
            read: Some(paths(&["name", "attributes", "kind"])),
            write: Some(paths(&["attributes", "name"])),
            drop: Some(true),
            state: None,
            tables: None,
        };
        assert!(all.missing(&plan()).is_empty());
        let few = Grants {
            read: Some(paths(&["attributes[\"http.route\"]"])),
            write: Some(paths(&[])),
            drop: Some(false),
            state: None,
            tables: Some(vec!["teams".to_owned()]),
        };
        let expected = [
            "read name",
            "read attributes[\"url.full\"]",
            "read kind",
            "write attributes[\"url.template\"]",
            "write name",
            "table owners",
            "drop",
        ];
        assert_eq!(few.missing(&plan()), expected);
    }
    #[test]
    fn a_samplers_early_conditions_are_reads_and_it_needs_to_drop() {
        let early = plan().when;
        let plan = Plan {
            reads: Vec::new(),
            writes: Vec::new(),
            may_drop: false,
            when: Vec::new(),
            sampler: Some(SamplerPlan { show: Show::Roots, early }),
            ..plan()
        };
        let grants = |read: &[&str], drop| Grants { read: Some(paths(read)), drop: Some(drop), ..Grants::default() };
        assert!(Grants::default().missing(&plan).is_empty());
        assert!(grants(&["name", "attributes", "kind"], true).missing(&plan).is_empty());
        let missing = grants(&["name", "attributes"], false).missing(&plan);
        assert_eq!(missing, ["read kind", "drop"]);
    }
}
