//! A guest of the contract's version before runs as one of the newest does: the same plans, columns, edits, imports and faults.

use pipeline::chain::plan::Plan;
use pipeline::chain::program::Program;
use tracemill_wasm::Component;

use crate::guests;
use crate::setup::{Plugin, call, column, engine, every_layout, probe};

fn older() -> Component {
    tracemill_wasm::load(engine(), guests::probe_v0_1()).expect("a plugin")
}

/// Verbs that do everything the contract has, well and badly.
const VERBS: [&str; 17] = [
    "nothing",
    "whole-plan",
    "echo",
    "every-edit",
    "counts",
    "keeps",
    "now",
    "finds",
    "says",
    "traps-at-the-third",
    "recurses",
    "bombs",
    "fickle",
    "refuses",
    "no-such-verb",
    "drop-word",
    "upper",
];

#[test]
fn both_versions_do_the_same() {
    let older = older();
    assert_eq!((older.version().to_string(), probe().version().to_string()), ("0.1.0".into(), "0.2.0".into()));
    let every_layout = every_layout().map(column);
    for verb in VERBS {
        let (plugin, same) = (Plugin::default(), Plugin::default());
        let (new, old) = (plugin.configure(probe(), verb), same.configure(&older, verb));
        let (new, old) = match (new, old) {
            (Ok(new), Ok(old)) => (new, old),
            (new, old) => {
                let said =
                    |refused: Result<_, tracemill_wasm::ConfigureError>| refused.err().map(|error| error.to_string());
                assert_eq!(said(new.map(drop)), said(old.map(drop)), "{verb}");
                continue;
            }
        };
        let of_old = Plan { tables: new.plan().tables.clone(), ..old.plan().clone() };
        assert_eq!((new.plan(), old.plan().tables.is_none()), (&of_old, true), "{verb}");
        // What wants one layout is shown that one first.
        let shown = match verb {
            "drop-word" => &every_layout[1..2],
            _ => &every_layout[..],
        };
        let (new, old) = (new.instantiate(), old.instantiate());
        let (Ok(mut new), Ok(mut old)) = (new, old) else { continue };
        for _ in 0..3 {
            let (one, other) = (new.call(call(2, shown)), old.call(call(2, shown)));
            // Where a guest traps is told by addresses and names that differ between two builds.
            let said = |answer: Result<Vec<otlp::edit::Edit>, pipeline::chain::program::Fault>| {
                answer.map_err(|fault| fault.kind)
            };
            assert_eq!(said(one), said(other), "{verb}");
            new.settle(true);
            old.settle(true);
        }
        assert_eq!(plugin.scrape(), same.scrape(), "{verb}");
    }
}
