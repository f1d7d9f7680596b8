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
        // What a build lacks is said where it lacks it.
        if name == "kafka.yaml" && pipeline::kafka::IS_BUILT {
            continue;
        }
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

#[test]
fn the_defaults_on_the_reference_page_are_those_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    let (of_file, _) = page.split_once("\n## The sidecar").unwrap();
    // Only where the default is one value in backticks: `64MiB`.
    let defaults = of_file.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let key = cells.next()?.trim_end_matches('`');
        Some((key, cells.next()?.trim().strip_prefix('`')?.strip_suffix('`')?))
    });
    let least = "export: { NAME: { grpc: 'https://host:4317' } }\n";
    let usual = config::read("", least, &lookup).unwrap();
    let mut seen = 0;
    for (key, default) in defaults {
        let inner = key.rsplit('.').fold(default.to_owned(), |value, part| format!("{{ {part}: {value} }}"));
        let text = match key.strip_prefix("export.NAME.") {
            Some(rest) => {
                let nested = |value: String, part: &str| {
                    if rest.starts_with(part) { format!("{part}: {value}") } else { format!("{{ {part}: {value} }}") }
                };
                let inner = rest.rsplit('.').fold(default.to_owned(), nested);
                format!("export: {{ NAME: {{ grpc: 'https://host:4317', {inner} }} }}\n")
            }
            None => format!("{}\n{least}", &inner[2..inner.len() - 2]),
        };
        // These are off where they are not there.
        let section = key.split('.').next().filter(|section| ["span_metrics", "service_graph"].contains(section));
        let on = section.map(|section| config::read("", &format!("{section}: {{}}\n{least}"), &lookup).unwrap());
        let usual = on.as_ref().unwrap_or(&usual);
        let read = config::read(key, &text, &lookup).unwrap_or_else(|report| panic!("{text}{report}"));
        assert_eq!(&read, usual, "the default of {key} is not {default}");
        seen += 1;
    }
    assert!(seen > 30, "only {seen} defaults were found on the page");
}
