//! The world of samplers. What it shares with the world of processors is that world's.

wasmtime::component::bindgen!({
    world: "trace-sampler",
    path: "../../wit/0.2.0",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    with: {
        "tracemill:plugin/types@0.2.0": super::tracemill::plugin::types,
        "tracemill:plugin/host@0.2.0": super::tracemill::plugin::host,
        "tracemill:plugin/state@0.2.0": super::tracemill::plugin::state,
    },
});

pub use exports::tracemill::plugin::sampler as contract;
