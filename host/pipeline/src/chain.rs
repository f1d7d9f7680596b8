//! The chain: what plugins are to the data plane, and how batches pass them. Knows stages, not Wasm.
//!
//! The way: [`intake`] takes a request and finds it a mill; [`mill`] loads it as a batch and takes it through the stages of the
//! [`live`] chain, each by [`run`]; what is left goes to the [`outlet`]. A version that is only tried stands at the same [`place`] as the one that
//! counts: a [`trial`] is on its share of the traces, or in the [`shadow`].

pub(crate) mod ask;
pub mod breaker;
pub mod gate;
mod handover;
pub mod intake;
pub mod live;
pub mod metrics;
mod mill;
mod note;
pub mod outlet;
mod pace;
mod pending;
pub mod place;
pub mod plan;
pub mod program;
pub mod quarantine;
mod run;
pub mod sampler;
pub(crate) mod seats;
pub mod shadow;
pub mod stage;
pub mod tally;
pub mod trial;

pub(crate) use mill::joinable;
