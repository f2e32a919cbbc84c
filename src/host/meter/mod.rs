//! Meters: what processes cost, and what disturbs them, read from outside.

mod delay;
mod disturbance;
mod family;
mod machine;
mod process;

pub use delay::RunDelay;
pub use disturbance::{Disturbance, Disturbed, busy_ns};
pub use family::{Family, FamilyTime};
pub use machine::MachineTime;
pub use process::{TreeMemory, process_cpu_ns, tree, tree_memory, trees};
