//! The self-test: workloads whose answer is known from theory, measured by real agents, beside the theory.
//!
//! Bounds are ratios within one run. What the host gives (usable cores) and what an engine adds to a wait
//! are measured in the same rounds as what is held against them.

mod arm;
mod cases;
mod theory;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

pub use arm::Fault;

/// One figure beside its theory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The law: `wait`, `cpu`, `lock`, `little`, `amdahl`.
    pub law: &'static str,
    /// The candidate or composition measured.
    pub what: String,
    /// What theory says.
    pub theory: f64,
    /// What was measured.
    pub measured: f64,
    /// The unit of both.
    pub unit: &'static str,
    /// The lowest and highest `measured / theory` that the law allows.
    pub tolerance: (f64, f64),
    /// What the theory was computed from, as measured.
    pub from: String,
}

impl Finding {
    /// Measured over theory.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.measured / self.theory
    }

    /// Whether the law holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.tolerance.0..=self.tolerance.1).contains(&self.ratio())
    }
}

/// Measures every law whose name contains `filter`; each finding is shown as it is made.
///
/// # Errors
/// When an agent cannot be started or fails, or on an interrupt.
pub fn run(
    filter: &str,
    usable_cpus: u32,
    interrupted: &Arc<AtomicBool>,
    show: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, Fault> {
    let mut bench = arm::Bench::start(usable_cpus, interrupted)?;
    let mut findings = Vec::new();
    for (name, case) in cases::ALL {
        if name.contains(filter) {
            case(&mut bench, &mut |finding| {
                show(&finding);
                findings.push(finding);
            })?;
        }
    }
    Ok(findings)
}
