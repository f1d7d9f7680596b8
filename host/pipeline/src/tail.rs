//! The trace buffer: spans wait here until their trace is decided as a whole.
//!
//! The way: behind the chain a mill hands its batch to the [`shard`]s, by trace id; each span is copied into the shard's [`spans`], and counted in its
//! [`trace`]. When a trace is due by its [`clocks`], the shard's own thread asks the samplers about it, and lets go of it or has it leave to the queues.
//! What was decided is [`remembered`] for spans that come late.
//!
//! Invariant: a span is in one shard, and leaves once or is dropped once; all of the buffer stays within its budget.

mod chunk;
mod clocks;
pub mod config;
mod envelope;
mod filter;
mod key;
mod leaving;
mod origin;
mod remembered;
mod shard;
mod shared;
mod slab;
mod spans;
mod spill;
mod trace;
mod verdict;
