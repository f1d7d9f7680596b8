//! What is a plugin, and what is refused, with which words.

use tracemill_wasm::{LoadError, check, load};

use crate::guests;
use crate::setup::{engine, probe, probe_with_wasi};

fn refused(bytes: &[u8]) -> String {
    load(engine(), bytes).expect_err("no plugin").to_string()
}

/// The guest made for another version of the contract: the version stands in its names only.
fn made_for(version: [u8; 6]) -> Vec<u8> {
    let mut bytes = guests::probe().to_vec();
    let at: Vec<usize> = (0..bytes.len() - 6).filter(|at| &bytes[*at..at + 6] == b"@0.2.0").collect();
    assert!(!at.is_empty());
    for at in at {
        bytes[at..at + 6].copy_from_slice(&version);
    }
    bytes
}

#[test]
fn core_modules_with_a_component_type_and_components_are_plugins() {
    assert_eq!(guests::probe()[4], 1, "a core module");
    assert_eq!(guests::probe_with_wasi()[4], 0x0d, "a component");
    assert_eq!(probe().version().to_string(), "0.2.0");
    assert_eq!(probe_with_wasi().version().to_string(), "0.2.0");
}

#[test]
fn a_truncated_file_is_broken_wherever_it_ends() {
    for bytes in [guests::probe(), guests::probe_with_wasi()] {
        for part in 1..20 {
            let cut = &bytes[..bytes.len() * part / 20];
            let error = load(engine(), cut).expect_err("half a file");
            assert!(matches!(error, LoadError::Broken(_)), "at {part}/20: {error}");
        }
    }
}

#[test]
fn damaged_files_are_refused_and_the_process_lives() {
    let bytes = guests::probe();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100 {
        let mut damaged = bytes.to_vec();
        for _ in 0..4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = 8 + (random >> 33) as usize % (damaged.len() - 8);
            damaged[at] ^= (random >> 20) as u8 | 1;
        }
        // Damage to a constant or a name goes unnoticed; all that counts is that there is an answer.
        let _answer = check(&damaged, usize::MAX).map(|checked| checked.version().clone());
    }
}

#[test]
fn what_is_not_wasm_is_not_loaded() {
    assert_eq!(refused(b"name: scrub-pii\n"), "it is not WebAssembly: it begins with \"name: sc\"");
    assert_eq!(refused(b""), "it is not WebAssembly: it begins with nothing, it is empty");
}

#[test]
fn a_file_beyond_the_limit_is_not_looked_at() {
    let error = check(guests::probe(), 1000).expect_err("too large");
    assert_eq!(error.to_string(), format!("it has {} bytes; the limit is 1000", guests::probe().len()));
}

#[test]
fn another_version_of_the_contract_is_named_with_the_one_that_runs() {
    let said = refused(&made_for(*b"@0.9.0"));
    assert!(said.starts_with("it was made for version 0.9.0 of `tracemill:plugin` (`tracemill:plugin/"), "{said}");
    assert!(said.ends_with("); this host runs 0.2.x and 0.1.x"), "{said}");
}

#[test]
fn a_later_patch_of_the_contract_runs() {
    let component = load(engine(), &made_for(*b"@0.2.4")).expect("0.2.4 adds to 0.2.0 what this guest does not use");
    assert_eq!(component.version().to_string(), "0.2.4");
}

#[test]
fn an_import_that_was_not_granted_is_named() {
    assert_eq!(refused(guests::asks()), "it imports `test:asks/network`, which plugins are not given");
}

#[test]
fn a_core_module_without_a_component_type_says_how_to_build_one() {
    let said = refused(b"\0asm\x01\0\0\0");
    assert!(said.contains("without a component type"), "{said}");
}
