//! What an official plugin must be, beside what it does: it carries the contract's types, imports nothing but the contract, and is
//! small. That the host can run it is shown by the system tests.

use anyhow::{Result, ensure};
use wasmparser::{Parser, Payload};

/// The largest file of a plugin; those that carry a regex engine are named with a bound of their own.
const LARGEST: usize = 200_000;
const LARGEST_WITH_REGEX: &[(&str, usize)] = &[("scrub-pii", 800_000), ("tail-sample", 1_000_000)];

/// What all imports begin with.
const CONTRACT: &str = "tracemill:plugin/";
/// The custom section by which the host knows the types.
const TYPES: &str = "component-type";

/// Checks the core module of a plugin.
pub fn check(name: &str, module: &[u8]) -> Result<()> {
    let mut is_typed = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::CustomSection(section) => is_typed |= section.name().starts_with(TYPES),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let (from, what) = (import.module, import.name);
                    ensure!(from.starts_with(CONTRACT), "it imports `{what}` of `{from}`, which plugins are not given");
                }
            }
            _ => {}
        }
    }
    ensure!(is_typed, "it has no section `{TYPES}`; does it call `export_plugin!` or `export_sampler!`?");
    let own = LARGEST_WITH_REGEX.iter().find(|(plugin, _)| *plugin == name);
    let largest = own.map_or(LARGEST, |(_, bytes)| *bytes);
    ensure!(module.len() <= largest, "it has {} bytes; {largest} are allowed", module.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with these sections.
    fn module(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, content) in sections {
            module.extend([*id, u8::try_from(content.len()).unwrap()]);
            module.extend(content);
        }
        module
    }

    fn text(text: &str) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    fn types() -> (u8, Vec<u8>) {
        (0, text("component-type:plugin"))
    }

    /// One function of the first type.
    fn import(from: &str) -> (u8, Vec<u8>) {
        (2, [vec![1], text(from), text("dial"), vec![0, 0]].concat())
    }

    fn problem(name: &str, module: &[u8]) -> String {
        check(name, module).unwrap_err().to_string()
    }

    #[test]
    fn a_plugin_has_types_and_imports_the_contract_alone() {
        check("a", &module(&[import("tracemill:plugin/host@0.2.0"), types()])).unwrap();
        assert!(problem("a", &module(&[import("tracemill:plugin/host@0.2.0")])).contains("export_plugin!"));
        for other in ["env", "wasi_snapshot_preview1", "tracemill:plugins/host@0.1.0"] {
            assert!(problem("a", &module(&[types(), import(other)])).contains(&format!("`dial` of `{other}`")));
        }
        assert!(check("a", b"this is no WebAssembly").is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        let filling = |bytes: usize| {
            let mut module = module(&[types()]);
            let content = [text("filling"), vec![0; bytes]].concat();
            module.push(0);
            // The length as a number of five bytes, however small it is.
            let length = u32::try_from(content.len()).unwrap();
            module.extend((0..4).map(|i| (length >> (7 * i)) as u8 | 0x80));
            module.push((length >> 28) as u8);
            module.extend(content);
            module
        };
        check("a", &filling(LARGEST - 100)).unwrap();
        assert!(problem("a", &filling(LARGEST)).contains("200000 are allowed"));
        check("scrub-pii", &filling(LARGEST)).unwrap();
    }
}
