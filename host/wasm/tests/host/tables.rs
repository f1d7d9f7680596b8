//! Lookup tables as a real guest asks them.

use std::collections::BTreeMap;
use std::sync::Arc;

use otlp::path::Layout;
use otlp::value::Value;
use pipeline::chain::stage::{FaultKind, Program as _};
use tracemill_wasm::tables::{Access, Entry, Rows, Set, Table, Tables};

use crate::setup::{Plugin, answer, call, words};

/// Teams and tiers by service; asking it may replace it.
#[derive(Debug, Default)]
struct Teams {
    rows: BTreeMap<&'static str, (&'static str, Option<i64>)>,
    then: Option<(Tables, Set)>,
}

struct Found<'t>(Vec<Option<&'t (&'static str, Option<i64>)>>);

impl Table for Teams {
    fn find<'t>(&'t self, keys: &mut dyn Iterator<Item = &[u8]>) -> Box<dyn Rows + 't> {
        if let Some((tables, set)) = &self.then {
            tables.publish(set.clone());
        }
        let row = |key| std::str::from_utf8(key).ok().and_then(|key| self.rows.get(key));
        Box::new(Found(keys.map(row).collect()))
    }
}

impl Rows for Found<'_> {
    fn found(&self) -> u64 {
        self.0.iter().flatten().count() as u64
    }

    fn values<'r>(&'r self, field: &str, _: Layout) -> Option<Box<dyn Iterator<Item = Option<Value<'r>>> + 'r>> {
        match field {
            "team" => Some(Box::new(self.0.iter().map(|row| row.map(|(team, _)| Value::Text(team.as_bytes()))))),
            "tier" => Some(Box::new(self.0.iter().map(|row| row.and_then(|(_, tier)| *tier).map(Value::Integer)))),
            _ => None,
        }
    }
}

pub fn set(rows: &[(&'static str, (&'static str, Option<i64>))], then: Option<(Tables, Set)>) -> Set {
    let teams = Teams { rows: rows.iter().copied().collect(), then };
    Set::from_iter([(Arc::from("teams"), Entry::Ready(Arc::new(teams)))])
}

pub fn plugin(set: Set, granted: Option<&[&str]>) -> Plugin {
    let tables = Tables::default();
    tables.publish(set);
    let granted = granted.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    Plugin { tables: Access { tables, granted }, ..Plugin::default() }
}

const ROWS: [(&str, (&str, Option<i64>)); 2] = [("cart", ("shop", Some(3))), ("checkout", ("money", None))];

#[test]
fn a_guest_is_answered_in_the_layouts_that_it_asks_for() {
    let plugin = plugin(set(&ROWS, None), None);
    let columns = [words(&[1, 2, 3], &["", "checkout", "x", "cart"])];
    let mut instance = plugin.instance("finds");
    let edits = instance.call(call(3, &columns)).expect("edits");
    let expected = "[0, 1, 0, 1] [0, 0, 0, 1] [0, 0, 0, 2]";
    assert_eq!(answer(&edits), format!(",money,,shop [0, 0, 0, 3] {expected}"));
    instance.settle(true);
    let scrape = plugin.scrape();
    assert!(scrape.contains("tracemill_table_asked_keys_total{plugin=\"probe\",table=\"teams\"} 4\n"), "{scrape}");
    assert!(scrape.contains("tracemill_table_found_keys_total{plugin=\"probe\",table=\"teams\"} 2\n"), "{scrape}");
}

#[test]
fn a_call_sees_one_version_and_the_next_call_the_next() {
    let tables = Tables::default();
    let next = set(&[("cart", ("garden", None))], None);
    tables.publish(set(&ROWS, Some((tables.clone(), next))));
    let plugin = Plugin { tables: Access { tables, granted: None }, ..Plugin::default() };
    let mut instance = plugin.instance("finds-twice");
    assert_eq!(answer(&instance.call(call(1, &[])).expect("edits")), "shop shop", "replaced between the two");
    instance.settle(true);
    assert_eq!(answer(&instance.call(call(1, &[])).expect("edits")), "garden garden");
}

#[test]
fn what_is_not_granted_or_not_there_is_an_error_that_the_guest_may_go_on_from() {
    let not_granted = plugin(set(&ROWS, None), Some(&["owners"])).instance("finds").call(call(1, &[]));
    let said = not_granted.expect_err("this guest does not go on").to_string();
    assert!(said.starts_with("error: the lookup table `teams` is not granted to this plugin"), "{said}");
    assert!(plugin(set(&ROWS, None), Some(&["teams"])).instance("finds").call(call(1, &[])).is_ok());
    let broken = Set::from_iter([(Arc::from("teams"), Entry::Broken("line 3: the key is empty".into()))]);
    let said = plugin(broken, None).instance("finds").call(call(1, &[])).expect_err("no table").to_string();
    assert_eq!(said, "error: the lookup table `teams` could not be read: line 3: the key is empty");
}

#[test]
fn a_question_that_makes_no_sense_is_answered_and_one_that_is_too_large_is_a_fault() {
    let plugin = plugin(set(&ROWS, None), None);
    let said = plugin.instance("finds-badly").call(call(1, &[])).expect_err("no keys").to_string();
    assert_eq!(said, "error: key 0 does not lie in the data of the keys: its offsets are wrong");
    let fault = plugin.instance("finds-too-much").call(call(1, &[])).expect_err("24 MiB of offsets");
    assert_eq!(fault.kind, FaultKind::Trap, "{fault}");
}

#[test]
fn a_table_that_the_plan_does_not_name_is_not_answered() {
    let plugin = plugin(set(&ROWS, None), None);
    let fault = plugin.instance("finds-unplanned").call(call(2, &[])).expect_err("it was not named");
    assert_eq!(fault.kind, FaultKind::Error);
    assert_eq!(fault.message, "the lookup table `teams` is not among the `tables` of this plugin's plan");
    // Plans of the contract's version before name none: whatever is granted is answered.
    let older = tracemill_wasm::load(crate::setup::engine(), crate::guests::probe_v0_1()).expect("a plugin");
    let mut instance = plugin.configure(&older, "finds-unplanned").expect("a plan").instantiate().expect("an instance");
    assert!(answer(&instance.call(call(2, &[])).expect("an answer")).contains("shop"));
}
