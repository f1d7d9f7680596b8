//! What compiling a plugin costs: `cargo run -p tracemill-wasm --example compile_cost -- FILE...`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::error::Error;
use std::time::Instant;

use tracemill_wasm::{Engine, EngineOptions, load};

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(&EngineOptions::default())?;
    for file in std::env::args().skip(1) {
        let bytes = std::fs::read(&file)?;
        for _ in 0..3 {
            let before = Instant::now();
            load(&engine, &bytes)?;
            println!("{file}: {} bytes in {:.1} ms", bytes.len(), before.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(())
}
