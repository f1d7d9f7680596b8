//! Small values shared by all instances of one plugin, bounded, kept when the plugin is replaced.
//!
//! Values, counters and buckets have separate keys. When a call fails, what it added and took is given back; what it
//! put stays. In native tests the harness stands in for the host.

#[cfg(target_arch = "wasm32")]
use crate::bindings::tracemill::plugin::state as offered;
pub use crate::bindings::tracemill::plugin::state::Versioned;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::stub as offered;

/// The value at a key with its version.
pub fn get(key: &str) -> Option<Versioned> {
    offered::get(key)
}

/// Puts a value. Fails when the plugin's state is full.
pub fn put(key: &str, value: &[u8]) -> Result<(), String> {
    offered::put(key, value)
}

/// Puts a value if the key is still at `version`, where 0 means absent. False: somebody else was faster; read again.
pub fn replace(key: &str, version: u64, value: &[u8]) -> Result<bool, String> {
    offered::replace(key, version, value)
}

/// Adds to a counter and gives its new value.
pub fn add(key: &str, by: i64) -> Result<i64, String> {
    offered::add(key, by)
}

/// Takes from a bucket of the whole process that fills by `per_second` up to `burst`: `most` tokens, or what is there
/// if that is at least `least`, else none.
pub fn take(key: &str, least: u64, most: u64, per_second: f64, burst: u64) -> u64 {
    offered::take(key, least, most, per_second, burst)
}
