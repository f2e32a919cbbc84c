//! The self-test: workloads whose answer is known from theory, measured by real agents, beside the theory.
//!
//! Bounds are ratios within one run. What the host gives (usable cores) and what an engine adds to a wait
//! are measured in the same rounds as what is held against them.
//!
//! The laws hold for interpreters as they do for the native runtime, but for what their model forbids:
//!
//! - `wait`: beyond 16 in flight the interpreter's own work for each task shows, one task after another. It is
//!   printed as a cost, and no law.
//! - `cpu`: threads under a global interpreter lock are held to 0.8 to 1.1 of the rate of `sequential`. With a
//!   computation that lets go of the lock (SHA-256 of 1 MiB) they scale like any other workers, and so they do with
//!   all computations where there is no lock. The usable cores are those that independent interpreters get with the
//!   same task: code that misses caches and branches shares a core's threads less well than the native loop does.
//! - `lock` and `little`: not `InterpreterPoolExecutor`, as interpreters share no lock.
//! - `utilisation` and `cpu-wait`: tasks compute longer, since what an interpreter spends on each of them must be
//!   little beside that. (Not where `utilisation` holds the cores that a window shows against those that are used, by
//!   one and the same CPU time a task.)
//! - `gil-share`: only where a global interpreter lock is in force.
//! - `amdahl`: the rest runs on pools that scale, so not on threads under the lock; and tasks take 2 ms and not
//!   0.5 ms, since to hand one to another process costs an interpreter some 100 us.

mod arm;
mod cases;
mod cpu_wait;
mod gil_share;
mod makespan;
mod pipeline;
mod rounds;
mod theory;
mod utilisation;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

pub use arm::LawError;

use crate::session::AgentProgram;

/// A law: measures the engines of a runtime that it offers, in rounds in which everything that is compared runs
/// once, and shows its findings.
type Law = fn(&mut arm::Bench, &arm::Runtime, &mut dyn FnMut(Finding)) -> Result<(), LawError>;

/// The laws, by name.
const LAWS: [(&str, Law); 10] = [
    ("wait", cases::waits),
    ("cpu", cases::cpu),
    ("lock", cases::locks),
    ("little", cases::little),
    ("amdahl", cases::amdahl),
    ("utilisation", utilisation::utilisation),
    ("cpu-wait", cpu_wait::cpu_wait),
    ("pipeline", pipeline::pipeline),
    ("makespan", makespan::makespan),
    ("gil-share", gil_share::gil_share),
];

/// One figure beside its theory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The law: `wait`, `cpu`, `lock`, `little`, `amdahl`, `utilisation`, `cpu-wait`, `pipeline`, `makespan`,
    /// `gil-share`.
    pub law: &'static str,
    /// The candidate or composition measured.
    pub what: String,
    /// What theory says.
    pub theory: f64,
    /// What was measured.
    pub measured: f64,
    /// The unit of both.
    pub unit: &'static str,
    /// The lowest and highest `measured / theory` that the law allows; `None` is a cost, which is shown and not
    /// judged.
    pub tolerance: Option<(f64, f64)>,
    /// What the theory was computed from, as measured.
    pub from: String,
}

impl Finding {
    /// Measured over theory.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.measured / self.theory
    }

    /// Whether the law holds; `None` for a cost.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        self.tolerance.map(|(low, high)| (low..=high).contains(&self.ratio()))
    }
}

/// Measures every law whose name contains `filter`, under the native runtime and each of `further`; each finding is
/// shown as it is made.
///
/// # Errors
/// When an agent cannot be started or fails, or on an interrupt.
pub fn run(
    filter: &str,
    usable_cpus: u32,
    further: &[AgentProgram],
    interrupted: &Arc<AtomicBool>,
    show: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, LawError> {
    let mut bench = arm::Bench::start(usable_cpus, interrupted)?;
    let mut runtimes = vec![bench.native()?];
    for program in further {
        runtimes.push(bench.runtime(program)?);
    }
    let mut findings = Vec::new();
    for (name, law) in LAWS {
        if name.contains(filter) {
            for runtime in &runtimes {
                law(&mut bench, runtime, &mut |finding| {
                    show(&finding);
                    findings.push(finding);
                })?;
            }
        }
    }
    Ok(findings)
}
