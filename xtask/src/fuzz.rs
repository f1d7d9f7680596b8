//! Fuzzing: a short, seeded run on the stable tool chain, which belongs to the tests, and a long one on libFuzzer.

use crate::{shell, toolchain};
use anyhow::Result;
use backends::Obtained;
use std::fs;

const FOLDER: &str = "tests/fuzz";
const SHORT: &str = "short";
const LACKING: &str = "long fuzzing: it takes rustup, for a nightly tool chain";
/// Its corpora. What is of no use to a target does it no harm.
const SEEDS: [&str; 3] = ["otlp", "edits", "json"];

/// Every target over its corpus and mutations of it, for a bounded number of inputs.
pub fn short() -> Result<()> {
    shell::run(shell::cargo_in(FOLDER, "run").args(["--quiet", "--release", "--bin", SHORT]))
}

/// A minute of libFuzzer for each target. Says why where that cannot be done.
pub fn long() -> Result<Option<String>> {
    let Obtained::Ready(cargo_fuzz) = backends::cargo_fuzz()? else { return Ok(Some(LACKING.to_owned())) };
    if !toolchain::ensure_nightly()? {
        return Ok(Some(LACKING.to_owned()));
    }
    let fuzz = || {
        let mut command = toolchain::on_nightly(&cargo_fuzz);
        command.current_dir(backends::root().join(FOLDER)).arg("fuzz");
        command
    };
    let targets = shell::output(fuzz().args(["list", "--fuzz-dir", "."]))?;
    for target in targets.split_whitespace().filter(|target| *target != SHORT) {
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
