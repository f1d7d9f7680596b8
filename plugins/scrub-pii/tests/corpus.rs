//! Recall and false positives over the committed corpora. Both are printed, and may never get worse: `corpus/floor.txt` holds what
//! has been reached.
//!
//! In a corpus of positives `«…»` marks what must be found; everything else must be left. No line of the negatives may be touched: each
//! detector has its own, and what looks like nothing in particular is in `negative.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
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

/// What came of the corpora of one detector.
#[derive(Debug, Default)]
struct Reached {
    /// How many of the marks were found exactly, and how many there are.
    found: usize,
    wanted: usize,
    /// Findings in the positives beside the marks.
    beside: usize,
    /// How many lines of the negatives were touched, and how many there are.
    touched: usize,
    negatives: usize,
}

impl Reached {
    fn positive(&mut self, kind: Kind, line: &str, report: &mut String) {
        let (text, ranges) = marked(line);
        let hits = find(Some(kind), &text);
        for range in &ranges {
            self.wanted += 1;
            if hits.iter().any(|hit| hit.kind == kind && (hit.start, hit.end) == *range) {
                self.found += 1;
            } else {
                let missed = &text[range.0..range.1];
                writeln!(report, "  missed {missed:?} in {text:?}: {hits:?}").expect("a string takes it");
            }
        }
        for hit in hits.iter().filter(|hit| !ranges.iter().any(|range| range.0 <= hit.start && hit.end <= range.1)) {
            self.beside += 1;
            let beside = &text[hit.start..hit.end];
            writeln!(report, "  {} {beside:?} in {text:?}", hit.kind.name()).expect("a string takes it");
        }
    }

    fn negative(&mut self, kind: Option<Kind>, line: &str, report: &mut String) {
        self.negatives += 1;
        let hits = find(kind, line);
        if !hits.is_empty() {
            self.touched += 1;
            writeln!(report, "  {hits:?} in {line:?}").expect("a string takes it");
        }
    }

    /// Whether it is as good as what was reached before, over no less.
    fn check(&self, name: &str, floor: &[usize], report: &str) {
        let &[found, wanted, beside, touched, negatives] = floor else { panic!("floor.txt: {name} has {floor:?}") };
        assert!(self.wanted >= wanted, "positives of {name} were taken away");
        assert!(self.negatives >= negatives, "negatives of {name} were taken away");
        // What was missed before may be missed still; nothing else.
        assert!(self.wanted - self.found <= wanted - found, "{name} is missed more often than ever\n{report}");
        assert!(self.beside <= beside, "{name} finds more beside than ever\n{report}");
        assert!(self.touched <= touched, "{name} touches more negatives than ever\n{report}");
    }
}

/// A line that the test runner's capturing does not hide: a run that goes well shows the numbers too.
fn loudly(line: &str) {
    // A closed standard error is no reason to fail.
    drop(writeln!(std::io::stderr(), "{line}"));
}

#[test]
fn recall_and_false_positives_never_get_worse() {
    let mut reached = BTreeMap::new();
    let mut report = String::new();
    for kind in Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Pattern | Kind::Key)) {
        let mut own = Reached::default();
        for line in corpus(&format!("{}.positive.txt", kind.name())).lines() {
            own.positive(kind, line, &mut report);
        }
        for line in corpus(&format!("{}.negative.txt", kind.name())).lines() {
            own.negative(Some(kind), line, &mut report);
        }
        reached.insert(kind.name(), own);
    }
    // What is no detector's in particular.
    let mut common = Reached::default();
    for line in corpus("negative.txt").lines() {
        common.negative(None, line, &mut report);
    }
    reached.insert("negatives", common);
    for (name, Reached { found, wanted, beside, touched, negatives }) in &reached {
        loudly(&format!(
            "scrub-pii {name:<13} found {found:>3} of {wanted:>3}, {beside} beside; touched {touched} of {negatives:>3} negatives"
        ));
    }
    println!("{report}");
    let mut floors = 0;
    for line in corpus("floor.txt").lines() {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a name");
        let floor: Vec<usize> = words.map(|word| word.parse().expect("a number")).collect();
        reached[name].check(name, &floor, &report);
        floors += 1;
    }
    assert_eq!(floors, reached.len(), "each detector has a floor");
}

#[test]
fn whatever_is_found_has_the_evidence_that_the_host_is_told() {
    let mut found = 0;
    for kind in [Kind::Email, Kind::Jwt, Kind::UrlPassword] {
        let mut only = Kinds::default();
        only.insert(kind);
        let evidence = evidence::of(only).expect("these have marks");
        let set = regex::bytes::RegexSet::new(evidence).expect("they are regular expressions");
        let own = ["positive", "negative"].map(|what| corpus(&format!("{}.{what}.txt", kind.name()))).concat();
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
