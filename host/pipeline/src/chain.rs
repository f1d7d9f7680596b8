//! The chain: what plugins are to the data plane, and how batches pass them. Knows stages, not Wasm.

pub mod plan;
pub mod stage;
