//! The generator keeps its promises: sizes, seeds, structure, and what it says about its spans.

use super::*;
use crate::sink::spans;
use prost::Message as _;
use std::collections::HashSet;

#[test]
fn spans_are_as_large_as_their_profile_says() {
    for profile in Profile::ALL {
        let mut generator = Generator::new(profile, 1);
        let bytes: usize = (0..50).map(|_| generator.request(100).request.encoded_len()).sum();
        let mean = bytes / 5_000;
        let off = mean.abs_diff(profile.bytes()) * 100 / profile.bytes();
        assert!(off <= 10, "{profile:?}: {mean} bytes a span");
    }
}

#[test]
fn the_same_seed_gives_the_same_spans() {
    let make = |seed| Generator::new(Profile::Medium, seed).request(200).request;
    assert_eq!(make(7), make(7));
    assert_ne!(make(7), make(8));
}

#[test]
fn parents_are_in_the_same_request_and_ids_are_unique() {
    let mut generator = Generator::new(Profile::Small, 3);
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let made = generator.request(512);
        let all: Vec<_> = spans(&made.request).collect();
        assert_eq!(all.len(), 512);
        assert_eq!(all.iter().map(|span| id(span)).collect::<Vec<_>>(), made.ids);
        let here: HashSet<_> = all.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
        for span in &all {
            assert!(span.parent_span_id.is_empty() || here.contains(&(&span.trace_id, &span.parent_span_id)));
            assert!(seen.insert(id(span)), "a span id came twice");
        }
    }
}

#[test]
fn what_is_personal_is_said_to_be() {
    let mut generator = Generator::new(Profile::Medium, 4).mix(Mix { personal: 0.2, ..Mix::default() });
    let made = generator.request(1_000);
    assert!(!made.health.is_empty() && !made.personal.is_empty());
    for span in spans(&made.request) {
        let text = format!("{span:?}");
        let holds = PERSONAL.iter().any(|value| text.contains(value));
        assert_eq!(holds, made.personal.contains(&id(span)), "{text}");
    }
}

#[test]
fn large_traces_are_filled_one_after_the_other() {
    let mut generator = Generator::new(Profile::Small, 5).traces_of(300);
    let requests: Vec<_> = (0..30).map(|_| generator.request(50).request).collect();
    let mut sizes: Vec<(Vec<u8>, usize)> = Vec::new();
    for span in requests.iter().flat_map(spans) {
        match sizes.last_mut() {
            Some((id, spans)) if *id == span.trace_id => *spans += 1,
            _ => sizes.push((span.trace_id.clone(), 1)),
        }
    }
    assert_eq!(sizes.len(), 5, "{sizes:?}");
    assert_eq!(
        sizes.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(),
        5,
        "a trace that was left was filled again"
    );
    assert!(sizes[..4].iter().all(|(_, spans)| (300..306).contains(spans)), "{sizes:?}");
}
