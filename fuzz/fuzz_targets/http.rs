#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| conbench_fuzz::inputs::http(bytes));
