//! How many spans stand behind a row before any sampling of ours: what somebody who counts spans adds for it.

use crate::batch::{Batch, Changes, Span};
use crate::sampling::adjusted_count;
use crate::wire::Reader;

/// `Span.trace_state` on the wire.
const TRACE_STATE: u32 = 3;

/// The weight by which a span came, from its `ot=th`; 1 where that does not say.
///
/// What samplers of the chain wrote since does not count: the rows that they took out are still there to be counted
/// ([`Span::sampled_out`]). A plugin that chooses by itself takes out rows that nobody counts; what it says of those that it keeps
/// ([`Span::weighed`]) does, where that is more.
#[inline]
#[must_use]
pub fn of(batch: &Batch, span: &Span) -> f64 {
    let id = batch.get(span.trace_id);
    let weight = |state: &[u8]| if state.is_empty() { 1.0 } else { adjusted_count(id, state).unwrap_or(1.0) };
    let now = batch.get(span.trace_state);
    if !span.changes.has(Changes::TRACE_STATE) {
        return weight(now);
    }
    let came = weight(as_it_came(batch.get(span.body)));
    if span.weighed { came.max(weight(now)) } else { came }
}

/// The trace state in the bytes of a span, which no edit changes. The last one counts, as everywhere in protobuf.
fn as_it_came(body: &[u8]) -> &[u8] {
    let mut found: &[u8] = &[];
    let mut reader = Reader::new(body);
    while let Ok(Some(field)) = reader.next() {
        if field.number == TRACE_STATE
            && let Ok(at) = field.bytes()
        {
            found = &body[at.at as usize..at.end() as usize];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::apply::apply;
    use crate::edit::{Edit, Rows, Sampling};
    use crate::fixture;
    use crate::shown::Shown;

    /// Half of all randomness: kept at 25 %, not at 10 %.
    const ID: [u8; 16] = [0xe0; 16];

    fn edited(state: &str, edits: &[Edit]) -> Batch {
        let mut span = fixture::span(1, vec![]);
        (span.trace_id, span.trace_state) = (ID.to_vec(), state.to_owned());
        let mut batch = fixture::spans(vec![span]);
        let shown = Shown { rows: vec![0], ..Shown::default() };
        apply(&mut batch, &shown, edits);
        batch
    }

    fn sample(probability: f64) -> Edit {
        Edit::Sample { at: Rows::Every, probability, how: Sampling::Proportional, reason: "r".into() }
    }

    fn weigh(probability: Option<f64>) -> Edit {
        Edit::Weigh { at: Rows::Every, probability }
    }

    #[test]
    fn a_span_counts_as_it_came_whatever_samplers_do() {
        // Came with, edits, weight, whether it is sampled out.
        let cases: [(&str, &[Edit], f64, bool); 9] = [
            ("", &[], 1.0, false),
            ("ot=th:c", &[], 4.0, false),
            ("ot=th:zz", &[], 1.0, false),
            ("ot=th:f", &[], 1.0, false),
            ("", &[sample(0.5)], 1.0, false),
            ("ot=th:8", &[sample(0.5)], 2.0, false),
            ("ot=th:8", &[sample(0.1)], 2.0, true),
            ("ot=th:8", &[sample(0.5), sample(0.1)], 2.0, true),
            ("a=b", &[sample(0.5)], 1.0, false),
        ];
        for (state, edits, weight, out) in cases {
            let batch = edited(state, edits);
            let span = &batch.spans()[0];
            assert!((of(&batch, span) - weight).abs() < 1e-9, "{state} {edits:?}: {}", of(&batch, span));
            assert_eq!((span.dropped, span.sampled_out), (out, out), "{state} {edits:?}");
        }
    }

    #[test]
    fn who_chooses_by_itself_says_what_stands_behind_what_it_keeps() {
        for (state, probability, weight) in
            [("", Some(0.25), 4.0), ("ot=th:8", Some(0.25), 4.0), ("ot=th:8", None, 2.0), ("ot=th:8", Some(1.0), 2.0)]
        {
            let batch = edited(state, &[weigh(probability)]);
            assert!((of(&batch, &batch.spans()[0]) - weight).abs() < 1e-9, "{state} {probability:?}");
        }
    }

    #[test]
    fn a_plain_drop_is_no_sampling() {
        let batch = edited("", &[Edit::Drop { at: Rows::Every, reason: "r".into() }, sample(0.5)]);
        let span = &batch.spans()[0];
        assert_eq!((span.dropped, span.sampled_out), (true, false));
    }
}
