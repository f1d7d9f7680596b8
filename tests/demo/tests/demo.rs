//! The demo as `cargo xtask demo --seconds 3` runs it: it shows what it promises, and its last line adds up.

use std::process::Command;

/// What stands for personal data in the traffic of the shop.
const HIDDEN: [&str; 6] = ["[email]", "[iban]", "[phone]", "[card]", "[ipv4]", "v = ?"];

#[test]
fn it_shows_spans_before_and_after_and_accounts_for_all_of_them() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tracemill-demo")).args(["--seconds", "3"]).output().expect("it starts");
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{}: {said}", output.status);
    for part in ["chain generation 1", "dropped by drop-health", "dropped by sample", "eu-north-1", "50-stamp.wasm"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    // Which spans are shown is chance; those with personal data are.
    assert!(said.lines().any(|line| HIDDEN.iter().any(|hidden| line.contains(hidden))), "nothing is hidden in {said}");
    let last = said.lines().find(|line| line.contains("spans came in = ")).expect("a closing line");
    let numbers: Vec<u64> = last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[received, refused, dropped, sent] = &numbers[..] else { panic!("{last}") };
    assert!(received > 0 && dropped > 0 && sent > 0, "{last}");
    assert_eq!(received, refused + dropped + sent, "{last}");
}
