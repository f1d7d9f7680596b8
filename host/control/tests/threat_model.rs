//! The threat model claims nothing that no test shows: every test that it names is there, and every row names one.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rows of all tables, without their heads.
fn rows(page: &str) -> Vec<&str> {
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| ---") && !line.contains("| shown by |");
    page.lines().filter(is_row).collect()
}

/// What stands in backticks and is a test: `FILE::TEST`.
fn tests(row: &str) -> Vec<(&str, &str)> {
    row.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|text| text.split_once("::"))
        .filter(|(file, _)| Path::new(file).extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

/// Whether a source has a function of this name that is a test.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &&str| line.strip_prefix("async ").unwrap_or(line).starts_with(&format!("fn {name}("));
    lines.iter().position(is_it).is_some_and(|at| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        attributes.any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_row_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join("host/docs/threat-model.md")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in rows(&page) {
        let named = tests(row.rsplit(" | ").next().unwrap_or_default());
        if named.is_empty() {
            wrong.push(format!("names no test: {row}"));
        }
        for (file, name) in named {
            seen += 1;
            match fs::read_to_string(root().join(file)) {
                Ok(source) if has_test(&source, name) => {}
                Ok(_) => wrong.push(format!("{file} has no test {name}")),
                Err(error) => wrong.push(format!("{file}: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 80, "only {seen} tests were found on the page");
}

#[test]
fn what_is_no_test_or_has_another_name_is_not_taken_for_one() {
    let source = "#[test]\nfn one() {}\n\n#[tokio::test(flavor = \"multi_thread\")]\n#[ignore = \"long\"]\nasync fn two() {}\n\nfn three() {}\n";
    assert!(has_test(source, "one") && has_test(source, "two"));
    assert!(!has_test(source, "three") && !has_test(source, "on") && !has_test(source, "four"));
    assert_eq!(tests("| a | b | `x/y.rs::z`, `ot=th`, `a::b` |"), [("x/y.rs", "z")]);
}

#[test]
fn the_hostile_list_is_covered_row_by_row() {
    let page = fs::read_to_string(root().join("host/docs/threat-model.md")).unwrap();
    let first = |row: &str| row.trim_start_matches("| ").split(" | ").next().unwrap_or_default().to_owned();
    let tried: Vec<String> = rows(&page).into_iter().map(first).collect();
    for what in [
        "endless loop",
        "memory bomb",
        "deep recursion",
        "giant edits",
        "rows out of range",
        "no UTF-8",
        "wrong type",
        "log lines",
        "flood of state",
        "trap in `configure`",
        "trap in `process`",
        "every third call",
        "files, network",
        "another version of the contract",
        "100 MB",
        "truncated file",
        "no Wasm at all",
    ] {
        assert!(tried.iter().any(|tried| tried.contains(what)), "no row is about {what}: {tried:#?}");
    }
}
