//! What a call of a plugin costs: `cargo run --release -p tracemill-wasm --example call_cost -- FILE`, with the tests' guest
//! `probe` as FILE. Prints nanoseconds for each call, and for each row, best of several rounds.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use otlp::columns::{Cells, Column, Texts, Words};
use pipeline::chain::stage::{Call, Program};
use tracemill_wasm::tables::Access;
use tracemill_wasm::{Engine, EngineOptions, Metrics, Options, StateStore, load};

/// Calls of a round, and rounds.
const CALLS: u32 = 20_000;
const ROUNDS: u32 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("which file? see the first line of this example")?;
    let engine = Engine::new(&EngineOptions::default())?;
    let before = Instant::now();
    let component = load(&engine, &std::fs::read(file)?)?;
    println!("load                      {:>9.1} ms", before.elapsed().as_secs_f64() * 1e3);
    for (verb, columns) in [("nothing", vec![]), ("drop-word", vec![routes(512)]), ("drop-word", vec![routes(32)])] {
        let settings = format!(r#"{{"do": "{verb}"}}"#);
        let sink = Metrics::default().sink("probe");
        let state = Arc::new(StateStore::default());
        let program = component.configure(&settings, Options::default(), state, Access::default(), sink)?;
        let before = Instant::now();
        let mut instance = program.instantiate()?;
        println!("instantiate + configure   {:>9.1} us", before.elapsed().as_secs_f64() * 1e6);
        let rows = columns.first().map_or(1, |column: &Arc<Column>| rows_of(column));
        let call = Call { rows, columns: &columns, now: 0, deadline: Duration::from_millis(50) };
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let before = Instant::now();
            for _ in 0..CALLS {
                std::hint::black_box(instance.call(call)?);
                instance.settle(true);
            }
            best = best.min(before.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
        }
        println!("{verb:<10} {rows:>4} rows      {best:>9.1} ns a call   {:>7.2} ns a row", best / f64::from(rows));
    }
    Ok(())
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

fn rows_of(column: &Column) -> u32 {
    match &column.cells {
        Cells::Words(words) => words.codes.len() as u32,
        _ => 1,
    }
}
