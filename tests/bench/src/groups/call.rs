//! What a call into a plugin costs, and what of it its deadline does.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use harness::plugins;
use otlp::columns::{Cells, Column, Texts, Words};
use pipeline::chain::stage::{Call, Program as _};
use wasm::tables::Access;
use wasm::{Engine, EngineOptions, Metrics, Options, StateStore, load};

use crate::Arguments;
use crate::measure::Figures;
use crate::report::Table;

/// Calls of a round.
const CALLS: u32 = 20_000;

/// What the guest does with how many rows.
const CASES: [(&str, &str, u32); 3] = [
    ("a call that does nothing, without columns", "nothing", 0),
    ("32 rows of one column of words, 5 % dropped", "drop-word", 32),
    ("512 rows of one column of words, 5 % dropped", "drop-word", 512),
];

/// The same guest, compiled with the checks by which it can be stopped and without.
pub fn run(arguments: &Arguments) -> Result<Table> {
    let head = ["call", "ns", "without a deadline, ns", "the deadline costs", "ns a row"];
    let mut table = Table::new("A call of a plugin in Rust, in the process of the bench", &head);
    let guest = fs::read(plugins::guest("probe")?)?;
    let engine = |interrupts| Engine::new(&EngineOptions { interrupts, ..EngineOptions::default() });
    let engines = [engine(true)?, engine(false)?];
    for (name, verb, rows) in CASES.into_iter().filter(|(name, ..)| arguments.wants(name)) {
        let mut figures = [Figures::default(), Figures::default()];
        for _ in 0..arguments.runs {
            for (engine, figures) in engines.iter().zip(&mut figures) {
                figures.push(once(engine, &guest, verb, rows)?);
            }
        }
        let [with, without] = [figures[0].median(), figures[1].median()];
        table.row([
            name.to_owned(),
            format!("{with:.0}"),
            format!("{without:.0}"),
            format!("{:.0} %", 100.0 * (with - without) / without),
            if rows > 0 { format!("{:.1}", with / f64::from(rows)) } else { "-".to_owned() },
        ]);
    }
    table.note(
        "Checks of the epoch in loops and functions are what differs. The bounds of memory, tables and answers are in both: they are looked at \
         only where something grows or is copied.",
    );
    Ok(table)
}

/// Nanoseconds a call, on average over a round.
fn once(engine: &Engine, guest: &[u8], verb: &str, rows: u32) -> Result<f64> {
    let component = load(engine, guest)?;
    let (sink, state) = (Metrics::default().sink("probe"), Arc::new(StateStore::default()));
    let settings = format!(r#"{{"do": "{verb}"}}"#);
    let program = component.configure(&settings, Options::default(), state, Access::default(), sink)?;
    let mut instance = program.instantiate()?;
    let columns: Vec<Arc<Column>> = (rows > 0).then(|| routes(rows)).into_iter().collect();
    let call = Call { rows: rows.max(1), columns: &columns, now: 0, deadline: Duration::from_millis(50) };
    let mut round = || -> Result<f64> {
        let begun = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(instance.call(call).context("the guest has failed")?);
            instance.settle(true);
        }
        Ok(begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS))
    };
    round()?;
    round()
}

/// A `words` column of twenty routes, one of which is a health check.
fn routes(rows: u32) -> Arc<Column> {
    let mut words = Texts::default();
    words.push(b"");
    words.push(b"/health");
    (0..18).for_each(|i| words.push(format!("/api/v1/things/{i}").as_bytes()));
    let codes = (0..rows).map(|row| 1 + row % 19).collect();
    Arc::new(Column { present: Vec::new(), cells: Cells::Words(Words { codes, words }) })
}
