//! What people see of a wrong configuration file, reviewed like code: each `invalid/NAME.yaml` has its `NAME.err`. And the reference
//! page, which must know every key. With `UPDATE_GOLDEN=1` the `.err` files are written anew.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::fs;
use std::path::{Path, PathBuf};

use tracemill_control::{self as control, config};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn lookup(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| "secret-token".to_owned())
}

#[test]
fn every_error_of_a_file_is_said_at_once() {
    for path in files("invalid") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let report = config::read(name, &fs::read_to_string(&path).unwrap(), &lookup).expect_err(name);
        let said = report.lines().join("\n") + "\n";
        let golden = path.with_extension("err");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&golden).unwrap_or_default(), "{name}");
        assert!(!said.contains("secret-token"), "{said}");
    }
}

#[test]
fn valid_files_are_taken() {
    for path in files("valid") {
        let name = path.file_name().unwrap().to_str().unwrap();
        config::read(name, &fs::read_to_string(&path).unwrap(), &lookup).unwrap_or_else(|report| panic!("{report}"));
    }
}

#[test]
fn the_reference_page_has_every_key_and_no_other() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    let (of_file, of_sidecar) = page.split_once("\n## The sidecar").expect("a section on the sidecar");
    for (part, keys) in [(of_file, config::keys()), (of_sidecar, control::plugins::sidecar::keys())] {
        let listed: Vec<&str> = part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let missing: Vec<&String> = keys.iter().filter(|key| !listed.contains(&key.as_str())).collect();
        assert!(missing.is_empty(), "not on the page: {missing:?}");
        let stale: Vec<&&str> = listed.iter().filter(|key| !keys.iter().any(|known| known == *key)).collect();
        assert!(stale.is_empty(), "on the page, but no key: {stale:?}");
    }
}
