//! Any edits to any batch: refused or applied, never a panic; what leaves is OTLP with exactly the rows that are left.

use crate::choices::Choices;
use crate::index::{load, spans};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
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
    for _ in 0..2 {
        let live: Vec<u32> = (0..batch.rows()).filter(|&row| !batch.spans()[row as usize].dropped).collect();
        let wants = choices.wants();
        let rows = &live[..fitting(&batch, &live, &wants)];
        if rows.is_empty() {
            break;
        }
        let shown = cache.show(&batch, rows, &wants);
        let mut answered = choices.edits(&shown);
        let permissions = Permissions::new(&wants, &all, [], &all, true);
        // One bad edit fails a call; the others are wanted here.
        answered.retain(|edit| check(&batch, &shown, &permissions, std::slice::from_ref(edit)).is_ok());
        check(&batch, &shown, &permissions, &answered).expect("edits that are good one by one are good together");
        let applied = apply(&mut batch, &shown, &answered);
        cache.invalidate(&applied.written);
    }
    let encoded = encode(&batch);
    let again = load(&encoded).expect("what was encoded is OTLP");
    assert_eq!(again.rows(), batch.live(), "rows after encoding");
    if ExportTraceServiceRequest::decode(body).is_ok() {
        let request = ExportTraceServiceRequest::decode(encoded).expect("the oracle reads what was encoded");
        assert_eq!(spans(&request).count() as u32, batch.live(), "spans after encoding");
    }
    true
}
