//! libFuzzer's entry to the target `json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tracemill_fuzz::json(data);
});
