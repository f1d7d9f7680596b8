//! The chain: what plugins are to the data plane, and how batches pass them. Knows stages, not Wasm.
//!
//! The way: [`intake`] takes a request and finds it a mill; [`mill`] loads it as a batch and takes it through the stages of the
//! [`live`] chain, each by [`run`]; what is left goes to the [`outlet`].

pub mod breaker;
pub mod gate;
pub mod intake;
pub mod live;
pub mod metrics;
mod mill;
mod note;
pub mod outlet;
mod pace;
mod pending;
pub mod plan;
pub mod program;
pub mod quarantine;
mod run;
pub mod stage;
pub mod tally;
