//! Two tasks, and what to run them with.
//!
//!     cargo run --release --example recommend
//!     cargo run --release --example recommend -- squeeze --budget 5s

use std::process::ExitCode;
use std::time::Duration;

use conbench::Workload;

/// Computes: a checksum of some text, a few thousand times over.
fn squeeze(index: u64) -> u64 {
    (0..20_000).fold(index, |sum, byte| (sum ^ byte).wrapping_mul(0x0000_0100_0000_01b3))
}

fn main() -> ExitCode {
    conbench::main(|registry| {
        registry.add(Workload::new("squeeze").task(squeeze).check(|sum| *sum))?;
        let time = Duration::from_millis(5);
        registry.add(
            Workload::new("ask").task(move |_| std::thread::sleep(time)).async_task(move |_| tokio::time::sleep(time)),
        )?;
        Ok(())
    })
}
