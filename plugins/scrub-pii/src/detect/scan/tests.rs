//! The sieve overlooks nothing: what is found at its places is what is found by looking everywhere.

use super::*;
use crate::detect::lanes::BLOCK;

fn everything() -> Kinds {
    let mut kinds = Kinds::default();
    for kind in Kind::ALL {
        kinds.insert(kind);
    }
    kinds
}

/// [`scan`] without a sieve.
fn everywhere(text: &[u8], on: Kinds) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut look = Look { text, on, hits: &mut hits, no_jwt: 0 };
    let mut at = 0;
    while at < text.len() {
        at = look.at(at).filter(|&end| end > at).unwrap_or(at + 1);
    }
    hits
}

fn sieved(text: &[u8], on: Kinds) -> Vec<Hit> {
    let mut hits = Vec::new();
    scan(text, on, &mut hits);
    hits
}

/// Every line of every corpus, without marks.
fn lines() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<_> = files.map(|file| std::fs::read_to_string(file).unwrap().replace(['«', '»'], "")).collect();
    texts.iter().flat_map(|text| text.lines()).map(|line| line.as_bytes().to_vec()).collect()
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn nothing_is_overlooked_wherever_it_stands_in_a_window() {
    let lines = lines();
    assert!(lines.len() > 100);
    for line in &lines {
        for before in 0..BLOCK + 2 {
            for filler in *b"x 0" {
                let mut text = vec![filler; before];
                text.extend_from_slice(line);
                assert_eq!(sieved(&text, everything()), everywhere(&text, everything()), "{}", text.escape_ascii());
            }
        }
    }
}

#[test]
fn nothing_is_overlooked_in_texts_of_all_kinds() {
    let lines = lines();
    let mut numbers = Numbers(7);
    let mut found = 0;
    for _ in 0..60_000 {
        let mut text = Vec::new();
        for _ in 0..=numbers.below(3) {
            let line = &lines[numbers.below(lines.len())];
            // Whole lines, and what is left of them when they are cut.
            let whole = numbers.below(3) > 0;
            let from = if whole { 0 } else { numbers.below(line.len() + 1) };
            let to = if whole { line.len() } else { from + numbers.below(line.len() - from + 1) };
            text.extend_from_slice(&line[from..to]);
            text.extend_from_slice(
                [&b" "[..], b"", b"://", b"@", b"=", b":", b".", b"1", b"-", b"+", b"eyJ"][numbers.below(11)],
            );
        }
        if !text.is_empty() && numbers.below(2) == 0 {
            let at = numbers.below(text.len());
            text[at] = b"0123456789.-:=@+( /_abefkABEZ\xff"[numbers.below(30)];
        }
        let mut on = everything();
        if numbers.below(2) == 0 {
            on = Kinds::default();
            for _ in 0..3 {
                on.insert(Kind::ALL[numbers.below(Kind::ALL.len())]);
            }
        }
        let hits = sieved(&text, on);
        assert_eq!(hits, everywhere(&text, on), "{on:?}: {}", text.escape_ascii());
        found += hits.len();
    }
    assert!(found > 10_000, "the texts hold something: {found}");
}

#[test]
fn texts_in_a_row_are_searched_each_by_itself() {
    let lines = lines();
    let mut numbers = Numbers(11);
    let row: Vec<_> = (0..2_000).map(|_| &lines[numbers.below(lines.len())][..]).collect();
    let data = row.concat();
    let mut places = Sieve::new(everything()).over(&data);
    let mut at = 0;
    for text in row {
        let mut hits = Vec::new();
        scan_within(&data, at..at + text.len(), &mut places, everything(), &mut hits);
        at += text.len();
        assert_eq!(hits, everywhere(text, everything()), "{}", text.escape_ascii());
    }
    assert_eq!(places.peek(), None);
}

#[test]
fn plain_texts_are_hardly_looked_at() {
    let text = "GET /users/123456 checkout.shop.svc 1.1 Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                worker-12 shop-gateway.internal https shop.orders.OrderController.place amber birch cedar delta ember";
    let mut places = Sieve::new(everything()).over(text.as_bytes());
    let looked = std::iter::from_fn(|| places.before(text.len())).count();
    assert!(looked <= 3, "{looked}");
}

#[test]
fn texts_of_nothing_but_beginnings_are_read_once() {
    // Reading on from each beginning to the end would take many minutes, so that a busy machine is told from it.
    for part in ["-eyJ", "-sk-", "-ghp_", "token=["] {
        let text = part.repeat((1 << 20) / part.len());
        let began = std::time::Instant::now();
        let hits = sieved(text.as_bytes(), everything());
        assert!(began.elapsed().as_secs() < 90, "{part}: {:?}", began.elapsed());
        assert!(hits.len() < text.len(), "{part}");
    }
}
