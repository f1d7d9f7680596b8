//! A test setting: notes the chain's generation on each span, so that a test can show that no span went through two.

use std::sync::Arc;

use otlp::batch::Batch;
use otlp::columns::Shown;
use otlp::edit::apply::apply;
use otlp::edit::{Constant, Edit, Mode, Rows, Values};
use otlp::path::Path;

/// The attribute's key.
const KEY: &str = "tracemill.generation";

/// Writes the generation on every live span.
pub(super) fn generation(batch: &mut Batch, generation: u64) {
    let rows = (0..).zip(batch.spans()).filter(|(_, span)| !span.dropped).map(|(row, _)| row).collect();
    let shown = Shown { rows, ..Shown::default() };
    let to = Values::Same(Constant::Integer(generation as i64));
    let set = Edit::Set { path: Path::Attribute(Arc::from(KEY)), at: Rows::Every, to, mode: Mode::Upsert };
    apply(batch, &shown, &[set]);
}
