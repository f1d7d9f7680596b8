//! The data plane, in the order of the flow: receive, admit, chain, queue, export. Knows stages, not Wasm; knows no
//! configuration file and no plugin folder.
#![forbid(unsafe_code)]

pub mod admit;
pub mod auth;
pub mod chain;
mod compact;
pub mod export;
mod followed;
mod gathered;
mod log_gate;
pub mod receive;
pub mod request;
pub mod tls;
