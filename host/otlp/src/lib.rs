//! Bytes to batch and back. A leaf: no I/O, no async runtime, no Wasm.
//!
//! The way of the data: [`batch::Batch::load`] indexes requests (over [`index`], [`wire`], [`value`]); [`columns`] shows
//! parts of the rows to plugins; [`edit`] applies what they answer; [`encode`] writes what is left; [`compare`] tells two outcomes of one
//! batch apart.
#![forbid(unsafe_code)]

pub mod batch;
pub mod columns;
pub mod compare;
pub mod condition;
pub mod edit;
pub mod encode;
mod find;
#[cfg(test)]
mod fixture;
pub mod index;
pub mod json;
pub mod lookup;
pub mod path;
pub mod sampling;
pub mod shown;
pub mod signal;
pub mod value;
pub mod weight;
pub mod wire;
