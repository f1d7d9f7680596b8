//! The control plane: configuration, plugin folder, admin side, telemetry. Sets the data plane up and changes it while it runs; no
//! span passes through here.
//!
//! Invariant: data plane and control plane share no lock: whatever is slow here costs no span.
#![forbid(unsafe_code)]

pub mod admin;
pub mod config;
pub mod plugins;
pub mod reload;
pub mod tables;
pub mod telemetry;
#[cfg(test)]
mod wait;
pub mod watch;
