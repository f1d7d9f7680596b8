//! The demo as `cargo xtask demo --seconds 3` runs it: it shows what it promises, and its last line adds up.

use std::process::Command;

#[test]
fn it_shows_spans_before_and_after_and_accounts_for_all_of_them() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tracemill-demo")).args(["--seconds", "3"]).output().expect("it starts");
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{}: {said}", output.status);
    for part in ["chain generation 1", "dropped by drop-health", "dropped by sample", "[email]", "50-stamp.wasm"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let last = said.lines().find(|line| line.contains("spans came in = ")).expect("a closing line");
    let numbers: Vec<u64> = last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[received, refused, dropped, sent] = &numbers[..] else { panic!("{last}") };
    assert!(received > 0 && dropped > 0 && sent > 0, "{last}");
    assert_eq!(received, refused + dropped + sent, "{last}");
}
