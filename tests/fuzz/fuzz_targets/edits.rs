//! libFuzzer's entry to the target `edits`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tracemill_fuzz::edits(data);
});
