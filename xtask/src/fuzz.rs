//! Fuzzing: a short, seeded run on the stable tool chain, which belongs to the tests, and a long one where cargo-fuzz is.

use crate::{shell, toolchain};
use anyhow::Result;
use std::fs;

const FOLDER: &str = "tests/fuzz";
/// Its corpora. What is of no use to a target does it no harm.
const SEEDS: [&str; 3] = ["otlp", "edits", "json"];

/// Every target over its corpus and mutations of it, for a bounded number of inputs.
pub fn short() -> Result<()> {
    shell::run(shell::cargo_in(FOLDER, "run").args(["--quiet", "--release", "--bin", "short"]))
}

/// A minute of libFuzzer for each target. Says why where that cannot be done.
pub fn long() -> Result<Option<String>> {
    if toolchain::nightly("fuzz").is_none() {
        return Ok(Some("long fuzzing: it takes a nightly tool chain and cargo-fuzz".to_owned()));
    }
    let fuzz = || {
        let mut command = toolchain::nightly("fuzz").expect("it was there a moment ago");
        command.current_dir(backends::root().join(FOLDER));
        command
    };
    let targets = shell::output(fuzz().args(["list", "--fuzz-dir", "."]))?;
    for target in targets.split_whitespace() {
        let found = backends::root().join("target/fuzz-long/corpus").join(target);
        fs::create_dir_all(&found)?;
        // libFuzzer adds to the first folder; the committed ones only start it.
        let corpora = SEEDS.map(|seeds| backends::root().join(FOLDER).join("corpus").join(seeds));
        let mut run = fuzz();
        run.args(["run", "--fuzz-dir", ".", "--features", "libfuzzer", "--target-dir"]);
        run.arg(backends::root().join("target/fuzz-long")).arg(target).arg(found).args(corpora);
        shell::run(run.args(["--", "-max_total_time=60"]))?;
    }
    Ok(None)
}
