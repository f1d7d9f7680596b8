//! OTLP/JSON to protobuf, once and in one pass: from here on a request that came as JSON is like any other.
//!
//! Follows the protobuf JSON mapping with OTLP's exceptions: ids are hex, enums are integers, unknown fields are ignored.
//! Lenient where senders are known to be sloppy, and says so: names of enums, keys in `snake_case`. Builds no tree: each
//! value is written to the wire as it is read.

mod packed;
mod scalar;
mod schema;
mod write;

pub use write::{Converted, JsonError, Lenient, to_protobuf};

#[cfg(test)]
mod tests;
