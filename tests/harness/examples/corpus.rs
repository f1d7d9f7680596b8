//! Writes the seeds of the fuzz corpus: `cargo run -p tracemill-harness --example corpus`.

use anyhow::Result;
use prost::Message as _;
use std::fs;
use tracemill_harness::spans::Mix;
use tracemill_harness::{Generator, Profile};

fn main() -> Result<()> {
    let corpus = backends::root().join("tests/fuzz/corpus");
    let mix = Mix { health: 0.2, personal: 0.4, errors: 0.3 };
    for (number, profile) in Profile::ALL.into_iter().enumerate() {
        for spans in [1, 4] {
            let request = Generator::new(profile, number as u64).mix(mix).request(spans).request;
            let name = format!("{profile:?}-{spans}").to_lowercase();
            let message = request.encode_to_vec();
            // Targets that choose something take their choices from the last eight bytes.
            for choice in 0..4_u64 {
                let seeded = [&message[..], &choice.to_le_bytes()].concat();
                fs::write(corpus.join("edits").join(format!("{name}-{choice}")), seeded)?;
            }
            fs::write(corpus.join("otlp").join(&name), message)?;
            fs::write(corpus.join("json").join(&name), serde_json::to_vec(&request)?)?;
        }
    }
    Ok(())
}
