//! Decides whole traces by the policies of the OpenTelemetry Collector's tail sampling, which can be pasted, and by rates, budgets and
//! links beyond them.
//!
//! A policy's answer is a probability wherever it can be one. The host then decides by the trace's randomness and writes `ot=th`, so that
//! every sampler along the way agrees and counts can be adjusted. Only what a rate limit chose has no known probability, and says so.

mod asked;
mod build;
mod early;
mod fields;
mod limit;
mod linked;
mod policy;
mod predicate;
mod randomness;
mod rates;
mod sampler;
pub mod settings;
mod vote;

pub use sampler::TailSample;
pub use settings::Settings;

tracemill_sdk::export_sampler!(TailSample);
