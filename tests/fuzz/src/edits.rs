//! Any edits to any batch: refused or applied, never a panic; what leaves is OTLP with exactly the rows that are left, those that nobody
//! touched byte for byte as they came.

use crate::choices::Choices;
use crate::index::{load, spans};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::collections::HashMap;
use tracemill_otlp::batch::{Batch, Span};
use tracemill_otlp::columns::cache::Cache;
use tracemill_otlp::columns::fitting;
use tracemill_otlp::edit::apply::apply;
use tracemill_otlp::edit::check::check;
use tracemill_otlp::edit::permissions::Permissions;
use tracemill_otlp::encode::encode;

/// The target: two plugins, one after the other.
pub fn edits(data: &[u8]) -> bool {
    let Some((body, mut choices)) = Choices::split(data) else { return false };
    let body = Bytes::copy_from_slice(body);
    let Some(mut batch) = load(&body) else { return false };
    let all = Choices::all_paths();
    let mut cache = Cache::default();
    let mut was_shown = vec![false; batch.rows() as usize];
    for _ in 0..2 {
        let live: Vec<u32> = (0..batch.rows()).filter(|&row| !batch.spans()[row as usize].dropped).collect();
        let wants = choices.wants();
        let rows = &live[..fitting(&batch, &live, &wants)];
        if rows.is_empty() {
            break;
        }
        let shown = cache.show(&batch, rows, &wants);
        for &row in rows {
            was_shown[row as usize] = true;
        }
        let mut answered = choices.edits(&shown);
        let permissions = Permissions::new(&wants, &all, [], &all, true);
        // One bad edit fails a call; the others are wanted here.
        answered.retain(|edit| check(&batch, &shown, &permissions, std::slice::from_ref(edit)).is_ok());
        check(&batch, &shown, &permissions, &answered).expect("edits that are good one by one are good together");
        let applied = apply(&mut batch, &shown, &answered);
        cache.invalidate(&applied.written);
    }
    is_whole(&batch, &was_shown, body);
    true
}

/// Whether a batch leaves as OTLP with exactly the spans that are left, and changed only what may have been.
pub(crate) fn is_whole(batch: &Batch, may_have_changed: &[bool], body: Bytes) {
    let encoded = encode(batch);
    let again = load(&encoded).expect("what was encoded is OTLP");
    assert_eq!(again.rows(), batch.live(), "rows after encoding");
    let changed = |(span, may): (&Span, &bool)| !may && (span.dropped || !span.changes.is_none());
    assert!(!batch.spans().iter().zip(may_have_changed).any(changed), "a span was changed that no plugin was shown");
    untouched_is_as_it_came(batch, &again);
    if ExportTraceServiceRequest::decode(body).is_ok() {
        let request = ExportTraceServiceRequest::decode(encoded).expect("the oracle reads what was encoded");
        assert_eq!(spans(&request).count() as u32, batch.live(), "spans after encoding");
    }
}

/// Whatever became of its neighbours, its scope and its resource.
fn untouched_is_as_it_came(batch: &Batch, again: &Batch) {
    let mut left: HashMap<&[u8], usize> = HashMap::new();
    for span in again.spans() {
        *left.entry(again.get(span.field)).or_default() += 1;
    }
    for span in batch.spans().iter().filter(|span| !span.dropped && span.changes.is_none()) {
        let count = left.get_mut(batch.get(span.field)).filter(|count| **count > 0);
        *count.expect("a span that nobody touched leaves as it came") -= 1;
    }
}
