//! Checks built plugins: `cargo run -p verify -- target/wasm32-unknown-unknown/release/*.wasm`.
//!
//! A plugin must carry its component type, become a component as the host makes it one, import nothing beside
//! `tracemill:plugin`, and be small. Exits with 1 and says why if one does not.

use std::process::ExitCode;
use std::{env, fs};

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// A plugin without regular expressions stays below this.
const MOST_BYTES: usize = 200_000;
/// With a regular expression engine inside.
const MOST_BYTES_WITH_REGEX: usize = 1_500_000;
/// Plugins that bring such an engine.
const WITH_REGEX: [&str; 1] = ["scrub_pii.wasm"];

fn main() -> ExitCode {
    let files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: verify FILE.wasm...");
        return ExitCode::from(64);
    }
    let mut failed = false;
    for file in &files {
        match check(file) {
            Ok(size) => eprintln!("{file}: {size} bytes, good"),
            Err(problem) => {
                failed = true;
                eprintln!("{file}: {problem}");
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn check(file: &str) -> Result<usize, String> {
    let module = fs::read(file).map_err(|error| error.to_string())?;
    let mut has_type = false;
    for payload in Parser::new(0).parse_all(&module) {
        match payload.map_err(|error| error.to_string())? {
            Payload::CustomSection(section) => has_type |= section.name().starts_with("component-type"),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let module = import.map_err(|error| error.to_string())?.module;
                    if !module.starts_with("tracemill:plugin/") {
                        return Err(format!("imports `{module}`, which no host offers"));
                    }
                }
            }
            _ => {}
        }
    }
    if !has_type {
        return Err("has no component-type section; does it call export_plugin!?".to_owned());
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).map_err(|error| format!("{error:#}"))?;
    encoder.encode().map_err(|error| format!("{error:#}"))?;
    let most = if WITH_REGEX.iter().any(|name| file.ends_with(name)) { MOST_BYTES_WITH_REGEX } else { MOST_BYTES };
    if module.len() > most {
        return Err(format!("has {} bytes, and {most} are allowed", module.len()));
    }
    Ok(module.len())
}
