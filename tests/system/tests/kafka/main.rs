//! A real Kafka between tiers of real proxies, and between proxies and a real Collector. Of builds with the feature `kafka`, by
//! `cargo xtask test --full`.

mod bench;
mod compatibility;
mod custody;
mod group;
mod through;
mod trouble;
