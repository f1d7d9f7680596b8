//! What the host offers beside spans: log lines, counters, the time. Lookup tables are in [`tables`](crate::tables).
//!
//! What a call that fails has logged and counted is undone. In native tests the harness stands in for the host.

#[cfg(target_arch = "wasm32")]
use crate::bindings::tracemill::plugin::host as offered;
pub use crate::bindings::tracemill::plugin::host::Level;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::stub as offered;

/// Writes a line to the host's log, under the plugin's name.
pub fn log(level: Level, message: &str) {
    offered::log(level, message);
}

/// Adds to a counter of the plugin's own in the host's metrics. Call it once per batch, not once per span.
pub fn count(name: &str, by: u64) {
    if by > 0 {
        offered::count(name, by);
    }
}

/// Nanoseconds since the Unix epoch; the same throughout a call.
pub fn now() -> u64 {
    offered::now()
}
