//! Rate limits: whole traces, as many as fit. The tokens are of the whole process.

use tracemill_sdk::prelude::*;

use crate::settings::Unit;

/// A bucket that fills over time.
pub struct Limit {
    /// Where it stands in the state.
    key: String,
    unit: Unit,
    per_second: f64,
    burst: u64,
}

impl Limit {
    /// A limit of so much a second. More than `burst` never comes at once, so a trace that is larger never fits.
    pub fn new(key: String, unit: Unit, per_second: f64, burst: u64) -> Self {
        Self { key, unit, per_second, burst }
    }

    /// Takes what the trace needs; true if there was enough.
    pub fn take(&self, trace: &Trace<'_>) -> bool {
        let cost = cost(trace, self.unit).max(1);
        state::take(&self.key, cost, cost, self.per_second, self.burst) == cost
    }
}

/// What a trace counts.
pub fn cost(trace: &Trace<'_>, unit: Unit) -> u64 {
    match unit {
        Unit::Spans => u64::from(trace.spans()),
        Unit::Bytes => trace.size(),
        Unit::Traces => 1,
    }
}
