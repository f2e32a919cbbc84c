//! Meters: what processes cost, and what disturbs them, read from outside.

mod disturbance;
mod process;

pub use disturbance::{Disturbance, Disturbed, busy_ns};
pub use process::{TreeMemory, process_cpu_ns, tree, tree_memory, trees};
