use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::tail::chunk::{Packer, gather};
use crate::tail::slab::NONE;

const CHUNK: usize = 4096;

fn read(spans: &Spans, record: u32) -> Vec<u8> {
    let (mut arena, mut out) = (Vec::new(), Vec::new());
    let piece = spans.piece(record, &mut arena);
    assert_eq!(gather(&[piece], &arena, &mut out), [Some(0..out.len())]);
    out
}

fn chunk_bytes(spans: &Spans) -> usize {
    let of = |held: &Held| held.chunk.bytes() + held.records.capacity() * size_of::<u32>();
    spans.chunks.iter().flatten().map(of).sum()
}

#[test]
fn what_is_kept_is_read_and_what_is_released_is_given_back() {
    let mut spans = Spans::new(CHUNK);
    let records: Vec<u32> = (0..1000_u32).map(|n| spans.append(NONE, n, 0, &vec![n as u8; 300])).collect();
    for (number, &record) in (0..).zip(&records) {
        assert_eq!((spans.get(record).envelope, read(&spans, record)), (number, vec![number as u8; 300]));
    }
    for record in records {
        spans.release(record);
    }
    assert_eq!((spans.live, spans.records.len()), (0, 0));
    assert!(chunk_bytes(&spans) < 2 * CHUNK, "the open one stays");
}

#[test]
fn a_span_larger_than_a_chunk_has_one_of_its_own() {
    let mut spans = Spans::new(CHUNK);
    let small = spans.append(NONE, 7, 0, b"small");
    let large = spans.append(NONE, 8, 0, &[1; 3 * CHUNK]);
    let next = spans.append(small, 9, 0, b"next");
    assert_eq!(spans.get(small).chunk, spans.get(next).chunk, "the open one goes on");
    assert_eq!(read(&spans, large).len(), 3 * CHUNK);
    spans.release(large);
    assert!(chunk_bytes(&spans) < 2 * CHUNK);
}

#[test]
fn a_span_as_large_as_an_empty_open_chunk_closes_it() {
    let mut spans = Spans::new(CHUNK);
    let first = spans.append(NONE, 0, 0, b"first");
    spans.release(first);
    let exact = spans.append(NONE, 0, 0, &[1; CHUNK]);
    spans.release(exact);
    let next = spans.append(NONE, 0, 0, b"next");
    assert_eq!(read(&spans, next), b"next");
}

#[test]
fn what_is_wanted_of_a_sparse_chunk_is_moved_and_the_chunk_given_back() {
    let mut spans = Spans::new(CHUNK);
    let records: Vec<u32> = (0..100_u32).map(|n| spans.append(NONE, n, 0, &vec![n as u8; 400])).collect();
    assert!(!spans.compact(), "all of it is wanted");
    let full = chunk_bytes(&spans);
    for record in records.iter().skip(1).step_by(2).chain(records.iter().step_by(4)) {
        spans.release(*record);
    }
    while spans.compact() {}
    assert!(chunk_bytes(&spans) * 2 < full, "{} of {full}", chunk_bytes(&spans));
    for number in (2..100).step_by(4) {
        assert_eq!(read(&spans, records[number]), vec![number as u8; 400]);
    }
}

#[test]
fn what_is_wanted_of_packed_chunks_is_moved_when_it_is_little() {
    let mut spans = Spans::new(CHUNK);
    let noise =
        |n: u32| -> Vec<u8> { (0..400_u32).map(|at| (n.wrapping_mul(0x9e37_79b9) >> (at % 24)) as u8).collect() };
    let records: Vec<u32> = (0..1000_u32).map(|n| spans.append(NONE, n, 0, &noise(n))).collect();
    while let Some((which, plain)) = spans.oldest_plain() {
        let plain = plain.clone();
        spans.pack(which, &plain, Packer::default().pack(plain.bytes()).unwrap());
    }
    assert!(spans.sparse_packed(true).is_none(), "all of it is wanted");
    assert_eq!(spans.wasted(), 0);
    for (_, record) in (0..).zip(&records).filter(|(number, _)| number % 10 != 0) {
        spans.release(*record);
    }
    let before = spans.chunks.iter().flatten().count();
    let wasted = spans.wasted() * 100 / spans.packed_memory;
    assert!(wasted > 85 && wasted < 95, "{wasted} % of it");
    while let Some((which, packed)) = spans.sparse_packed(true) {
        let packed = packed.clone();
        spans.unpack(which, &packed, &packed.unpack().unwrap());
    }
    assert!(spans.chunks.iter().flatten().count() < before / 2);
    for number in (0..1000).step_by(10) {
        assert_eq!(read(&spans, records[number]), noise(number as u32));
    }
}

