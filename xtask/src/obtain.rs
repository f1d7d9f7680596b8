//! `cargo xtask backends`: what the tests run against, built once.

use crate::report::{heading, say};
use anyhow::Result;
use backends::Obtained;

/// What `cargo xtask test` needs.
pub const FOR_TESTS: &[Wanted] = &[
    Wanted { name: "Jaeger", obtain: backends::jaeger },
    Wanted { name: "Tempo", obtain: backends::tempo },
    Wanted { name: "SDK for Node", obtain: backends::node_modules },
    Wanted { name: "SDK for Python", obtain: backends::python },
];

/// What `--full` needs beside it.
pub const FOR_LONG_TESTS: &[Wanted] = &[
    Wanted { name: "Prometheus", obtain: backends::prometheus },
    Wanted { name: "Loki", obtain: backends::loki },
    Wanted { name: "registry", obtain: backends::registry },
    PEER,
    Wanted { name: "Kafka", obtain: backends::kafka },
    Wanted { name: "OpenTelemetry Collector for Kafka", obtain: backends::collector_for_kafka },
    Wanted { name: "SDK for Go", obtain: backends::go_client },
    Wanted { name: "NestJS with automatic instrumentation", obtain: backends::nest_modules },
    Wanted { name: "Java agent", obtain: backends::java_agent },
    Wanted { name: "SDK for browsers, with Chromium", obtain: backends::browser },
    Wanted { name: "guest in JavaScript", obtain: backends::javascript_guest },
    Wanted { name: "guest in Python", obtain: backends::python_guest },
];

/// What `cargo xtask bench` compares with, and the tests of the sampler's policies.
pub const PEER: Wanted = Wanted { name: "OpenTelemetry Collector", obtain: backends::collector };

/// One of them.
pub struct Wanted {
    /// For people.
    pub name: &'static str,
    obtain: fn() -> Result<Obtained>,
}

impl Wanted {
    /// Says where it is, or returns why it is not.
    pub fn get(&self) -> Result<Option<String>> {
        Ok(match (self.obtain)()? {
            Obtained::Ready(path) => {
                say(format!("{}: {}", self.name, path.display()));
                None
            }
            Obtained::Missing(program) => Some(format!("{}: `{program}` is not on the PATH", self.name)),
        })
    }
}

/// All of it.
pub fn everything() -> Result<()> {
    heading("back ends and clients");
    for wanted in FOR_TESTS.iter().chain(FOR_LONG_TESTS) {
        if let Some(why) = wanted.get()? {
            say(format!("MISSING {why}"));
        }
    }
    Ok(())
}
