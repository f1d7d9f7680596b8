//! Edits that take rows out of the batch, and what samplers write into the trace state.

use crate::batch::Changes;
use crate::edit::{Rows, Sampling};
use crate::path::Path;
use crate::sampling::{self, Sampler, Verdict};
use crate::weight;

use super::Applier;

impl Applier<'_> {
    pub(super) fn drop_rows(&mut self, at: &Rows, reason: &str) {
        let mut dropped = 0;
        self.for_rows(at, |applier, _, row| {
            let number = applier.batch_row(row);
            applier.drop_row(number);
            dropped += 1;
        });
        self.note_dropped(reason, dropped);
    }

    pub(super) fn sample(&mut self, at: &Rows, probability: f64, how: Sampling, reason: &str) {
        let Ok(sampler) = Sampler::new(probability, how) else { return };
        let mut state = std::mem::take(&mut self.scratch);
        let (mut dropped, mut rewritten) = (0, false);
        // Most spans come without a trace state, and get the same.
        let mut last = None;
        self.for_rows(at, |applier, _, row| {
            let number = applier.batch_row(row);
            let span = applier.batch.spans[number];
            let (id, was) = (applier.batch.get(span.trace_id), applier.batch.get(span.trace_state));
            match sampler.sample(id, was, &mut state) {
                Verdict::Keep => {}
                Verdict::Drop => {
                    applier.drop_row(number);
                    applier.batch.spans[number].sampled_out = true;
                    dropped += 1;
                }
                Verdict::Rewrite => {
                    applier.write_state(row, &state, &mut last);
                    rewritten = true;
                }
            }
        });
        self.scratch = state;
        self.note_dropped(reason, dropped);
        if rewritten {
            self.note(&Path::TraceState);
        }
    }

    pub(super) fn weigh(&mut self, at: &Rows, probability: Option<f64>) {
        let mut state = std::mem::take(&mut self.scratch);
        let mut rewritten = false;
        let mut last = None;
        self.for_rows(at, |applier, _, row| {
            let number = applier.batch_row(row);
            applier.batch.spans[number].weighed =
                weight::chosen(applier.batch, &applier.batch.spans[number], probability);
            let span = applier.batch.spans[number];
            let (id, was) = (applier.batch.get(span.trace_id), applier.batch.get(span.trace_state));
            if sampling::weigh(id, was, probability, &mut state) == Ok(true) {
                applier.write_state(row, &state, &mut last);
                rewritten = true;
            }
        });
        self.scratch = state;
        if rewritten {
            self.note(&Path::TraceState);
        }
    }

    fn write_state(&mut self, row: u32, state: &[u8], last: &mut Option<crate::wire::Slice>) {
        let text = match *last {
            Some(text) if self.batch.get(text) == state => text,
            _ => self.batch.put(state),
        };
        *last = Some(text);
        let number = self.batch_row(row);
        self.batch.spans[number].trace_state = text;
        self.changed(row, Changes::TRACE_STATE);
    }

    fn note_dropped(&mut self, reason: &str, rows: u32) {
        if rows == 0 {
            return;
        }
        match self.applied.dropped.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += rows,
            None => self.applied.dropped.push((reason.to_owned(), rows)),
        }
    }
}
