//! The world of samplers. What it shares with the world of processors is that world's.

wit_bindgen::generate!({
    world: "trace-sampler",
    path: "../../wit/0.2.0",
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "tracemill_sdk::bindings::sampler",
    additional_derives: [PartialEq],
    with: {
        "tracemill:plugin/types@0.2.0": super::tracemill::plugin::types,
        "tracemill:plugin/host@0.2.0": super::tracemill::plugin::host,
        "tracemill:plugin/state@0.2.0": super::tracemill::plugin::state,
    },
});

pub use exports::tracemill::plugin::sampler as contract;
