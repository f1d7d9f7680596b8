//! How many spans stand behind a row before any sampling of ours: what somebody who counts spans adds for it.

use crate::batch::{Batch, Changes, Span};
use crate::sampling::adjusted_count;
use crate::wire::Reader;

/// `Span.trace_state` on the wire.
const TRACE_STATE: u32 = 3;

/// More never stand behind one: the smallest probability that `th` can say.
const MOST: f64 = (1u64 << 56) as f64;

/// The weight by which a span came, from its `ot=th`; 1 where that does not say.
///
/// What samplers of the chain wrote since does not count: the rows that they took out are still there to be counted
/// ([`Span::sampled_out`]). A plugin that chooses by itself takes out rows that nobody counts; what it said of those that it keeps
/// ([`Span::weighed`]) does, where that is more. That is known since it was said: `th` cannot tell it where it disagrees with the
/// trace's randomness, and samplers raise it afterwards.
#[inline]
#[must_use]
pub fn of(batch: &Batch, span: &Span) -> f64 {
    let state = if span.changes.has(Changes::TRACE_STATE) {
        as_it_came(batch.get(span.body))
    } else {
        batch.get(span.trace_state)
    };
    by(batch, span, state).max(f64::from(span.weighed))
}

/// The weight from when a plugin keeps a span by its own choice, with this probability in whole, or an unknown one.
///
/// Of that probability, what samplers of the chain had their part in is taken off: what they took out is still counted.
pub(crate) fn chosen(batch: &Batch, span: &Span, probability: Option<f64>) -> f32 {
    let counted = of(batch, span);
    let before = by(batch, span, batch.get(span.trace_state)).max(f64::from(span.weighed));
    let stand_behind = probability.filter(|p| *p > 0.0).map_or(before, |p| p.recip().clamp(before, before.max(MOST)));
    (counted * stand_behind / before) as f32
}

/// What a trace state says of a span.
#[inline]
fn by(batch: &Batch, span: &Span, state: &[u8]) -> f64 {
    if state.is_empty() { 1.0 } else { adjusted_count(batch.get(span.trace_id), state).unwrap_or(1.0) }
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
    fn what_was_said_stays_whatever_the_trace_state_can_tell() {
        // Edits, weight, whether it is sampled out.
        let cases: [(&[Edit], f64, bool); 7] = [
            // Its randomness disagrees with a tenth, which `th` cannot say then.
            (&[weigh(Some(0.1))], 10.0, false),
            (&[weigh(Some(0.5)), weigh(Some(0.1))], 10.0, false),
            (&[weigh(Some(0.1)), weigh(None)], 10.0, false),
            // What a sampler takes out afterwards counts as much as what it keeps.
            (&[weigh(Some(0.5)), sample(0.5)], 2.0, false),
            (&[weigh(Some(0.5)), sample(0.1)], 2.0, true),
            // Half of it was a sampler's work, and what that took out is counted.
            (&[sample(0.5), weigh(Some(0.25))], 2.0, false),
            (&[sample(0.5), weigh(None)], 1.0, false),
        ];
        for (edits, weight, out) in cases {
            let batch = edited("", edits);
            let span = &batch.spans()[0];
            assert!((of(&batch, span) - weight).abs() < 1e-6, "{edits:?}: {}", of(&batch, span));
            assert_eq!(span.sampled_out, out, "{edits:?}");
        }
    }

    #[test]
    fn a_chain_of_choices_and_samplers_counts_every_span_once() {
        const SPANS: u32 = 4_000;
        let spans = (0..SPANS).map(|number| {
            let mut span = fixture::span(1, vec![]);
            span.trace_id =
                u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes().to_vec();
            span
        });
        let mut batch = fixture::spans(spans.collect());
        let mut on = |rows: Vec<u32>, edits: &[Edit]| {
            apply(&mut batch, &Shown { rows, ..Shown::default() }, edits);
        };
        // Every second span, whatever its randomness is; then a quarter of the traces of those.
        on((0..SPANS).step_by(2).collect(), &[Edit::Drop { at: Rows::Every, reason: "r".into() }]);
        on((1..SPANS).step_by(2).collect(), &[weigh(Some(0.5)), sample(0.25)]);
        let counted = batch.spans().iter().filter(|span| !span.dropped || span.sampled_out);
        let counted: f64 = counted.map(|span| of(&batch, span)).sum();
        assert!(batch.live() < SPANS / 6 && (counted - f64::from(SPANS)).abs() < 1e-6, "{counted}");
    }

    #[test]
    fn a_plain_drop_is_no_sampling() {
        let batch = edited("", &[Edit::Drop { at: Rows::Every, reason: "r".into() }, sample(0.5)]);
        let span = &batch.spans()[0];
        assert_eq!((span.dropped, span.sampled_out), (true, false));
    }
}
