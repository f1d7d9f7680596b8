//! libFuzzer's entry to the target `columns`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tracemill_fuzz::columns(data);
});
