//! Kafka's broker, and a Collector that speaks to it: for the tests of a build that has Kafka.

use crate::cache::{Obtained, Recipe, obtain, run};
use crate::go::make_collector;
use crate::jars::{SUMS, check};
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The folder with the broker's jars.
pub fn kafka() -> Result<Obtained> {
    obtain(&Recipe {
        name: "kafka",
        needs: &["java", "mvn"],
        folder: "tests/backends/kafka",
        files: &["pom.xml", SUMS],
        make: make_kafka,
        product: "jars",
    })
}

fn make_kafka(sources: &Path, into: &Path) -> Result<()> {
    fs::copy(sources.join("pom.xml"), into.join("pom.xml"))?;
    let copy = ["--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=jars"];
    run(Command::new("mvn").current_dir(into).args(copy).arg("-DincludeScope=runtime"))?;
    check(&into.join("jars"), &fs::read_to_string(sources.join(SUMS))?)
}

/// The OpenTelemetry Collector with its receiver and exporter for Kafka, in the newest version that these can be had in.
pub fn collector_for_kafka() -> Result<Obtained> {
    obtain(&Recipe {
        name: "collector-kafka",
        needs: &["go"],
        folder: "tests/backends/collector-kafka",
        files: &["go.mod", "go.sum", "builder.yaml", "builder/go.mod", "builder/go.sum"],
        make: make_collector,
        product: "collector",
    })
}
