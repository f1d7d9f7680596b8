//! Makes requests of the spans of kept traces: grouped by what they came with, with what their verdicts ask for written into them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use otlp::batch::{Batch, Incoming, RequestContext};
use otlp::columns::Shown;
use otlp::edit::apply::apply;
use otlp::edit::{Constant, Edit, Mode, Rows, Values};
use otlp::encode;
use otlp::path::Path;
use otlp::sampling::{Sampler, Verdict as Sampled};
use otlp::signal::Signal;

use super::assemble::{Assembler, Part};
use super::chunk::gather;
use super::leaving::Leaving;
use super::verdict::{Fate, Mark, Verdict};
use crate::chain::joinable;
use crate::custody::Custody;
use crate::export::Parcel;

/// Attributes of kept spans that say who kept them, and why.
const SAMPLER: &str = "tracemill.sampling.plugin";
const REASON: &str = "tracemill.sampling.reason";

/// Its buffers are used again.
#[derive(Default)]
pub(super) struct Emitter {
    assembler: Assembler,
    batch: Batch,
    plain: Vec<u8>,
    order: Vec<u32>,
    /// How many bytes are kept for the next time.
    kept: usize,
}

/// What came of spans that leave.
#[derive(Debug, Default)]
pub(super) struct Emitted {
    pub(super) parcels: Vec<Parcel>,
    /// Spans whose bytes the disk did not give back.
    pub(super) lost: u64,
}

/// Spans that may travel in one request, with the verdict of each.
struct Group {
    context: Arc<RequestContext>,
    parts: Vec<Part>,
    verdicts: Vec<Arc<Verdict>>,
}

impl Emitter {
    /// One that keeps so many bytes of memory for the next time.
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, ..Self::default() }
    }

    /// One parcel for all that came with the same tenant and headers.
    pub(super) fn emit(&mut self, leaving: &mut Leaving, note_reason: bool) -> Emitted {
        let origins: Vec<_> = leaving.origins.drain(..).map(Some).collect();
        let custody = Custody::join(&origins);
        let mut emitted = Emitted::default();
        self.plain.clear();
        let groups = self.groups(leaving, &mut emitted.lost);
        if emitted.lost > 0
            && let Some(custody) = &custody
        {
            // Whoever sent them may have them still.
            custody.fail();
        }
        for Group { context, parts, verdicts } in groups {
            let bytes: usize = parts.iter().map(|part| part.span.len()).sum();
            let mut body = Vec::with_capacity(bytes + bytes / 8 + 1024);
            self.assembler.assemble(&parts, &self.plain, &mut body, &mut self.order);
            let is_touched = |verdict: &Arc<Verdict>| note_reason || verdict.fate != Fate::Keep(Mark::Leave);
            let body = if verdicts.iter().any(is_touched) {
                self.mark(body.into(), &context, &verdicts, note_reason)
            } else {
                body.into()
            };
            emitted.parcels.push(Parcel {
                signal: Signal::Traces,
                body,
                items: parts.len() as u32,
                context,
                custody: custody.clone(),
            });
        }
        self.plain.shrink_to(self.kept);
        emitted
    }

    fn groups(&mut self, leaving: &mut Leaving, lost: &mut u64) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        // By address first: most spans come with few contexts.
        let mut known: HashMap<usize, usize, RandomState> = HashMap::default();
        let (mut spans, mut pieces) = (Vec::new(), Vec::new());
        for trace in leaving.traces.drain(..) {
            for (envelope, piece) in trace.spans {
                spans.push((envelope, Arc::clone(&trace.verdict)));
                pieces.push(piece);
            }
        }
        let places = gather(&pieces, &leaving.arena, &mut self.plain);
        for ((envelope, verdict), place) in spans.into_iter().zip(places) {
            let Some(place) = place else {
                *lost += 1;
                continue;
            };
            let group = *known.entry(Arc::as_ptr(&envelope.context).addr()).or_insert_with(|| {
                let context = &envelope.context;
                groups.iter().position(|group| joinable(&group.context, context)).unwrap_or_else(|| {
                    groups.push(Group { context: Arc::clone(context), parts: Vec::new(), verdicts: Vec::new() });
                    groups.len() - 1
                })
            });
            groups[group].parts.push(Part { envelope, span: place });
            groups[group].verdicts.push(verdict);
        }
        groups
    }

    /// Writes into a body what the verdicts of its spans ask for. Spans stand in it in `order`.
    fn mark(
        &mut self,
        body: Bytes,
        context: &Arc<RequestContext>,
        verdicts: &[Arc<Verdict>],
        note_reason: bool,
    ) -> Bytes {
        let Self { batch, order, .. } = self;
        let loaded = batch.load_again(&[Incoming { body: body.clone(), context: Arc::clone(context) }]);
        if loaded.iter().any(Result::is_err) {
            debug_assert!(false, "what was a batch is one again: {loaded:?}");
            return body;
        }
        // Verdicts are few, and compared by address.
        let mut rows_of: Vec<(&Arc<Verdict>, Vec<u32>)> = Vec::new();
        for (row, part) in (0..).zip(order.iter()) {
            let verdict = &verdicts[*part as usize];
            match rows_of.iter_mut().find(|(known, _)| Arc::ptr_eq(known, verdict)) {
                Some((_, rows)) => rows.push(row),
                None => rows_of.push((verdict, vec![row])),
            }
        }
        let mut edits = Vec::new();
        for (verdict, rows) in rows_of {
            if note_reason {
                edits.extend(noted(verdict, &rows));
            }
            edits.extend(marked(batch, verdict, rows));
        }
        let shown = Shown { rows: (0..batch.rows()).collect(), ..Shown::default() };
        apply(batch, &shown, &edits);
        let body = encode::encode(batch);
        batch.clear();
        body
    }
}

/// What is written into trace states. Invariant: no span is dropped by it, because its trace is kept whole.
fn marked(batch: &Batch, verdict: &Verdict, rows: Vec<u32>) -> Vec<Edit> {
    let Fate::Keep(mark) = verdict.fate else { return Vec::new() };
    match mark {
        Mark::Leave => Vec::new(),
        Mark::Chosen(probability) => vec![Edit::Weigh { at: Rows::These(rows), probability }],
        Mark::Sampled { probability, how } => {
            let Ok(sampler) = Sampler::new(probability, how) else { return Vec::new() };
            let mut state = Vec::new();
            let mut agrees = |row: &u32| {
                let span = &batch.spans()[*row as usize];
                let verdict = sampler.sample(batch.get(span.trace_id), batch.get(span.trace_state), &mut state);
                verdict != Sampled::Drop
            };
            // A span that says another randomness than its trace would not have been kept by itself: how much it stands for is not known.
            let (agreeing, others): (Vec<u32>, Vec<u32>) = rows.into_iter().partition(|row| agrees(row));
            let sample = Edit::Sample { at: Rows::These(agreeing), probability, how, reason: String::new() };
            vec![sample, Edit::Weigh { at: Rows::These(others), probability: None }]
        }
    }
}

fn noted(verdict: &Verdict, rows: &[u32]) -> [Edit; 2] {
    let note = |key: &str, text: &str| Edit::Set {
        path: Path::Attribute(key.into()),
        at: Rows::These(rows.to_vec()),
        to: Values::Same(Constant::Text(text.to_owned())),
        mode: Mode::Upsert,
    };
    [note(SAMPLER, &verdict.plugin), note(REASON, &verdict.reason)]
}
