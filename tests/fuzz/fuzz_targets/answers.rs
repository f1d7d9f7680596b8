//! libFuzzer's entry to the target `answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tracemill_fuzz::answers(data);
});
