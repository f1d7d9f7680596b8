//! How real back ends and real SDK clients are obtained for tests: built once from locked sources, kept outside the checkout.
//!
//! Knows folders, lock files and tool chains; not how a program is configured or started (the harness does that).
#![forbid(unsafe_code)]

mod cache;
mod clients;
mod go;
mod guests;
mod jars;
mod kafka;
mod tools;

pub use cache::{Obtained, Recipe, on_path, required};
pub use clients::{Browser, JavaAgent, browser, go_client, java_agent, nest_modules, node_modules, python};
pub use go::{collector, jaeger, loki, prometheus, registry, tempo};
pub use guests::{javascript_guest, python_guest};
pub use kafka::{collector_for_kafka, kafka};
pub use tools::{cargo_deny, cargo_fuzz};

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate is two folders below the root").to_path_buf()
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}
