//! The short run: every target over its corpus and over seeded mutations of it, for a bounded number of inputs.
//! An input that makes a target panic is kept, and its place is told.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tracemill_fuzz::{Mutator, TARGETS, Target};

/// Inputs for each target: a few seconds' worth.
const INPUTS: usize = 300_000;
const SEED: u64 = 20_261_121;

fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::var("FUZZ_SEED").ok().map_or(Ok(SEED), |text| text.parse())?;
    let inputs = std::env::var("FUZZ_INPUTS").ok().map_or(Ok(INPUTS), |text| text.parse())?;
    eprintln!("short fuzz run: seed {seed}, {inputs} inputs for each target (FUZZ_SEED, FUZZ_INPUTS)");
    for target in TARGETS {
        run(target, seed, inputs)?;
    }
    Ok(())
}

fn run(target: &Target, seed: u64, inputs: usize) -> Result<(), Box<dyn Error>> {
    let corpus = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.corpus))?;
    let started = std::time::Instant::now();
    for input in &corpus {
        if !check(target, input)? {
            return Err(format!("the target {} refuses a part of its own corpus", target.name).into());
        }
    }
    let mut mutator = Mutator::new(seed, corpus);
    let mut read = 0;
    for _ in 0..inputs {
        let input = if target.chooses { mutator.next_with_choices() } else { mutator.next_input() };
        read += usize::from(check(target, &input)?);
    }
    let took = started.elapsed().as_secs_f64();
    eprintln!("{}: {inputs} inputs, {read} of them well formed, in {took:.1} s", target.name);
    Ok(())
}

fn check(target: &Target, input: &[u8]) -> Result<bool, Box<dyn Error>> {
    if let Ok(read) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        return Ok(read);
    }
    let kept = std::env::temp_dir().join(format!("tracemill-fuzz-{}.bin", target.name));
    fs::write(&kept, input)?;
    Err(format!("the target {} failed; its input is in {}", target.name, kept.display()).into())
}

fn read(folder: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files.into_iter().map(fs::read).collect::<std::io::Result<_>>()?)
}
