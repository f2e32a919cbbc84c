#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| conbench_fuzz::inputs::record(bytes));

// Mostly changes that leave it JSON; the rest is libFuzzer's own.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let changed = if seed % 4 == 0 { None } else { conbench_fuzz::json::change(data, size, max_size, seed) };
    changed.unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});