#[test]
fn spans_of_a_trace_are_linked_in_the_order_in_which_they_came() {
    let mut spans = Spans::new(CHUNK);
    let first = spans.append(NONE, 0, 0, &[0; 900]);
    let mut newest = first;
    for number in 1..40 {
        let other = spans.append(NONE, 99, 0, &[9; 900]);
        newest = spans.append(newest, number, 0, &[number as u8; 900]);
        spans.release(other);
    }
    while spans.compact() {}
    let mut next = first;
    for number in 0..40 {
        assert_eq!((spans.get(next).envelope, read(&spans, next)), (number, vec![number as u8; 900]));
        next = spans.get(next).next;
    }
    assert_eq!(next, NONE);
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Release(usize),
    Compact,
    Pack,
    Unpack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => prop_oneof![5 => 1..800_usize, 1 => 1..3 * CHUNK].prop_map(Step::Append),
        4 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Compact),
        1 => Just(Step::Pack),
        1 => Just(Step::Unpack),
    ];
    proptest::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn whatever_happens_to_chunks_spans_stay_what_they_are(steps in steps()) {
        let mut spans = Spans::new(CHUNK);
        let mut model: HashMap<u32, (u32, Vec<u8>)> = HashMap::new();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Append(len) => {
                    let span = vec![number as u8; len];
                    let record = spans.append(NONE, number, 0, &span);
                    prop_assert!(model.insert(record, (number, span)).is_none());
                }
                Step::Release(which) if !model.is_empty() => {
                    let mut known: Vec<u32> = model.keys().copied().collect();
                    known.sort_unstable();
                    let record = known[which % known.len()];
                    let envelope = spans.release(record).envelope;
                    prop_assert_eq!(Some(envelope), model.remove(&record).map(|(envelope, _)| envelope));
                }
                Step::Release(_) => {}
                Step::Compact => drop(spans.compact()),
                Step::Pack => {
                    if let Some((which, plain)) = spans.oldest_plain() {
                        let plain = plain.clone();
                        spans.pack(which, &plain, Packer::default().pack(plain.bytes()).unwrap());
                    }
                }
                Step::Unpack => {
                    let packed = (0..).zip(&spans.chunks).find_map(|(number, held)| match &held.as_ref()?.chunk {
                        Chunk::Packed(packed) => Some((Which(number), packed.clone())),
                        _ => None,
                    });
                    if let Some((which, packed)) = packed {
                        spans.unpack(which, &packed, &packed.unpack().unwrap());
                    }
                }
            }
            let mut shares = [Share::default(); 2];
            let mut packed_memory = 0;
            for held in spans.chunks.iter().flatten() {
                match &held.chunk {
                    Chunk::Packed(packed) => {
                        shares[1].add(packed.len(), held.live);
                        packed_memory += held.chunk.bytes();
                    }
                    chunk => shares[0].add(chunk.bytes(), held.live),
                }
            }
            prop_assert_eq!((spans.loose, spans.packed, spans.packed_memory), (shares[0], shares[1], packed_memory));
            prop_assert_eq!(spans.live, model.values().map(|(_, span)| span.len()).sum::<usize>());
            prop_assert_eq!(spans.bytes, chunk_bytes(&spans));
        }
        for (record, (envelope, span)) in &model {
            prop_assert_eq!((spans.get(*record).envelope, read(&spans, *record)), (*envelope, span.clone()));
        }
    }
}
