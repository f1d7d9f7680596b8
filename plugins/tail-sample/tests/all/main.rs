//! The plugin in the native harness: policies, plans, limits, rates, settings.

mod beyond;
mod common;
mod limits;
mod model;
mod plan;
mod policies;
mod settings;
