//! Recall and false positives over the committed corpora. Both are printed, and may never get worse: `corpus/floor.txt` holds what
//! has been reached.
//!
//! In a corpus of positives `«…»` marks what must be found; everything else must be left. No line of the negatives may be touched.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use scrub_pii::detect::{Hit, Kind, Kinds, scan, sql, url};
use scrub_pii::evidence;

fn corpus(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A line without its marks, and the ranges that they marked.
fn marked(line: &str) -> (String, Vec<(usize, usize)>) {
    let (mut text, mut ranges, mut start) = (String::new(), Vec::new(), None);
    for c in line.chars() {
        match c {
            '«' => start = Some(text.len()),
            '»' => ranges.push((start.take().expect("marks come in pairs"), text.len())),
            other => text.push(other),
        }
    }
    assert!(start.is_none(), "marks come in pairs: {line}");
    (text, ranges)
}

fn everything() -> Kinds {
    let mut kinds = Kinds::default();
    for kind in Kind::ALL {
        kinds.insert(kind);
    }
    kinds
}

/// What all detectors find in a text that stands where texts of `kind` do.
fn find(kind: Option<Kind>, text: &str) -> Vec<Hit> {
    let text = text.as_bytes();
    let mut hits = Vec::new();
    match kind {
        Some(Kind::Sql) => sql::literals(text, |start, end| hits.push(Hit { start, end, kind: Kind::Sql })),
        Some(Kind::Query) => {
            let query = url::query_of(text).unwrap_or(0..text.len());
            url::values(text, query, false, |start, end| hits.push(Hit { start, end, kind: Kind::Query }));
        }
        _ => scan(text, everything(), &mut hits),
    }
    hits
}

#[test]
fn recall_and_false_positives_never_get_worse() {
    let mut reached = BTreeMap::new();
    let mut report = String::new();
    for kind in Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Pattern | Kind::Key)) {
        let (mut found, mut wanted, mut extra) = (0, 0, 0);
        for line in corpus(&format!("{}.positive.txt", kind.name())).lines() {
            let (text, ranges) = marked(line);
            let hits = find(Some(kind), &text);
            for range in &ranges {
                wanted += 1;
                if hits.iter().any(|hit| hit.kind == kind && (hit.start, hit.end) == *range) {
                    found += 1;
                } else {
                    writeln!(report, "  missed {:?} in {text:?}: {hits:?}", &text[range.0..range.1])
                        .expect("a string takes it");
                }
            }
            for hit in hits.iter().filter(|hit| !ranges.iter().any(|range| range.0 <= hit.start && hit.end <= range.1))
            {
                extra += 1;
                writeln!(report, "  {} {:?} in {text:?}", hit.kind.name(), &text[hit.start..hit.end])
                    .expect("a string takes it");
            }
        }
        println!("{:<13} found {found} of {wanted}, and {extra} beside", kind.name());
        reached.insert(kind.name(), (found, wanted, extra));
    }
    let (mut touched, mut lines) = (0, 0);
    for line in corpus("negative.txt").lines() {
        lines += 1;
        let hits = find(None, line);
        if !hits.is_empty() {
            touched += 1;
            writeln!(report, "  {hits:?} in {line:?}").expect("a string takes it");
        }
    }
    println!("{:<13} touched {touched} of {lines} lines", "negatives");
    println!("{report}");
    for line in corpus("floor.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words[i].parse::<usize>().expect("a number");
        if words[0] == "negatives" {
            assert!(touched <= number(1), "more negatives touched than ever: {touched}\n{report}");
            assert!(lines >= number(2), "negatives were taken away");
            continue;
        }
        let (found, wanted, extra) = reached[words[0]];
        assert!(wanted >= number(2), "positives of {} were taken away", words[0]);
        // What was missed before may be missed still; nothing else.
        assert!(wanted - found <= number(2) - number(1), "{} is missed more often than ever\n{report}", words[0]);
        assert!(extra <= number(3), "{} finds more beside than ever\n{report}", words[0]);
    }
}

#[test]
fn whatever_is_found_has_the_evidence_that_the_host_is_told() {
    let mut found = 0;
    for kind in [Kind::Email, Kind::Jwt, Kind::UrlPassword] {
        let mut only = Kinds::default();
        only.insert(kind);
        let evidence = evidence::of(only).expect("these have marks");
        let set = regex::bytes::RegexSet::new(evidence).expect("they are regular expressions");
        let own = corpus(&format!("{}.positive.txt", kind.name()));
        for line in own.lines().chain(corpus("negative.txt").lines()) {
            let (text, _) = marked(line);
            let mut hits = Vec::new();
            scan(text.as_bytes(), only, &mut hits);
            assert!(hits.is_empty() || set.is_match(text.as_bytes()), "{} in {text:?}", kind.name());
            found += hits.len();
        }
    }
    assert!(found >= 30, "the corpora hold more than {found}");
    assert_eq!(evidence::of(everything()), None, "digits are everywhere");
}
