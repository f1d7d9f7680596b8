//! Kafka.
mod config;
pub use config::{Config, InitialOffset};
