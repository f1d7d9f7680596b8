//! The plugin host: the only crate that names wasmtime.
//!
//! The life of a plugin: [`check()`] looks at a file before anything is compiled, [`Checked::compile`] makes a
//! [`Component`] of it off the data path ([`load`] does both), [`Component::configure`] asks it for its plan and answers a
//! [`Program`](pipeline::chain::stage::Program), from which each mill makes its own
//! [`Instance`](pipeline::chain::stage::Instance). It knows no plugin folder and no configuration file.
#![deny(unsafe_code)]

mod bindings;
mod cache;
mod check;
mod clock;
mod component;
mod deadline;
mod engine;
mod fault;
mod guest;
mod handover;
mod host;
mod instance;
mod journal;
mod lift;
mod limiter;
mod lower;
mod metrics;
mod options;
mod plan;
mod private;
mod program;
mod state;
pub mod tables;
mod v0_1;
mod wasi;
mod words;

pub use cache::CompileCache;
pub use check::{Checked, DEFAULT_SIZE, LoadError, Role, check};
pub use component::{Component, load};
pub use engine::{Engine, EngineError, EngineOptions};
pub use metrics::{Metrics, Sink};
pub use options::Options;
pub use plan::PlanError;
pub use private::{PrivateError, PrivateFolder, UNFINISHED, forget_unfinished, write_whole};
pub use program::{ConfigureError, WasmProgram};
pub use state::{StateError, StateLimits, StateStore};

/// The versions of the contract that this host runs, the newest first; plugins made for any patch of their minor versions work.
pub const CONTRACTS: [&str; 2] = ["0.2.0", "0.1.0"];
