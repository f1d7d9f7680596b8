//! The data plane, in the order of the flow: receive, admit, chain, queue, export; metrics and logs are forwarded past the chain.
//! Knows stages, not Wasm; knows no configuration file and no plugin folder.
#![forbid(unsafe_code)]

pub mod admit;
pub mod auth;
pub mod chain;
mod compact;
pub mod custody;
pub mod export;
mod followed;
pub mod fork;
pub mod forward;
mod gathered;
pub mod kafka;
mod log_gate;
mod paths;
pub mod receive;
pub mod request;
pub mod spanmetrics;
pub mod tail;
pub mod tls;
mod unix;
