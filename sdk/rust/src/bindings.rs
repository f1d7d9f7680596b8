//! The contract's types and functions as generated from `wit/0.2.0/tracemill.wit`. Plugins rarely name them.

#![allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the contract itself is the documentation, and its ABI needs unsafe code"
)]

pub mod sampler;

wit_bindgen::generate!({
    world: "span-processor",
    path: "../../wit/0.2.0",
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "tracemill_sdk::bindings",
    additional_derives: [PartialEq],
    generate_all,
});

pub use tracemill::plugin::types;
